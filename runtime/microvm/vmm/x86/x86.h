/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: where boot data lies in the lowest megabyte. */
#pragma once

enum {
	X86_PAGE = 4096,
	X86_GDT = 0x500,
	X86_PML4 = 0x9000, /* then a page-directory-pointer table and a page directory */
	X86_STACK = 0x8ff0,
};

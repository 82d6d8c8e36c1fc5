/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: where boot data lies in the lowest megabyte. */
#pragma once

#include <linux/kvm.h>

enum {
	X86_PAGE = 4096,
	X86_GDT = 0x500,
	X86_PML4 = 0x9000, /* then a page-directory-pointer table and a page directory */
	X86_STACK = 0x8ff0,
};

/* What KVM can give a guest; *RET is the caller's to free. */
int x86_supported_cpuid(int kvm_fd, struct kvm_cpuid2 **ret);
/* Takes out what is of the one processor that was asked, so that two calls give the same. */
void x86_generalise_cpuid(struct kvm_cpuid2 *cpuid);

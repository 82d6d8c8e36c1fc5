/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: where things are in the guest's address space. */
#pragma once

#include <stdint.h>

#define AARCH64_RAM         0x80000000ULL
#define AARCH64_GIC_DIST    0x08000000ULL
#define AARCH64_GIC_REDIST  0x080a0000ULL /* upwards, one for each vCPU */
#define AARCH64_SERIAL      0x0a000000ULL
#define AARCH64_DEVICES     0x0b000000ULL
#define AARCH64_TREE        AARCH64_RAM              /* the device tree is the first thing in RAM */
#define AARCH64_KERNEL_BASE (AARCH64_RAM + 0x200000) /* 2 MiB aligned, as the kernel wants it */

enum {
	AARCH64_PAGE = 4096,
	AARCH64_TREE_MAX = 0x200000,
	AARCH64_GIC_DIST_SIZE = 0x10000,
	AARCH64_GIC_REDIST_SIZE = 0x20000, /* of one vCPU */
	AARCH64_SPI_FIRST = 32, /* a GSI of KVM's, 0 …, is the shared interrupt 32 … */
};

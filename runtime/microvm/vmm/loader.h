/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels into guest memory: ELF (vmlinux, with or without the PVH note) and bzImage.
 *
 * Every number of the file is checked before it is used and each loop is bounded, so that a broken
 * file is an error and never more. Nothing is placed below LOADER_FLOOR, where the VMM's own boot
 * data is.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/memory.h"

#include <asm/bootparam.h>

enum { LOADER_FLOOR = 0x100000 };

enum kernel_protocol {
	KERNEL_PVH,     /* 32-bit flat mode, rbx = hvm_start_info */
	KERNEL_LINUX64, /* 64-bit mode, rsi = boot_params */
};

struct kernel_image {
	enum kernel_protocol protocol;
	uint64_t entry;             /* guest physical */
	uint64_t end;               /* the kernel needs memory up to here for itself */
	uint64_t initrd_max;        /* the last byte that the initramfs may use */
	struct setup_header header; /* bzImage only, else zero but for what a loader must set */
};

/*
 * Loads what FD holds, from its start. −ENOEXEC: not a kernel that can be booted here; −ENOMEM: it
 * does not fit. Before the guest runs.
 */
int kernel_load(
	int fd, const struct guest_memory *memory, struct kernel_image *ret, struct err *err);

/* Loads the regular file FD as high as possible in the first region, above IMAGE. */
int initramfs_load(int fd, const struct guest_memory *memory, const struct kernel_image *image,
	uint64_t *ret_gpa, uint64_t *ret_size, struct err *err);

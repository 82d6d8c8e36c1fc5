/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of x86_64 into guest memory: ELF (vmlinux, with or without the PVH note) and bzImage. */
#pragma once

#include "runtime/microvm/vmm/loader.h"

#include <asm/bootparam.h>

/* Nothing of a kernel is placed below: the VMM's own boot data is there. */
enum { X86_KERNEL_FLOOR = 0x100000 };

enum kernel_protocol {
	KERNEL_PVH,     /* 32-bit flat mode, rbx = hvm_start_info */
	KERNEL_LINUX64, /* 64-bit mode, rsi = boot_params */
};

struct x86_kernel {
	struct kernel_image image;
	enum kernel_protocol protocol;
	struct setup_header header; /* bzImage only, else zero but for what a loader must set */
};

/*
 * Loads what FD holds, from its start. −ENOEXEC: not a kernel that can be booted here; −ENOMEM: it
 * does not fit. Before the guest runs.
 */
int x86_kernel_load(
	int fd, const struct guest_memory *memory, struct x86_kernel *ret, struct err *err);

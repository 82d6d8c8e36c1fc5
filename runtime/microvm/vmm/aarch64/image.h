/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of aarch64 into guest memory: the uncompressed Image
 * (Documentation/arch/arm64/booting.rst). */
#pragma once

#include "runtime/microvm/vmm/loader.h"

/* Loads what FD holds above BASE, a multiple of 2 MiB. −ENOEXEC: no Image, or a big-endian one;
 * −ENOMEM: it does not fit. Before the guest runs. */
int image_load(int fd, const struct guest_memory *memory, uint64_t base, struct kernel_image *ret,
	struct err *err);

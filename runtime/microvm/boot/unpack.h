/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF file within a bzImage. Booted in the place of the bzImage, the guest need not unpack it
 * each time: on slow machines that is half of the way to the agent.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { UNPACK_MAX = 256 << 20 };

/* Unpacks IMAGE, a whole bzImage, into RET: LZ4, gzip and Zstandard. −ENOEXEC for what is none,
 * −EOPNOTSUPP for another compression or one that does not tell its size. Pure. */
int unpack_kernel(const uint8_t *image, size_t len, struct buf *ret);

/* Opens the unpacked kernel of the file KERNEL from the folder CACHE, where it is made when it is
 * not there; KERNEL itself (a duplicate) when it is an ELF file or cannot be unpacked. */
int unpack_open(int kernel, int cache, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cpio archive in the "newc" format, which Linux unpacks as its initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * Use: cpio_add() for each directory and file, parents first, then cpio_end(). The same calls make
 * the same bytes: owner and times are 0.
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>
#include <sys/types.h>

struct cpio {
	struct buf *out;
	uint32_t inode;
};

/* MODE with its type, S_IFDIR or S_IFREG; PATH without a leading "/". */
void cpio_add(struct cpio *cpio, const char *path, mode_t mode, const void *data, size_t len);
/* −ENOMEM when memory ran out at any step. */
int cpio_end(struct cpio *cpio);

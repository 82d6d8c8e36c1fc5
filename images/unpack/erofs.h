/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer's directory into one EROFS image (Documentation/filesystems/erofs.rst of the kernel),
 * which a virtual machine has as a disk. In the jail only; single-threaded.
 *
 * Our own writer and not mkfs.erofs: what is needed of the format is an uncompressed tree, a few
 * hundred lines that run in the jail that there is already, with its system calls counted out. A
 * foreign program would need a loader, libraries and a filter of its own in there, and every host
 * another package.
 *
 * The image has what overlay needs of a lower layer in the guest as the directory has it on the
 * host: whiteouts are devices 0:0, user.overlay.opaque is kept. Equal trees give equal bytes: names
 * are sorted, nothing of this host or of now is written. Blocks of 4 KiB: superblock, the files'
 * content as it was met, inodes (with links and the ends of folders behind them), the rest of the
 * folders. Holes of files are holes of the image.
 */
#pragma once

#include "base/err.h"
#include "images/unpack/protocol.h"

/* Writes the tree in DIRFD to OUT, an empty regular file. −EFBIG when it is more than the limits
 * of REQUEST allow, −EAGAIN when the tree changed meanwhile. */
int erofs_run(int dirfd, int out, const struct unpack_request *request, struct unpack_reply *ret,
	struct err *err);

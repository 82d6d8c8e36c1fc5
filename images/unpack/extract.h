/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tar into one directory, entry by entry, each through the descriptor of its parent.
 *
 * No name of the archive is ever walked through a symbolic link: parents are opened with
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), files are made with O_EXCL | O_NOFOLLOW, and
 * attributes are set on descriptors. Whiteouts become overlay's form as they come, so that the
 * directory can be a lower layer as it is: a character device 0:0 for a file that is gone, and the
 * attribute user.overlay.opaque=y (for mounts with "userxattr") for a directory that hides what is
 * below it. A whiteout never hides what came with the same layer, in whatever order they stand.
 *
 * Attributes of directories are set at the end, when nothing changes them any more.
 * In the jail only; single-threaded.
 */
#pragma once

#include "base/err.h"
#include "images/unpack/protocol.h"
#include "images/unpack/tar.h"

/*
 * Extracts all of TAR into DIRFD (an empty directory, but for UNPACK_PLAIN). CONTROL is where the
 * lower layers are asked for when the archive has files in directories that it does not list.
 * Counts into RET. −EINVAL for a hostile or broken archive, −EFBIG for one beyond the limits, or
 * what the file system says.
 */
int extract_run(struct tar *tar, int dirfd, int control, const struct unpack_request *request,
	struct unpack_reply *ret, struct err *err);

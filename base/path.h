/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths beneath a root that belongs to somebody else.
 *
 * A rootfs is a directory descriptor. Every path in it is walked by the kernel with
 * openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS): absolute symbolic links and ".." stay inside,
 * magic links of procfs are errors, and the result is a descriptor, so nothing is resolved twice.
 * Missing components are made one at a time, each through its parent's descriptor.
 *
 * PATH may begin with "/" or not; both mean the root. Any process that may search the root.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Opens PATH in ROOTFD with open(2)'s FLAGS (O_CLOEXEC is implied). */
int path_open(int rootfd, const char *path, int flags);
/* Like path_open(), and −ELOOP when the last component is a symbolic link. */
int path_open_nofollow(int rootfd, const char *path, int flags);

/*
 * Opens the directory PATH with O_PATH, making what is missing with MODE (not changed by umask
 * for the last component only). Follows links inside the root; a dangling link is −ENOENT.
 * New directories belong to UID:GID (−1: left as they are).
 */
int path_mkdir(int rootfd, const char *path, mode_t mode, uid_t uid, gid_t gid);
/* Opens PATH with O_PATH; a missing one is made as an empty regular file, its parents as
 * directories with mode 0755. */
int path_mkfile(int rootfd, const char *path, mode_t mode);
/* Opens PATH's parent (O_PATH, made when missing) and returns PATH's last component in RET_NAME,
 * which points into PATH. −EINVAL for "/", "." or "..". PATH must have no trailing slash. */
int path_open_parent(int rootfd, const char *path, bool make, const char **ret_name);

/*
 * Calls EACH with every name in the folder DIRFD but "." and "..", as readdir(3) gives them;
 * DIRFD's own position does not matter, and it may be O_PATH. Ends with the first result that is
 * not 0, and returns it.
 */
int path_each(int dirfd, int (*each)(void *context, int dirfd, const char *name), void *context);

/*
 * Opens NAME of DIRFD, which this process has just made there, with O_PATH (a directory for
 * reading): what owner and mode are given to is then what was made. Where others may write, they
 * may have put something else in its place meanwhile: −ESTALE unless it is of TYPE (S_IFMT), this
 * process's own, and by no other name anywhere.
 */
int path_open_made(int dirfd, const char *name, mode_t type);

/* A name that can be one component of a path: not empty, ".", "..", nor with "/" in it. */
bool path_is_component(const char *name);
/* Removes the directory NAME of DIRFD with all that is in it, never following a link or leaving
 * its file system. 0 when it was not there. */
int path_remove_tree(int dirfd, const char *name);

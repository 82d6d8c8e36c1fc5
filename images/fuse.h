/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse-overlayfs(1) in place of the kernel's overlay mounts: where the kernel or the file system of
 * the store allows none, and for containers of users without privilege whose ids are not those of
 * the store, since only who mounted a file system may shift the ids of its mounts.
 *
 *   fuse_server_start()   a process that waits, outside of any namespace of a container
 *   fuse_mount()          mounts, and tells that process what to serve
 *
 * The server has the ids of the store, so files on the disk and the numbers that it tells the
 * kernel are those of the image, whoever's ids those are where it is mounted. It ends with the
 * mount, or when nobody asks it for one. The container cannot reach it: it is root in another user
 * namespace, in the host's pid namespace.
 */
#pragma once

#include "base/err.h"
#include "images/store.h"

/* Whether fuse-overlayfs and /dev/fuse are there, or −EOPNOTSUPP with what to do about it. */
int fuse_check(struct err *err);

/*
 * Starts a server. The socket for fuse_mount(), the caller's; closed unused, it ends the process.
 * INSIDE: this process has the ids of the store already. A single-threaded process, which may end
 * before the server does.
 */
int fuse_server_start(struct store *store, bool inside, struct err *err);

/*
 * A detached mount of what fuse-overlayfs's OPTIONS ("lowerdir=…,upperdir=…") say, which SERVER
 * serves, for move_mount(2); the caller's. It belongs to the user namespace of this process, which
 * has CAP_SYS_ADMIN over it and over its mount namespace.
 */
int fuse_mount(int server, const char *options, bool read_only, struct err *err);

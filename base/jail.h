/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process gives up before it meets hostile bytes: the pieces of which each program's own
 * jail is made. A program calls those that it wants, in its order; every failure is fatal to it,
 * and there is no way back after one. Single-threaded processes, with a mount namespace of their
 * own for the root. −errno.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* MOUNT, a detached mount (fsmount(2), open_tree(2)), becomes the root and the old one goes. Mounts
 * are private. Where the old root is the initial ramfs, which cannot go, the new one is a chroot.
 */
int jail_root(int mount);
/* Mounts become private, and the root an empty read-only file system. */
int jail_empty_root(void);
/* Becomes UID and GID without further groups, and keeps its capabilities. */
int jail_user(uid_t uid, gid_t gid);
/* Drops all capabilities but those of the mask KEEP (1 << CAP_…), also from the bounding set. */
int jail_capabilities(uint64_t keep);

#define JAIL_FILES_ALL UINT64_MAX

/*
 * Landlock: of files only those beneath the directory BENEATH, with the rights ALLOWED
 * (LANDLOCK_ACCESS_FS_…, as far as this kernel knows them); none at all when it is −1. The ABI that
 * is in force, or 0 when the kernel has no Landlock. no_new_privs must be set.
 */
int jail_files(int beneath, uint64_t allowed);
/* The kernel's ABI of Landlock, 0 for none. Before the second one nothing could be renamed from one
 * folder to another in a jail. */
int jail_files_abi(void);
enum { JAIL_FILES_REFER_ABI = 2 };

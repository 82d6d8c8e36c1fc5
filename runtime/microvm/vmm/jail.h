/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the VMM gives up before the guest's first instruction.
 *
 * In order: an own user and group; user, mount, network, IPC, UTS and cgroup namespaces of its own
 * (its PID namespace comes from the launcher, since only a new process can be in one); an empty,
 * read-only root; all capabilities; small limits; Landlock, so that even a path that turned up
 * could not be opened; no_new_privs. Then each thread takes its filter on (filter.h). What stays
 * are the descriptors that the plan named.
 *
 * Every step is fatal.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct jail_options {
	bool change_user; /* to .uid and .gid; needs CAP_SETUID and CAP_SETGID */
	uid_t uid;
	gid_t gid;
	unsigned int descriptors; /* that may be open at a time, from now on */
};

/* Main thread of a process without others. There is no way back, also on failure. */
int jail_enter(const struct jail_options *options, struct err *err);

/* The pieces, for other processes with a jail of their own. */

/* MOUNT, a detached mount (fsmount(2), open_tree(2)), becomes the root and the old one goes. In a
 * mount namespace of the caller's own, whose mounts are private. */
int jail_root(int mount);
/* Becomes UID and GID without further groups, and keeps its capabilities. */
int jail_user(uid_t uid, gid_t gid);
/* Drops all capabilities but those of the mask KEEP (1 << CAP_…), also from the bounding set. */
int jail_capabilities(uint64_t keep);
/* Landlock: files beneath BENEATH only, none at all when it is −1. Kernels without Landlock still
 * have the root and the filters in the way. no_new_privs must be set. */
int jail_files(int beneath);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the v2 tree: opening, making, removing, switching controllers on.
 *
 * Private to cgroups/. Every path is relative to ROOTFD, the tree's top, with or without a leading
 * "/"; symbolic links, ".." out of the tree and mounts of other file systems are errors.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Opens a directory for reading; −ENOENT. */
int tree_open(int rootfd, const char *path);

/*
 * Opens PATH, making what is missing. On the way down, WANTED controllers are switched on in every
 * directory above PATH as far as they can be, and those that are in NEEDED must. RET_MADE counts
 * the trailing components that were made, for tree_unmake(), also on failure.
 */
int tree_make(int rootfd, const char *path, unsigned int needed, unsigned int wanted, int *ret_made,
	struct err *err);
/* Removes the last MADE components of PATH that are empty; errors do not matter. */
void tree_unmake(int rootfd, const char *path, int made);

/* Switches controllers on for the children of DIRFD. PATH is for messages. */
int tree_enable(
	int dirfd, const char *path, unsigned int needed, unsigned int wanted, struct err *err);

/* The controllers in the file NAME (cgroup.controllers, cgroup.subtree_control) of DIRFD. */
int tree_controllers(int dirfd, const char *name, unsigned int *ret);

/* −EOPNOTSUPP with a sentence that names the MISSING controllers and why they are not there: V1 are
 * those that v1 hierarchies hold. */
int tree_missing(unsigned int missing, unsigned int v1, const char *path, struct err *err);

/* Calls VISIT for DIRFD and every directory beneath it, children first, with the directory's
 * descriptor. Directories that go away meanwhile are left out. Stops at VISIT's first error. */
int tree_visit(int dirfd, int (*visit)(int dirfd, void *arg), void *arg);

/* Removes PATH with the directories beneath it; −EBUSY while there are processes; 0 when gone. */
int tree_remove(int rootfd, const char *path);

/* Where the v2 tree may be mounted, the first one first. */
enum { TREE_MOUNTS = 2 };
extern const char *const tree_mounts[TREE_MOUNTS];

/* "populated" and "frozen" of cgroup.events; waits for POLLPRI until KEY has VALUE. −ETIMEDOUT. */
int tree_event(int dirfd, const char *key, bool *ret);
/* The same of the cgroup PATH, wherever the v2 tree is; −ENOENT. With as few calls as there can be:
 * lists of containers ask for each one. */
int tree_event_of(const char *path, const char *key, bool *ret);
/* The same of PATH beneath ROOTFD, the top of a v2 tree. */
int tree_event_at(int rootfd, const char *path, const char *key, bool *ret);
int tree_event_wait(int dirfd, const char *key, bool value, int timeout_ms);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a container for verbs that look at them: as its process sees them while it runs,
 * else its snapshot, mounted nowhere, and the folders of this machine that it would have mounted.
 */
#pragma once

#include "cli/brig/brig.h"

struct root {
	int fd;                      /* −1: not open */
	const struct record *record; /* of one that does not run, else NULL */
	int mount;                   /* what root_find() opened last */
	/* A pidfd of its process when only who is in its user namespace may look at the files,
	 * which fuse-overlayfs serves; else −1. What root_open_at() opened is then to be used by a
	 * helper (helper_start_in()) alone. */
	int entry;
};

#define ROOT_NONE                                  \
	{                                          \
		.fd = -1, .mount = -1, .entry = -1 \
	}

/* BOX outlives RET. End with root_close(). For a user without privilege this process may enter the
 * user namespace of his store, for good. Single-threaded. */
int root_open(struct brig *b, const struct box *box, struct root *ret, struct err *err);
/* Whether FUSE has the file system of FD: it lets only who is in its user namespace look. */
bool root_is_fuse(int fd);
/* The files of BOX, which fuse-overlayfs serves, as they are while it runs, without what is mounted
 * in it; read-only. Enters the user namespace of the store. The descriptor is the caller's. */
int root_open_written(struct brig *b, const struct box *box, struct err *err);
void root_close(struct root *root);
/* The descriptor that WORK returns in a process of its own, or its error: it may go where there is
 * no way back from. Single-threaded. */
int root_in_fork(int (*work)(const void *arg), const void *arg);
/* Opens PATH in it with the FLAGS of open(2); O_NOFOLLOW concerns the last component, links before
 * lead to what the container sees there. Single-threaded. */
int root_open_at(struct root *root, const char *path, int flags);
/* The descriptor beneath which PATH has to be walked to, and as what; borrowed until the next call.
 */
int root_find(struct root *root, const char *path, const char **ret_rest);

/*
 * The snapshot of BOX, which need not run, as a mount that is nowhere: a descriptor, or an error.
 * Without privilege this process enters the user namespace that the store's files belong to.
 */
int root_open_snapshot(struct brig *b, const struct box *box, bool read_only, struct err *err);

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
	/* What the user who called brig is among the ids that this process has now; (uint32_t)−1:
	 * none of them. */
	uint32_t uid, gid;
};

/* BOX outlives RET. End with root_close(). For a user without privilege this process may enter a
 * user namespace, for good: that of his store, or of the container when fuse-overlayfs serves it.
 */
int root_open(struct brig *b, const struct box *box, struct root *ret, struct err *err);
/* Whether FUSE has the file system of FD: it lets only who is in its user namespace look. */
bool root_is_fuse(int fd);
/* The files of BOX, which fuse-overlayfs serves, as they are while it runs, without what is mounted
 * in it; read-only. Enters the user namespace of the store. The descriptor is the caller's. */
int root_open_written(struct brig *b, const struct box *box, struct err *err);
void root_close(struct root *root);
/* The descriptor beneath which PATH has to be walked to, and as what; borrowed until the next call.
 */
int root_find(struct root *root, const char *path, const char **ret_rest);

/*
 * The snapshot of BOX, which need not run, as a mount that is nowhere: a descriptor, or an error.
 * Without privilege this process enters the user namespace that the store's files belong to.
 */
int root_open_snapshot(struct brig *b, const struct box *box, bool read_only, struct err *err);

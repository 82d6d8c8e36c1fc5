/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system of a container: an image's layers below, a directory of its own on top.
 *
 * snapshot_create() makes the writable part and records which layers it stands on, which keeps them
 * from being collected; snapshot_mount() gives a detached overlay mount to be attached as a rootfs;
 * snapshot_remove() ends it. Nothing is copied, also not for a container with its own user
 * namespace: its lower layers are mounted with shifted ids (mount_setattr(2), MOUNT_ATTR_IDMAP).
 *
 * A mount does not outlive the machine's boot, and snapshot_mount() may be called as often as
 * needed: the record holds no state of mounts.
 */
#pragma once

#include "base/err.h"
#include "images/store.h"

#include <stdbool.h>

enum { SNAPSHOT_DISCARDED_MAX = 300 };

struct snapshot {
	char id[256];                    /* the container's; one path component */
	char image[DIGEST_TEXT_MAX + 1]; /* of the manifest */
	struct digest *chains;           /* topmost layer first */
	size_t count;
};

/* How it is mounted. */
enum snapshot_driver {
	SNAPSHOT_OVERLAY = 1, /* the kernel's, "userxattr" */
	SNAPSHOT_FUSE,        /* fuse-overlayfs(1): images/fuse.h */
};

struct snapshot_mount_options {
	int userns;     /* user namespace that the ids of the layers are shifted into; −1: none */
	bool read_only; /* no upper directory: for `image mount` and for looking inside */
	bool volatile_; /* "volatile": no syncing, for containers that are removed at their end */
	/* A server (images/fuse.h) that mounts it in place of the kernel. NULL: only when the
	 * kernel refuses, with a server of its own, for which this process has the store's ids. */
	const int *server;
	/* With .read_only and a server: what the container has written is there, too, also while it
	 * runs. */
	bool written;
};

/*
 * Makes the snapshot ID of the image MANIFEST (a digest in the store). −EEXIST when the id is in
 * use, −ENOENT when the image or a layer is missing, −EINVAL for an id that is no component.
 */
int snapshot_create(struct store *store, const char *id, const char *manifest, struct err *err);
/* Reads the record. Ended with snapshot_free(). −ENOENT. */
int snapshot_load(struct store *store, const char *id, struct snapshot *ret, struct err *err);
void snapshot_free(struct snapshot *snapshot);
/* Locks the snapshot against other commands, flock(2), until the descriptor is closed; −EBUSY
 * unless WAIT. */
int snapshot_lock(struct store *store, const char *id, bool wait, struct err *err);
/* Removes it with all that the container wrote. Doing it again is no error. It must not be
 * mounted. */
int snapshot_remove(struct store *store, const char *id, struct err *err);
/* The same in two steps: after the first there is no such snapshot, and the store's collection
 * removes what the second was kept from. RET is the second's NAME, empty when there was none. */
int snapshot_discard(
	struct store *store, const char *id, char ret[SNAPSHOT_DISCARDED_MAX], struct err *err);
int snapshot_remove_discarded(struct store *store, const char *name, struct err *err);

/*
 * A detached mount (fsmount(2)) of the snapshot, for move_mount(2). The caller has CAP_SYS_ADMIN
 * over its mount namespace. −EINVAL when the file system of the layers or the kernel cannot shift
 * ids.
 */
int snapshot_mount(struct store *store, const struct snapshot *snapshot,
	const struct snapshot_mount_options *options, struct err *err);

/* O_PATH descriptor of the directory that holds what the container wrote. */
int snapshot_open_upper(struct store *store, const char *id);

/* Which driver this process, with the store's ids, may use here: tried with directories in the
 * store. −EOPNOTSUPP: none. */
int snapshot_probe(struct store *store, enum snapshot_driver *ret, struct err *err);

CLEANUP_DEFINE(snapshot, struct snapshot, snapshot_free)
#define autosnapshot __attribute__((cleanup(cleanup_snapshot)))

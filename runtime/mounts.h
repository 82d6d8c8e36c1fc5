/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carrying out the file-system part of the plan.
 *
 * The parent, while it still has the host's identity, takes clones of the rootfs and of every bind
 * source as detached mounts (mounts_open_sources()); the init process inherits the descriptors (or
 * takes them itself, for a user who may not on the host), builds the rest and attaches everything
 * beneath the rootfs's descriptor. No destination is ever a path for the kernel to resolve outside
 * of openat2(RESOLVE_IN_ROOT), and attributes are set before a mount can be seen.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "runtime/plan.h"

/* Descriptors of detached mounts, one for each of the plan's mounts; −1 where init makes it (with
 * request.all_sources: nowhere). */
struct mount_sources {
	int rootfs;
	int *fds;
	size_t count;
};

/* Parent, before the clone; or init, first of all, when plan->sources_by_init. On error nothing
 * stays open. */
int mounts_open_sources(
	const struct plan *plan, int procfd, struct mount_sources *ret, struct err *err);
/* The same for one mount of a container that runs: what has to be made on the host, where its
 * source is, else *RET is left alone. Parent. */
int mounts_open_source(const struct plan_mount *mount, int procfd, int *ret, struct err *err);
/* Binds alone: the opener (runtime/parent_sources.h). The root alone, into SOURCES. */
int mounts_open_binds(
	const struct plan *plan, int procfd, struct mount_sources *ret, struct err *err);
int mounts_open_rootfs(const struct plan *plan, struct mount_sources *sources, struct err *err);
void mounts_close_sources(struct mount_sources *sources);

/* What the init process knows while it builds the root. */
struct mounts_context {
	const struct plan *plan;
	const struct mount_sources *sources;
	const char *cgroup_path; /* the container's cgroup as a host path, or NULL */
	int rootfd;              /* the container's root */
	int devfd;               /* its /dev when that is its own, else −1 */
	int ptsfd;               /* its /dev/pts when that is its own, else −1 */
};

/* Init. Private propagation, the rootfs attached at its own place: opens ctx->rootfd. */
int mounts_enter_rootfs(struct mounts_context *ctx, struct err *err);
/* Init. All mounts of the plan, in order; devices and links as soon as /dev is there. */
int mounts_make(struct mounts_context *ctx, struct err *err);
/* Joiner, in a container that runs. One mount of the plan, from SOURCE or, when that is −1, made
 * here; *RET is its descriptor, untouched for what only changes attributes. */
int mounts_add(struct mounts_context *ctx, const struct plan_mount *mount, int source, int *ret,
	struct err *err);
/* Init. Masked and read-only paths, then the root's own attributes. */
int mounts_restrict(struct mounts_context *ctx, struct err *err);
/* Init. The container's root becomes the process's and the namespace's, the host's tree goes. */
int mounts_pivot(struct mounts_context *ctx, int procfd, struct err *err);
/* Init. Binds the terminal PEER (an open pts) over /dev/console; see A3. */
int mounts_bind_console(struct mounts_context *ctx, int peer, struct err *err);

/*
 * mounts_plain.c: a new file system by fchdir(2) to DEST and mount(2), where that can say all that
 * is asked for. fsopen(2) takes a call for every option, but can tell what is wrong: so after any
 * error go that way, nothing was done. Changes the working directory. Init.
 */
int mounts_make_plain(const struct plan_mount *mount, int dest);
/* Whether mount(2) can say it, and how: MS_… and the text for the file system, appended. Pure. */
bool mounts_is_plain(
	const struct plan_mount *mount, unsigned long *ret_flags, struct buf *ret_data);

/* devices.c: fills /dev. */
int devices_make(struct mounts_context *ctx, struct err *err);
/* copyup.c: copies the content of the directory FROM into the empty directory TO. */
int copyup(int from, int to, struct err *err);
/* idmap.c: a user namespace with the given maps, for MOUNT_ATTR_IDMAP: its descriptor. Parent. */
int idmap_open(int procfd, const char *uid_map, const char *gid_map, struct err *err);

/* Only with these a source is not followed, and may be a symbolic link. */
enum { MOUNTS_SOURCE_MAY_BE_LINK = SPEC_MOUNT_SRC_NOFOLLOW | SPEC_MOUNT_COPY_SYMLINK };

/* mounts_fs.c: a new file system as MOUNT says, detached: *RET, untouched on failure. DEST is what
 * it will cover. Init. */
int mounts_new(const struct mounts_context *ctx, const struct plan_mount *mount, int dest, int *ret,
	struct err *err);
/* The same of a type that knows no special treatment, for the parent too. */
int mounts_new_fs(const struct plan_mount *mount, int *ret, struct err *err);
/* Sets the SELinux label of the file-system context FS; does nothing with none. */
int mounts_set_context(int fs, const char *key, const char *label, struct err *err);

/* The attributes of spec options put on the detached mount FD; TREE: it may have submounts. */
int mounts_set_attributes(int fd, const struct spec_mount_options *options, bool tree,
	uint64_t default_propagation, struct err *err);
/* Attaches FD at DEST, both O_PATH or mount descriptors. */
int mounts_attach(int fd, int dest);
/* Takes a detached clone of the mount at the host's PATH (or of DIRFD with ""). */
int mounts_clone(int dirfd, const char *path, bool recursive, bool nofollow);

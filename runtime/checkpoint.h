/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoint and restore: a running container becomes files, and files a running container.
 *
 * criu (criu.h) writes and makes the processes. What it cannot know is decided here: which mounts
 * are the host's and where they come from, which namespaces are somebody else's, what the standard
 * streams were. That is kept beside criu's images, in brig-oci.json, so that a bundle with the same
 * mounts is all that a restore needs.
 *
 * A restored container gets its cgroup, its limits and its record from its own configuration, as
 * one that is created; hooks: prestart and createRuntime run when its namespaces are there,
 * poststart when it runs. createContainer and startContainer do not: their work is in the images.
 *
 * checkpoint_plan.c is pure; the verbs belong to the process of a command, as root.
 */
#pragma once

#include "runtime/criu.h"
#include "runtime/lifecycle.h"
#include "runtime/plan.h"

#include <sys/stat.h>

struct checkpoint_options {
	const char *id, *image_path;
	const char *work_path;   /* where dump.log goes; NULL: image_path */
	const char *parent_path; /* an earlier pre-dump, relative to image_path; NULL: none */
	struct criu_flags flags;
	uint32_t empty_namespaces; /* CLONE_NEWNET or 0 */
	bool leave_running, pre_dump;
	/* Gets one NUL byte when criu waits to be asked for pages (with flags.lazy_pages); −1:
	 * none. Borrowed. */
	int status_fd;
};

struct restore_options {
	struct create_options create;
	const char *image_path, *work_path; /* work_path NULL: image_path */
	struct criu_flags flags;
	uint32_t empty_namespaces;
	bool detach; /* nobody waits: a terminal needs a console socket */
};

/*
 * The container is running or paused; afterwards it has ended, or goes on with leave_running and
 * pre_dump. On failure it goes on. −EINVAL for another state, −ENOENT without criu.
 */
int container_checkpoint(
	const struct runtime *rt, const struct checkpoint_options *options, struct err *err);

/*
 * Makes the container from images: it runs when this returns. *RET as from
 * container_create_for_run(), without a sync; the lock is given up. On failure nothing is left
 * behind.
 */
int container_restore(const struct runtime *rt, const struct restore_options *options,
	struct created *ret, struct err *err);

/* ---- images ---- */

/* What checkpoint_take_back_images() puts back. */
struct lent_images {
	int dirfd; /* borrowed */
	struct lent_file *files;
};

/*
 * Lets the group GID read the files of the directory DIRFD, and nobody else but their owner: in a
 * user namespace, it is the container's root who reads what criu wrote as the host's. No symbolic
 * link is followed. On failure all is as it was. The process of a command, as root.
 */
int checkpoint_lend_images(int dirfd, gid_t gid, struct lent_images *ret, struct err *err);
/* Gives every file its own group and mode again. Once or more; nothing for one that is all 0. */
void checkpoint_take_back_images(struct lent_images *lent);

/* ---- planning; pure ---- */

/* One line of mountinfo, proc_pid_mountinfo(5). */
struct mountinfo {
	int id;
	const char *root, *mountpoint, *type;
};

struct mountinfo_list {
	struct mountinfo *items;
	size_t count;
};

/* Reads TEXT, with its octal escapes. −EINVAL for what is none. */
int checkpoint_parse_mountinfo(
	const char *text, struct arena *arena, struct mountinfo_list *ret, struct err *err);

/* Where a mount that is not the container's own comes from. */
enum external_kind {
	EXTERNAL_BIND,   /* the bundle's bind mount at .destination, and .below in its source */
	EXTERNAL_MASK,   /* a masked file: the null device */
	EXTERNAL_DEVICE, /* the host's device of the same path */
	EXTERNAL_CGROUP, /* the container's cgroup as the host has it */
};

struct external_mount {
	int kind;                /* enum external_kind */
	const char *mountpoint;  /* in the container, as the kernel names it */
	const char *destination; /* of a bind: as the configuration has it */
	const char *below;       /* of a bind: "" or "/…" */
};

/* A standard stream that is a file: criu puts only one that looks the same in its place. */
struct stream_file {
	uint32_t stream;
	int64_t size;
};

/* What brig-oci.json holds. */
struct checkpoint_images {
	struct {
		struct stream_file *items;
		size_t count;
	} stream_files;
	struct {
		struct external_mount *items;
		size_t count;
	} mounts;
	/* What criu calls the standard streams that are not the container's own ("pipe:[1]"), else
	 * "". Three, or none. */
	struct strings streams;
	int64_t pid; /* of the init, by which criu names its lock on the network; 0: unknown */
};

/*
 * Finds the external mounts among MOUNTS. RESOLVED has one path for each of the plan's mounts: its
 * destination as the kernel names it, NULL when it is none. −ENOTSUP names a mount that cannot be
 * kept.
 */
int checkpoint_plan_mounts(const struct plan *plan, const char *const *resolved,
	const struct mountinfo_list *mounts, struct arena *arena, struct checkpoint_images *ret,
	struct err *err);

/* Where on the host MOUNT comes from in this PLAN. CGROUP_PATH may be NULL. −EINVAL when the
 * bundle does not have it. */
int checkpoint_mount_source(const struct plan *plan, const struct external_mount *mount,
	const char *cgroup_path, struct arena *arena, const char **ret, struct err *err);

/* −ENOTSUP when STREAM was a file and ST, what is to take its place, is none of the same size. */
int checkpoint_check_stream(const struct checkpoint_images *images, uint32_t stream,
	const struct stat *st, struct err *err);

/* −ENOTSUP for namespaces that cannot be kept. */
int checkpoint_check_namespaces(const struct plan *plan, struct err *err);
/* The label by which criu finds a namespace of TYPE that is not the container's own, or NULL when
 * such one is joined instead: then *RET_JOIN is criu's word for the type. */
const char *checkpoint_namespace_label(int type, const char **ret_join);

/* To JSON (NULL without memory) and from it; *RET borrows from VALUE and ARENA. */
json_t *checkpoint_images_json(const struct checkpoint_images *images);
int checkpoint_images_read(
	const json_t *value, struct arena *arena, struct checkpoint_images *ret, struct err *err);

enum { CHECKPOINT_MOUNTINFO_MAX = 16 << 20, CHECKPOINT_IMAGES_MAX = 4 << 20 };
#define CHECKPOINT_IMAGES_NAME "brig-oci.json"

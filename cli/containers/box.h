/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig's containers on disk: found, made, looked at, removed.
 *
 *   DATA/containers/ID/container.json   the record (cli/containers/record.h)
 *   DATA/containers/ID/status.json      what became of it; the monitor's to write; none: created
 *   DATA/containers/ID/log…             its output
 *   DATA/containers/ID/rootfs/          empty; where its own mounts have the root
 *   DATA/names/NAME                     a symbolic link to the id: names are unique by it
 *   RUN/records                         a copy of such files (cli/containers/recall.h)
 *   RUN/containers/ID/attach.sock       the monitor's
 *   RUN/containers/ID/stopping          somebody is stopping it: do not start it again
 *   RUN/containers/ID/hosts …           files that it sees in /etc, written at each start
 *   DATA/containers/.ID.old             of a container that is gone: to be removed
 *   RUN/runtime/ID/                     the runtime's state (runtime/container.h)
 *   DATA/images/containers/ID/          what it wrote (images/snapshot.h)
 *
 * A directory of a container appears and goes by rename(2), so readers need no lock. flock(2) on
 * the directory serialises the verbs that change it. The state is derived, never believed:
 * "running" in the status means nothing when neither the runtime's init nor the monitor is there
 * any more, be it that they were killed or that the machine was started anew.
 */
#pragma once

#include "base/err.h"
#include "cli/containers/record.h"
#include "runtime/container.h"

#include <sys/types.h>

enum { BOX_BOOT_MAX = 64 };

struct boxes {
	int data, run; /* DATA, RUN: borrowed */
	int containers, names, run_containers;
	const char *data_path, *run_path;
	const struct runtime *rt;

	/* Within boxes_each() alone: this boot's id, and the top of the cgroups or −1. */
	char boot[BOX_BOOT_MAX];
	int cgroups;
};

/* Makes the folders. DATA and RUN and their paths stay the caller's and outlive RET, as RT. */
int boxes_open(int data, int run, const char *data_path, const char *run_path,
	const struct runtime *rt, struct boxes *ret, struct err *err);
void boxes_close(struct boxes *boxes);

enum box_state {
	BOX_CREATED,
	BOX_RUNNING,
	BOX_PAUSED,
	BOX_RESTARTING,
	BOX_EXITED,
};
const char *box_state_name(enum box_state state);

enum { BOX_RECORD_MAX = 4 << 20, BOX_STATUS_MAX = 1 << 20 };

/* status.json; a container that was only made has none */
struct box_status {
	const char *state; /* "created", "starting", "running", "restarting", "exited" */
	const char *boot;  /* boot id of its writer */
	const char *started, *finished, *error;
	pid_t monitor;
	uint64_t monitor_start; /* with the pid: who it is, process_start_time() */
	pid_t pid;
	struct container_trace trace; /* of that process */
	int32_t exit_code;            /* −1: unknown, its monitor was killed before it ended */
	bool oom_killed;
	uint32_t restarts;
	const char *health; /* "", "starting", "healthy", "unhealthy" */
	uint32_t failing;   /* looks in a row */
	json_t *health_log; /* of the last looks; borrowed */

	json_t *json;
	struct arena arena;
};

struct box {
	const struct boxes *boxes;
	char id[RECORD_ID_SIZE];
	int dirfd;
	struct record record;
	struct box_status status;
};

/* Finds by id, name, or a beginning of an id that only one has. −ENOENT "no such container: TEXT",
 * −EINVAL when several begin so. */
int boxes_find(
	const struct boxes *boxes, const char *text, char ret[RECORD_ID_SIZE], struct err *err);
/* Opens the container TEXT; LOCK: waits for its lock, which box_close() gives back. */
int box_open(
	const struct boxes *boxes, const char *text, bool lock, struct box *ret, struct err *err);
void box_close(struct box *box);

/* Calls FN for every container, in no order, with a box that is closed afterwards and has no
 * .dirfd; those that are damaged are skipped with a warning. Stops at a result that is not 0, and
 * returns it. What has not changed since the last call is not read again (cli/containers/recall.h).
 */
int boxes_each(const struct boxes *boxes, int (*fn)(struct box *box, void *arg), void *arg,
	struct err *err);

/* Makes the container of RECORD, whose .name NULL gets a generated one (in RECORD->arena).
 * −EEXIST when the name is taken. */
int box_create(const struct boxes *boxes, struct record *record, struct err *err);
/* Writes the record anew. Locked. */
int box_update(struct box *box, struct err *err);
/* Gives it another name. Locked. −EEXIST. */
int box_rename(struct box *box, const char *name, struct err *err);
/* Removes the directories and the name. Locked; nothing of it runs any more. */
int box_remove(struct box *box, struct err *err);
/* The same in two steps: after the first there is no such container. boxes_sweep() removes what all
 * second steps were kept from. */
int box_discard(struct box *box, struct err *err);
int boxes_remove_discarded(const struct boxes *boxes, const char *id, struct err *err);
int boxes_sweep(const struct boxes *boxes, struct err *err);

/* Its state now, from the status, the runtime and the monitor. */
enum box_state box_state(const struct box *box);
bool box_has_monitor(const struct box *box);

/* This boot's id, as a status has it; "" when it cannot be read. */
void box_boot_read(const struct runtime *rt, char ret[BOX_BOOT_MAX]);
int box_status_read(int dirfd, struct box_status *ret, struct err *err);
int box_status_parse(const char *text, size_t len, struct box_status *ret, struct err *err);
int box_status_write(int dirfd, const struct box_status *status, struct err *err);
void box_status_free(struct box_status *status);

/* The directory for what does not outlive a boot, made when it is missing. */
int box_run_dir(const struct boxes *boxes, const char *id, struct err *err);

CLEANUP_DEFINE(box, struct box, box_close)
#define autobox __attribute__((cleanup(cleanup_box)))
CLEANUP_DEFINE(box_status, struct box_status, box_status_free)
#define autoboxstatus __attribute__((cleanup(cleanup_box_status)))

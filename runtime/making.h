/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container in the making: the steps that create and restore have in common.
 *
 *	struct making m;
 *	making_begin(&m, rt, options)
 *	making_read(), making_plan()      nothing is done yet
 *	making_reserve()                  the id is taken
 *	making_cgroup(), then making_apply_cgroup() before anything of the user's runs
 *	making_record()                   with m.pid
 *	making_hand_over(), or making_roll_back() on failure
 *	making_close()
 *
 * Whatever a step acquires is in the struct, so that one function can undo it. Parent.
 */
#pragma once

#include "base/clock.h"
#include "netns/devices.h"
#include "runtime/backend.h"
#include "runtime/lifecycle.h"
#include "runtime/stage.h"

#include <limits.h>

struct making {
	const struct runtime *rt;
	const struct create_options *options;
	bool run; /* the creator starts it and waits for it */
	char bundle[PATH_MAX];
	struct buf config_text;
	struct spec_config *config;
	const struct backend *backend;     /* that makes it, or NULL: namespaces do */
	struct spec_config backends;       /* what of .config is the host's part, with a backend */
	const struct spec_config *applied; /* what is carried out here: .config or .backends */
	struct arena arena;
	struct plan plan;
	struct container container;
	bool has_container;
	char created[CLOCK_TEXT_MAX];
	json_t *streams; /* what the container gets of ours, see streams.h; or NULL */
	struct cgroup_host cgroup_host;
	struct cgroup_plan cgroup_plan;
	struct cgroup *cgroup;
	char cgroup_path[PATH_MAX];
	struct seccomp_program seccomp;
	struct mount_sources sources;
	const char *rdt_path;              /* in resctrl, to be removed with the container */
	struct netns_devices *net_devices; /* that were moved to the container */
	struct launch launch;
	int sync, stages_sync;       /* ours, and the stages' until they have it */
	int console, stages_console; /* a socketpair for `run` with a terminal of ours */
	pid_t pid;
	int pidfd;
};

void making_begin(struct making *m, const struct runtime *rt, const struct create_options *options);
/* The configuration, and by whom it is carried out. */
int making_read(struct making *m, struct err *err);
/* The plans of container and cgroup. */
int making_plan(struct making *m, struct err *err);
/* From here on the id is taken, and delete --force can undo whatever is done. */
int making_reserve(struct making *m, struct err *err);
/* Makes the cgroup, without limits. */
int making_cgroup(struct making *m, struct err *err);
/* Limits and device filter. */
int making_apply_cgroup(struct making *m, struct err *err);
/* Writes the record, with pid and cgroup as they are now. */
int making_record(struct making *m, unsigned long long start_time, struct err *err);
/* Runs the hooks of LIST on the host. */
int making_run_hooks(struct making *m, const struct spec_hook_list *list, const char *name,
	enum container_status status, struct err *err);
/* Tells the engine which process it is: files and sockets of options and annotations. */
int making_publish(struct making *m, struct err *err);
/* Moves what the caller goes on with to RET. */
void making_hand_over(struct making *m, int master, struct created *ret);
/* Undoes every step that was taken. */
void making_roll_back(struct making *m);
/* Releases what is held, and leaves what was made. */
void making_close(struct making *m);

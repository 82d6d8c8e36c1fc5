/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs: runtime-spec, runtime.md "Lifecycle" and "Operations".
 *
 *   creating ──create──▶ created ──start──▶ running ⇄ pause/resume ⇄ paused
 *                            │                 │                       │
 *                            └────── kill, or the process ends ────────┴──▶ stopped ──delete──▶ ∅
 *
 *   verb     allowed in                       −EINVAL otherwise, saying the state that it found
 *   start    created
 *   exec     running (created too; paused with ignore_paused)
 *   kill     created, running, paused         stopped: −ESRCH "container not running"
 *   pause    running            resume  paused
 *   events   created, running, paused
 *   update   created, running, paused
 *   delete   stopped; any with force
 *
 * Each takes the container's lock for as long as it changes it. On failure of a create nothing is
 * left behind. The process of a command; single-threaded.
 */
#pragma once

#include "base/err.h"
#include "runtime/activation.h"
#include "runtime/container.h"
#include "runtime/plan.h"

#include <stdbool.h>
#include <stdint.h>

struct create_options {
	const char *id, *bundle; /* bundle: any path, "." by default */
	const char *config;      /* in place of BUNDLE/config.json */
	const char *config_text; /* the configuration itself, in place of a file; or NULL */
	/* Called by the parent once the container's namespaces are there and before anything of it
	 * uses its network: what its creator has to do with that. Both are borrowed. .call NULL:
	 * nothing. */
	struct create_connect {
		int (*call)(void *context, int netns, int userns, struct err *err);
		void *context;
	} connect;
	struct plan_rootfs rootfs; /* in place of what root.path has; .open NULL: none */
	struct plan_sources sources;
	/* An image whose layers are disks, for isolation "vm": descriptors of EROFS images
	 * (read-only, the caller's), topmost first. The root has the folders "upper" and "work"
	 * then, to which overlay writes. 0: the root is the root. */
	const int *layers;
	size_t layer_count;
	const char *console_socket; /* NULL: none */
	const char *pid_file;       /* NULL: none */
	const char *pidfd_socket;   /* gets the init's pidfd; NULL: none */
	const char *images;         /* a folder to restore from, by a backend; NULL: none */
	bool no_pivot, no_new_keyring;
	bool detach;           /* after `run` nobody is there for a terminal of ours */
	uint32_t preserve_fds; /* with those of .activation, which come first */
	struct activation activation;
};

/* A container that was made and whose init waits. */
struct created {
	struct container container; /* locked until container_go() */
	struct spec_config *config;
	struct cgroup *cgroup;
	int sync;   /* to the init; −1 after create, where start.sock takes over */
	int master; /* the terminal, when RUN asked for one and no socket takes it */
	int pidfd;  /* of the init, our child */
};

/* `create`: returns in state created. `run`: container_create_for_run(), then container_go(). */
int container_create(
	const struct runtime *rt, const struct create_options *options, struct err *err);
int container_create_for_run(const struct runtime *rt, const struct create_options *options,
	struct created *ret, struct err *err);
/* Lets the init go on to the user's process, runs poststart hooks, gives up the lock. On failure
 * the container is gone. */
int container_go(struct created *created, struct err *err);
/* `run`'s end, after the process was waited for: removes the container. */
int container_finish(struct created *created, struct err *err);
void created_close(struct created *created);

/* A signal that rt->cancel is for ends it, and then the container has ended as well, as when a hook
 * or the program's start fails. Opens rt->cancel, when there is one, once it has the lock. */
int container_start(const struct runtime *rt, const char *id, struct err *err);
/* ALL: to every process of the container. */
int container_kill(const struct runtime *rt, const char *id, int sig, bool all, struct err *err);
/* FORCE: kills first, and is content when there is no such container. */
int container_delete(const struct runtime *rt, const char *id, bool force, struct err *err);
int container_pause(const struct runtime *rt, const char *id, struct err *err);
int container_resume(const struct runtime *rt, const char *id, struct err *err);

struct update_options {
	const struct spec_resources *resources; /* what it sets is changed, all else stays */
	/* Schemata for the container's group in resctrl; NULL: unchanged. */
	const char *l3_cache_schema, *mem_bw_schema;
};

/*
 * Changes the limits: all of them, or as far as the kernel lets that be taken back, none. A list of
 * device rules takes the place of the container's, with the devices that all have. −ENOTSUP
 * without a cgroup; otherwise as cgroup_apply().
 */
int container_update(const struct runtime *rt, const char *id, const struct update_options *options,
	struct err *err);

/*
 * Adds the mounts of LIST to a container that exists, in order; on failure those that were added
 * are gone again. Sources are what they are on the host at this moment; destinations are resolved
 * beneath the container's root. A mount that shows the container's namespaces (proc, sysfs, mqueue,
 * cgroup) is made inside of them. −EPERM for bind mounts by somebody who is not root. JSON: LIST as
 * spec_mounts_parse() gave it.
 */
int container_mounts_add(const struct runtime *rt, const char *id, const struct spec_mounts *list,
	const json_t *json, struct err *err);
/*
 * Takes the topmost mount at each of PATHS away, from the last to the first. No component may be a
 * symbolic link: the container could lead to another mount by one, and uncover what that hides.
 */
int container_mounts_remove(
	const struct runtime *rt, const char *id, const struct strings *paths, struct err *err);

struct events_options {
	bool once;            /* one event "stats", then the end; else until the container ends */
	uint32_t interval_ms; /* between two of them */
	int reader; /* polled: the end comes when nobody reads this descriptor any more; −1: not */
	int (*emit)(const json_t *event, void *arg, struct err *err);
	void *arg;
};

/*
 * Calls EMIT for {"type": "stats" | "oom" | "exit", "id": …, "data": …}; runtime/stats.h says what
 * the data of "stats" are. "oom" comes when the kernel has killed a process for want of memory,
 * "exit" is the last. Takes no lock; needs a running container and a cgroup. Returns EMIT's error
 * when it has one.
 */
int container_events(const struct runtime *rt, const char *id, const struct events_options *options,
	struct err *err);

/* The processes of a container, as `ps` lists them. RET is ended with free(ret->items). */
int container_pids(
	const struct runtime *rt, const char *id, struct cgroup_pids *ret, struct err *err);

struct container_processes {
	struct container_process {
		pid_t pid; /* as `state` knows it, for those that it knows */
		pid_t ppid;
		uid_t uid;
		char command[112];
	} * items;
	size_t count;
};
/* What ps(1) of the host cannot tell, because another kernel runs them: −EOPNOTSUPP for a container
 * of this kernel. RET is ended with free(ret->items). */
int container_processes(
	const struct runtime *rt, const char *id, struct container_processes *ret, struct err *err);

/* What C uses, as CGROUP counts it and, when it is a virtual machine, as its guest does. Memory
 * from ARENA. */
int container_stats(const struct container *c, const struct cgroup *cgroup, struct arena *arena,
	struct cgroup_stats *ret, struct err *err);

/* Runs the poststart hooks of CONFIG. After one that fails the container has to be stopped, see
 * runtime-spec, runtime.md "Lifecycle". */
int container_run_poststart(
	const struct container *c, const struct spec_config *config, struct err *err);
/* Runs the poststop hooks of CONFIG; their failures are warnings. */
void container_run_poststop(const struct container *c, const struct spec_config *config);
/* Removes the group in resctrl that was made for it, if any. */
int container_leave_rdt(const struct container *c, struct err *err);
/* Takes its mounts out of the mount namespace that it joined, if any. */
int container_leave_mounts(const struct container *c, struct err *err);
/* Removes what a container has outside of its directory, CGROUP (NULL: there is none any more)
 * among that, and the directory. Locked, stopped. CONFIG may be NULL: it could not be read. */
int container_destroy(struct container *c, struct cgroup *cgroup, const struct spec_config *config,
	struct err *err);

struct exec_options {
	const char *id;
	/* What container_open() and container_config() gave for it, if the caller has it already;
	 * else NULL. */
	const struct container *container;
	const struct spec_config *config;
	const struct spec_process *process; /* complete */
	const char *console_socket, *pid_file, *pidfd_socket;
	const char *cgroup; /* below the container's own; NULL: itself */
	bool ignore_paused;
	uint32_t preserve_fds;
};

/* Starts a process in a running container. *RET_PIDFD: our child. *RET_MASTER: as in struct
 * created. Returns when the user's process was executed. */
int container_exec(const struct runtime *rt, const struct exec_options *options, pid_t *ret_pid,
	int *ret_pidfd, int *ret_master, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What another kind of isolation than namespaces has to provide, and all that it may use of
 * runtime/.
 *
 * The lifecycle stays the same: state, locks, cgroup, hooks of the host, the record. In the place
 * of init there is a process of the backend's, the attendant: a process of the host that waits for
 * `start`, has the container's streams, passes on the signals that it gets and ends exactly as the
 * container's first process does. So `start`, `kill`, `delete` and `state` need no word of the
 * backend. Where they do, the record says which backend made the container.
 *
 * Who composes the program (cli/) passes the backend to runtime_open(); runtime/ knows none.
 */
#pragma once

#include "runtime/hooks.h"
#include "runtime/lifecycle.h"
#include "runtime/mounts.h"
#include "runtime/stage.h"
#include "runtime/sync.h"

/* A process of `exec` in the making. All descriptors are close-on-exec. */
struct backend_exec {
	const struct container *container;
	const struct spec_config *config;
	const struct spec_process *process; /* complete */
	json_t *json;                       /* the same, as in config.json */
	const char *cgroup;                 /* below the container's own, or NULL */
	int sync;           /* SYNC_FAILED goes here; its end says that the process was executed */
	int console_socket; /* connected; gets the terminal's master. −1: none */
};

/* Mounts for a container that runs. */
struct backend_mounts {
	const struct container *container;
	const struct spec_config
		*config;         /* the container's, with these mounts in place of its own */
	const json_t *json;      /* {"mounts": […]}: the same, as in config.json */
	const struct plan *plan; /* of those among them that the host makes… */
	const struct mount_sources *sources; /* …and from what; .rootfs is −1 */
};

struct backend {
	const char *name; /* "vm": in the record, and the value of --isolation */

	/*
	 * Decides whether the container can be made this way and what is left to the host: RET is
	 * CONFIG with only those namespaces, mounts and limits that the host carries out. −EINVAL
	 * with the field's name for what cannot be honoured. Memory from ARENA. Parent, before
	 * anything is made.
	 */
	int (*plan)(const struct spec_config *config, const struct create_options *options,
		struct arena *arena, struct spec_config *ret, struct err *err);

	/*
	 * Makes what containers of CONFIG's kind have in common and what is kept for the next ones,
	 * and finds out whether this host can. Parent, before there is a cgroup: it may take more
	 * than the container's limits.
	 */
	int (*prepare)(const struct spec_config *config, struct arena *arena, struct err *err);

	/* The attendant, in place of init_main(): the same messages in the same order. With
	 * launch.images the container is the one that was saved there, and START lets it go on. */
	void (*init_main)(const struct launch *launch) __attribute__((noreturn));
	/* In place of the joiner: one more process of the container, likewise a process of the
	 * host that stands for it. */
	void (*exec_main)(const struct backend_exec *exec) __attribute__((noreturn));

	/* Parent. SIG to every process of the container. */
	int (*signal_all)(const struct container *c, int sig, struct err *err);
	/* Parent. CHANGE becomes what the host's cgroup gets; memory from ARENA. */
	int (*update)(const struct container *c, const struct spec_resources *change,
		struct arena *arena, struct spec_resources *ret_host, struct err *err);
	/* Parent. STATS holds those of the host's cgroup, and becomes those of the container. */
	int (*stats)(const struct container *c, struct arena *arena, struct cgroup_stats *stats,
		struct err *err);
	/* Parent. RET is ended with free(ret->items). */
	int (*processes)(
		const struct container *c, struct container_processes *ret, struct err *err);
	/*
	 * Parent. freeze() returns when nothing of the container runs any more, thaw() when it goes
	 * on; between them signals wait, but for SIGKILL, and update(), stats() and processes()
	 * work. frozen() is what the status is derived from: the state that is there, of a
	 * container whose attendant is alive; takes no lock.
	 */
	int (*freeze)(const struct container *c, struct err *err);
	int (*thaw)(const struct container *c, struct err *err);
	bool (*frozen)(const struct container *c);
	/* Parent. The container's root file system as the host has it, to walk beneath, without
	 * what is mounted in it. */
	int (*open_root)(const struct container *c, struct err *err);
	/* Parent. Adds all of MOUNTS, or none. */
	int (*mounts_add)(const struct backend_mounts *mounts, struct err *err);
	/* Parent. Takes the topmost mount at each of PATHS away, from the last to the first. */
	int (*mounts_remove)(
		const struct container *c, const struct strings *paths, struct err *err);
	/*
	 * Parent. Writes C, which freeze() has stopped, to the folder IMAGES, for init_main() with
	 * launch.images; nothing is left there on failure.
	 */
	int (*checkpoint)(const struct container *c, int images, struct err *err);
};

/* The backend that made C, or NULL for one that shares the host's kernel. */
const struct backend *container_backend(const struct container *c);

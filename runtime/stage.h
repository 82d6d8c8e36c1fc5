/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a starting container and what each inherits.
 *
 *   parent  the command's own process: host identity, owns the state            parent.c
 *   relay   short-lived, only when the plan says so: joins what must be joined
 *           before the init process is cloned                                   relay.c
 *   init    pid 1 to be: builds the root, waits for start, becomes the user's
 *           process                                                             init.c
 *   entrant  exec's: enters the namespaces of a running container, but for that
 *           of the pids, and does there what needs anything of the host's       exec.c
 *   joiner  its sibling in the container's pid namespace: becomes the user's
 *           process                                                             user_process.c
 *
 * A stage begins in a copy of its creator's memory (clone3(2) without CLONE_VM) and is
 * single-threaded. It reports by sync.h, never prints, and never returns to its caller.
 */
#pragma once

#include "base/err.h"
#include "cgroups/cgroup.h"
#include "runtime/activation.h"
#include "runtime/attrs/seccomp/compile.h"
#include "runtime/container.h"
#include "runtime/hooks.h"
#include "runtime/mounts.h"
#include "runtime/plan.h"

/*
 * What exec's processes share: one page of memory, so that the joiner needs no descriptor to say
 * what went wrong. A hostile container may reach the joiner, so what is in it is believed only as
 * far as the parent can check it.
 */
struct join_report {
	pid_t pid;      /* of the joiner, by the clone; 0: there is none yet */
	struct err err; /* why it was not executed; code 0: it was */
};

/* How the user's process is made what process asks; for create and exec alike (D2). */
struct user_process {
	const struct container *container;
	const struct spec_config *config;
	const struct spec_process *process;
	int procfd;                          /* a procfs of the host's pid namespace */
	unsigned int preserve_fds;           /* descriptors 3 … 2+n stay open */
	const struct activation *activation; /* NULL: none */
	struct join_report *report;          /* by exec, not the container's first; else NULL */
	const char *keyring;   /* name of the new session keyring, or NULL: none is made */
	bool setgroups_denied; /* the user namespace gave up setgroups(2) */
	const struct seccomp_program *seccomp; /* for config's profile; NULL without one */
	int seccomp_socket;                    /* connected to the listener's receiver, or −1 */
};

/* The descriptors and facts with which init starts. All descriptors are close-on-exec. */
struct launch {
	const struct runtime *rt;
	const struct plan *plan;
	const struct mount_sources *sources;
	const struct cgroup *cgroup;
	const char *cgroup_path; /* as a host path, NULL when disabled */
	struct hooks_output hooks_output;
	struct user_process user;
	int sync;           /* the stages' end of the socketpair */
	int start_listener; /* start.sock, listening; −1: SYNC_START comes instead */
	int console_socket; /* connected; gets the terminal's master. −1: none */
	const int *layers;  /* of struct create_options */
	size_t layer_count;
	bool run;          /* start follows at once: what it would find out, it finds out */
	bool wait_mapped;  /* SYNC_MAPPED will come: there is something to wait for */
	bool tell_created; /* the parent waits for SYNC_CREATED: there is something between it and
			    * SYNC_START */
};

struct clone_args;
/* Joins, then clones init with ARGS as a child of its own parent, and leaves. */
_Noreturn void relay_main(const struct launch *launch, const struct clone_args *args);
_Noreturn void init_main(const struct launch *launch);

/* ---- parent: what create, run and exec do alike ---- */

/* Sends PIDFD to the socket PATH (NULL: nowhere); WHAT stands in errors. */
int parent_send_pidfd(const char *what, const char *path, int pidfd, struct err *err);
/* Writes PID_FILE and sends PIDFD to PIDFD_SOCKET; either may be NULL. */
int parent_publish(
	const char *pid_file, const char *pidfd_socket, pid_t pid, int pidfd, struct err *err);
/* Receives the terminal's master from CONSOLE, our end of the stages' socketpair, and closes that.
 * Does nothing when it is −1. */
int parent_take_master(int *console, int *ret_master, struct err *err);
/* Connects to the socket PATH of an engine; WHAT stands in errors. */
int parent_connect(const char *what, const char *path, int *ret, struct err *err);
/* Opens where the terminal goes: *RET_STAGES for the stages, *RET_OURS (else −1) when no
 * CONSOLE_SOCKET takes it. */
int parent_open_console(
	const char *console_socket, bool terminal, int *ret_ours, int *ret_stages, struct err *err);
/* The filter for CONFIG's profile, through the cache in the runtime's root. */
int parent_seccomp(const struct runtime *rt, const struct spec_config *config,
	struct seccomp_program *ret, struct err *err);
/* Where a listener's descriptor goes: connected, or −1 when the filter needs none. */
int parent_seccomp_socket(const struct spec_config *config, const struct seccomp_program *program,
	int *ret, struct err *err);

/* Warns of the capabilities of PROCESS that cannot be granted; it runs without them, as the
 * specification wants it. Last of all: engines want nothing but the error of a failure. */
void parent_warn_ungranted(const struct runtime *rt, const struct spec_config *config,
	const struct spec_process *process);

/* ---- pieces that several stages use ---- */

/* Opens a new terminal in the devpts PTSFD: its master, and its slave by TIOCGPTPEER (A3). */
int console_open(int ptsfd, const struct spec_console_size *size, int *ret_master, int *ret_peer,
	struct err *err);
/* Sends MASTER with the name that runtimes use, to the engine's console socket. */
int console_send(int socket, int master, struct err *err);
/* Makes PEER standard input, output and error. */
int console_attach(int peer, struct err *err);
/* Makes standard input the controlling terminal of this session. */
int console_control(struct err *err);

/* Which namespaces (CLONE_NEW…) the container has of its own, for setns(2) with its pidfd: joining
 * one's own user namespace would be an error. Parent. */
int stage_container_namespaces(const struct container *container, const struct spec_config *config,
	unsigned int *ret, struct err *err);
/* Opens the joins of the plan, before the first of them changes what a path means: RET_FDS has one
 * for each. On failure none is open. */
int stage_open_joins(const struct plan *plan, int ret_fds[PLAN_JOINS_MAX], struct err *err);
/* Enters the joins of the plan that this stage can; see plan.c for the order. */
int stage_join(const struct plan *plan, struct err *err);
/* Enters NAMESPACES (of stage_container_namespaces()) of a container that runs, and its root. The
 * pid namespace is entered for children only. Joiner. */
int stage_enter_container(
	const struct container *container, unsigned int namespaces, struct err *err);
/* The caller's pid in the host's pid namespace, as the procfs of that one tells it. */
int stage_host_pid(int procfd, pid_t *ret, struct err *err);
/* Whether the user namespace of process PID of PROCFD denies setgroups(2), user_namespaces(7). */
bool stage_setgroups_denied(int procfd, pid_t pid);
/* Whether the supplementary groups of the caller stay. */
bool stage_keeps_groups(const struct user_process *user);
/* Becomes root of the user namespace that this process is in. */
int stage_become_root(bool keep_groups, struct err *err);

/* Looks the executable up as exec would, so that create can refuse a missing one. */
int user_process_check(const struct user_process *user, struct err *err);
/*
 * Takes all that process asks for and executes it; returns only on error.
 *
 * With a report, this is exec's entrant, in the container's namespaces but for that of its pids, so
 * that no process of the container's can see it, whatever capabilities it has (C3). It gives up
 * every descriptor, capability and label here, and only then clones the joiner as its own sibling,
 * which comes to that pid namespace with nothing to take: it makes its session, loads the filter if
 * no_new_privs or CAP_SYS_ADMIN allow that then, and executes. Returns 0 when that is done or has
 * failed, which the report says.
 *
 * The joiner has to do it all itself only where what it takes is not handed on by a clone
 * (SCHED_DEADLINE, reset on fork), where the filter forbids the clone and has to come first, and
 * where a listener must be sent without no_new_privs.
 */
int user_process_exec(const struct user_process *user, struct err *err);

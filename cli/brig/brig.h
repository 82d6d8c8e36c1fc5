/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig: the command for people. One file for each verb or family of verbs, each with its option
 * tables; main.c has the table of verbs.
 *
 * A verb begins with brig_open() and gets from it what it needs, opened on first use: the store of
 * images, the runtime, the containers. It prints its result on standard output and nothing else
 * there; progress and warnings are for standard error. It returns its exit code or an error.
 */
#pragma once

#include "cli/command.h"
#include "cli/containers/box.h"
#include "cli/containers/start.h"
#include "images/store.h"
#include "runtime/lifecycle.h"

#include <limits.h>

struct brig_global {
	const char *root, *runroot;
	int log_level;      /* enum log_level */
	int cgroup_manager; /* enum cgroup_driver */
	bool debug;
};

/* What brig keeps where. Absolute paths. */
struct brig_dirs {
	char data[PATH_MAX];    /* /var/lib/brig, or $XDG_DATA_HOME/brig: what outlives a boot */
	char run[PATH_MAX];     /* /run/brig, or $XDG_RUNTIME_DIR/brig: what does not */
	char libexec[PATH_MAX]; /* the programs that brig executes: brig-unpack, brig-registry … */
	char share[PATH_MAX];   /* files that come with brig */
	char config[PATH_MAX];  /* /etc/brig, or $XDG_CONFIG_HOME/brig */
};

struct brig {
	const struct invocation *inv;
	const struct brig_global *global;
	struct arena *arena; /* lives as long as the command */
	struct brig_dirs dirs;
	bool rootless;
	int datafd, runfd; /* of dirs.data and dirs.run, which are there */

	/* Use the functions below. */
	struct store *store, *shifted; /* the second for the ids of one container */
	struct runtime runtime;
	bool has_runtime;
	struct boxes boxes;
	bool has_boxes;
	struct start_context start;
};
#define BRIG_NONE                                                                   \
	{                                                                           \
		.datafd = -1, .runfd = -1, .runtime = {.rootfd = -1, .procfd = -1 } \
	}

/* Finds the directories, and makes none: for what only has to know where they are. */
int brig_find(const struct invocation *inv, struct brig *ret, struct err *err);
/* Finds and makes the directories. End with brig_close(). */
int brig_open(const struct invocation *inv, struct brig *ret, struct err *err);
void brig_close(struct brig *brig);

/* The store of images, borrowed. */
int brig_store(struct brig *brig, struct store **ret, struct err *err);
/* The same, borrowed, whose helpers see the files of the container of RECORD with its own ids. */
int brig_store_for(
	struct brig *brig, const struct record *record, struct store **ret, struct err *err);
/* The runtime with brig's containers, borrowed. */
int brig_runtime(struct brig *brig, struct runtime **ret, struct err *err);

/* The containers, borrowed. */
int brig_boxes(struct brig *brig, const struct boxes **ret, struct err *err);
/* The container TEXT, as box_open(): for verbs about one. */
int brig_box(struct brig *brig, const char *text, bool lock, struct box *ret, struct err *err);
/* Its id alone; −ENOENT. */
int brig_box_id(struct brig *brig, const char *text, char ret[RECORD_ID_SIZE], struct err *err);
/* What starts and ends them, borrowed: opens all of the above. */
int brig_start_context(struct brig *brig, const struct start_context **ret, struct err *err);

CLEANUP_DEFINE(brig, struct brig, brig_close)
#define autobrig __attribute__((cleanup(cleanup_brig)))

/* ---- client.c: the terminal's side of an attached container ---- */
struct client_options {
	int sock;        /* to the monitor (cli/containers/attach.h) */
	bool tty, input; /* the container has a terminal; standard input goes to it */
	bool quiet_stdout, quiet_stderr; /* what comes there is not shown */
	const char *detach_keys;         /* "ctrl-p,ctrl-q"; "": none; NULL: those */
	int pidfd;                       /* signals go there; −1: they are ours */
};
/* Call before the container is started: signals wait until client_run() passes them on. */
int client_begin(struct err *err);
/* Until the container's end: its exit code. RET_DETACHED is set, and 0 returned, when the detach
 * keys were typed or the connection ended while the container goes on. */
int client_run(const struct client_options *options, bool *ret_detached, struct err *err);

/* ---- create.c, run.c ---- */
struct brig_run_values {
	struct run_options run; /* first: its table has offsets in it */
	bool detach, replace, quiet;
	struct strings attach;
	const char *cidfile, *detach_keys;
	struct opt_bool sig_proxy;
	int pull; /* enum run_pull */
};
extern const struct option brig_run_options[], brig_create_options[];
/* Makes a container of the image and command in ARGS: its id. */
int brig_make_container(struct brig *b, const struct brig_run_values *values, char **args,
	char ret_id[RECORD_ID_SIZE], struct err *err);
int brig_create(const struct invocation *inv, struct err *err);
int brig_run(const struct invocation *inv, struct err *err);

/* Removes the container TEXT; FORCE: whatever it is doing. VOLUMES: its anonymous ones too. */
int brig_remove_box(struct brig *b, const char *text, bool force, bool volumes, struct err *err);

/* start and attach, run.c */
struct brig_start_values {
	bool attach, interactive, all, at_boot;
	const char *detach_keys;
	struct opt_bool sig_proxy;
};
extern const struct option brig_start_options[], brig_attach_options[];
int brig_start(const struct invocation *inv, struct err *err);
struct brig_attach_values {
	bool no_stdin;
	const char *detach_keys;
	struct opt_bool sig_proxy;
};
int brig_attach(const struct invocation *inv, struct err *err);
/* Starts BOX, which is locked and whose lock is given up; attached by VALUES: its exit code, or 0.
 */
struct brig_attached {
	bool attach, input;
	bool no_stdout, no_stderr;
	const char *detach_keys;
	bool no_sig_proxy;
};
int brig_start_box(
	struct brig *b, struct box *box, const struct brig_attached *attached, struct err *err);

/* ---- life.c ---- */
struct brig_stop_values { /* stop, restart */
	bool all, ignore;
	int signal;
	struct opt_i64 time;
};
struct brig_kill_values {
	bool all;
	int signal;
};
struct brig_rm_values {
	bool all, force, ignore, volumes;
	struct opt_i64 time;
};
struct brig_pause_values {
	bool all;
};
extern const struct option brig_stop_options[], brig_kill_options[], brig_rm_options[],
	brig_pause_options[];
int brig_stop(const struct invocation *inv, struct err *err);
int brig_restart(const struct invocation *inv, struct err *err);
int brig_kill(const struct invocation *inv, struct err *err);
int brig_rm(const struct invocation *inv, struct err *err);
int brig_pause(const struct invocation *inv, struct err *err);
int brig_unpause(const struct invocation *inv, struct err *err);
int brig_wait(const struct invocation *inv, struct err *err);
int brig_rename(const struct invocation *inv, struct err *err);

/* ---- ps.c, inspect.c ---- */
struct brig_ps_values {
	bool all, latest, no_trunc, quiet, size;
	struct strings filter;
	const char *format;
	struct opt_i64 last;
};
struct brig_inspect_values {
	const char *format;
	bool size;
	int type; /* enum inspect_type */
};
struct brig_logs_values {
	bool follow, timestamps;
	const char *since, *until, *tail;
};
extern const struct brig_ps_values brig_ps_defaults;
extern const struct option brig_ps_options[], brig_inspect_options[], brig_logs_options[];
int brig_ps(const struct invocation *inv, struct err *err);
int brig_inspect(const struct invocation *inv, struct err *err);
int brig_port(const struct invocation *inv, struct err *err);
int brig_logs(const struct invocation *inv, struct err *err);

/* ---- exec.c ---- */
struct brig_exec_values {
	struct strings env, env_file;
	const char *workdir, *user, *detach_keys;
	bool detach, interactive, privileged, tty;
};
extern const struct option brig_exec_options[];
int brig_exec(const struct invocation *inv, struct err *err);

/* ---- top.c, update.c, events.c, copy.c ---- */
struct brig_stats_values {
	bool all, no_stream, no_trunc;
	const char *format;
};
struct brig_events_values {
	struct strings filter;
	const char *format, *since, *until;
	bool no_stream;
};
struct brig_prune_values {
	bool force;
	struct strings filter;
};
struct brig_cp_values {
	bool archive, follow, quiet;
};
struct brig_diff_values {
	const char *format;
};
struct brig_commit_values {
	struct strings changes;
	const char *author, *message;
	struct opt_bool pause;
	bool quiet;
};
struct brig_export_values {
	const char *output;
};
extern const struct option brig_stats_options[], brig_update_options[], brig_events_options[],
	brig_prune_options[], brig_cp_options[], brig_diff_options[], brig_commit_options[],
	brig_export_options[];
int brig_top(const struct invocation *inv, struct err *err);
int brig_stats(const struct invocation *inv, struct err *err);
int brig_update(const struct invocation *inv, struct err *err);
int brig_events(const struct invocation *inv, struct err *err);
int brig_container_exists(const struct invocation *inv, struct err *err);
int brig_container_prune(const struct invocation *inv, struct err *err);
int brig_cp(const struct invocation *inv, struct err *err);
int brig_diff(const struct invocation *inv, struct err *err);
int brig_commit(const struct invocation *inv, struct err *err);
int brig_export(const struct invocation *inv, struct err *err);
/* −EINVAL when --restart is not a policy. */
int brig_check_restart(const struct run_options *options, struct err *err);

/* ---- system.c ---- */
struct brig_format_values { /* any verb that has --format and nothing else */
	const char *format;
};
extern const struct option brig_format_options[];
int brig_version(const struct invocation *inv, struct err *err);
int brig_info(const struct invocation *inv, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-oci: the OCI runtime's command line, as engines call it.
 *
 * One file for each group of verbs, each with its option tables; main.c puts them together. A
 * verb prints its result on standard output, nothing on standard error when it succeeds, and
 * returns its exit code or an error.
 */
#pragma once

#include "cli/command.h"
#include "runtime/checkpoint.h"
#include "runtime/lifecycle.h"

enum oci_log_format { OCI_LOG_TEXT, OCI_LOG_JSON };

struct oci_global {
	const char *root, *log;
	int log_format; /* enum oci_log_format */
	int log_level;  /* enum log_level */
	bool debug, systemd_cgroup;
	int cgroup_manager;          /* enum cgroup_driver */
	int isolation;               /* enum spec_isolation */
	bool template_;              /* virtual machines are made from a saved one */
	const char *rootless, *criu; /* accepted for compatibility: found out, not told */
};

/* Opens the runtime that the global options describe. */
int oci_open_runtime(const struct invocation *inv, struct runtime *ret, struct err *err);
CLEANUP_DEFINE(runtime, struct runtime, runtime_close)
#define autoruntime __attribute__((cleanup(cleanup_runtime)))

/*
 * −EBADF unless the descriptors 3 to 2+COUNT were handed to this program. Before it opens any of
 * its own, which are told by being close-on-exec, so that none of those can be passed on instead.
 */
int oci_check_preserved(uint32_t count, struct err *err);

/* Prints VALUE, indented, and a newline. */
int oci_print_json(const json_t *value, struct err *err);

/* ---- what each verb's options fill in ---- */

struct oci_create_values { /* create, run */
	struct create_options create;
	bool detach, keep, no_subreaper;
};

struct oci_checkpoint_values {
	struct checkpoint_options checkpoint;
};

struct oci_restore_values {
	struct restore_options restore;
	bool keep, no_subreaper;
};

struct oci_exec_values {
	const char *process, *cwd, *user, *apparmor, *process_label, *cgroup;
	const char *console_socket, *pid_file, *pidfd_socket;
	struct strings env, caps, additional_gids;
	bool tty, detach, ignore_paused, no_subreaper;
	struct opt_bool no_new_privs;
	uint32_t preserve_fds;
};

struct oci_kill_values {
	bool all, regex;
};

struct oci_delete_values {
	bool force, regex;
};

enum oci_list_format { OCI_TABLE, OCI_JSON };

struct oci_list_values {
	int format; /* enum oci_list_format */
	bool quiet;
};

struct oci_update_values {
	const char *resources;
	struct spec_memory memory;
	struct spec_cpu cpu;
	struct opt_i64 pids_limit;
	struct opt_u32 blkio_weight;
	const char *l3_cache_schema, *mem_bw_schema;
};

struct oci_events_values {
	uint32_t interval_ms;
	bool stats;
};

struct oci_spec_values {
	const char *bundle, *file;
	bool rootless;
};

extern const struct oci_create_values oci_create_defaults;
extern const struct oci_checkpoint_values oci_checkpoint_defaults;
extern const struct oci_restore_values oci_restore_defaults;
extern const struct oci_list_values oci_ps_defaults;
extern const struct oci_events_values oci_events_defaults;
extern const struct option oci_create_options[], oci_run_options[], oci_exec_options[],
	oci_kill_options[], oci_delete_options[], oci_list_options[], oci_ps_options[],
	oci_spec_options[], oci_update_options[], oci_events_options[], oci_checkpoint_options[],
	oci_restore_options[];

/* Is the shell's job for the container until its end, and then removes it unless KEEP. Returns its
 * exit code. */
int oci_attend(struct created *created, bool keep, struct err *err);

/* ---- the verbs ---- */

int oci_create(const struct invocation *inv, struct err *err);
int oci_run(const struct invocation *inv, struct err *err);
int oci_start(const struct invocation *inv, struct err *err);
int oci_exec(const struct invocation *inv, struct err *err);
int oci_state(const struct invocation *inv, struct err *err);
int oci_list(const struct invocation *inv, struct err *err);
int oci_ps(const struct invocation *inv, struct err *err);
int oci_kill(const struct invocation *inv, struct err *err);
int oci_delete(const struct invocation *inv, struct err *err);
int oci_pause(const struct invocation *inv, struct err *err);
int oci_resume(const struct invocation *inv, struct err *err);
int oci_update(const struct invocation *inv, struct err *err);
int oci_events(const struct invocation *inv, struct err *err);
int oci_mounts_add(const struct invocation *inv, struct err *err);
int oci_mounts_remove(const struct invocation *inv, struct err *err);
int oci_checkpoint(const struct invocation *inv, struct err *err);
int oci_restore(const struct invocation *inv, struct err *err);
int oci_spec(const struct invocation *inv, struct err *err);
int oci_features(const struct invocation *inv, struct err *err);

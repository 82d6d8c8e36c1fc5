/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the monitor share; not for anyone else. */
#pragma once

#include "cgroups/connect.h"
#include "cli/containers/attach.h"
#include "cli/containers/logfile.h"
#include "cli/containers/monitor.h"
#include "cli/containers/recorder.h"

#include <limits.h>
#include <poll.h>

enum { CLIENTS_MAX = 16, STREAMS = 2 };

enum restart_policy { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS, RESTART_UNLESS_STOPPED };

/* One of the container's outputs: a chunk that was read and is logged, but that not all clients
 * have yet. */
struct stream {
	int fd; /* −1: at its end */
	char data[ATTACH_DATA_MAX];
	size_t len;
};

struct client {
	int fd;              /* −1: free */
	bool waits[STREAMS]; /* has not got the stream's chunk yet */
};

struct monitor {
	const struct start_context *ctx;
	const char *id;
	int dirfd, rundir;
	int report;   /* to the command; −1 once it knows */
	int warnings; /* the command's standard error, until it has its answer */

	/* of the record */
	bool tty, interactive, remove;
	enum restart_policy policy;
	uint32_t restart_max; /* of on-failure; 0: no limit */
	char name[RECORD_NAME_MAX];
	char image[256];

	struct logfile log;
	struct stream streams[STREAMS];
	int input; /* to the container's standard input, −1: closed */
	char input_data[ATTACH_DATA_MAX];
	size_t input_len, input_at;
	bool input_ends; /* close it when the data are written */
	struct client clients[CLIENTS_MAX];
	int listener, sigfd;

	char record_seccomp[PATH_MAX]; /* "": not */
	struct recorder recorder;

	pid_t pid;
	struct container_trace trace;
	int held[START_HELD_MAX];
	size_t held_count;
	struct connect_log *denied; /* attempts that the egress policy denied; NULL: none has one */
	bool exited;                /* the process has; its output may not be at its end */
	int status;                 /* wait(2) */
	char reason[CONTAINER_REASON_MAX]; /* why it has, as container_reason() has it */
	struct end_rest rest; /* of a container that is gone: to do when everybody knows */

	uint32_t restarts;
	int64_t started_ms, restart_at_ms, delay_ms; /* CLOCK_MONOTONIC */
	char started[64], finished[64];
	char boot[BOX_BOOT_MAX];
	bool oom;

	/* health.c */
	bool has_health;
	uint64_t health_interval_ms, health_timeout_ms, health_start_ms;
	uint32_t health_retries, failing;
	int64_t health_at_ms;
	pid_t health_pid;
	int health_fd;
	char health[16];
	json_t *health_log;
};

/* ---- monitor_start.c ---- */

/* Starts the container, or says in RET why not, which is returned. AGAIN: not for the command that
 * waits, which has its lock. */
int monitor_start_once(struct monitor *m, bool again, struct monitor_report *ret);
/* Both sides' ends of the container's streams that are ours. */
void monitor_close_streams(struct monitor *m);

/* ---- monitor_io.c: output, input, clients ---- */

int monitor_listen(struct monitor *m, struct err *err);
void monitor_add_client(struct monitor *m, int fd);
/* Fills FDS, of MONITOR_POLL_MAX; returns how many. monitor_handle() takes what poll(2) made of
 * them. */
enum { MONITOR_POLL_MAX = 5 + STREAMS + CLIENTS_MAX };
size_t monitor_poll(struct monitor *m, struct pollfd *fds);
void monitor_handle(struct monitor *m, const struct pollfd *fds, size_t count);
/* Reads what the ended container left in its pipes, as far as the clients take it. True when that
 * was all. */
bool monitor_drain(struct monitor *m);
/* Notes what the egress policy has denied since the last time. */
void monitor_take_denied(struct monitor *m);
/* Tells the clients and closes their connections. */
void monitor_tell_exit(struct monitor *m, int code);

/* ---- monitor_health.c ---- */

void monitor_health_begin(struct monitor *m);
void monitor_health_end(struct monitor *m);
/* Milliseconds until monitor_health_go() has something to do; −1: never. */
int64_t monitor_health_wait(const struct monitor *m);
void monitor_health_go(struct monitor *m);
/* The answer of a look has come on m->health_fd. */
void monitor_health_take(struct monitor *m);

/* ---- monitor_forget.c ---- */

/* Gives the memory back that a start has used and the loop does not need: what is free of the heap
 * and the stack, the program's own pages, and of the environment what nobody here reads. /proc
 * shows neither that any more nor the command line, but which container ID this is the monitor of.
 */
void monitor_forget(const char *id);

/* ---- monitor.c ---- */

void monitor_write_status(struct monitor *m, const char *state, const char *error, int exit_code);

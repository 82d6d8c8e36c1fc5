/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-guest: the first and only resident process of the guest, init and agent in one.
 *
 * Files: main.c makes the file systems, loads modules and dials the host; agent.c serves the host's
 * connections; jobs.c follows what is asked over them; process.c keeps the table of processes and
 * their streams; job.c does what a request asks in a child, by the same functions as brig-oci on a
 * host (runtime/lifecycle.h); plain.c starts a program outside of every container; setup.c
 * configures clock and network; layers.c mounts an image that came as disks; relay.c moves bytes.
 *
 * One thread, one poll(2). Everything here trusts the host and nothing of it trusts the guest's
 * other processes.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "runtime/backend.h"
#include "runtime/microvm/proto.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GUEST_BUNDLE "/brig/bundle" /* config.json */

/* --- modules.c --- */

/* Loads the modules of GROUP from the list at FOLDER/modules; those that are there already count as
 * loaded. Their files are removed, which gives the memory back. Returns how many were loaded. */
int modules_load(int folder, const char *group, struct err *err);

/* --- host.c: what the host has for us --- */

/* Listens for it. */
int host_listen(struct err *err);
/* Connects to it, to say READY. */
int host_dial(struct err *err);
/* Mounts and opens its files. A machine that was saved before it had a container gets them with the
 * container: what the file server knows begins here. */
int host_files(void);

/* --- setup.c --- */

/* Stirs the seed in, sets the clock, names and raises the interfaces, gives them their addresses
 * and routes. */
int setup_apply(const struct proto_setup *setup, struct err *err);

/* --- layers.c --- */

/* Mounts COUNT layers, and over them the container's root at GUEST_ROOT. */
int layers_mount(uint32_t count, struct err *err);

/* --- passthrough.c --- */

/* Whether this machine has PCI devices, which are all the host's, or KVM. */
bool passthrough_is_there(void);
/* Gives CONFIG, of a container, their nodes under the names that the kernel gives them. */
int passthrough_add_nodes(json_t *config, struct err *err);

/* --- relay.c --- */

enum { RELAY_BUFFER = 256 << 10 };

/* Bytes one way. Owns both descriptors, which are non-blocking. */
struct relay {
	int from, to; /* −1, −1: has ended */
	bool owned;   /* somebody will ask relay_written() */
	/* The end that stays when the machine is restored, where the host's end of the other one is
	 * gone: −1 in its place until relay_join(). */
	enum { RELAY_KEEPS_NEITHER, RELAY_KEEPS_FROM, RELAY_KEEPS_TO } keeps;
	bool ended;   /* FROM has no more */
	bool splices; /* by splice(2), and without .buffer */
	bool full;    /* then: TO takes no more for now */
	uint8_t *buffer;
	uint32_t start, len;
	uint64_t total; /* bytes that came from FROM */
};

static inline bool relay_is_free(const struct relay *relay)
{
	return relay->from < 0 && relay->to < 0 && !relay->owned;
}

/* Takes over the descriptors, also on failure. */
int relay_start(struct relay *relay, int from, int to);
/* Fills in what to wait for; returns how many. */
int relay_prepare(const struct relay *relay, struct pollfd fds[2]);
/* Moves what can be moved, as FDS (of relay_prepare()) says. At the end the writing side is shut,
 * both are closed. */
void relay_move(struct relay *relay, const struct pollfd *fds, int count);
void relay_stop(struct relay *relay);
/* FD, which is taken over, in the place of the end that is gone; without one (−1) what is written
 * goes nowhere and what is read has ended. Counts from here on. */
void relay_join(struct relay *relay, int fd);
/* All bytes that were ever written to FROM. */
uint64_t relay_written(const struct relay *relay);

/* --- process.c: processes that the host stands for, and their streams --- */

struct process {
	uint32_t id;  /* 0: not in use */
	pid_t pid;    /* 0: not started yet */
	bool is_init; /* of the container */
	int session;  /* of agent.sessions, whose host hears of its end; −1: has gone */
	int streams[PROTO_STREAMS];
	struct relay *relays[3]; /* of what it writes: stdout, stderr, terminal */
	struct relay *typed;     /* of what goes to its terminal or standard input, or NULL */
	int terminal;            /* our end, for window sizes; −1 without one */
	int console;             /* listens for the terminal of a container's process; −1 */
	bool started;            /* its START came */
	struct proto_start start;
};

struct processes {
	struct process items[PROTO_PROCESSES_MAX];
	struct relay relays[PROTO_STREAMS * PROTO_PROCESSES_MAX];
};

/* A process's standard streams, as it gets them; closed by the caller. */
struct stdio {
	int fds[3];
	bool terminal; /* fds[0] is one, to be the controlling one */
};

void processes_init(struct processes *all);
struct process *process_find(struct processes *all, uint32_t id);
struct process *process_of_pid(struct processes *all, pid_t pid);
/* The process ID, a new one when there is none. NULL: ID is 0, or the table is full. */
struct process *process_get(struct processes *all, uint32_t id);
void process_free(struct process *p);
/* Whether all the streams that START names are there. */
bool process_has_streams(const struct process *p);
/*
 * Opens the ends of P's streams: pipes, or for a terminal /dev/null and the socket that
 * process_console_path() names, where the runtime sends the terminal.
 */
int process_open_stdio(struct processes *all, struct process *p, struct stdio *ret);
/* The same with a terminal made here, for a process outside of the container. */
int process_open_plain_stdio(struct processes *all, struct process *p, struct stdio *ret);
/* P is the container's first process: its ends of the streams survive a restore. */
void process_keep_streams(struct process *p);
/* The streams that came for NEW, a process that is none, become P's, and so do its number, session
 * and START. */
void process_adopt(struct process *p, struct process *new);
void process_console_path(const struct process *p, char *ret, size_t size);
/* Takes the terminal from the runtime, which has sent it. Does nothing without one. */
int process_take_terminal(struct processes *all, struct process *p);
/* Hangs up the terminals whose other end the host has closed. */
void processes_hang_up(struct processes *all);
void process_resize(const struct process *p, uint16_t rows, uint16_t columns);
/* Who stood for P on the host has ended, and so does P. The container's first process ends with the
 * machine. */
void process_lost(const struct process *p);
void process_written(const struct process *p, uint64_t ret[3]);

/* --- job.c: requests that take their time, each in a child --- */

struct job_request {
	enum proto_type type;
	const char *container; /* its id; of CREATE: NULL */
	const void *data;
	size_t len; /* DATA[LEN] is 0 */
	const struct proto_start *start;
	const char *console; /* path of the socket for the terminal, or NULL */
	const struct stdio *stdio;
};

/* What a child reports, behind it .len bytes: the payload of DONE. */
struct job_report {
	int32_t error;
	pid_t pid; /* that was started, or 0 */
	uint32_t len;
	char text[sizeof((struct proto_failed){}.text)];
};

/* Starts it; returns where its report will come. SIGTERM to the child, whose pidfd is the caller's
 * to close, ends an EXEC that waits, and undoes it. */
int job_start(const struct runtime *rt, const struct job_request *request, int *ret_pidfd);

/* --- plain.c --- */

/* Becomes the program of PROCESS with STDIO; returns only on failure. In a child. */
int plain_exec(const struct spec_process *process, const struct stdio *stdio, struct err *err);

/* --- agent.c --- */

/* Dials the host and serves it until it cannot be reached any more, or says POWER_OFF. LISTENER
 * listens on PROTO_PORT. */
int agent_run(int listener, const struct proto_ready *ready, struct err *err);

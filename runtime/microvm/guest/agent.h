/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the two files of the agent: agent.c has the connections and the loop, jobs.c what is
 * asked over them. Process: the guest's init; single-threaded.
 */
#pragma once

#include "runtime/microvm/guest/guest.h"

enum {
	SESSIONS_MAX = 96,
	JOBS_MAX = 96,
	GREETINGS_MAX = 64, /* connections whose struct proto_hello is awaited */
	POLLED_MAX = 3 + SESSIONS_MAX + JOBS_MAX + GREETINGS_MAX +
		     2 * PROTO_STREAMS * PROTO_PROCESSES_MAX,
};

/* A request that is being carried out, and one that waits for the streams of its process. */
struct job {
	int report;  /* −1: not in use, or waiting */
	int pidfd;   /* of its child, or −1 */
	int session; /* −1: has gone */
	enum proto_type type;
	uint32_t id; /* of the process that it starts, or 0 */
	uint8_t *request;
	uint32_t len;
	struct buf reply; /* what came so far */
};

struct agent {
	int ready, listener, signals;
	int files; /* where the host's files are mounted, or −1 */
	bool stop;
	struct proto_ready greeting;
	struct runtime rt;
	char *container; /* its id, or NULL */
	struct processes processes;
	int sessions[SESSIONS_MAX];
	int greetings[GREETINGS_MAX];
	struct job jobs[JOBS_MAX];
};

/* --- agent.c --- */

/* Sends a frame over SESSION; nobody hears it when that has gone (−1). */
void agent_send(struct agent *a, int session, uint32_t type, const void *payload, uint32_t len);
/* The same of PROTO_FAILED with a negative errno and TEXT. */
void agent_send_failed(struct agent *a, int session, int error, const char *text);

/* --- jobs.c --- */

void jobs_init(struct agent *a);
/* Begins what TYPE asks, as soon as the streams that it needs are there; takes over REQUEST (of LEN
 * bytes, with room for a struct proto_start behind). −EBADMSG for a type that is none. */
int jobs_begin(struct agent *a, int session, uint32_t type, uint8_t *request, uint32_t len);
/* Process ID has got a stream: what waits for it may go on. */
void jobs_go_on(struct agent *a, uint32_t id);
/* SESSION has gone, and with it who waits for answers. LOST: nobody stands for its processes any
 * more. */
void jobs_leave(struct agent *a, int session, bool lost);
/* Takes what its child has reported; acts when that is all. */
void job_read(struct agent *a, struct job *job);
/* The same of all. */
void jobs_read(struct agent *a);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-guest: the first and only resident process of the guest, init and agent in one.
 *
 * Files: main.c makes the file systems, loads modules and dials the host; agent.c serves the
 * control connection; process.c starts processes; relay.c moves their bytes. One thread, one
 * poll(2). Everything here trusts the host and nothing of it trusts the guest's other processes.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/proto.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* --- modules.c --- */

/* Loads the modules of GROUP from the list at FOLDER/modules; those that are there already count as
 * loaded. Their files are removed, which gives the memory back. Returns how many were loaded. */
int modules_load(int folder, const char *group, struct err *err);

/* --- relay.c --- */

enum { RELAY_BUFFER = 65536 };

/* Bytes one way. Owns both descriptors, which are non-blocking. */
struct relay {
	int from, to; /* −1, −1: not in use */
	bool ended;   /* FROM has no more */
	uint8_t *buffer;
	uint32_t start, len;
};

/* Takes over the descriptors, also on failure. */
int relay_start(struct relay *relay, int from, int to);
/* Fills in what to wait for: 2 entries, either may have fd −1. */
void relay_prepare(const struct relay *relay, struct pollfd fds[2]);
/* Moves what can be moved. At the end the writing side is shut, both are closed. */
void relay_move(struct relay *relay, const struct pollfd fds[2]);

/* --- process.c --- */

struct process_start {
	const char *cwd;
	char **argv, **envp; /* end with NULL */
	uid_t uid;
	gid_t gid;
	int fds[3];    /* its standard streams; stay the caller's */
	bool terminal; /* fds[0] is one, to be the controlling one */
};

/* Returns the pid; on failure −errno, with the step that failed. */
pid_t process_start(const struct process_start *start, char *ret_step, size_t size);

/* --- agent.c --- */

/* Serves the host until the control connection ends or it says POWER_OFF. CONTROL is connected,
 * LISTENER listens on PROTO_STREAM_PORT. */
int agent_run(int control, int listener, const struct proto_ready *ready, struct err *err);

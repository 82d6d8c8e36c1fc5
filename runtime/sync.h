/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stages of a starting process say to each other: named messages over a socketpair of
 * type SOCK_SEQPACKET, each sent once, in one order. Anything else is fatal.
 *
 *   message         from   to      when, and what it carries
 *   SYNC_RELAYED    relay  parent  it is in a new user namespace and waits for its id maps
 *   SYNC_INIT_PID   relay  parent  the init process is cloned: its pid as the parent sees it
 *   SYNC_MAPPED     parent relay   the id maps are written, if there are any…
 *                          / init  …network devices moved, the cgroup is joined, and a relay
 *                                  has said its last word
 *   SYNC_HOOKS      init   parent  namespaces are made: run prestart and createRuntime hooks
 *   SYNC_HOOKS_DONE parent init    they have run
 *   SYNC_CREATED    init   parent  all but the user's process is made; a `run` that has nothing
 *                                  to do then says SYNC_START without waiting for it
 *   SYNC_START      parent init    go on to the user's process (run; after create it comes
 *                                  through start.sock)
 *   SYNC_FAILED     any    parent  it ends here: code and sentence of a struct err
 *
 * The end of the stream after SYNC_START means that the user's process was executed: the socket
 * closes on exec. Before that it means that the other side died.
 */
#pragma once

#include "base/err.h"

#include <sys/types.h>

enum sync_type {
	SYNC_RELAYED = 1,
	SYNC_INIT_PID,
	SYNC_MAPPED,
	SYNC_HOOKS,
	SYNC_HOOKS_DONE,
	SYNC_CREATED,
	SYNC_START,
	SYNC_FAILED,
};

struct sync_message {
	enum sync_type type;
	pid_t pid;      /* SYNC_INIT_PID */
	struct err err; /* SYNC_FAILED; only the text's length is sent */
};

/* −EPIPE when the other side has gone. Any stage. */
int sync_send(int sock, enum sync_type type, pid_t pid, struct err *err);
/* Sends ERR as SYNC_FAILED; there is nowhere to report that this failed. */
void sync_send_failure(int sock, const struct err *err);
/* Receives any message. −EPIPE at the end of the stream, −EPROTO for what is none. */
int sync_recv(int sock, struct sync_message *ret);
/* Receives exactly TYPE. SYNC_FAILED becomes ERR and its code, the end of the stream −EPIPE. */
int sync_expect(int sock, enum sync_type type, struct sync_message *ret, struct err *err);
/* Only a failure may come any more: 0 at the end of the stream. */
int sync_expect_end(int sock, struct err *err);

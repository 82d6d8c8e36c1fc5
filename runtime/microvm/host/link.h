/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of the guest agent: starting processes in a VM and hearing how they end.
 *
 * Order: link_wait_ready() once, then any of the others. Everything that comes from the guest is
 * checked here: types, lengths, and nothing is allocated by its word.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/proto.h"

#include <stddef.h>

struct link {
	int control; /* the connected stream that is the guest's PROTO_CONTROL_PORT */
	int dirfd;   /* with .listener, the VMM's listening unix socket */
	const char *listener;
};

struct link_process {
	uint32_t id;      /* the caller's choice, not 0, not in use */
	uint32_t streams; /* PROTO_STDIN … that are wanted */
	const char *cwd;
	const char *const *argv, *const *envp; /* end with NULL */
	uint32_t uid, gid;
	uint16_t rows, columns;
};

/* What the guest says of its own accord. */
struct link_event {
	enum proto_type type; /* STARTED, EXITED or FAILED */
	union {
		struct proto_started started;
		struct proto_exited exited;
		struct proto_failed failed; /* .step is terminated */
	};
};

/* −ETIMEDOUT after TIMEOUT_MS (−1: never); −EPROTO for an agent of another version; −EPIPE when the
 * VM ended first. */
int link_wait_ready(
	const struct link *link, int timeout_ms, struct proto_ready *ret, struct err *err);
/* Asks for a process. RET_STREAMS gets a connected socket for each bit that was asked for (index 0
 * for PROTO_STDIN …), else −1. */
int link_start(const struct link *link, const struct link_process *process, int ret_streams[4],
	struct err *err);
int link_signal(const struct link *link, uint32_t id, int signal, struct err *err);
int link_resize(
	const struct link *link, uint32_t id, uint16_t rows, uint16_t columns, struct err *err);
int link_power_off(const struct link *link, struct err *err);
/* The next event; blocks. −EPIPE at the end of the VM, −EPROTO for what makes no sense. */
int link_next(const struct link *link, struct link_event *ret, struct err *err);

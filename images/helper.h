/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting brig-unpack in its namespaces, and hearing from it.
 *
 * helper_prepare() once, while the process has one thread; then helper_start() and helper_wait()
 * from any thread. What goes in and out of a helper is the caller's to pump.
 */
#pragma once

#include "base/err.h"
#include "images/store.h"
#include "images/unpack/protocol.h"

struct helper {
	pid_t pid;   /* 0: the starter's child */
	int control; /* −1: not running */
	int life;    /* to the starter (images/starter.h), or −1 */
};

#define HELPER_NONE                       \
	{                                 \
		.control = -1, .life = -1 \
	}

extern const struct unpack_limits helper_default_limits;

/* Makes the user namespace that helpers of STORE live in, when the machine allows it. */
int helper_prepare(struct store *store, struct err *err);
/* That namespace, borrowed, or −1. */
int helper_userns(const struct store *store);

/*
 * Starts a helper for REQUEST (role, format, devices and limits are the caller's; the rest is set
 * here). IN and OUT become its descriptors 0 and 1 (−1: /dev/null), DIRFD goes with the request
 * (−1: none). All three stay the caller's.
 */
int helper_start(struct store *store, const struct unpack_request *request, int dirfd, int in,
	int out, struct helper *ret, struct err *err);

/*
 * The same for files of a container that only who is in its user namespace may look at. USERNS:
 * that namespace, or a pidfd of a process in it; −1: helper_start(). Not for device nodes, and not
 * behind a starter.
 */
int helper_start_in(struct store *store, int userns, const struct unpack_request *request,
	int dirfd, int in, int out, struct helper *ret, struct err *err);

/*
 * Of helper_start() that part which needs privilege: makes the process. *RET_CONTROL is our end of
 * its control socket, over which the request has gone. images/starter.c calls it for those that
 * gave their privilege up.
 */
int helper_spawn(struct store *store, const struct unpack_request *request, int dirfd, int in,
	int out, pid_t *ret_pid, int *ret_control, struct err *err);
/* What a helper that ended with the wait(2) STATUS, without a reply, died of. */
int helper_explain(int status, struct err *err);

/* The next message: UNPACK_NEED_LOWERS or UNPACK_REPLY, then in RET. −EPIPE when the helper died
 * without a word. */
int helper_next(struct helper *helper, struct unpack_reply *ret, struct err *err);
/* Answers UNPACK_NEED_LOWERS. */
int helper_send_lowers(struct helper *helper, int layers, const struct unpack_lowers *lowers);

/* Waits for the end of a helper whose reply was read or does not matter. */
void helper_reap(struct helper *helper);
/* Kills it and waits. Does nothing when it is not running. */
void helper_kill(struct helper *helper);
/* helper_next() for roles that need nothing, and helper_reap(): the error of the reply. */
int helper_wait(struct helper *helper, struct unpack_reply *ret, struct err *err);

CLEANUP_DEFINE(helper, struct helper, helper_kill)
#define autohelper __attribute__((cleanup(cleanup_helper)))

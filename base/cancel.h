/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals that end a wait, so that what was begun can be undone.
 *
 * A command that makes something opens one; from then on SIGHUP, SIGINT, SIGQUIT and SIGTERM
 * kill it no more but wait, until it looks: in cancel_wait(), in process_run(), between two steps.
 * Looking takes the signal, so that undoing is not cut short by it, only by the next one. A
 * process that is forked has to unblock the signals again (signalfd(2)).
 *
 * Every function takes NULL, and one whose .fd is −1 since it is not open yet: then no signal
 * comes.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

struct cancel {
	int fd; /* becomes readable when a signal has come */
};

/* Once in a process, for its rest: a signal that nobody looks at has come too late. */
int cancel_open(struct cancel *ret, struct err *err);
void cancel_close(struct cancel *c);
/* −EINTR, "interrupted by SIG…", when a signal has come. */
int cancel_take(const struct cancel *c, struct err *err);
/* Waits until FD is readable or at its end: 0, also when a signal has come as well. Else −EINTR
 * like cancel_take(). Without a C returns at once. */
int cancel_wait(const struct cancel *c, int fd, struct err *err);

CLEANUP_DEFINE(cancel, struct cancel, cancel_close)
#define autocancel __attribute__((cleanup(cleanup_cancel)))

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being the shell's job on behalf of a container's process: its terminal is ours, signals to us
 * are signals to it, its exit status becomes ours.
 */
#pragma once

#include "base/err.h"
#include "cli/detach.h"

#include <sys/types.h>

struct foreground {
	pid_t pid; /* our child */
	int pidfd;
	int master;               /* of its terminal, or −1: it has our streams */
	struct detach_keys *keys; /* end the wait when they are typed to the terminal; NULL: none */
	bool detached;            /* and this says that they did */
};

/*
 * Call before the process is started: from now on signals wait until foreground_wait() passes them
 * on, so that none is lost in between. The process of a command, once.
 */
int foreground_begin(struct err *err);

/*
 * Passes on signals (all but STOP, KILL, CHLD), window size and terminal data until the process has
 * ended and its terminal is drained. Returns its exit status, 128+n for a signal; 0 when it was
 * left.
 */
int foreground_wait(struct foreground *fg, struct err *err);

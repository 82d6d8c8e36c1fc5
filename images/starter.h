/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting brig-unpack for a process that has given its privilege up.
 *
 * Who talks to registries (images/remote/) must not be able to make namespaces or run programs, but
 * its layers have to be unpacked by jailed helpers, which need both. So the program has two
 * processes: the one that does the talking asks the other one, the starter, over a socket pair.
 *
 *   message       from     descriptors
 *   start_ask     talker   life (the starter's end), then the directory, input and output
 *   start_answer  starter  over life: the helper's control socket, or an error
 *   –             talker   end of life's stream: kill the helper
 *   int status    starter  over life: the helper has ended
 *
 * The starter trusts nothing of what it is asked: roles and limits are checked, and a directory
 * must be beneath the store's staging or trash folder. It never makes device nodes.
 */
#pragma once

#include "base/err.h"
#include "images/helper.h"

/* ---- the starter ---- */

/*
 * Serves SOCK until the other end is closed, then ends what still runs. helper_prepare() has been
 * called. Single-threaded, with privilege.
 */
int starter_run(struct store *store, int sock, struct err *err);

/* ---- the talker; any thread ---- */

/* From now on helper_start() asks over SOCK, which stays the caller's. */
void starter_use(struct store *store, int sock);

/* For images/helper.c: */
int starter_ask(int sock, const struct unpack_request *request, int dirfd, int in, int out,
	struct helper *ret, struct err *err);
/* The wait(2) status, after the end; closes *LIFE. */
int starter_wait(int *life);
void starter_kill(int life);

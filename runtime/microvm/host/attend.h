/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being, on the host, a process of the guest: with its streams, its signals and its end.
 *
 *	attend_open()         takes standard streams or terminal, blocks signals, connects
 *	attend_unprivilege()  before the guest is listened to
 *	attend_seal()         the same
 *	attend_greet()        once the guest is up
 *	attend_fill_start()   what the request that starts the process begins with
 *	attend_run()          until it ends
 *
 * Engines know such a process by its pid: they wait for it, signal it and read its status. It ends
 * by the same signal as the guest's process, or with the same exit code. The process itself, which
 * is single-threaded; errors before attend_run() end it.
 */
#pragma once

#include "runtime/backend.h"
#include "runtime/microvm/host/link.h"
#include "runtime/microvm/host/pump.h"

struct attend {
	struct link session;
	uint32_t id; /* this process's pid as the host's procfs has it */
	uint32_t streams;
	int connected[PROTO_STREAMS]; /* where .streams says so; the pumps' */
	int pipes[3];                 /* until the VMM has them: the engine's, or −1 */
	int tty;                      /* our side of the terminal, or −1 */
	int signals;
	struct pump in, out[3]; /* stdout, stderr, terminal */
	bool ended;
	int status;
	uint64_t written[3]; /* once .ended */
	uint64_t oom_kills;  /* likewise: what the guest's kernel has killed */
	/* A child of this process may have ended. May be NULL. */
	int (*on_child)(struct attend *a, struct err *err);
	/* Called for what is readable and is nobody's here: FD, or −1. */
	int watched;
	int (*on_watched)(struct attend *a, struct err *err);
	/* Called for an answer on the session. */
	int (*on_answer)(struct attend *a, const struct link_message *message, struct err *err);
};

void attend_init(struct attend *a);
/*
 * DIRFD and LISTENER: where the VMM listens. SIZE is what process.consoleSize says, or NULL. With
 * TERMINAL one is made, and its master goes to CONSOLE_SOCKET.
 */
int attend_open(struct attend *a, int procfd, int dirfd, const char *listener, bool terminal,
	const struct spec_console_size *size, int console_socket, struct err *err);
int attend_greet(struct attend *a, struct err *err);
void attend_fill_start(const struct attend *a, struct proto_start *ret);
/* Closes all descriptors above 2 but its own and the COUNT of EXTRA, and takes the system call
 * filter on: nothing new is opened from here on. */
int attend_seal(const struct attend *a, const int *extra, size_t count, struct err *err);
/* No capabilities, no files, no other identity than UID from here on. */
int attend_unprivilege(uid_t uid, struct err *err);
/* Returns 0 when the process has ended and what it wrote is passed on; −EPIPE, −EPROTO when the
 * guest is at its end, or makes no sense. */
int attend_run(struct attend *a, struct err *err);
/* Ends this process as the guest's has ended. */
_Noreturn void attend_exit(struct attend *a);

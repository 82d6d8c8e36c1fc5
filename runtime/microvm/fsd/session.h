/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server's side of devices/fs.h: takes the queues of a guest over and serves them until
 * the VMM wants them back, or ends.
 *
 * Nobody waits for what comes through the first queue, which are FORGETs. So there is no interrupt
 * for them but with one for a request, and once one came, no kick either: the queue is looked at
 * before each request. What is put off so is made up for when nothing came for a moment, or when
 * half of the queue waits.
 */
#pragma once

#include "runtime/microvm/devices/fs.h"
#include "runtime/microvm/devices/loop.h"
#include "runtime/microvm/fsd/fsd.h"

struct session;

struct session_queue {
	struct loop_source kick; /* .fd −1 while there is no guest */
	struct session *session;
	struct virtq virtq;
	bool broken; /* the guest broke the rules: nothing more until the reset */
};

struct session {
	struct fsd *fsd;
	struct loop loop;
	struct loop_source vmm; /* the socket */
	struct guest_memory memory;
	struct {
		void *at;
		size_t len;
	} mappings[GUEST_REGION_MAX];
	int irq;
	bool lazy; /* the first queue's kicks are put off, and maybe an interrupt */
	struct session_queue queues[FS_QUEUES];
};

/* SOCKET stays the caller's. */
int session_open(struct session *session, struct fsd *fsd, int socket, struct err *err);
/* Until the VMM's end of file. */
int session_run(struct session *session, struct err *err);
void session_close(struct session *session);

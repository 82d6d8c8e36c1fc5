/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's event loop over epoll(7).
 *
 * A source is embedded in what it belongs to. Any thread may add and remove sources, so an event
 * may be on its way while its source is removed: the memory of a source outlives the loop, .ready
 * never changes, and a handler takes its own lock and copes with a call for which nothing is left
 * to do.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum { LOOP_BATCH = 16 };

struct loop_source {
	int fd; /* the owner's to close, after loop_remove() */
	void (*ready)(struct loop_source *source, uint32_t events);
};

struct loop {
	int epoll;
	bool stop; /* set by a source */
};

int loop_open(struct loop *loop, struct err *err);
void loop_close(struct loop *loop);
/* EVENTS as for epoll_ctl(2). */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_remove(struct loop *loop, struct loop_source *source);
/* Waits once, at most TIMEOUT_MS (−1: for ever), and hands out what came. */
int loop_turn(struct loop *loop, int timeout_ms);
/* Turns until a source sets .stop. */
int loop_run(struct loop *loop);

/* A non-blocking eventfd(2), or −errno. */
int event_open(void);
void event_signal(int fd);
/* Takes what was signalled; false when nothing was. */
bool event_take(int fd);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes one way between a descriptor that an engine gave us and a stream of the guest: by splice(2)
 * where one of them is a pipe, so that they are never copied here. The descriptors' flags are left
 * alone, since others share them. Any process of the host that stands for one in the guest.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct pump {
	int from, to; /* −1, −1: not in use, or has ended */
	bool handed;  /* the VMM itself writes to where it goes; .from carries marks, .to is −1 */
	bool spliced; /* one of them is a pipe */
	bool full;    /* TO is waited for, not FROM */
	uint64_t total;
	uint32_t start, len;
	uint8_t *buffer; /* when not spliced */
};

/* Takes over both descriptors. −ENOMEM: both are closed. */
int pump_start(struct pump *pump, int from, int to);
/*
 * Instead of pump_start(), for the stream FROM of the guest, whose bytes go past this process: a
 * descriptor of TO for the VMM alone, to be passed with link_greet(); TO stays the caller's. −1 for
 * what it may not have, or what cannot be had: it gets nothing but the writing ends of pipes, which
 * a guest that takes it over could write to anyway, and nothing that shares its flags with others.
 * PROCFD is a procfs in which this process is.
 */
int pump_open_pipe(int procfd, int to);
void pump_hand(struct pump *pump, int from);
/* Has .total become TOTAL as soon as so much is passed on. */
void pump_expect(struct pump *pump, uint64_t total);
/* This process ends, and what FROM sends later is passed on without it: true when the VMM does
 * that. Else somebody has to go on with pump_move(). */
bool pump_leave(struct pump *pump);
/* What to wait for; .fd is −1 when it has ended. */
struct pollfd pump_poll(const struct pump *pump);
/* Moves what can be moved without waiting. At the end of FROM, or when nobody reads TO any more,
 * the writing side is shut and both are closed. */
void pump_move(struct pump *pump);
void pump_close(struct pump *pump);

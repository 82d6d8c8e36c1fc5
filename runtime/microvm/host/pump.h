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
	bool spliced; /* one of them is a pipe */
	bool full;    /* TO is waited for, not FROM */
	uint64_t total;
	uint32_t start, len;
	uint8_t *buffer; /* when not spliced */
};

/* Takes over both descriptors. −ENOMEM: both are closed. */
int pump_start(struct pump *pump, int from, int to);
/* What to wait for; .fd is −1 when it has ended. */
struct pollfd pump_poll(const struct pump *pump);
/* Moves what can be moved without waiting. At the end of FROM, or when nobody reads TO any more,
 * the writing side is shut and both are closed. */
void pump_move(struct pump *pump);
void pump_close(struct pump *pump);

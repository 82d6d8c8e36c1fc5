/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rate limit: two buckets of tokens (bytes and operations) that fill at a steady rate and hold
 * one second's worth. A request that finds a bucket empty waits in its queue until the timer kicks.
 *
 * A request may take a bucket below zero; what it owes has to be filled first, so the rate holds
 * whatever the requests' sizes.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/device.h"
#include "runtime/microvm/devices/loop.h"

struct limit_rate {
	uint64_t bytes, operations; /* per second; 0: no limit */
};

struct limit_bucket {
	uint64_t rate;
	int64_t tokens;  /* below 0: owed */
	uint64_t filled; /* when it was filled last, in ns */
};

struct limit {
	struct loop_source timer; /* .fd −1: there is no limit */
	struct device *device;
	unsigned int queue; /* kicked when the wait is over */
	struct limit_bucket bytes, operations;
};

/* All zero RATE (or NULL): no limit and nothing to close. */
int limit_open(struct limit *limit, const struct limit_rate *rate, struct device *device,
	unsigned int queue, struct loop *loop, struct err *err);
void limit_close(struct limit *limit, struct loop *loop);
/* True when a request of BYTES may go now; it is paid then. False: QUEUE gets a kick later. */
bool limit_take(struct limit *limit, uint64_t bytes);
/* For who learns only afterwards: after limit_take() of 0 bytes, pays BYTES, or takes the operation
 * back when none was DONE. */
void limit_settle(struct limit *limit, int64_t bytes, bool done);
/* The pure part: the same for one bucket at the time NOW. RET_WAIT gets the ns until it can be. */
bool limit_check(struct limit_bucket *bucket, uint64_t now, uint64_t *ret_wait);

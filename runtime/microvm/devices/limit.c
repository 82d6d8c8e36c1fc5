/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/limit.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <sys/timerfd.h>
#include <time.h>

#define SECOND 1000000000ULL

static void timer_ready(struct loop_source *source, uint32_t events)
{
	struct limit *limit = (struct limit *)source;

	(void)events;
	if (event_take(source->fd))
		device_kick(limit->device, limit->queue);
}

int limit_open(struct limit *limit, const struct limit_rate *rate, struct device *device,
	unsigned int queue, struct loop *loop, struct err *err)
{
	uint64_t now = clock_monotonic_ns();
	int r;

	*limit = (struct limit){
		.timer = {.fd = -1, .ready = timer_ready}, .device = device, .queue = queue};
	if (!rate || (!rate->bytes && !rate->operations))
		return 0;
	if (rate->bytes > INT64_MAX / 2000 || rate->operations > INT64_MAX / 2000)
		return err_set(err, -EINVAL, "rate limit: too large");
	limit->bytes = (struct limit_bucket){rate->bytes, (int64_t)rate->bytes, now};
	limit->operations = (struct limit_bucket){rate->operations, (int64_t)rate->operations, now};
	limit->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = limit->timer.fd < 0 ? -errno : loop_add(loop, &limit->timer, EPOLLIN);
	return r < 0 ? err_sys(err, r, "rate limit") : 0;
}

void limit_close(struct limit *limit, struct loop *loop)
{
	if (limit->timer.fd >= 0)
		loop_remove(loop, &limit->timer);
	cleanup_close(&limit->timer.fd);
}

bool limit_check(struct limit_bucket *bucket, uint64_t now, uint64_t *ret_wait)
{
	uint64_t passed = now - bucket->filled;
	int64_t gained;

	*ret_wait = 0;
	if (!bucket->rate)
		return true; /* its tokens mean nothing */
	if (passed > 1000 * SECOND)
		passed = 1000 * SECOND; /* no overflow below; nothing owes more */
	gained = (int64_t)((__uint128_t)passed * bucket->rate / SECOND);
	if (gained) {
		bucket->tokens += gained;
		bucket->filled = now;
	}
	if (bucket->tokens > (int64_t)bucket->rate)
		bucket->tokens = (int64_t)bucket->rate;
	if (bucket->tokens > 0)
		return true;
	*ret_wait = (uint64_t)(((__uint128_t)(1 - bucket->tokens) * SECOND) / bucket->rate) + 1;
	return false;
}

/* #syscalls:io clock_gettime timerfd_settime */
bool limit_take(struct limit *limit, uint64_t bytes)
{
	struct itimerspec timer = {};
	uint64_t now, wait_bytes, wait_operations, wait;
	bool bytes_there;

	if (limit->timer.fd < 0)
		return true;
	now = clock_monotonic_ns();
	bytes_there = limit_check(&limit->bytes, now, &wait_bytes);
	if (limit_check(&limit->operations, now, &wait_operations) && bytes_there) {
		limit->bytes.tokens -= (int64_t)bytes;
		limit->operations.tokens--;
		return true;
	}
	wait = wait_bytes > wait_operations ? wait_bytes : wait_operations;
	timer.it_value.tv_sec = (time_t)(wait / SECOND);
	timer.it_value.tv_nsec = (long)(wait % SECOND);
	timerfd_settime(limit->timer.fd, 0, &timer, NULL);
	return false;
}

void limit_settle(struct limit *limit, int64_t bytes, bool done)
{
	limit->bytes.tokens -= bytes;
	limit->operations.tokens += !done;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/pump.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BUFFER = 65536, SPLICE_MAX = 1 << 20, TURN_MAX = 16 };

static bool is_pipe(int fd)
{
	struct stat st;

	return sys_fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

int pump_start(struct pump *pump, int from, int to)
{
	*pump = (struct pump){.from = from, .to = to, .spliced = is_pipe(from) || is_pipe(to)};
	if (pump->spliced)
		return 0;
	pump->buffer = malloc(BUFFER);
	if (pump->buffer)
		return 0;
	pump_close(pump);
	return -ENOMEM;
}

void pump_close(struct pump *pump)
{
	if (pump->to >= 0)
		shutdown(pump->to, SHUT_WR); /* its other direction may have a descriptor too */
	cleanup_close(&pump->from);
	cleanup_close(&pump->to);
	cleanup_free(&pump->buffer);
}

struct pollfd pump_poll(const struct pump *pump)
{
	return (struct pollfd){
		.fd = pump->full ? pump->to : pump->from,
		.events = pump->full ? POLLOUT : POLLIN,
	};
}

/* 1: moved something, 0: must wait, −EPIPE: the end. */
static int move_spliced(struct pump *pump)
{
	ssize_t n = splice(
		pump->from, NULL, pump->to, NULL, SPLICE_MAX, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	struct pollfd fd = {.fd = pump->from, .events = POLLIN};

	if (n > 0) {
		pump->total += (uint64_t)n;
		pump->full = false;
		return 1;
	}
	if (n < 0 && errno == EINTR)
		return 1;
	if (n < 0 && errno == EAGAIN) {
		/* Which side it was, the call does not say. */
		pump->full = sys_poll(&fd, 1, 0) > 0;
		return 0;
	}
	return -EPIPE;
}

/* PIPE_BUF at a time: a terminal that says it can be written to takes no more without waiting. */
static ssize_t put(const struct pump *pump)
{
	struct iovec part = {pump->buffer + pump->start, pump->len};
	const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t n = sys_sendmsg(pump->to, &message, MSG_DONTWAIT);

	if (n != -ENOTSOCK)
		return n;
	return sys_write(
		pump->to, part.iov_base, part.iov_len < PIPE_BUF ? part.iov_len : PIPE_BUF);
}

static int drain(struct pump *pump)
{
	ssize_t n = put(pump);

	if (n < 0)
		return n == -EAGAIN ? 0 : -EPIPE;
	pump->start += (uint32_t)n;
	pump->len -= (uint32_t)n;
	pump->total += (uint64_t)n;
	pump->full = pump->len > 0;
	return pump->full ? 0 : 1;
}

/* EIO: the last process closed its side of a terminal. */
static int fill(struct pump *pump)
{
	struct pollfd fd = {.fd = pump->from, .events = POLLIN};
	ssize_t n;

	if (sys_poll(&fd, 1, 0) <= 0)
		return 0;
	n = sys_read(pump->from, pump->buffer, BUFFER);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return -EPIPE;
	pump->start = 0;
	pump->len = (uint32_t)n;
	pump->full = true;
	return drain(pump);
}

void pump_move(struct pump *pump)
{
	int r = 1;

	for (int i = 0; i < TURN_MAX && r > 0; i++) {
		if (pump->spliced)
			r = move_spliced(pump);
		else
			r = pump->full ? drain(pump) : fill(pump);
	}
	if (r < 0)
		pump_close(pump);
}

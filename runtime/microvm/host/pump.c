/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/pump.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/devices/vsock.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
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

int pump_open_pipe(int procfd, int to)
{
	int flags = fcntl(to, F_GETFL);
	char path[32];

	if (flags < 0 || !is_pipe(to) || (flags & (O_ACCMODE | O_DIRECT)) != O_WRONLY)
		return -1;
	snprintf(path, sizeof(path), "self/fd/%d", to);
	return sys_openat(procfd, path, O_WRONLY | O_NONBLOCK | O_NOCTTY, 0);
}

void pump_hand(struct pump *pump, int from)
{
	*pump = (struct pump){.from = from, .to = -1, .handed = true};
}

static void send_mark(struct pump *pump, uint64_t bytes)
{
	struct vsock_mark mark = {.bytes = bytes};
	struct iovec part = {&mark, sizeof(mark)};
	const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (sys_sendmsg(pump->from, &message, MSG_DONTWAIT) != sizeof(mark))
		pump_close(pump); /* the connection has ended, and with it all is passed on */
}

void pump_expect(struct pump *pump, uint64_t total)
{
	if (pump->handed && pump->from >= 0 && pump->total < total)
		send_mark(pump, total);
}

bool pump_leave(struct pump *pump)
{
	if (pump->handed && pump->from >= 0) {
		send_mark(pump, VSOCK_MARK_LEAVE);
		pump_close(pump);
	}
	return pump->from < 0;
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

/* What the VMM says is of marks that were asked for, so it may say what it likes: at worst this
 * process ends before its output does. */
static int take_mark(struct pump *pump)
{
	struct vsock_mark mark;
	ssize_t n = recv(pump->from, &mark, sizeof(mark), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != sizeof(mark))
		return -EPIPE;
	pump->total = mark.bytes;
	return 0;
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
		if (pump->handed)
			r = take_mark(pump);
		else if (pump->spliced)
			r = move_spliced(pump);
		else
			r = pump->full ? drain(pump) : fill(pump);
	}
	if (r < 0)
		pump_close(pump);
}

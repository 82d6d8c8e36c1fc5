/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

void relay_stop(struct relay *relay)
{
	/* A socket may have another descriptor for its other direction: say that this one ends. */
	shutdown(relay->to, SHUT_WR);
	cleanup_close(&relay->from);
	cleanup_close(&relay->to);
	cleanup_free(&relay->buffer);
}

/*
 * Kernels since Linux 6.5 give a socket up to 16 pages of a pipe at once; those before each one by
 * itself, which for a connection of ours is a packet of 4 KiB and not of 64. That a connection
 * knows MSG_ZEROCOPY, which is not used, came only later (Linux 6.7), and can be asked.
 */
static bool can_splice(int from, int to)
{
	struct stat st;
	int on = 1;

	return sys_fstat(from, &st) == 0 && S_ISFIFO(st.st_mode) &&
	       setsockopt(to, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == 0;
}

int relay_start(struct relay *relay, int from, int to)
{
	*relay = (struct relay){.from = from, .to = to, .splices = can_splice(from, to)};
	if (!relay->splices)
		relay->buffer = malloc(RELAY_BUFFER);
	if ((relay->splices || relay->buffer) && fcntl(from, F_SETFL, O_NONBLOCK) == 0 &&
		fcntl(to, F_SETFL, O_NONBLOCK) == 0)
		return 0;
	relay_stop(relay);
	return -ENOMEM;
}

int relay_prepare(const struct relay *relay, struct pollfd fds[2])
{
	int n = 0;

	if (relay->to < 0 || relay->from < 0)
		return 0;
	/* The end of what is written to is waited for in any case: nobody may be left to read. */
	fds[n++] =
		(struct pollfd){.fd = relay->to, .events = relay->len || relay->full ? POLLOUT : 0};
	if (!relay->len && !relay->full && !relay->ended)
		fds[n++] = (struct pollfd){.fd = relay->from, .events = POLLIN};
	return n;
}

/* After a restore: the connection was of the machine's first life. A host that only closes it has
 * another error. */
static bool was_reset(int fd, int events, ssize_t r)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return r == -ENOTCONN || r == -ECONNRESET ||
	       (events & POLLERR && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
		       error == ECONNRESET);
}

/* EIO: the last process closed its side of a terminal. */
static void relay_fill(struct relay *relay)
{
	ssize_t n = sys_read(relay->from, relay->buffer, RELAY_BUFFER);

	if (n == -EAGAIN)
		return;
	if (relay->keeps == RELAY_KEEPS_TO && n < 0 && was_reset(relay->from, POLLERR, n)) {
		cleanup_close(&relay->from);
		return;
	}
	relay->start = 0;
	relay->len = n > 0 ? (uint32_t)n : 0;
	relay->total += relay->len;
	relay->ended = n <= 0;
}

static bool relay_drain(struct relay *relay)
{
	ssize_t n = sys_write(relay->to, relay->buffer + relay->start, relay->len);

	if (relay->keeps == RELAY_KEEPS_FROM && was_reset(relay->to, 0, n)) {
		cleanup_close(&relay->to);
		return true;
	}
	if (n < 0)
		return n == -EAGAIN;
	relay->start += (uint32_t)n;
	relay->len -= (uint32_t)n;
	return true;
}

/* Without a copy here. What is not taken stays in the pipe. */
static bool relay_splice(struct relay *relay)
{
	ssize_t n = splice(relay->from, NULL, relay->to, NULL, RELAY_BUFFER, SPLICE_F_NONBLOCK);
	struct pollfd fd = {.fd = relay->from, .events = POLLIN};

	if (n < 0)
		n = -errno;
	if (n == -EAGAIN) { /* which of the two it was, the call does not say */
		relay->full = sys_poll(&fd, 1, 0) > 0;
		return true;
	}
	if (relay->keeps == RELAY_KEEPS_FROM && was_reset(relay->to, 0, n)) {
		cleanup_close(&relay->to);
		return true;
	}
	if (n == -EINVAL || n == -EOPNOTSUPP) { /* it promised too much: nothing was taken */
		relay->splices = relay->full = false;
		relay->buffer = malloc(RELAY_BUFFER);
		return relay->buffer;
	}
	if (n < 0)
		return n == -EINTR;
	relay->total += (uint64_t)n;
	relay->full = false;
	relay->ended = n == 0;
	return true;
}

/* A connection that was reset hangs up, and poll(2) says so for ever. A terminal does that too,
 * while nobody has it open. */
static bool hangs_up(int fd, int events)
{
	struct stat st;

	return events & POLLHUP && sys_fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

void relay_move(struct relay *relay, const struct pollfd *fds, int count)
{
	bool alive =
		!(fds[0].revents & (POLLERR | POLLNVAL)) && !hangs_up(relay->to, fds[0].revents);

	if (!alive && relay->keeps == RELAY_KEEPS_FROM && was_reset(relay->to, fds[0].revents, 0)) {
		cleanup_close(&relay->to);
		return;
	}
	if (alive && relay->splices && (count > 1 ? fds[1].revents : fds[0].revents & POLLOUT))
		alive = relay_splice(relay);
	else if (alive && count > 1 && fds[1].revents)
		relay_fill(relay);
	if (alive && relay->len)
		alive = relay_drain(relay);
	if (!alive || (relay->ended && !relay->len))
		relay_stop(relay);
}

void relay_join(struct relay *relay, int fd)
{
	bool reads = relay->keeps == RELAY_KEEPS_TO;
	int *end = reads ? &relay->from : &relay->to, other = reads ? relay->to : relay->from;

	if (other < 0) { /* has ended before */
		cleanup_close(&fd);
		return;
	}
	if (fd < 0 && !reads)
		fd = sys_openat(AT_FDCWD, "/dev/null", O_WRONLY, 0);
	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		cleanup_close(&fd);
		relay_stop(relay);
		return;
	}
	cleanup_close(end);
	*end = fd;
	relay->full = false;
	relay->total = reads ? 0 : relay->len;
}

uint64_t relay_written(const struct relay *relay)
{
	int waiting = 0;

	if (relay->from >= 0 && ioctl(relay->from, FIONREAD, &waiting) < 0)
		waiting = 0;
	return relay->total + (uint64_t)waiting;
}

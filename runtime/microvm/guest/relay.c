/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

static void relay_end(struct relay *relay)
{
	/* A socket may have another descriptor for its other direction: say that this one ends. */
	shutdown(relay->to, SHUT_WR);
	cleanup_close(&relay->from);
	cleanup_close(&relay->to);
	cleanup_free(&relay->buffer);
}

int relay_start(struct relay *relay, int from, int to)
{
	*relay = (struct relay){.from = from, .to = to, .buffer = malloc(RELAY_BUFFER)};
	if (relay->buffer && fcntl(from, F_SETFL, O_NONBLOCK) == 0 &&
		fcntl(to, F_SETFL, O_NONBLOCK) == 0)
		return 0;
	relay_end(relay);
	return -ENOMEM;
}

void relay_prepare(const struct relay *relay, struct pollfd fds[2])
{
	bool reading = relay->from >= 0 && !relay->len;
	bool waiting = relay->to >= 0; /* also for its other end to vanish */

	fds[0] = (struct pollfd){.fd = reading ? relay->from : -1, .events = POLLIN};
	fds[1] =
		(struct pollfd){.fd = waiting ? relay->to : -1, .events = relay->len ? POLLOUT : 0};
}

/* EIO: the last process closed its side of a terminal. */
static void relay_fill(struct relay *relay)
{
	ssize_t n = sys_read(relay->from, relay->buffer, RELAY_BUFFER);

	if (n == -EAGAIN)
		return;
	relay->start = 0;
	relay->len = n > 0 ? (uint32_t)n : 0;
	relay->ended = n <= 0;
}

static bool relay_drain(struct relay *relay)
{
	ssize_t n = sys_write(relay->to, relay->buffer + relay->start, relay->len);

	if (n < 0)
		return n == -EAGAIN;
	relay->start += (uint32_t)n;
	relay->len -= (uint32_t)n;
	return true;
}

void relay_move(struct relay *relay, const struct pollfd fds[2])
{
	bool alive = !(fds[1].revents & (POLLERR | POLLNVAL));

	if (alive && fds[0].revents)
		relay_fill(relay);
	if (alive && relay->len)
		alive = relay_drain(relay);
	if (!alive || (relay->ended && !relay->len))
		relay_end(relay);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The process that serves names: streams. Each message has its length of two bytes in front. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "netns/dns/serve_private.h"

#include <errno.h>
#include <string.h>

enum tcp_state { READ_QUERY, SEND_QUERY, READ_ANSWER, SEND_ANSWER };

struct tcp_flow {
	int state; /* enum tcp_state */
	int client, upstream;
	struct sockaddr_storage from;
	int64_t deadline_ms;
	struct resolv servers;
	size_t tries;
	uint16_t id;
	size_t query_len, done, want; /* of DATA */
	uint8_t query[2 + QUERY_MAX];
	uint8_t data[2 + PACKET_MAX];
};

static void end_flow(struct tcp_flow **flow)
{
	cleanup_close(&(*flow)->client);
	cleanup_close(&(*flow)->upstream);
	free(*flow);
	*flow = NULL;
}

void serve_tcp_accept(struct server *s, int sock)
{
	struct tcp_flow *f;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	autoclose int fd = accept4(sock, (void *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	size_t i = 0;

	while (i < TCP_FLOWS_MAX && s->tcp[i])
		i++;
	f = fd >= 0 && i < TCP_FLOWS_MAX ? calloc(1, sizeof(*f)) : NULL;
	if (!f)
		return;
	*f = (struct tcp_flow){
		.client = take_fd(&fd),
		.upstream = -1,
		.from = from,
		.want = 2,
		.deadline_ms = clock_monotonic_ms() + TCP_IDLE_MS,
	};
	s->tcp[i] = f;
}

static int waits_for(const struct tcp_flow *f)
{
	return f->state == SEND_QUERY || f->state == READ_ANSWER ? f->upstream : f->client;
}

size_t serve_tcp_poll(struct server *s, struct pollfd *fds)
{
	for (size_t i = 0; i < TCP_FLOWS_MAX; i++) {
		const struct tcp_flow *f = s->tcp[i];
		bool writes = f && (f->state == SEND_QUERY || f->state == SEND_ANSWER);

		fds[i] = (struct pollfd){
			.fd = f ? waits_for(f) : -1, .events = writes ? POLLOUT : POLLIN};
	}
	return TCP_FLOWS_MAX;
}

static void begin(struct tcp_flow *f, enum tcp_state state, size_t want)
{
	f->state = state;
	f->done = 0;
	f->want = want;
}

static void set_length(uint8_t *data, size_t len)
{
	data[0] = (uint8_t)(len >> 8);
	data[1] = (uint8_t)len;
}

static size_t length(const uint8_t *data)
{
	return (size_t)data[0] << 8 | data[1];
}

static void send_answer(struct tcp_flow *f, size_t len)
{
	set_length(f->data, len);
	begin(f, SEND_ANSWER, 2 + len);
}

/* The next server; when there is none any more the client hears of it. */
static bool ask(struct tcp_flow *f)
{
	while (f->tries < f->servers.count) {
		const struct address *to = &f->servers.servers[f->tries++];
		struct sockaddr_storage at;
		socklen_t len = serve_upstream(to, &at);

		cleanup_close(&f->upstream);
		f->upstream = socket(to->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (f->upstream < 0 ||
			(connect(f->upstream, (void *)&at, len) < 0 && errno != EINPROGRESS))
			continue;
		f->id = serve_random_id();
		memcpy(f->data, f->query, 2 + f->query_len);
		set_length(f->data + 2, f->id);
		begin(f, SEND_QUERY, 2 + f->query_len);
		f->deadline_ms = clock_monotonic_ms() + TRY_MS;
		return true;
	}
	cleanup_close(&f->upstream);
	send_answer(f, serve_failure(f->query + 2, f->query_len, f->data + 2, PACKET_MAX));
	return f->want > 2;
}

static bool take_query(struct server *s, struct tcp_flow *f)
{
	int r;

	f->query_len = f->want - 2;
	memcpy(f->query, f->data, f->want);
	f->tries = 0;
	r = serve_answer(s, &f->from, f->query + 2, f->query_len, true, f->data + 2, PACKET_MAX,
		&f->servers);
	if (r < 0)
		return false;
	if (r == 0)
		return ask(f);
	send_answer(f, (size_t)r);
	return true;
}

static bool take_answer(struct tcp_flow *f)
{
	size_t len = f->want - 2;

	if (!packet_is_answer(f->data + 2, len, f->id, f->query + 2, f->query_len))
		return ask(f);
	memcpy(f->data + 2, f->query + 2, 2);
	cleanup_close(&f->upstream);
	send_answer(f, len);
	return true;
}

/* A whole message has been read or sent. False: the stream ends. */
static bool finish_step(struct server *s, struct tcp_flow *f)
{
	size_t max = f->state == READ_QUERY ? QUERY_MAX : PACKET_MAX;

	switch (f->state) {
	case READ_QUERY:
	case READ_ANSWER:
		if (f->want == 2) {
			size_t len = length(f->data);

			f->want += len;
			return len > 0 && len <= max;
		}
		return f->state == READ_QUERY ? take_query(s, f) : take_answer(f);
	case SEND_QUERY:
		begin(f, READ_ANSWER, 2);
		return true;
	default:
		begin(f, READ_QUERY, 2);
		return true;
	}
}

static bool step(struct server *s, struct tcp_flow *f)
{
	bool writes = f->state == SEND_QUERY || f->state == SEND_ANSWER;
	bool upstream = f->state == SEND_QUERY || f->state == READ_ANSWER;
	ssize_t n = writes ? send(waits_for(f), f->data + f->done, f->want - f->done,
				     MSG_NOSIGNAL | MSG_DONTWAIT)
			   : recv(waits_for(f), f->data + f->done, f->want - f->done, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return upstream && ask(f);
	f->done += (size_t)n;
	f->deadline_ms = clock_monotonic_ms() + (upstream ? TRY_MS : TCP_IDLE_MS);
	return f->done < f->want || finish_step(s, f);
}

static bool is_late(struct tcp_flow *f)
{
	bool upstream = f->state == SEND_QUERY || f->state == READ_ANSWER;

	if (f->deadline_ms > clock_monotonic_ms())
		return false;
	if (!upstream || !ask(f))
		return true;
	/* The answer to the client, if that is what comes now, has its own time. */
	f->deadline_ms = clock_monotonic_ms() + TCP_IDLE_MS;
	return false;
}

void serve_tcp_run(struct server *s, const struct pollfd *fds)
{
	for (size_t i = 0; i < TCP_FLOWS_MAX; i++) {
		struct tcp_flow *f = s->tcp[i];

		if (!f)
			continue;
		if (fds[i].revents && fds[i].fd == waits_for(f) && !step(s, f))
			end_flow(&s->tcp[i]);
		else if (is_late(f))
			end_flow(&s->tcp[i]);
	}
}

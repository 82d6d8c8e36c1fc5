/* SPDX-License-Identifier: Apache-2.0 */
/* The process that serves names: UDP, and what both kinds of sockets share. */
#include "netns/dns/serve.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "netns/dns/names.h"
#include "netns/dns/serve_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum {
	ADDRESSES_MAX = 64,
	ANSWER_MAX = 4096,
	CONF_MAX = 1 << 16,
	HOST_TTL_MS = 1000,
	BATCH = 64, /* packets of one socket before the others get their turn */
};

/* A query that was passed on. */
struct udp_flow {
	int fd;   /* connected to the server that is asked */
	int sock; /* on which the client waits */
	struct sockaddr_storage client;
	socklen_t client_len;
	struct resolv servers;
	unsigned int tries;
	int64_t deadline_ms;
	uint16_t id; /* with which the server was asked */
	size_t len;
	uint8_t query[]; /* as it came */
};

uint16_t serve_random_id(void)
{
	uint16_t id = 0;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return 0;
	return id;
}

socklen_t serve_upstream(const struct address *server, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (void *)ret;
	struct sockaddr_in6 *v6 = (void *)ret;

	*ret = (struct sockaddr_storage){.ss_family = server->family};
	if (server->family == AF_INET) {
		v4->sin_port = htons(53);
		memcpy(&v4->sin_addr, server->bytes, 4);
		return sizeof(*v4);
	}
	v6->sin6_port = htons(53);
	memcpy(&v6->sin6_addr, server->bytes, 16);
	return sizeof(*v6);
}

/* ---- who is asked ---- */

static struct address client_address(const struct sockaddr_storage *client)
{
	struct address a = {.family = (uint8_t)client->ss_family};

	if (a.family == AF_INET)
		memcpy(a.bytes, &((const struct sockaddr_in *)client)->sin_addr, 4);
	else
		memcpy(a.bytes, &((const struct sockaddr_in6 *)client)->sin6_addr, 16);
	a.prefix = address_bits(&a);
	return a;
}

/* The host's own servers. A laptop's change: the file is read again, at most once a second. */
static const struct resolv *host_servers(struct server *s)
{
	int64_t now = clock_monotonic_ms();
	autobuf struct buf text = {};
	autoclose int fd = -1;

	if (s->host_read_ms && now - s->host_read_ms < HOST_TTL_MS)
		return &s->host;
	fd = sys_openat(AT_FDCWD, s->serve->resolv_conf, O_RDONLY | O_NONBLOCK, 0);
	if (fd >= 0 && fd_read_all(fd, CONF_MAX, &text) == 0)
		resolv_parse(buf_str(&text), &s->host);
	s->host_read_ms = now;
	return &s->host;
}

/* False when nothing may be passed on. */
static bool choose_servers(
	struct server *s, const struct sockaddr_storage *client, struct resolv *ret)
{
	struct address from = client_address(client);
	char path[ADDRESS_TEXT_MAX + 16], text[ADDRESS_TEXT_MAX];
	autobuf struct buf own = {}, all = {};

	*ret = (struct resolv){};
	if (fd_read_file(s->serve->dir, "dns.conf", CONF_MAX, &all) < 0)
		return true; /* nobody is left to be asked: the network goes away */
	if (*buf_str(&all) == '-')
		return false;
	snprintf(path, sizeof(path), "upstream/%s", address_format(&from, text));
	if (fd_read_file(s->serve->dir, path, CONF_MAX, &own) == 0)
		resolv_parse_list(buf_str(&own), ret);
	if (!ret->count)
		resolv_parse_list(buf_str(&all), ret);
	if (!ret->count)
		*ret = *host_servers(s);
	return true;
}

/* ---- answers of our own ---- */

/* Whichever comes first gets most of the work, so they take turns. */
static void rotate(struct address *list, size_t count)
{
	struct address copy[ADDRESSES_MAX];
	size_t by = count ? serve_random_id() % count : 0;

	memcpy(copy, list, count * sizeof(*list));
	for (size_t i = 0; i < count; i++)
		list[i] = copy[(i + by) % count];
}

/* Whether the network knows an answer. LIST and NAME are the caller's memory for it. */
static bool look_up(struct server *s, const struct packet_query *q, struct packet_answer *answer,
	struct address *list, char *name)
{
	int family = q->type == PACKET_AAAA ? AF_INET6 : AF_INET;
	struct address reverse;
	bool known = false;

	if (!q->plain || q->class != 1)
		return false;
	if (q->type == PACKET_PTR && packet_reverse(q->name, &reverse)) {
		if (names_find_pointer(s->serve->dir, &reverse, name) < 0)
			return false;
		answer->pointer = name;
		return true;
	}
	if (names_find(s->serve->dir, q->name, family, list, ADDRESSES_MAX, &answer->count,
		    &known) < 0 ||
		!known)
		return false;
	/* A name that is known has an answer to every question, if only that there is nothing. */
	if (q->type != PACKET_A && q->type != PACKET_AAAA && q->type != PACKET_ANY)
		answer->count = 0;
	rotate(list, answer->count);
	answer->addresses = list;
	return true;
}

int serve_answer(struct server *s, const struct sockaddr_storage *client, const uint8_t *data,
	size_t len, bool stream, uint8_t *ret, size_t size, struct resolv *ret_servers)
{
	struct address list[ADDRESSES_MAX];
	char name[NAMES_NAME_MAX + 1];
	struct packet_answer answer = {.authoritative = true};
	struct packet_query q;
	int r = packet_parse(data, len, &q);

	if (r < 0)
		return r;
	if (r > 0)
		answer = (struct packet_answer){.code = (uint8_t)r};
	else if (!look_up(s, &q, &answer, list, name)) {
		bool outside = choose_servers(s, client, ret_servers);

		if (outside && ret_servers->count)
			return 0;
		answer = (struct packet_answer){
			.code = outside ? PACKET_SERVER_FAILURE : PACKET_NO_SUCH_NAME};
	}
	if (!stream && size > q.udp_size)
		size = q.udp_size;
	return (int)packet_write(&q, data, &answer, ret, size);
}

size_t serve_failure(const uint8_t *data, size_t len, uint8_t *ret, size_t size)
{
	const struct packet_answer answer = {.code = PACKET_SERVER_FAILURE};
	struct packet_query q;

	return packet_parse(data, len, &q) < 0 ? 0 : packet_write(&q, data, &answer, ret, size);
}

/* ---- passing on ---- */

static void put_id(uint8_t *data, uint16_t id)
{
	data[0] = (uint8_t)(id >> 8);
	data[1] = (uint8_t)id;
}

static void end_flow(struct udp_flow **flow)
{
	cleanup_close(&(*flow)->fd);
	free(*flow);
	*flow = NULL;
}

static void reply(const struct udp_flow *f, const uint8_t *data, size_t len)
{
	if (len)
		(void)sendto(f->sock, data, len, MSG_NOSIGNAL | MSG_DONTWAIT,
			(const void *)&f->client, f->client_len);
}

/* A new socket for each try: its port is one more thing that a forger has to guess. */
static bool ask(struct udp_flow *f)
{
	while (f->tries < TRIES_MAX) {
		const struct address *to = &f->servers.servers[f->tries++ % f->servers.count];
		struct sockaddr_storage at;
		socklen_t len = serve_upstream(to, &at);
		uint8_t copy[QUERY_MAX];

		cleanup_close(&f->fd);
		f->fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (f->fd < 0 || connect(f->fd, (void *)&at, len) < 0)
			continue;
		f->id = serve_random_id();
		memcpy(copy, f->query, f->len);
		put_id(copy, f->id);
		if (send(f->fd, copy, f->len, MSG_NOSIGNAL) < 0)
			continue;
		f->deadline_ms = clock_monotonic_ms() + TRY_MS;
		return true;
	}
	return false;
}

static void give_up(struct udp_flow **flow)
{
	uint8_t answer[PACKET_UDP_MAX];

	reply(*flow, answer, serve_failure((*flow)->query, (*flow)->len, answer, sizeof(answer)));
	end_flow(flow);
}

static void pass_on(struct server *s, int sock, const struct sockaddr_storage *client,
	socklen_t client_len, const uint8_t *data, size_t len, const struct resolv *servers)
{
	struct udp_flow *f;
	size_t i = 0;

	while (i < UDP_FLOWS_MAX && s->udp[i])
		i++;
	f = i < UDP_FLOWS_MAX ? malloc(sizeof(*f) + len) : NULL;
	if (!f) /* the client asks again */
		return;
	*f = (struct udp_flow){
		.fd = -1,
		.sock = sock,
		.client = *client,
		.client_len = client_len,
		.servers = *servers,
		.len = len,
	};
	memcpy(f->query, data, len);
	s->udp[i] = f;
	if (!ask(f))
		give_up(&s->udp[i]);
}

static void receive_answer(struct udp_flow **flow)
{
	struct udp_flow *f = *flow;
	uint8_t data[PACKET_MAX];
	ssize_t n = recv(f->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) { /* refused: nobody listens there */
		if (!ask(f))
			give_up(flow);
		return;
	}
	if (!packet_is_answer(data, (size_t)n, f->id, f->query, f->len))
		return; /* forged, or late */
	memcpy(data, f->query, 2);
	reply(f, data, (size_t)n);
	end_flow(flow);
}

/* ---- the loop ---- */

static void receive_query(struct server *s, int sock)
{
	for (int i = 0; i < BATCH; i++) {
		struct sockaddr_storage client;
		socklen_t client_len = sizeof(client);
		uint8_t data[QUERY_MAX], answer[ANSWER_MAX];
		struct resolv servers;
		ssize_t n = recvfrom(sock, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC,
			(void *)&client, &client_len);
		int r;

		if (n < 0)
			return;
		if (n > (ssize_t)sizeof(data))
			continue;
		r = serve_answer(
			s, &client, data, (size_t)n, false, answer, sizeof(answer), &servers);
		if (r > 0)
			(void)sendto(sock, answer, (size_t)r, MSG_NOSIGNAL | MSG_DONTWAIT,
				(void *)&client, client_len);
		else if (r == 0)
			pass_on(s, sock, &client, client_len, data, (size_t)n, &servers);
	}
}

static void expire(struct server *s)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < UDP_FLOWS_MAX; i++)
		if (s->udp[i] && s->udp[i]->deadline_ms <= now && !ask(s->udp[i]))
			give_up(&s->udp[i]);
}

enum { FDS_MAX = 16 + UDP_FLOWS_MAX + TCP_FLOWS_MAX };

static size_t fill(struct server *s, struct pollfd *fds, bool *ret_busy)
{
	size_t n = 0, start;

	for (size_t i = 0; i < s->serve->sockets; i++) {
		fds[n++] = (struct pollfd){.fd = s->serve->udp[i], .events = POLLIN};
		fds[n++] = (struct pollfd){.fd = s->serve->tcp[i], .events = POLLIN};
	}
	start = n;
	/* One entry for each place, so that what follows finds its own: −1 is passed over. */
	for (size_t i = 0; i < UDP_FLOWS_MAX; i++)
		fds[n++] = (struct pollfd){.fd = s->udp[i] ? s->udp[i]->fd : -1, .events = POLLIN};
	n += serve_tcp_poll(s, fds + n);
	*ret_busy = false;
	for (size_t i = start; i < n; i++)
		*ret_busy |= fds[i].fd >= 0;
	return n;
}

int serve_run(const struct serve *serve)
{
	struct server s = {.serve = serve};
	static const int tick_ms = 250;

	for (;;) {
		struct pollfd fds[FDS_MAX];
		bool busy;
		size_t n = fill(&s, fds, &busy), at = 0;
		int r = poll(fds, n, busy ? tick_ms : -1);

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r < 0)
			continue;
		for (size_t i = 0; i < serve->sockets; i++, at += 2) {
			if (fds[at].revents)
				receive_query(&s, serve->udp[i]);
			if (fds[at + 1].revents)
				serve_tcp_accept(&s, serve->tcp[i]);
		}
		for (size_t i = 0; i < UDP_FLOWS_MAX; i++, at++)
			if (fds[at].revents && s.udp[i] && s.udp[i]->fd == fds[at].fd)
				receive_answer(&s.udp[i]);
		serve_tcp_run(&s, fds + at);
		expire(&s);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/dns/client.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "netns/dns/names.h"
#include "netns/dns/packet.h"
#include "netns/dns/serve_private.h"

#include <stdio.h>
#include <string.h>

enum { ADDRESSES_MAX = 64, ROUNDS = 2 };

/* One question to one server. Returns the number of addresses; −EAGAIN: no answer. */
static int ask(const struct address *server, const char *name, uint16_t type, struct address *ret,
	size_t max)
{
	uint8_t query[PACKET_UDP_MAX], data[QUERY_MAX];
	uint16_t id = serve_random_id();
	size_t len = packet_write_query(name, type, id, query);
	int64_t deadline = clock_monotonic_ms() + TRY_MS;
	struct sockaddr_storage at;
	socklen_t at_len = serve_upstream(server, &at);
	autoclose int sock = socket(server->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0 || connect(sock, (void *)&at, at_len) < 0 ||
		send(sock, query, len, MSG_NOSIGNAL) < 0)
		return -EAGAIN;
	for (;;) {
		struct pollfd fd = {.fd = sock, .events = POLLIN};
		int64_t left = deadline - clock_monotonic_ms();
		ssize_t n;

		if (left <= 0 || poll(&fd, 1, (int)left) <= 0)
			return -EAGAIN;
		n = recv(sock, data, sizeof(data), MSG_DONTWAIT);
		if (n < 0)
			return -EAGAIN;
		if (packet_is_answer(data, (size_t)n, id, query, len))
			return (int)packet_read_addresses(data, (size_t)n, ret, max);
	}
}

static int ask_all(const struct resolv *servers, const char *name, uint16_t type,
	struct address *ret, size_t max)
{
	for (size_t i = 0; i < ROUNDS * servers->count; i++) {
		int n = ask(&servers->servers[i % servers->count], name, type, ret, max);

		if (n >= 0)
			return n;
	}
	return -EAGAIN;
}

int dns_client_resolve(const char *name, const struct resolv *servers, int out, struct err *err)
{
	static const uint16_t types[] = {PACKET_A, PACKET_AAAA};
	struct address list[ADDRESSES_MAX];
	char plain[NAMES_NAME_MAX + 1], text[ADDRESS_TEXT_MAX + 1];
	size_t count = 0;

	if (!names_normalize(name, plain))
		return err_set(err, -EINVAL, "\"%s\" is no host's name", name);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		int n = ask_all(servers, plain, types[i], list + count, ADDRESSES_MAX - count);

		if (n < 0)
			return err_set(err, n, "no name server answers about %s", plain);
		count += (size_t)n;
	}
	if (!count)
		return err_set(err, -ENOENT, "%s has no address", plain);
	for (size_t i = 0; i < count; i++) {
		address_format(&list[i], text);
		strcat(text, "\n");
		if (send(out, text, strlen(text), MSG_NOSIGNAL) < 0)
			return err_sys(err, -errno, "tell the addresses");
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Between serve.c, which has the sockets of UDP and the loop, and serve_tcp.c. */
#pragma once

#include "netns/dns/packet.h"
#include "netns/dns/resolv.h"
#include "netns/dns/serve.h"

#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	QUERY_MAX = 4096,
	UDP_FLOWS_MAX = 256,
	TCP_FLOWS_MAX = 32,
	TRY_MS = 2000,      /* one server has this long */
	TRIES_MAX = 4,      /* over all servers */
	TCP_IDLE_MS = 5000, /* between two steps of a stream */
};

struct server {
	const struct serve *serve;
	struct resolv host;   /* the host's servers */
	int64_t host_read_ms; /* when they were read */
	struct udp_flow *udp[UDP_FLOWS_MAX];
	struct tcp_flow *tcp[TCP_FLOWS_MAX];
};

/*
 * Answers what the network knows: the length of what is in RET (of SIZE bytes), 0 when others are
 * to be asked and RET_SERVERS says who, −EINVAL when there is no answer to such a packet.
 */
int serve_answer(struct server *s, const struct sockaddr_storage *client, const uint8_t *data,
	size_t len, bool stream, uint8_t *ret, size_t size, struct resolv *ret_servers);
/* SERVFAIL to DATA, which was parsed before. Returns its length. */
size_t serve_failure(const uint8_t *data, size_t len, uint8_t *ret, size_t size);
socklen_t serve_upstream(const struct address *server, struct sockaddr_storage *ret);
/* A number that nobody guesses. */
uint16_t serve_random_id(void);

/* serve_tcp.c: what to wait for, and what to do then. Each appends to FDS or takes from there. */
void serve_tcp_accept(struct server *s, int sock);
size_t serve_tcp_poll(struct server *s, struct pollfd *fds);
void serve_tcp_run(struct server *s, const struct pollfd *fds);

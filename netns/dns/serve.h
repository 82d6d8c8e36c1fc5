/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name server's work. A query for a name of the network is answered from its files; what the
 * network does not know is passed on as it is to one server after another, and the answer back. The
 * process of the server, once it has given up everything else (netns/dns/jail.h).
 */
#pragma once

#include <stddef.h>

struct serve {
	int dir;                 /* the network's state: netns/dns/names.h */
	int udp[8], tcp[8];      /* bound; the latter listen */
	size_t sockets;          /* of each */
	const char *resolv_conf; /* the host's */
};

/* Returns only when it cannot go on: −errno. */
int serve_run(const struct serve *serve);

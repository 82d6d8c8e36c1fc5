/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports: -p, and --expose with -P.
 *
 *	port_parse()      one -p
 *	port_check()      are they free on this host? Chooses those that were left open
 *
 * A text: [[HOST-IP:][HOST-PORT[-LAST]]:]CONTAINER-PORT[-LAST][/tcp|/udp|/sctp]. An IPv6 address is
 * in brackets. Without a host port one is chosen; a range on the host for one port of the
 * container means "any of these".
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "netns/address.h"

enum port_protocol { PORT_TCP, PORT_UDP, PORT_SCTP, PORT_PROTOCOLS };

/* COUNT ports in a row, host and container alike. */
struct port {
	struct address host_ip; /* family 0: every address of the host */
	uint16_t host;          /* 0: to be chosen */
	uint16_t host_choices;  /* chosen from HOST on, this many (COUNT is 1); 0: HOST is meant */
	uint16_t container, count;
	int protocol; /* enum port_protocol */
};

struct ports {
	struct port *items;
	size_t count;
};

/* The name of a protocol, "tcp". */
const char *port_protocol_name(int protocol);

/* Appends what TEXT says to RET, from ARENA. −EINVAL says what is wrong. Pure. */
int port_parse(const char *text, struct arena *arena, struct ports *ret, struct err *err);
/* Appends what --expose or an image says: "80", "8000-8010/udp"; to be published on ports that are
 * chosen (-P). What RET has already for the same port counts. */
int port_parse_exposed(const char *text, struct arena *arena, struct ports *ret, struct err *err);
/* −EADDRINUSE when two of PORTS, or one and one of OTHERS, want the same port of the same address.
 * NAME says in the error whose OTHERS are. Pure. */
int port_check_overlap(
	const struct ports *ports, const struct ports *others, const char *name, struct err *err);

/*
 * Takes each port on the host by a socket that is bound and never listens, choosing those that are
 * open: so nobody else gets it while one of the RET_FDS lives. The caller's network namespace is
 * the host's. Of a list longer than PORT_HELD_MAX ports every one is tried, but only the first are
 * held. −EADDRINUSE: "port 8080/tcp is in use on this host", −EACCES for those below
 * ip_unprivileged_port_start. RET_FDS has room for PORT_HELD_MAX descriptors.
 */
enum { PORT_HELD_MAX = 256 };
int port_hold(struct ports *ports, int *ret_fds, size_t *ret_count, struct err *err);

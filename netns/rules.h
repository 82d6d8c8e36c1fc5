/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of all networks as one text for nft(8): pure, from what is recorded.
 *
 * One table, "inet brig", is replaced in one transaction; nothing else is touched and nothing is
 * read back. What is decided here about packets:
 *
 *  - A published port is translated (DNAT) for packets to the host's addresses. Their source stays
 *    what it is, but for two cases that could not be answered otherwise: the host's own 127.0.0.1,
 *    and a container that reaches its own network by the host.
 *  - Into a bridge goes only what belongs to a connection, comes to a published port, or from the
 *    same network, or from one that is not isolated either. Somebody on the host's network who
 *    routes to the containers' addresses gets nothing.
 *  - An internal network has no way in or out.
 *  - What leaves for the outside gets the host's address (masquerade).
 *  - A container cannot reach the host's 127.0.0.0/8 by sending to it (CVE-2020-8558).
 *  - "accept" here ends nothing: the other tables of the host are asked as well, and a drop of
 * theirs counts. The host's own policy is not gone round.
 */
#pragma once

#include "base/buf.h"
#include "netns/network.h"
#include "netns/port.h"

#define RULES_TABLE "brig"

/* The ports of one container. */
struct rules_published {
	const char *id;
	struct ports ports;
	struct address ip, ip6; /* where they lead; family 0: nowhere */
};

struct rules {
	const struct network *networks;
	size_t network_count;
	const uint16_t
		*dns_ports; /* of each network: the port that its server got in place of 53, or 0 */
	const struct rules_published *published;
	size_t published_count;
};

/* Appends the text. Without networks the table is removed. */
void rules_write(const struct rules *rules, struct buf *ret);

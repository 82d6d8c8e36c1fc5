/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links, their addresses and routes: one rtnetlink(7) message each, on a socket of netlink_open(),
 * so of the network namespace in which that was made. Errors name the link. Any process with
 * CAP_NET_ADMIN over that namespace.
 */
#pragma once

#include "base/err.h"
#include "netns/address.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct link {
	uint32_t index, master;
	unsigned int flags; /* IFF_… */
	char kind[16];      /* "bridge", "veth"; "" for a device */
	char name[IFNAMSIZ];
};

/* −ENODEV when there is none of that name. */
int link_find(int sock, const char *name, struct link *ret, struct err *err);

/* What a new link is to be. What is 0, NULL or −1 is left to the kernel. */
struct link_new {
	const char *name, *kind;
	const uint8_t *mac; /* a bridge keeps it, whichever ports it gets */
	uint32_t mtu;
	uint32_t master; /* the bridge that it is a port of */

	/* veth: the other end, in the namespace NETNS */
	const char *peer;
	const uint8_t *peer_mac;
	int netns;

	/* macvlan, ipvlan, vlan: the link below; made in NETNS, if that is not −1 */
	uint32_t parent;
	uint32_t mode;
	uint16_t vlan;
};

/* −EEXIST: the name is taken. */
int link_create(int sock, const struct link_new *new, struct err *err);
/* IPv6 makes no address for it by itself; before it is set up. */
int link_keep_unaddressed(int sock, const char *name, struct err *err);
int link_set_up(int sock, uint32_t index, struct err *err);
/* 0 also when it is gone already. */
int link_delete(int sock, uint32_t index, struct err *err);
/* A port of a bridge: ISOLATED from others that are, too; HAIRPIN lets frames out by the port that
 * they came from, as when br_netfilter translates a container's packet to itself. */
int link_set_port(int sock, uint32_t index, bool isolated, bool hairpin, struct err *err);

/* ADDRESS with its prefix. One that is there already is no error. IPv6's is not probed for before
 * it is used (DAD): nobody else gives addresses here. */
int link_add_address(int sock, uint32_t index, const struct address *address, struct err *err);
/* Everything by GATEWAY, which has to be in reach; of 0.0.0.0 and :: by the link itself. */
int link_add_default_route(
	int sock, uint32_t index, const struct address *gateway, uint32_t metric, struct err *err);

/* Each prefix of the main table that leads somewhere, but for the default route; LINK is the index
 * of its link. What ON_ROUTE returns below 0 is returned. */
int link_routes(int sock, int (*on_route)(const struct address *to, uint32_t link, void *arg),
	void *arg, struct err *err);

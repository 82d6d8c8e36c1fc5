/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers on networks.
 *
 *	attach_reserve()   before the container exists: addresses, names, ports are its own from
 *here on, and known for its hosts and resolv.conf files attach_apply()     once it has a network
 *namespace: links, addresses, routes, rules, names attach_connect()   one network more, or
 *	attach_disconnect()  one less, while it runs
 *	attach_remove()    whatever of this was done; does nothing the second time, and needs no
 *namespace
 *
 * State, in RUN/networks, all of it written by rename(2) or made by O_EXCL, so that it is whole at
 * any moment:
 *
 *   containers/ID.json        what the container has: struct attachment
 *   pending/ID                "PID START-TIME" of the process that is making or removing it, and
 *                             the links that are all that is left of it
 *   published/ID.json         its ports, for the rules
 *   nets/NET/users/ID         it is on NET
 *   nets/NET/ip/ADDRESS       the id of the container that has it (netns/ipam.h)
 *   nets/NET/names/NAME/ID    its addresses (netns/dns/names.h)
 *   nets/NET/dns.pid          the network's server (netns/dns/server.h)
 *
 * What is pending of a process that has died is removed, whatever there is of it, by the next that
 * takes the lock. attach_reserve() and attach_apply() are therefore calls of one process.
 *
 * The process of a command, single-threaded, since it visits the container's namespace by setns(2);
 * CAP_NET_ADMIN and CAP_SYS_ADMIN over both. A user without privilege is the maker of both, and has
 * bridges only: netns/home.h.
 */
#pragma once

#include "base/cancel.h"
#include "netns/mode.h"
#include "netns/network.h"
#include "netns/port.h"

enum {
	ATTACH_ID_MAX = 256,
	ATTACH_LINK_MAX = 16, /* IFNAMSIZ */
	ATTACH_REST_MAX = 8,  /* more are not left for later */
};

struct attach_request {
	const char *id;        /* [a-zA-Z0-9][a-zA-Z0-9_.-]*: a component of a path */
	const char *name;      /* answered on each network, as are ID's first 12 letters */
	const char *host_name; /* NULL: not answered */
	const struct network_wants *wants;
	struct ports ports;
	struct strings servers; /* --dns: asked in place of the networks' */
	pid_t holder;           /* of a user: who will have what is held, or 0 */
};

/* One link of a container. */
struct attach_link {
	const char *network, *network_id;
	int driver;            /* enum network_driver */
	const char *interface; /* "eth0" */
	const char *host_link; /* the other end, of a bridge */
	const char *mac;
	struct address ip, ip6;           /* with the subnet's prefix; family 0: none */
	struct address gateway, gateway6; /* family 0: none */
	struct strings aliases;           /* as asked for */
	bool internal;
	const char *result; /* what a CNI plugin answered, JSON */
};

struct attachment {
	const char *id, *name, *host_name;
	int mode; /* enum network_mode: NETWORKS or PASTA */
	struct {
		struct attach_link *items;
		size_t count;
	} links;
	struct ports ports; /* with the ports that were chosen */
	/* For resolv.conf: the gateways that answer names, or the servers asked for; none: the
	 * host's. */
	struct strings servers;
	struct strings asked; /* --dns: who is asked what the networks' servers do not know */
	/* What "host-gateway" means in --add-host: the first gateway; family 0: none. */
	struct address host_gateway;
	const char *pasta;   /* pasta's options */
	uint64_t netns;      /* the inode of the namespace; 0: not applied */
	struct strings warn; /* what the user should be told; not in the record */
};

/* A port is taken on the host as long as one of these is open, and a user's networks are there: for
 * the process that stays with the container. They survive exec(3) when the caller says so. */
struct attach_held {
	int fds[PORT_HELD_MAX + 1];
	size_t count;
};

/*
 * Results are from ARENA. A container that has a record already is detached first and gets the same
 * addresses when they are free. −ENOENT: no such network; −EADDRINUSE: address or port taken, and
 * by whom; −ENOSPC: the subnet is full; −EEXIST: the name is another container's on that network.
 * RET_HELD is ended with attach_release(). Takes the lock.
 */
int attach_reserve(struct network_store *store, const struct attach_request *request,
	struct arena *arena, struct attachment *ret, struct attach_held *ret_held, struct err *err);
void attach_release(struct attach_held *held);

/* Carries out the record of ID in NETNS, the namespace of the container's process; of pasta USERNS
 * is the user namespace that it belongs to, else −1. On failure nothing is left but the record, for
 * attach_remove(). The addresses of CNI plugins and of DHCP are known only now: RET may be NULL.
 * Takes the lock. */
int attach_apply(struct network_store *store, const char *id, int netns, int userns,
	struct arena *arena, struct attachment *ret, struct err *err);

/* NETNS −1: the container does not run; it will be on that network when it starts. */
int attach_connect(struct network_store *store, const char *id, int netns,
	const struct network_want *want, struct arena *arena, struct attachment *ret,
	struct err *err);
/* −ENOENT: it is not on that network. */
int attach_disconnect(struct network_store *store, const char *id, int netns, const char *network,
	struct arena *arena, struct attachment *ret, struct err *err);

/* The host's ends of links that attach_remove() has left for later: the kernel takes some 10 ms
 * over one, and nobody has to wait for that. */
struct attach_rest {
	char id[ATTACH_ID_MAX];
	char links[ATTACH_REST_MAX][ATTACH_LINK_MAX];
	size_t count;
};

/*
 * NETNS −1 when the namespace is gone. Every step is tried; the first error is returned.
 *
 * RET_REST NULL: all of it. Else ID, which must never be used again, is on no network any more and
 * has no address, name or port; this process, or a child that it leaves that to, goes on with
 * attach_remove_rest(). Until then the note in pending/ID names the links, for the next that takes
 * the lock when this process dies.
 */
int attach_remove(struct network_store *store, const char *id, int netns,
	struct attach_rest *ret_rest, struct err *err);
/* Does nothing when REST is of nothing. Takes no lock: what is pending is its process's own. */
int attach_remove_rest(
	struct network_store *store, const struct attach_rest *rest, struct err *err);

/* The record of ID: for ps, port and inspect. No lock. −ENOENT without a sentence. */
int attach_load(struct network_store *store, const char *id, struct arena *arena,
	struct attachment *ret, struct err *err);
/* The ids of all that have a record. */
int attach_list(
	struct network_store *store, struct arena *arena, struct strings *ret, struct err *err);

/*
 * After somebody else changed the firewall, or after a crash: bridges, rules and name servers anew
 * from the records. Containers for which ALIVE says false are removed first (NULL: none is). Their
 * number is returned.
 */
int attach_reload(struct network_store *store, bool (*alive)(const char *id, void *arg), void *arg,
	struct err *err);

/*
 * Asks the plugins of ID's CNI networks (CHECK, CNI 1.0.0) whether all that they made is there
 * still, in the namespace NETNS: what others than this library make, attach_reload() cannot make
 * anew. 0 also without such a network; the first plugin's error.
 */
int attach_check(struct network_store *store, const char *id, int netns, struct err *err);

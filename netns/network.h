/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks that containers are on, and their records.
 *
 *	network_store_open()      where records and state are kept
 *	network_create()          checks, chooses what was left open, writes NAME.json
 *	network_load(), _list()   the default network is made when it is asked for the first time
 *	network_remove(), _prune()
 *
 * Two directories: records outlive a boot (DATA/networks/NAME.json); what is attached does not
 * (RUN/networks, see netns/attach.h), as links and rules do not. Whoever changes anything holds the
 * lock of the second; readers need none, since files appear by rename(2). Links and rules follow
 *from the files, never the other way round.
 *
 * All of it belongs to the process of a command, single-threaded, in the network namespace that is
 * to be the host.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "netns/address.h"

enum network_driver { NETWORK_BRIDGE, NETWORK_MACVLAN, NETWORK_IPVLAN, NETWORK_CNI };
enum network_link_mode {
	NETWORK_LINK_DEFAULT, /* macvlan bridge, ipvlan l2 */
	NETWORK_LINK_BRIDGE,
	NETWORK_LINK_PRIVATE,
	NETWORK_LINK_VEPA,
	NETWORK_LINK_PASSTHRU,
	NETWORK_LINK_L2,
	NETWORK_LINK_L3,
	NETWORK_LINK_L3S,
};
extern const struct json_name network_driver_names[], network_link_mode_names[];

#define NETWORK_DEFAULT "brig"
enum { NETWORK_NAME_MAX = 64, NETWORK_ID_LEN = 64 };

struct network_subnet {
	struct address subnet;      /* the host's bits are zero */
	struct address gateway;     /* none: no route leads out */
	struct address first, last; /* what containers get; none: all of the subnet */
};

struct network_subnets {
	struct network_subnet *items;
	size_t count;
};

struct network {
	const char *name, *id; /* the id is 64 random hexadecimal digits */
	const char *created;   /* RFC 3339 */
	int driver;            /* enum network_driver */
	struct network_subnets subnets;
	/* The bridge's name; of macvlan and ipvlan the parent link. */
	const char *interface;
	int mode;               /* enum network_link_mode */
	uint32_t mtu;           /* 0: the kernel's */
	uint32_t vlan;          /* of the parent, 0: none */
	bool internal;          /* nothing in from outside, nothing out */
	bool isolate;           /* nothing from or to other networks, but published ports */
	bool dns;               /* names of containers are answered */
	struct strings servers; /* where the rest is asked; none: as the host does */
	struct pairs labels, options;
	const char *cni; /* the path of a CNI network's file, which is not ours */
};

struct networks {
	struct network *items;
	size_t count;
};

/* What is asked of network_create(). What is 0 or NULL is chosen. */
struct network_request {
	const char *name;
	int driver;
	struct strings subnets, gateways, ranges; /* "10.1.0.0/24", "10.1.0.1", "10.1.0.128/25" */
	const char *interface;
	struct strings servers;
	struct pairs labels;
	struct pairs options; /* -o: mtu, vlan, mode, isolate, parent, com.docker.network.… */
	bool ipv6;            /* a subnet of IPv6 too, if none is named */
	bool internal, no_dns;
	bool no_gateway;
};

struct network_places {
	int data, run;       /* directories, borrowed: what outlives a boot, what does not */
	const char *libexec; /* the directory of our own programs */
	const char
		*cni; /* directories of CNI: networks, and programs with ":" between; NULL: none */
	const char *cni_bin;
	bool rootless;
};

struct network_home;

struct network_store {
	struct network_places places;
	int records, state; /* directories; readable */
	int lock;           /* −1: not held */
	/* Of a user without privilege, once it is known: netns/home.h. */
	struct network_home *home;
};

/* Makes the directories. PLACES' texts and descriptors must outlive RET. */
int network_store_open(
	const struct network_places *places, struct network_store *ret, struct err *err);
void network_store_close(struct network_store *store);
/* Waits for the lock. What a process left half-done that has died is undone first. */
int network_lock(struct network_store *store, struct err *err);
void network_unlock(struct network_store *store);

/* These take the lock themselves. Results are from ARENA. */
int network_create(struct network_store *store, const struct network_request *request,
	struct arena *arena, struct network *ret, struct err *err);
/* −EBUSY while containers are on it, which are named; FORCE is the caller's to detach them before.
 * The default network can be removed; it comes back when it is used. −ENOENT. */
int network_remove(struct network_store *store, const char *name, struct err *err);

/* By name, or by the first letters of an id when that is one network only. −ENOENT: "no such
 * network: NAME". Makes the default one. No lock. */
int network_load(struct network_store *store, const char *name, struct arena *arena,
	struct network *ret, struct err *err);
/* All that have a record, and CNI's, by name. The default network is listed even before it is made.
 */
int network_list(
	struct network_store *store, struct arena *arena, struct networks *ret, struct err *err);
/* How many containers have an address of NAME. */
int network_count_users(struct network_store *store, const char *name, size_t *ret);

/* [a-zA-Z0-9][a-zA-Z0-9_.-]*, not longer than NETWORK_NAME_MAX, and none of the modes' names. */
bool network_name_valid(const char *name);

CLEANUP_DEFINE(network_store, struct network_store, network_store_close)
#define autonetworkstore __attribute__((cleanup(cleanup_network_store)))

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --network says: no network, the host's, another container's, or named ones. Pure; any
 * process.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

enum network_mode {
	NETWORK_MODE_NETWORKS,  /* named networks: netns/attach.h */
	NETWORK_MODE_NONE,      /* loopback alone; also "private" without privilege */
	NETWORK_MODE_HOST,      /* no network namespace */
	NETWORK_MODE_CONTAINER, /* that of the container NAME */
	NETWORK_MODE_PATH,      /* the namespace file NAME */
	NETWORK_MODE_PASTA,     /* pasta(1) carries the traffic of an unprivileged user */
};

/* One network that a container is to be on. */
struct network_want {
	const char *network;
	const char *interface; /* NULL: eth0, eth1 … */
	const char *ip, *ip6, *mac;
	struct strings aliases;
};

struct network_wants {
	int mode;         /* enum network_mode */
	const char *name; /* the container, the path, or what follows "pasta:" */
	struct network_want *items;
	size_t count; /* of NETWORK_MODE_NETWORKS at least one */
};

/*
 * Each of TEXTS is "none", "host", "private", "bridge" (the default network) or "default" (the
 * same, and pasta when ROOTLESS), "container:NAME", "ns:PATH", "pasta[:OPTION,…]", or
 * NETWORK[:ip=…,ip6=…,mac=…,alias=…,interface_name=…]. No text at all is "default". −EINVAL for
 * what cannot go together.
 */
int network_mode_parse(const struct strings *texts, bool rootless, struct arena *arena,
	struct network_wants *ret, struct err *err);

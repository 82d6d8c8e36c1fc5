/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of networks: network.c changes them, network_show.c shows them. */
#pragma once

#include "cli/brig/brig.h"
#include "netns/network.h"

#define NETWORK_STORE_NONE                             \
	{                                              \
		.records = -1, .state = -1, .lock = -1 \
	}

struct brig_network_create_values {
	struct strings subnets, gateways, ranges, servers, labels, options;
	const char *interface;
	int driver; /* enum network_driver */
	bool ipv6, internal, no_dns, ignore;
};
struct brig_network_rm_values { /* rm, disconnect */
	bool force;
};
struct brig_network_connect_values {
	struct strings aliases;
	const char *ip, *ip6, *mac;
};
struct brig_network_ls_values {
	struct strings filter;
	const char *format;
	bool quiet, no_trunc;
};
struct brig_network_inspect_values {
	const char *format;
};
extern const struct option brig_network_create_options[], brig_network_rm_options[],
	brig_network_connect_options[], brig_network_disconnect_options[],
	brig_network_ls_options[], brig_network_inspect_options[];

/* The networks; ended with network_store_close(). */
int brig_networks(struct brig *b, struct network_store *ret, struct err *err);

int brig_network_create(const struct invocation *inv, struct err *err);
int brig_network_rm(const struct invocation *inv, struct err *err);
int brig_network_connect(const struct invocation *inv, struct err *err);
int brig_network_disconnect(const struct invocation *inv, struct err *err);
int brig_network_prune(const struct invocation *inv, struct err *err);
int brig_network_reload(const struct invocation *inv, struct err *err);
int brig_network_ls(const struct invocation *inv, struct err *err);
int brig_network_inspect(const struct invocation *inv, struct err *err);
int brig_network_exists(const struct invocation *inv, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge of a network, in the namespace of netns/home.h. The process of a
 * command, with the networks' lock.
 */
#pragma once

#include "netns/network.h"

/*
 * Makes the bridge of NETWORK if it is not there, and gives it what the record says: its hardware
 * address (the same for ever, so that no port changes it), the gateways' addresses, its settings;
 * lets the host forward, unless the network is internal. SOCK is a socket of home_netlink().
 * −EEXIST when a link of that name is no bridge.
 */
int bridge_ensure(struct network_store *store, int sock, const struct network *network,
	uint32_t *ret_index, struct err *err);
/* 0 when there is none. */
int bridge_remove(struct network_store *store, const struct network *network, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container has which address of a network: one file for each address, named like it, in
 * NET/ip below the store's state. The file holds the container's id; it is made by O_EXCL, so an
 * address is never given away twice, whatever happens in between. The search goes on behind the
 * address given last (NET/ip/.last4, .last6), so that one that was free'd rests for a while.
 *
 * The process of a command, with the store's lock.
 */
#pragma once

#include "netns/network.h"

/* An address of SUBNET for ID: WANTED, which has to be within it, or if that is NULL the next free
 * one; PREFERRED (may be NULL) is taken if it is free. RET gets it with the subnet's prefix.
 * −EADDRINUSE says who has it, −ENOSPC. */
int ipam_take(struct network_store *store, const struct network *network,
	const struct network_subnet *subnet, const char *id, const struct address *wanted,
	const struct address *preferred, struct address *ret, struct err *err);
/* Only if ID has it. */
int ipam_give(struct network_store *store, const char *network, const struct address *address,
	const char *id, struct err *err);
/* The container that has it, into RET of SIZE bytes. −ENOENT. */
int ipam_owner(struct network_store *store, const char *network, const struct address *address,
	char *ret, size_t size);
/* Whether a container may have ADDRESS by itself: not the network's first or, in IPv4, last, nor
 * the gateway, within the range. Pure. */
bool ipam_usable(const struct network_subnet *subnet, const struct address *address);

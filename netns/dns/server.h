/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name server of a network, seen from commands: a process (brig-dns) that outlives them.
 *
 * A command binds the sockets to the network's gateways, port 53, and to its bridge alone; so
 * queries wait in them until the process has started, and no other network can ask. When 53 is
 * taken on all of the host's addresses another port is used and the rules lead there. The process
 * is given the sockets and the directory with the names (netns/dns/names.h), and gives up
 * everything else.
 *
 * The process of a command, with the networks' lock.
 */
#pragma once

#include "netns/network.h"

/* Starts the server of NETWORK, whose bridge is there, unless it runs. */
int dns_server_ensure(struct network_store *store, const struct network *network, struct err *err);
/* Tells it to end, and leaves the wait for that to the other three: whoever takes the
 * last container off a network does not have to. */
int dns_server_dismiss(struct network_store *store, const char *network, struct err *err);
/* Waits for the end of all that were told to, and forgets them. The lock must not be held: it is
 * taken for a moment. */
int dns_server_tidy(struct network_store *store, struct err *err);
/* It has ended. 0 also when there is none. */
int dns_server_stop(struct network_store *store, const char *network, struct err *err);
/* The port in place of 53, or 0. */
uint16_t dns_server_port(struct network_store *store, const char *network);

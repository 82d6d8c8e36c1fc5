/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's network, handed to the guest: for each interface of the network namespace a tap,
 * joined to it by tc's redirection both ways, and in the guest an interface of the same name, MAC,
 * MTU, addresses and routes. What CNI, netavark or brig configured stays where it is and is what
 * the guest has; the host's own stack in that namespace sees none of its packets any more.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/proto.h"

#include <stddef.h>
#include <stdint.h>

struct nets {
	struct net_taken {
		int tap; /* −1: none */
		uint8_t mac[6];
		uint16_t mtu;
	} items[PROTO_NETS_MAX];
	size_t count;
};

/* COUNT taps that lead nowhere, with addresses of their own and room for any MTU: what a machine is
 * made with before it knows its container. In any network namespace, with CAP_NET_ADMIN. */
int nets_blank(struct nets *ret, size_t count, struct err *err);
/* The address of the device INDEX of such a machine. */
void nets_blank_mac(size_t index, uint8_t ret[6]);
/* In the container's network namespace, with CAP_NET_ADMIN. SETUP gets what the guest shall have.
 * End with nets_close(), also after a failure. */
int nets_take(struct nets *ret, struct proto_setup *setup, struct err *err);
void nets_close(struct nets *nets);

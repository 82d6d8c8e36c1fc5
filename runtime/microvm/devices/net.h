/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net (virtio 1.2, section 5.1) on a tap, with checksum and segmentation offload both ways:
 * the tap speaks the same header, so packets go between it and the guest's buffers without a copy
 * here.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/device.h"
#include "runtime/microvm/devices/limit.h"
#include "runtime/microvm/devices/loop.h"

#include <linux/virtio_net.h>

struct net {
	struct device device;
	struct virtio_net_config config;
	struct loop *loop;
	struct loop_source tap;
	struct limit receive, send;
};

struct net_options {
	int tap; /* IFF_TAP | IFF_NO_PI | IFF_VNET_HDR; taken over */
	uint8_t mac[6];
	uint16_t mtu;                            /* 0: the driver's default */
	const struct limit_rate *receive, *send; /* of the guest; or NULL */
};

int net_open(struct net *net, const struct net_options *options, const struct guest_memory *memory,
	struct loop *loop, struct err *err);
void net_close(struct net *net);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links of the host that become a container's: runtime-spec 1.3, config-linux.md "Network Devices".
 *
 *	netns_devices_move()    all of them, or none: on failure those that were moved are back
 *	netns_devices_return()  if the container comes to nothing after all
 *	netns_devices_free()
 *
 * A link keeps its permanent addresses of global scope and all that the kernel keeps (MTU, hardware
 * address); routes are lost. It gets its new name, in which "%d" stands for a free number, and is
 * set up. What happens to it afterwards is the container's affair; when its namespace ends, the
 * kernel gives physical links back and removes virtual ones.
 *
 * Names are looked up once in each namespace, everything after that is by index: a link gets a name
 * that nobody else has before it is moved, so that what arrives is what was sent.
 */
#pragma once

#include "base/err.h"
#include "spec/config.h"

#include <stddef.h>

struct netns_devices;

/*
 * Moves the COUNT links of LIST from the caller's network namespace to that of the descriptor
 * NETNS. The process of a command, single-threaded, because it visits that namespace by setns(2);
 * needs CAP_NET_ADMIN over both. *RET is ended with netns_devices_free(). The error names the
 * device: −ENODEV there is none, −EEXIST the name is taken in the container's namespace.
 */
int netns_devices_move(const struct spec_net_device *list, size_t count, int netns,
	struct netns_devices **ret, struct err *err);

/* Back to the host, with the old names, addresses and states, as far as the kernel agrees. */
void netns_devices_return(struct netns_devices *devices);
void netns_devices_free(struct netns_devices *devices);

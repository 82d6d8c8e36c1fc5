/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtqueues that the host's kernel serves (linux/vhost.h): packets go between tap and guest
 * without this process.
 *
 * Order: vhost_open(), then for a device with .remote set vhost_start() and vhost_stop() as its
 * driver starts, resets or is held. The kernel's thread belongs to this process: it is made by the
 * first vhost_start(), for a process with threads can get no user namespace of its own, which the
 * jail is made of. Nothing is allocated here.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/device.h"

struct vhost {
	int fd; /* −1: none */
	uint64_t features;
	bool owned;
};

/* FD is /dev/vhost-net, fresh, and taken over. −ENOTSUP when the kernel cannot what every device of
 * ours can. Before the jail. */
int vhost_open(struct vhost *vhost, int fd, struct err *err);
void vhost_close(struct vhost *vhost);

/* The queues of DEVICE, which are mapped, with BACKEND, a tap, behind each. Its lock is held. */
int vhost_start(struct vhost *vhost, struct device *device, int backend);
/* Takes them back, with their state; nothing refers to guest memory any more. Its lock is held.
 * A queue that cannot be taken back ends the process. */
void vhost_stop(struct vhost *vhost, struct device *device);

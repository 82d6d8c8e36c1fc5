/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device without its transport: status, features, queues, and an ops table for what is
 * its own (virtio 1.2, chapters 2 and 3).
 *
 * Use: a device's file embeds struct device first in its own struct and calls device_init(); the
 * transport sets .transport, turns its registers into the device_…() calls below, and gives every
 * kick to device_kick(). Calls below take the device's lock unless they say otherwise; ops are
 * called with it held.
 *
 * Invariants:
 *  - queues and features are frozen from DRIVER_OK until the reset;
 *  - an op that finds a broken rule returns −EBADMSG; the device then shows DEVICE_NEEDS_RESET and
 *    touches no queue before the driver resets it;
 *  - reset() returns only when no request refers to guest memory any more;
 *  - after device_init() nothing is allocated, whatever the guest does.
 */
#pragma once

#include "runtime/microvm/devices/virtqueue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	DEVICE_QUEUES_MAX = 4,
	DEVICE_BUDGET = 64, /* chains that one kick may take before others get their turn */
	DEVICE_LAZY = 8,    /* chains that a driver may wait for, of a lazy queue */
};

enum { DEVICE_INTERRUPT_QUEUE = 1, DEVICE_INTERRUPT_CONFIG = 2 };

struct device;

struct device_ops {
	const char *name;
	uint32_t id; /* linux/virtio_ids.h */
	unsigned int queues;
	uint16_t queue_size; /* the most that the driver may choose */
	bool remote;         /* another process serves the queues; kick() is never called */
	/* A bit for each queue whose chains the driver only wants back some time, to free them: it
	 * is told of DEVICE_LAZY at once, or half a ring, where that is less. */
	uint32_t lazy_queues;
	/* Chains wait in QUEUE. 0: all done; 1: the budget is used up, call again; or −EBADMSG. */
	int (*kick)(struct device *device, unsigned int queue);
	/* Optional. DRIVER_OK was set and the queues are mapped. */
	int (*activate)(struct device *device);
	/* Optional. Ends every request; the queues are still mapped. */
	void (*reset)(struct device *device);
	/* Optional. The driver changed the configuration space, in bounds. */
	void (*config_written)(struct device *device, uint32_t offset, uint32_t len);

	/* Optional, for snapshots, of a device that runs; no vCPU does. hold() ends every request
	 * and takes back what others serve, release() lets it go on, also after a restore. */
	int (*hold)(struct device *device);
	int (*release)(struct device *device);
	/* Optional: own_size bytes of plain data beside struct device_state. restore() judges them:
	 * −EINVAL. */
	void (*save)(struct device *device, void *ret);
	int (*restore)(struct device *device, const void *own);
	uint32_t own_size;
	bool config_moves; /* the configuration space may be another's after a restore */
};

/* What a process needs to serve a device's queues without us. */
struct device_wires {
	int irq; /* to be signalled for an interrupt */
	int kicks[DEVICE_QUEUES_MAX];
};

struct device_transport {
	/* Raises DEVICE_INTERRUPT_… in the guest. Any thread, with the device's lock held. */
	void (*interrupt)(struct device_transport *transport, uint32_t why);
	/* Status or configuration space are not what they were: the registers have to show it. Any
	 * thread, with the device's lock held. */
	void (*changed)(struct device_transport *transport);
	/* Has device_kick() called again, soon, from the loop. */
	void (*again)(struct device_transport *transport, unsigned int queue);
	/* The descriptors behind both, for a remote device. */
	void (*wires)(struct device_transport *transport, struct device_wires *ret);
};

/* For snapshots: plain data. */
struct device_state {
	uint64_t features; /* what the driver accepted */
	uint32_t status;
	uint32_t generation; /* of the configuration space */
	struct virtq_state queues[DEVICE_QUEUES_MAX];
};

struct device {
	const struct device_ops *ops;
	const struct guest_memory *memory;
	struct device_transport *transport;
	uint64_t offered; /* features */
	void *config; /* the configuration space, config_len bytes, in the device's own struct */
	uint32_t config_len;
	uint32_t config_writable; /* bytes from this offset on may be written by the driver */
	pthread_mutex_t lock;

	uint64_t features;
	uint32_t status, generation;
	bool held; /* no queue is touched */
	struct virtq queues[DEVICE_QUEUES_MAX];
};

/* OFFERED without VIRTIO_F_VERSION_1, EVENT_IDX and INDIRECT_DESC, which every device has. */
void device_init(struct device *device, const struct device_ops *ops,
	const struct guest_memory *memory, uint64_t offered, void *config, uint32_t config_len);

/* The driver writes the status register: 0 resets; bits can only be added; FEATURES_OK sticks only
 * when the features are acceptable; DRIVER_OK activates. */
void device_set_status(struct device *device, uint32_t status);
/* 32 features at SELECT × 32. Ignored once FEATURES_OK is set. */
void device_set_features(struct device *device, uint32_t select, uint32_t features);
uint32_t device_features(const struct device *device, uint32_t select);

/* Changes the state of a queue before DRIVER_OK. CHANGE copies what the driver wrote from CONTEXT
 * and is not called for a queue that does not exist or may not be changed now. */
void device_set_queue(struct device *device, uint32_t queue,
	void (*change)(struct virtq_state *state, const void *context), const void *context);
/* With the lock held. */
bool device_queue_ready(const struct device *device, uint32_t queue);

/* The configuration space; bytes that are not there read as 0, and writes to them are dropped. */
void device_config_read(struct device *device, uint32_t offset, void *ret, uint32_t len);
void device_config_write(struct device *device, uint32_t offset, const void *data, uint32_t len);

/* Any thread. */
void device_kick(struct device *device, uint32_t queue);

static inline bool device_running(const struct device *device)
{
	/* DRIVER_OK, neither NEEDS_RESET nor FAILED */
	return (device->status & 0xc4) == 4 && !device->held;
}

/* For devices, with the lock held. */

/* Interrupts for QUEUE if the driver wants it. */
void device_signal(struct device *device, unsigned int queue);
/* The configuration space changed: at most four bytes of it, aligned. A guest reads it from memory
 * (mmio.h), and more of it could be half as it was. */
void device_config_changed(struct device *device);
/* The guest broke the rules, or the device cannot go on: nothing works until the reset. */
void device_fail(struct device *device);
/*
 * The common kick: hands up to DEVICE_BUDGET chains of QUEUE to HANDLE, which finishes each (or
 * keeps it: −EINPROGRESS), then interrupts. HANDLE returns the bytes written or a negative errno.
 * −EAGAIN: this chain must wait, it stays in the queue and 0 is returned.
 */
int device_drain(struct device *device, unsigned int queue,
	int64_t (*handle)(struct device *device, struct virtq_chain *chain));

/* For snapshots, while no vCPU runs: the device does nothing from a hold that succeeds to the
 * release. */
int device_hold(struct device *device);
int device_release(struct device *device);
/* For snapshots, while nothing runs. Restoring maps the queues again: −EINVAL when they are not
 * valid in this memory. */
void device_save(struct device *device, struct device_state *ret);
int device_restore(struct device *device, const struct device_state *state);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport, version 2 (virtio 1.2, section 4.2): one page of registers that turns
 * into calls of devices/device.h.
 *
 * Use: mmio_init(), then mmio_read() and mmio_write() for the guest's accesses to the page. Kicks
 * come through an eventfd per queue, which KVM signals when the guest writes QueueNotify (or
 * mmio_write() itself, where there is no KVM); interrupts go out through .irq. So kicks are handled
 * by the loop's thread alone, and a vCPU's thread only ever changes registers.
 *
 * .page is what the registers read as, kept up to date, which KVM can show to the guest read-only.
 * Reading, as the driver does at each interrupt, costs no exit then; writes come as ever. Of
 * InterruptStatus the bit for used buffers is always set, so that nothing is to be done when it is
 * acknowledged alone: KVM can take that write. The bit for changes of the configuration comes and
 * goes, and its acknowledgement is a write as any other.
 *
 * Invariant: the page says what mmio_read() would, after each mmio_write() and whenever the guest
 * is told of something. All that it shows is read and stored with the device's lock held; the lock
 * here is for what vCPUs select, and is taken first.
 */
#pragma once

#include "runtime/microvm/devices/device.h"
#include "runtime/microvm/devices/loop.h"

enum { MMIO_SIZE = 0x1000, MMIO_QUEUE_NOTIFY = 0x50 };

/* For snapshots: plain data. */
struct mmio_state {
	uint32_t device_features_select, driver_features_select, queue_select;
	uint32_t interrupt; /* InterruptStatus, but for the bit for used buffers */
};

struct mmio_queue {
	struct loop_source source; /* .fd: its kicks */
	struct mmio *mmio;
};

struct mmio {
	struct device_transport transport;
	struct device *device;
	struct loop *loop;
	int irq; /* eventfd, the VMM's irqfd */
	struct mmio_queue queues[DEVICE_QUEUES_MAX];
	uint32_t *page;
	pthread_mutex_t lock; /* of .state but .interrupt, which the device's lock is for */
	struct mmio_state state;
};

/* The device, the loop, MMIO and PAGE (MMIO_SIZE bytes, aligned to 8, all zero) stay where they are
 * until mmio_close(). */
int mmio_init(
	struct mmio *mmio, struct device *device, void *page, struct loop *loop, struct err *err);
void mmio_close(struct mmio *mmio);

/* After .state and the device were restored: the registers show it, and interrupts that the guest
 * had not taken yet come again. */
void mmio_restored(struct mmio *mmio);

/* LEN is 1, 2, 4 or 8; OFFSET is below MMIO_SIZE. What is not a register reads as 0. Any thread. */
void mmio_read(struct mmio *mmio, uint32_t offset, void *ret, uint32_t len);
void mmio_write(struct mmio *mmio, uint32_t offset, const void *data, uint32_t len);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest for device tests: memory in this process, with holes around it that the address sanitizer
 * knows, and a driver that builds rings by hand. No KVM.
 */
#pragma once

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "runtime/microvm/devices/mmio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOW_SIZE = 0x40000,  /* region 0: 0 … */
	HIGH_GPA = 0x100000, /* region 1 */
	HIGH_SIZE = 0x10000,
	RING_SIZE = 8,
	RING_GPA = 0x1000, /* queue i: at RING_GPA + i × RING_STRIDE */
	RING_STRIDE = 0x1000,
	DATA_GPA = 0x10000, /* for the tests' buffers */
};

struct guest {
	struct guest_memory memory;
	uint8_t *low, *high;
	struct loop loop;
	struct mmio mmio;
	_Alignas(8) uint8_t page[MMIO_SIZE];
	struct device *device;
	uint16_t next_desc[DEVICE_QUEUES_MAX];
	uint16_t seen_used[DEVICE_QUEUES_MAX];
};

static inline void guest_init(struct guest *g)
{
	struct err err = {};

	*g = (struct guest){.low = calloc(1, LOW_SIZE), .high = calloc(1, HIGH_SIZE)};
	assert_int_equal(guest_memory_add(&g->memory, 0, LOW_SIZE, g->low), 0);
	assert_int_equal(guest_memory_add(&g->memory, HIGH_GPA, HIGH_SIZE, g->high), 0);
	assert_int_equal(loop_open(&g->loop, &err), 0);
}

static inline void guest_attach(struct guest *g, struct device *device)
{
	struct err err = {};

	g->device = device;
	assert_int_equal(mmio_init(&g->mmio, device, g->page, &g->loop, &err), 0);
}

static inline void guest_free(struct guest *g)
{
	if (g->device)
		mmio_close(&g->mmio);
	loop_close(&g->loop);
	free(g->low);
	free(g->high);
}

static inline void *guest_at(struct guest *g, uint64_t gpa)
{
	return gpa_to_hva(&g->memory, gpa, 1);
}

static inline void reg_write(struct guest *g, uint32_t reg, uint32_t value)
{
	mmio_write(&g->mmio, reg, &value, sizeof(value));
}

/* What a guest sees that reads without an exit. */
static inline uint32_t reg_shown(struct guest *g, uint32_t reg)
{
	return __atomic_load_n(g->mmio.page + reg / 4, __ATOMIC_ACQUIRE);
}

static inline uint32_t reg_read(struct guest *g, uint32_t reg)
{
	uint32_t value;

	mmio_read(&g->mmio, reg, &value, sizeof(value));
	assert_int_equal(reg_shown(g, reg), value);
	return value;
}

static inline uint64_t ring_gpa(unsigned int queue)
{
	return RING_GPA + (uint64_t)queue * RING_STRIDE;
}

static inline struct vring_desc *ring_desc(struct guest *g, unsigned int queue)
{
	return guest_at(g, ring_gpa(queue));
}

static inline struct vring_avail *ring_avail(struct guest *g, unsigned int queue)
{
	return guest_at(g, ring_gpa(queue) + 0x400);
}

static inline struct vring_used *ring_used(struct guest *g, unsigned int queue)
{
	return guest_at(g, ring_gpa(queue) + 0x800);
}

static inline void guest_negotiate(struct guest *g, uint64_t features)
{
	features |= 1ULL << VIRTIO_F_VERSION_1;
	reg_write(g, VIRTIO_MMIO_STATUS, 0);
	reg_write(g, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	reg_write(g, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (uint32_t i = 0; i < 2; i++) {
		reg_write(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		reg_write(g, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * i)));
	}
	reg_write(g, VIRTIO_MMIO_STATUS,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
}

static inline void guest_setup_queue(struct guest *g, unsigned int queue, uint32_t size)
{
	uint64_t gpa = ring_gpa(queue);

	reg_write(g, VIRTIO_MMIO_QUEUE_SEL, queue);
	reg_write(g, VIRTIO_MMIO_QUEUE_NUM, size);
	reg_write(g, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)gpa);
	reg_write(g, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)gpa + 0x400);
	reg_write(g, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)gpa + 0x800);
	reg_write(g, VIRTIO_MMIO_QUEUE_READY, 1);
}

/* Negotiates FEATURES, sets all queues up and starts the device. */
static inline void guest_start(struct guest *g, uint64_t features)
{
	guest_negotiate(g, features);
	for (unsigned int i = 0; i < g->device->ops->queues; i++)
		guest_setup_queue(g, i, RING_SIZE);
	reg_write(g, VIRTIO_MMIO_STATUS, 0xf);
}

/* Buffer I of a chain. */
struct buffer {
	uint64_t gpa;
	uint32_t len;
	bool writable;
};

/* Writes a chain into the descriptor table from NEXT_DESC on; returns its head. */
static inline uint16_t guest_chain(
	struct guest *g, unsigned int queue, const struct buffer *buffers, unsigned int count)
{
	uint16_t head = g->next_desc[queue];

	for (unsigned int i = 0; i < count; i++) {
		uint16_t at = (uint16_t)((head + i) % RING_SIZE);
		bool last = i == count - 1;

		ring_desc(g, queue)[at] = (struct vring_desc){
			.addr = buffers[i].gpa,
			.len = buffers[i].len,
			.flags = (uint16_t)((buffers[i].writable ? VRING_DESC_F_WRITE : 0) |
					    (last ? 0 : VRING_DESC_F_NEXT)),
			.next = (uint16_t)((at + 1) % RING_SIZE),
		};
	}
	g->next_desc[queue] = (uint16_t)((head + count) % RING_SIZE);
	return head;
}

static inline void guest_post(struct guest *g, unsigned int queue, uint16_t head)
{
	struct vring_avail *avail = ring_avail(g, queue);

	avail->ring[avail->idx % RING_SIZE] = head;
	avail->idx++;
}

/* Lets the loop do all that is to be done now. */
static inline void guest_settle(struct guest *g)
{
	while (loop_turn(&g->loop, 0) > 0)
		;
}

static inline void guest_kick(struct guest *g, unsigned int queue)
{
	reg_write(g, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	guest_settle(g);
}

static inline void guest_send(
	struct guest *g, unsigned int queue, const struct buffer *buffers, unsigned int count)
{
	guest_post(g, queue, guest_chain(g, queue, buffers, count));
	guest_kick(g, queue);
}

/* The length of the next used element, or −1 when there is none. */
static inline int64_t guest_used(struct guest *g, unsigned int queue)
{
	struct vring_used *used = ring_used(g, queue);

	if (used->idx == g->seen_used[queue])
		return -1;
	return used->ring[g->seen_used[queue]++ % RING_SIZE].len;
}

static inline bool guest_needs_reset(struct guest *g)
{
	return reg_read(g, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* A small generator, so that a failing seed can be tried again. */
static inline uint32_t random_next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33);
}

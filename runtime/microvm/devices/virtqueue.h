/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of a split virtqueue (virtio 1.2, section 2.7).
 *
 * Use: fill .state with what the driver wrote, virtq_activate(), then for each kick virtq_pop()
 * until it is empty, virtq_push() for each finished chain, and one virtq_must_interrupt() at the
 * end. virtq_rearm() asks for the next kick.
 *
 * Everything in the rings belongs to a hostile guest that may write at any time. Each descriptor is
 * copied once and only the copy is looked at; chains are bounded by the table they are in and by
 * VIRTQ_SEGMENTS_MAX; a buffer that does not lie in one region of RAM, a loop, a device-readable
 * buffer behind a device-writable one, or an index that runs ahead is −EBADMSG, after which the
 * device needs a reset.
 *
 * A queue is used by one thread at a time (the device's lock).
 */
#pragma once

#include "runtime/microvm/devices/memory.h"

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	VIRTQ_SIZE_MAX = 256,     /* entries in a queue */
	VIRTQ_SEGMENTS_MAX = 256, /* buffers in a chain */
};

/* What has to be kept for a snapshot: plain data, valid in any process. */
struct virtq_state {
	uint64_t desc, avail, used; /* guest physical addresses of the rings */
	uint16_t size;              /* entries, a power of 2 */
	uint16_t next_avail;        /* our place in the driver's ring */
	uint16_t next_used;         /* our place in ours */
	uint16_t signalled;         /* next_used at the last interrupt decision */
	uint8_t ready;              /* QueueReady */
	uint8_t event_idx;          /* VIRTIO_F_EVENT_IDX was negotiated */
	uint8_t indirect;           /* VIRTIO_F_INDIRECT_DESC was negotiated */
	uint8_t reserved;
};

struct virtq {
	struct virtq_state state;
	const struct guest_memory *memory; /* NULL while not active */
	const volatile struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
};

struct virtq_chain {
	uint16_t head;                /* names the chain in virtq_push() */
	uint16_t readable, writable;  /* counts in iov: first what the device reads */
	uint32_t read_len, write_len; /* bytes */
	struct iovec iov[VIRTQ_SEGMENTS_MAX];
};

/* Checks the rings and maps them. −EINVAL: size, alignment or addresses are wrong. */
int virtq_activate(struct virtq *q, const struct guest_memory *memory);
/* Forgets the rings; .state is all zero afterwards. */
void virtq_reset(struct virtq *q);

/* 1 with the next chain, 0 when there is none, −EBADMSG when the guest broke the rules. */
int virtq_pop(struct virtq *q, struct virtq_chain *ret);
/* Takes back the last virtq_pop(), whose chain was not touched. */
void virtq_unpop(struct virtq *q);
/* Gives a chain back, with the number of bytes that were written into it. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written);
/* Whether the driver wants to hear of the chains that were pushed since the last call. */
bool virtq_must_interrupt(struct virtq *q);
/* Asks for a kick at the next chain. True when one came in meanwhile: then no kick will come. */
bool virtq_rearm(struct virtq *q);
/* The same when COUNT chains wait, 1 or more: fewer are looked for without a kick. (Of a driver
 * without VIRTIO_F_EVENT_IDX one comes for each.) */
bool virtq_rearm_after(struct virtq *q, uint16_t count);

/* Copies up to LEN bytes at OFFSET of the chain's readable part; returns how many there were. */
size_t virtq_read(const struct virtq_chain *chain, size_t offset, void *ret, size_t len);
/* The same into its writable part. */
size_t virtq_write(const struct virtq_chain *chain, size_t offset, const void *data, size_t len);
/* Describes bytes OFFSET … OFFSET+LEN of the COUNT vectors in RET (room for COUNT), fewer when
 * there are fewer; returns the number of vectors. */
int iov_slice(const struct iovec *iov, int count, size_t offset, size_t len, struct iovec *ret);

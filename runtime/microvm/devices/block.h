/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-block (virtio 1.2, section 5.2) on a regular file or block device. The content is raw and
 * never looked at: there are no formats, no backing files, no SCSI.
 *
 * Requests run in io_uring(7) and own their buffers until they end; a reset waits for them. Where
 * the kernel has no io_uring they run at once, on the loop's thread.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/device.h"
#include "runtime/microvm/devices/limit.h"
#include "runtime/microvm/devices/loop.h"
#include "runtime/microvm/devices/uring.h"

#include <linux/virtio_blk.h>

enum {
	BLOCK_REQUESTS = VIRTQ_SIZE_MAX, /* under way at a time, and entries of the queue */
	/* Buffers in a request, header and status among them: no chain is longer than its queue. A
	 * driver's 1 MiB in pages that lie anywhere is two requests, and mostly one. */
	BLOCK_SEGMENTS = VIRTQ_SIZE_MAX,
	BLOCK_SECTOR = 512,
};

struct block_request {
	bool busy;
	uint16_t head;
	uint8_t *status;   /* in guest memory */
	uint32_t expected; /* bytes that the host shall move */
	uint32_t written;  /* bytes in guest memory when it succeeds, without the status */
	struct iovec iov[BLOCK_SEGMENTS];
};

struct block {
	struct device device;
	struct virtio_blk_config config;
	struct loop *loop;
	struct loop_source done; /* the ring itself, where there is one */
	struct uring uring;
	struct limit limit;
	int file;
	bool read_only;
	char serial[VIRTIO_BLK_ID_BYTES];
	unsigned int under_way;
	struct block_request requests[BLOCK_REQUESTS];
};

struct block_options {
	int file; /* taken over */
	bool read_only;
	const char *serial;             /* or NULL */
	const struct limit_rate *limit; /* or NULL */
};

/* BLOCK is all zero, and large: only the requests that are used become memory. */
int block_open(struct block *block, const struct block_options *options,
	const struct guest_memory *memory, struct loop *loop, struct err *err);
void block_close(struct block *block);

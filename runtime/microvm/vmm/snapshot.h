/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format of a saved machine's state: a header, then sections in one fixed order.
 *
 * Saving writes into a buffer that was there before the jail. Restoring reads bytes that may be
 * anybody's: every section is asked for by type, index and length, so that there is exactly one
 * layout for a machine, and what deviates from it is refused. What is in a section is judged by who
 * takes it: KVM for registers, the devices for theirs.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SNAPSHOT_VERSION = 1, /* of everything that is in a section */
	SNAPSHOT_BUILD = 32,
	SNAPSHOT_MAX = 16 << 20, /* bytes of state */
};

enum snapshot_type {
	SNAPSHOT_CPU = 1, /* what the processor can; compared, never taken */
	SNAPSHOT_ARCH,    /* from here on what the architecture's folder says */
	SNAPSHOT_SERIAL = 64,
	SNAPSHOT_MMIO,
	SNAPSHOT_DEVICE,
	SNAPSHOT_CONFIG,
	SNAPSHOT_OWN, /* of one kind of device */
};

/* What the machine must be made of to take the state. */
struct snapshot_shape {
	uint64_t memory_size; /* bytes */
	uint32_t vcpus, devices;
};

struct snapshot_writer {
	uint8_t *data;
	size_t size, len;
	bool full; /* it did not fit; nothing of it counts */
};

struct snapshot_reader {
	const uint8_t *data;
	size_t len, at;
};

/* DATA has SIZE bytes and stays the caller's. */
void snapshot_begin(
	struct snapshot_writer *w, uint8_t *data, size_t size, const struct snapshot_shape *shape);
void snapshot_put(
	struct snapshot_writer *w, uint32_t type, uint32_t index, const void *data, size_t len);
/* −EFBIG when it did not fit. */
int snapshot_finish(struct snapshot_writer *w);

/* −EINVAL with the reason when LEN bytes at DATA are not what a machine of SHAPE can take. */
int snapshot_open(struct snapshot_reader *r, const void *data, size_t len,
	const struct snapshot_shape *shape, struct err *err);
/* Copies the next section, which must be TYPE, INDEX and have LEN bytes. */
int snapshot_get(struct snapshot_reader *r, uint32_t type, uint32_t index, void *ret, size_t len,
	struct err *err);
/* The same for one whose length may be anything; *RET points into the data. */
int snapshot_get_some(struct snapshot_reader *r, uint32_t type, uint32_t index, const void **ret,
	size_t *ret_len, struct err *err);
/* −EINVAL when something is left. */
int snapshot_end(const struct snapshot_reader *r, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-balloon (virtio 1.2, section 5.5) with statistics and free page reporting: memory that the
 * guest does not need goes back to the host.
 *
 * Pages that are given back are holes in the guest's memfd: they read as zero and become memory
 * again when they are touched, so a guest that lies about them harms itself only.
 */
#pragma once

#include "runtime/microvm/devices/device.h"

#include <linux/virtio_balloon.h>

enum { BALLOON_STATS = 16 }; /* at most; VIRTIO_BALLOON_S_… index it */

struct balloon {
	struct device device;
	struct {
		uint32_t num_pages; /* what we want, in pages of 4 KiB */
		uint32_t actual;    /* what the guest says it has given */
	} config;
	uint64_t stats[BALLOON_STATS]; /* UINT64_MAX: never said */
	bool holds_stats;              /* the guest's buffer is here, to be returned for new ones */
	uint16_t stats_head;
	uint64_t given_back; /* bytes, ever: by balloon and by reporting */
};

void balloon_init(struct balloon *balloon, const struct guest_memory *memory);
/* Asks the guest to give back MIB. From the loop's thread. */
void balloon_set(struct balloon *balloon, uint64_t mib);
/* Copies what is known and asks the guest for newer numbers. */
void balloon_read_stats(struct balloon *balloon, uint64_t ret[BALLOON_STATS]);

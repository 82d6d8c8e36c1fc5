/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-pmem (virtio 1.2, section 5.19): a file as a range of guest memory, so that its pages are
 * the host's page cache and are there once for all guests. Not RAM: devices cannot reach it.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/device.h"

#include <linux/virtio_pmem.h>

enum { PMEM_ALIGN = 2 << 20 };

struct pmem {
	struct device device;
	struct virtio_pmem_config config;
	int file;
	void *hva;
	bool read_only;
};

/* FILE is taken over; its size is a multiple of PMEM_ALIGN. It shall appear at GPA; mapping it
 * there is the caller's work, read-only where .read_only says so. */
int pmem_open(struct pmem *pmem, int file, bool read_only, uint64_t gpa,
	const struct guest_memory *memory, struct err *err);
void pmem_close(struct pmem *pmem);

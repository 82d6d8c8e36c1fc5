/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as devices see it: the only way from a guest physical address to a pointer.
 *
 * The VMM fills the table before the guest runs and never changes it afterwards, so threads read it
 * without a lock. Only RAM is in it; what is not (device registers, persistent memory, holes) can
 * not be reached by a device, so no transfer ever lands on a register.
 *
 * Invariants: regions are sorted, do not overlap, and none wraps around the address space. What
 * lies behind a pointer changes under the reader at any time: copy once, then look.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { GUEST_REGION_MAX = 2 };

struct guest_region {
	uint64_t gpa, size; /* bytes */
	uint8_t *hva;
};

struct guest_memory {
	struct guest_region regions[GUEST_REGION_MAX];
	size_t count;
};

/* Adds a region behind the others; −EINVAL when it is empty, wraps, overlaps or is out of order,
 * −ENOSPC when the table is full. Before the guest runs. */
int guest_memory_add(struct guest_memory *memory, uint64_t gpa, uint64_t size, void *hva);

/* The LEN bytes from GPA, which must be at least one and all in one region; else NULL. Any thread
 * of a process that has the memory mapped. */
void *gpa_to_hva(const struct guest_memory *memory, uint64_t gpa, uint64_t len);

/* The sum of all regions, in bytes. */
uint64_t guest_memory_size(const struct guest_memory *memory);

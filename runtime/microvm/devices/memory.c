/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/memory.h"

#include <errno.h>

int guest_memory_add(struct guest_memory *memory, uint64_t gpa, uint64_t size, void *hva)
{
	const struct guest_region *last = memory->regions + memory->count - 1;

	if (memory->count == GUEST_REGION_MAX)
		return -ENOSPC;
	if (!size || gpa + size < gpa)
		return -EINVAL;
	if (memory->count && gpa < last->gpa + last->size)
		return -EINVAL;
	memory->regions[memory->count++] =
		(struct guest_region){.gpa = gpa, .size = size, .hva = hva};
	return 0;
}

void *gpa_to_hva(const struct guest_memory *memory, uint64_t gpa, uint64_t len)
{
	for (size_t i = 0; i < memory->count; i++) {
		const struct guest_region *region = memory->regions + i;
		uint64_t offset = gpa - region->gpa; /* huge when gpa is below the region */

		if (offset < region->size)
			return len && len <= region->size - offset ? region->hva + offset : NULL;
	}
	return NULL;
}

uint64_t guest_memory_size(const struct guest_memory *memory)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < memory->count; i++)
		sum += memory->regions[i].size;
	return sum;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of a machine's memory, as a file with holes: monitor and host read it alike. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

enum { EXTENT_PAGE = 4096 };

/* Finds the next bytes of the file FD that are no hole, from *FROM (bytes) on and below SIZE, in
 * whole pages: *FROM to *RET_TO. False when there are none. */
static inline bool extent_next(int fd, uint64_t size, uint64_t *from, uint64_t *ret_to)
{
	const uint64_t mask = -(uint64_t)EXTENT_PAGE;
	off_t data = lseek(fd, (off_t)*from, SEEK_DATA), hole;

	if (data < 0 || (uint64_t)data >= size)
		return false;
	hole = lseek(fd, data, SEEK_HOLE);
	*from = (uint64_t)data & mask;
	*ret_to = hole < 0 || (uint64_t)hole > size ? size
						    : ((uint64_t)hole + EXTENT_PAGE - 1) & mask;
	return true;
}

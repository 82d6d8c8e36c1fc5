/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own, or the attendant. */
#include "runtime/microvm/host/memory.h"

#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/extents.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RUN_MAX = 1 << 20 };

static bool is_zero(const uint8_t *page)
{
	static const uint8_t zeros[EXTENT_PAGE];

	return memcmp(page, zeros, EXTENT_PAGE) == 0;
}

/* All that is not zero in FROM … TO. */
static int copy_extent(int file, const uint8_t *memory, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t end = from + EXTENT_PAGE;
		ssize_t n;

		if (is_zero(memory + from)) {
			from = end;
			continue;
		}
		while (end < to && end - from < RUN_MAX && !is_zero(memory + end))
			end += EXTENT_PAGE;
		n = pwrite(file, memory + from, end - from, (off_t)from);
		if (n < 0 && errno != EINTR)
			return -errno;
		from += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

/* Sealed against shrinking, so that reading it cannot end this process. */
static int check(int memory, uint64_t *ret_size)
{
	struct stat st;
	int seals = fcntl(memory, F_GET_SEALS), r = sys_fstat(memory, &st);

	if (r < 0)
		return r;
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || st.st_size <= 0 || st.st_size % EXTENT_PAGE)
		return -EPROTO;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

int memory_copy(int memory, int file, struct err *err)
{
	uint64_t size = 0, from = 0, to;
	uint8_t *at;
	int r = check(memory, &size);

	if (r == 0)
		r = sys_ftruncate(file, (off_t)size);
	if (r < 0)
		return err_sys(err, r, "the virtual machine's memory");
	at = mmap(NULL, size, PROT_READ, MAP_SHARED, memory, 0);
	if (at == MAP_FAILED)
		return err_sys(err, -errno, "the virtual machine's memory");
	while (r == 0 && extent_next(memory, size, &from, &to)) {
		r = copy_extent(file, at, from, to);
		from = to;
	}
	munmap(at, size);
	if (r == 0 && fsync(file) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "write the virtual machine's memory") : 0;
}

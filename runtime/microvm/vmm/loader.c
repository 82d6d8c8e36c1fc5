/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/loader.h"

#include "base/sys.h"
#include "runtime/microvm/extents.h"

#include <sys/mman.h>

#ifndef MADV_COLLAPSE /* Linux 6.1 */
#define MADV_COLLAPSE 25
#endif

enum {
	PAGE = 4096,
	HUGE_PAGE = 2 << 20,
	DESCRIBED = 64,      /* what describes a page of the guest's takes a 64th of it */
	EARLY_MIN = 8 << 20, /* bytes: and what else its kernel takes before it has an allocator */
};

int loader_read(int fd, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			sys_pread(fd, (uint8_t *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -ENOEXEC;
		done += (size_t)n;
	}
	return 0;
}

int loader_size(int fd, uint64_t *ret)
{
	struct stat st;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* As loader_read(), into memory that is zero: holes are left out. */
static int read_extents(int fd, uint8_t *buf, uint64_t len, uint64_t offset)
{
	uint64_t end = offset + len, from = offset, to, size;
	int r = loader_size(fd, &size);

	if (r == 0 && end > size)
		r = -ENOEXEC;
	while (r == 0 && from < end && extent_next(fd, end, &from, &to)) {
		from = from < offset ? offset : from;
		to = to > end ? end : to;
		r = loader_read(fd, buf + (from - offset), to - from, from);
		from = to;
	}
	return r;
}

int loader_place(int fd, const struct guest_memory *memory, uint64_t floor, uint64_t offset,
	uint64_t gpa, uint64_t file_len, uint64_t mem_len)
{
	void *hva;

	if (file_len > mem_len || gpa < floor || offset > INT64_MAX - file_len)
		return -ENOEXEC;
	hva = gpa_to_hva(memory, gpa, mem_len);
	if (!hva)
		return -ENOMEM;
	return read_extents(fd, hva, file_len, offset); /* the rest is zero: memory is fresh */
}

void loader_expect(const struct guest_memory *memory, uint64_t gpa, uint64_t end)
{
	const uint64_t mask = -(uint64_t)HUGE_PAGE;
	uint8_t *hva;

	gpa &= mask;
	end &= mask; /* what is left of the last one may be nobody's */
	hva = end > gpa ? gpa_to_hva(memory, gpa, end - gpa) : NULL;
	if (!hva)
		return;
	/* The kernel makes nothing out of nothing: each needs one small page. */
	for (uint64_t at = 0; at < end - gpa; at += HUGE_PAGE)
		(void)*(volatile uint8_t *)(hva + at);
	madvise(hva, end - gpa, MADV_COLLAPSE);
}

/* Linux takes its first memory from the top down, below the initramfs. */
static uint64_t expect_early(
	const struct guest_memory *memory, const struct kernel_image *image, uint64_t gpa)
{
	uint64_t early = guest_memory_size(memory) / DESCRIBED + EARLY_MIN;

	return gpa > image->end && gpa - image->end > early ? gpa - early : gpa;
}

int initramfs_load(int fd, const struct guest_memory *memory, const struct kernel_image *image,
	uint64_t *ret_gpa, uint64_t *ret_size, struct err *err)
{
	uint64_t end = memory->regions[0].gpa + memory->regions[0].size, size, gpa;
	void *hva = NULL;
	int r = loader_size(fd, &size);

	if (r < 0 || !size)
		return err_set(
			err, r < 0 ? r : -EINVAL, "initramfs: not a regular file with content");
	if (end > image->initrd_max)
		end = image->initrd_max + 1;
	gpa = size < end ? (end - size) & ~(uint64_t)(PAGE - 1) : 0;
	if (gpa >= image->end)
		hva = gpa_to_hva(memory, gpa, size);
	if (!hva)
		return err_set(err, -ENOMEM,
			"initramfs: %llu bytes do not fit beside the kernel, give the guest more "
			"memory",
			(unsigned long long)size);
	loader_expect(memory, expect_early(memory, image, gpa), gpa + size);
	r = loader_read(fd, hva, size, 0);
	if (r < 0)
		return err_sys(err, r, "initramfs");
	*ret_gpa = gpa;
	*ret_size = size;
	return 0;
}

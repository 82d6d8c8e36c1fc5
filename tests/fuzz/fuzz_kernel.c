/* SPDX-License-Identifier: Apache-2.0 */
/* H11: any file as a kernel: an error, or an entry and an end inside of the guest's memory. */
#include "base/sys.h"
#include "runtime/microvm/vmm/aarch64/image.h"
#include "runtime/microvm/vmm/x86/kernel.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

enum { MEMORY = 8 << 20, GUARD = 4096, INITRAMFS = 5000 };

static uint8_t *memory_with_guards(void)
{
	uint8_t *area = mmap(NULL, MEMORY + 2 * GUARD, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	REQUIRE(area != MAP_FAILED);
	REQUIRE(mprotect(area + GUARD, MEMORY, PROT_READ | PROT_WRITE) == 0);
	return area;
}

static int file_of(const void *data, size_t size)
{
	int fd = sys_memfd_create("kernel", 0);

	REQUIRE(fd >= 0 && sys_write(fd, data, size) == (ssize_t)size);
	return fd;
}

static void check(
	const struct guest_memory *memory, const struct kernel_image *image, int initramfs)
{
	struct err err = {};
	uint64_t gpa, len;

	REQUIRE(image->entry < MEMORY && image->end <= MEMORY);
	if (initramfs_load(initramfs, memory, image, &gpa, &len, &err) == 0)
		REQUIRE(len == INITRAMFS && gpa >= image->end && gpa + len <= MEMORY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t initramfs[INITRAMFS];
	uint8_t *area = memory_with_guards();
	struct guest_memory memory = {};
	struct kernel_image image;
	struct x86_kernel kernel;
	struct err err = {};
	int file = file_of(data, size), other = file_of(initramfs, sizeof(initramfs));

	REQUIRE(guest_memory_add(&memory, 0, MEMORY, area + GUARD) == 0);
	if (x86_kernel_load(file, &memory, &kernel, &err) == 0)
		check(&memory, &kernel.image, other);
	else
		REQUIRE(err.code < 0);
	if (image_load(file, &memory, 2 << 20, &image, &err) == 0)
		check(&memory, &image, other);
	close(file);
	close(other);
	munmap(area, MEMORY + 2 * GUARD);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/aarch64/image.h"

#include <endian.h>

enum { BIG_ENDIAN_KERNEL = 1, OLD_TEXT_OFFSET = 0x80000, TEXT_OFFSET_MAX = 0x200000 };

#define IMAGE_MAGIC     0x644d5241u  /* "ARM\x64" */
#define INITRD_DISTANCE (1ULL << 30) /* the initramfs lies in a window of 32 GiB: 1 is enough */

struct image_header {
	uint32_t code[2];
	uint64_t text_offset, image_size, flags;
	uint64_t reserved[3];
	uint32_t magic, pe_header;
};

static int check(const struct image_header *h, uint64_t size)
{
	if (le32toh(h->magic) != IMAGE_MAGIC || le64toh(h->flags) & BIG_ENDIAN_KERNEL)
		return -ENOEXEC;
	if (le64toh(h->text_offset) >= TEXT_OFFSET_MAX)
		return -ENOEXEC;
	/* Before Linux 3.17 the size was 0, and the offset not told in a known order. */
	return h->image_size && le64toh(h->image_size) < size ? -ENOEXEC : 0;
}

static int load(int fd, const struct guest_memory *memory, uint64_t base, struct kernel_image *ret)
{
	struct image_header h;
	uint64_t size = 0, length, at;
	int r = loader_size(fd, &size);

	if (r == 0)
		r = loader_read(fd, &h, sizeof(h), 0);
	if (r == 0)
		r = check(&h, size);
	if (r < 0)
		return r;
	length = h.image_size ? le64toh(h.image_size) : size;
	at = base + (h.image_size ? le64toh(h.text_offset) : OLD_TEXT_OFFSET);
	r = loader_place(fd, memory, base, 0, at, size, length);
	if (r < 0)
		return r;
	*ret = (struct kernel_image){
		.entry = at, .end = at + length, .initrd_max = at + INITRD_DISTANCE - 1};
	return 0;
}

int image_load(int fd, const struct guest_memory *memory, uint64_t base, struct kernel_image *ret,
	struct err *err)
{
	int r = load(fd, memory, base, ret);

	if (r == -ENOMEM)
		return err_set(err, r, "kernel: does not fit into the guest's memory");
	return r < 0 ? err_set(err, r, "kernel: not an Image of a little-endian arm64 kernel") : 0;
}

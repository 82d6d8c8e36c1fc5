/* SPDX-License-Identifier: Apache-2.0 */
/* What is pure of aarch64: the device tree's form and content, and the loader of its kernels. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/vmm/aarch64/aarch64.h"
#include "runtime/microvm/vmm/aarch64/fdt.h"
#include "runtime/microvm/vmm/aarch64/image.h"
#include "runtime/microvm/vmm/aarch64/tree.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- a reader of trees, by the specification --- */

static uint32_t word(const struct buf *tree, size_t at)
{
	uint32_t value;

	assert_true(at % 4 == 0 && at + 4 <= tree->len);
	memcpy(&value, tree->data + at, sizeof(value));
	return be32toh(value);
}

struct found {
	const char *data;
	uint32_t len;
};

/* The property NAME of the node whose path is PATH ("/cpus/cpu@0"); checks the whole form. */
static struct found find(const struct buf *tree, const char *path, const char *name)
{
	size_t at = word(tree, 8), names = word(tree, 12);
	struct found found = {};
	char where[256] = "";
	int depth = 0;

	assert_int_equal(word(tree, 0), 0xd00dfeed);
	assert_int_equal(word(tree, 4), tree->len);
	assert_int_equal(names + word(tree, 32), tree->len);
	assert_int_equal(at + word(tree, 36), names);
	for (;;) {
		uint32_t token = word(tree, at);
		const char *text = tree->data + at + 4;
		uint32_t len;

		at += 4;
		if (token == 1) {
			if (depth++)
				snprintf(where + strlen(where), sizeof(where) - strlen(where),
					"/%s", text);
			at += (strlen(text) + 4) & ~3UL;
		} else if (token == 2) {
			char *slash = strrchr(where, '/');

			depth--;
			if (slash)
				*slash = 0;
		} else if (token == 3) {
			len = word(tree, at);
			if (!strcmp(where, path) &&
				!strcmp(tree->data + names + word(tree, at + 4), name))
				found = (struct found){tree->data + at + 8, len};
			at += 8 + ((len + 3) & ~3U);
		} else {
			break;
		}
	}
	assert_int_equal(word(tree, at - 4), 9);
	assert_int_equal(at, names);
	assert_int_equal(depth, 0);
	return found;
}

static uint64_t number(const struct buf *tree, const char *path, const char *name, int index)
{
	struct found f = find(tree, path, name);
	uint64_t value;

	assert_non_null(f.data);
	assert_true(f.len >= (uint32_t)(index + 1) * 8);
	memcpy(&value, f.data + index * 8, sizeof(value));
	return be64toh(value);
}

static uint32_t cell(const struct buf *tree, const char *path, const char *name, int index)
{
	struct found f = find(tree, path, name);
	uint32_t value;

	assert_non_null(f.data);
	assert_true(f.len >= (uint32_t)(index + 1) * 4);
	memcpy(&value, f.data + index * 4, sizeof(value));
	return be32toh(value);
}

static void test_writer(void **state)
{
	static const uint32_t cells[] = {1, 0xfffffffe};
	static const uint64_t numbers[] = {0x123456789abcdef0};
	autobuf struct buf tree = {};
	struct fdt fdt = {};

	(void)state;
	fdt_begin(&fdt, "");
	fdt_text(&fdt, "model", "abc");
	fdt_begin(&fdt, "child@1");
	fdt_cells(&fdt, "cells", cells, 2);
	fdt_numbers(&fdt, "numbers", numbers, 1);
	fdt_empty(&fdt, "model"); /* a name that is there already */
	fdt_bytes(&fdt, "odd", "12345", 5);
	fdt_end(&fdt);
	fdt_end(&fdt);
	assert_int_equal(fdt_finish(&fdt, &tree), 0);
	assert_string_equal(find(&tree, "", "model").data, "abc");
	assert_int_equal(find(&tree, "/child@1", "model").len, 0);
	assert_int_equal(cell(&tree, "/child@1", "cells", 1), 0xfffffffe);
	assert_true(number(&tree, "/child@1", "numbers", 0) == numbers[0]);
	assert_int_equal(find(&tree, "/child@1", "odd").len, 5);
	assert_int_equal(word(&tree, 32), sizeof("model\0cells\0numbers\0odd"));

	fdt_begin(&fdt, ""); /* not ended */
	assert_int_equal(fdt_finish(&fdt, &tree), -EINVAL);
}

static void test_tree(void **state)
{
	static const struct arch_device devices[] = {{0xb000000, 16}, {0xb001000, 17}};
	const struct tree_machine m = {.vcpus = 18,
		.memory_size = 512ULL << 20,
		.command_line = "quiet",
		.initramfs = 0x9f000000,
		.initramfs_size = 0x1234,
		.devices = devices,
		.device_count = 2};
	autobuf struct buf tree = {};

	(void)state;
	assert_int_equal(tree_write(&m, &tree), 0);
	assert_string_equal(find(&tree, "/chosen", "bootargs").data, "quiet");
	assert_int_equal(number(&tree, "/chosen", "linux,initrd-end", 0), 0x9f001234);
	assert_int_equal(number(&tree, "/memory@80000000", "reg", 0), AARCH64_RAM);
	assert_int_equal(number(&tree, "/memory@80000000", "reg", 1), m.memory_size);
	assert_string_equal(find(&tree, "/cpus/cpu@0", "enable-method").data, "psci");
	assert_int_equal(cell(&tree, "/cpus/cpu@101", "reg", 0), 0x101); /* the 18th */
	assert_null(find(&tree, "/cpus/cpu@102", "reg").data);
	assert_int_equal(number(&tree, "/interrupt-controller@8000000", "reg", 3), 18 * 0x20000);
	assert_int_equal(cell(&tree, "", "interrupt-parent", 0),
		cell(&tree, "/interrupt-controller@8000000", "phandle", 0));
	assert_string_equal(find(&tree, "/psci", "method").data, "hvc");
	assert_int_equal(find(&tree, "/timer", "interrupts").len, 48);
	assert_string_equal(find(&tree, "/serial@a000000", "compatible").data, "ns16550a");
	assert_string_equal(find(&tree, "/virtio_mmio@b001000", "compatible").data, "virtio,mmio");
	assert_int_equal(cell(&tree, "/virtio_mmio@b001000", "interrupts", 1), 17);
	assert_null(find(&tree, "/virtio_mmio@b002000", "reg").data);
}

/* --- the loader --- */

enum { BASE = 0x200000, MEMORY = 8 << 20, FILE_LEN = 4096 };

struct image_header {
	uint32_t code[2];
	uint64_t text_offset, image_size, flags, reserved[3];
	uint32_t magic, pe;
};

static uint8_t *memory_bytes;

static int load(const struct image_header *h, size_t len, struct kernel_image *ret)
{
	uint8_t file[FILE_LEN] = {};
	struct guest_memory memory = {};
	struct err err = {};
	int fd = sys_memfd_create("image", 0), r;

	memcpy(file, h, sizeof(*h));
	file[FILE_LEN - 1] = 0x77;
	assert_int_equal(fd_write_all(fd, file, len), 0);
	assert_int_equal(guest_memory_add(&memory, 0, MEMORY, memory_bytes), 0);
	r = image_load(fd, &memory, BASE, ret, &err);
	close(fd);
	return r;
}

static void test_image(void **state)
{
	const struct image_header good = {
		.text_offset = 0x10000, .image_size = 0x5000, .magic = 0x644d5241};
	struct image_header h = good;
	struct kernel_image image;

	(void)state;
	memory_bytes = calloc(1, MEMORY);
	assert_int_equal(load(&h, FILE_LEN, &image), 0);
	assert_int_equal(image.entry, BASE + 0x10000);
	assert_int_equal(image.end, BASE + 0x15000);
	assert_int_equal(memory_bytes[BASE + 0x10000 + FILE_LEN - 1], 0x77);
	h.image_size = 0; /* an old kernel: the offset that all had */
	assert_int_equal(load(&h, FILE_LEN, &image), 0);
	assert_int_equal(image.entry, BASE + 0x80000);

#define REFUSED(change, error) \
	(h = good, change, assert_int_equal(load(&h, FILE_LEN, &image), (error)))
	REFUSED(h.magic = 0, -ENOEXEC);
	REFUSED(h.flags = 1, -ENOEXEC);
	REFUSED(h.text_offset = 0x200000, -ENOEXEC);
	REFUSED(h.text_offset = UINT64_MAX, -ENOEXEC);
	REFUSED(h.image_size = 100, -ENOEXEC); /* less than the file */
	REFUSED(h.image_size = MEMORY, -ENOMEM);
	REFUSED(h.image_size = UINT64_MAX, -ENOMEM);
	assert_int_equal(load(&good, 40, &image), -ENOEXEC);
	free(memory_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF file within a bzImage, of each compression, and within broken ones. */
#include "runtime/microvm/boot/unpack.h"

#include "base/cleanup.h"

#include "tests/unit/unit.h"
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { SETUP = 2 * 512, OFFSET = 100, KERNEL = 300000 };

static uint8_t kernel[KERNEL], image[SETUP + OFFSET + 2 * KERNEL];

static void put32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

/* Makes IMAGE around what is at its payload's place already. */
static size_t finish(size_t packed, bool with_size)
{
	uint8_t *payload = image + SETUP + OFFSET;

	if (with_size) {
		put32(payload + packed, KERNEL);
		packed += 4;
	}
	memset(image, 0, SETUP);
	image[0x1f1] = 1;
	memcpy(image + 0x202, "HdrS\x0f\x02", 6);
	put32(image + 0x248, OFFSET);
	put32(image + 0x24c, (uint32_t)packed);
	return SETUP + OFFSET + packed;
}

static size_t make_lz4(void)
{
	uint8_t *payload = image + SETUP + OFFSET;
	int n = LZ4_compress_default((const char *)kernel, (char *)payload + 8, KERNEL, KERNEL);

	assert_true(n > 0);
	memcpy(payload, "\x02\x21\x4c\x18", 4);
	put32(payload + 4, (uint32_t)n);
	return finish((size_t)n + 8, true);
}

static size_t make_gzip(void)
{
	z_stream z = {.next_in = kernel,
		.avail_in = KERNEL,
		.next_out = image + SETUP + OFFSET,
		.avail_out = KERNEL};

	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return finish(z.total_out, false);
}

static size_t make_zstd(void)
{
	size_t n = ZSTD_compress(image + SETUP + OFFSET, KERNEL, kernel, KERNEL, 1);

	assert_false(ZSTD_isError(n));
	return finish(n, true);
}

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < KERNEL; i++)
		kernel[i] = (uint8_t)(i * i / 1000);
	memcpy(kernel, ELFMAG, SELFMAG);
	return 0;
}

static size_t (*const makers[])(void) = {make_lz4, make_gzip, make_zstd};

static void test_each_compression(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		autobuf struct buf elf = {};
		size_t len = makers[i]();

		assert_int_equal(unpack_kernel(image, len, &elf), 0);
		assert_int_equal(elf.len, KERNEL);
		assert_memory_equal(elf.data, kernel, KERNEL);
	}
}

static void test_other_files(void **state)
{
	autobuf struct buf elf = {};
	size_t len = make_lz4();

	(void)state;
	assert_int_equal(unpack_kernel(kernel, KERNEL, &elf), -ENOEXEC);
	assert_int_equal(unpack_kernel(image, 0x24f, &elf), -ENOEXEC);
	assert_int_equal(unpack_kernel(image, len - 1, &elf), -ENOEXEC);
	image[SETUP + OFFSET] ^= 1;
	assert_int_equal(unpack_kernel(image, len, &elf), -EOPNOTSUPP);
	len = make_lz4();
	put32(image + len - 4, UNPACK_MAX + 1);
	assert_int_equal(unpack_kernel(image, len, &elf), -EOPNOTSUPP);
}

/* Every length and every changed byte is a result, never more. */
static void test_broken(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		size_t len = makers[i]();

		for (int round = 0; round < 300; round++) {
			autobuf struct buf elf = {};
			size_t at = 0x1f0 + (size_t)rand() % (len - 0x1f0);
			uint8_t was = image[at];

			image[at] = (uint8_t)rand();
			(void)!unpack_kernel(image, len, &elf);
			buf_free(&elf);
			(void)!unpack_kernel(image, at, &elf);
			image[at] = was;
		}
	}
}

/* The file of the cache: whole, found again, and without room for zeros. */
static void test_cache(void **state)
{
	enum { ZEROS_AT = 65536, ZEROS = 2 * 65536 };
	char name[] = "/tmp/test-unpack.XXXXXX", path[300];
	autoclose int bz = memfd_create("bzImage", 0), dir = -1, file = -1, again = -1;
	static uint8_t was[ZEROS], read_back[KERNEL];
	struct dirent *entry;
	struct err err = {};
	struct stat st;
	size_t len;
	DIR *list;

	(void)state;
	memcpy(was, kernel + ZEROS_AT, ZEROS);
	memset(kernel + ZEROS_AT, 0, ZEROS);
	len = make_lz4();
	assert_int_equal(write(bz, image, len), len);
	assert_non_null(mkdtemp(name));
	dir = open(name, O_RDONLY | O_DIRECTORY);
	file = unpack_open(bz, dir, &err);
	assert_true(file >= 0);
	assert_int_equal(fstat(file, &st), 0);
	assert_int_equal(st.st_size, KERNEL);
	assert_true(st.st_blocks * 512 <= KERNEL - ZEROS + 8192);
	assert_int_equal(pread(file, read_back, KERNEL, 0), KERNEL);
	assert_memory_equal(read_back, kernel, KERNEL);
	again = unpack_open(bz, dir, &err);
	assert_true(again >= 0);
	memcpy(kernel + ZEROS_AT, was, ZEROS);

	list = opendir(name);
	while ((entry = readdir(list))) {
		snprintf(path, sizeof(path), "%s/%s", name, entry->d_name);
		unlink(path);
	}
	closedir(list);
	assert_int_equal(rmdir(name), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_compression),
		cmocka_unit_test(test_other_files),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_cache),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

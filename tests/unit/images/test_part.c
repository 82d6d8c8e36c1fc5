/* SPDX-License-Identifier: Apache-2.0 */
#include "images/part.h"

#include "base/path.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char digest[] =
	"sha256:0000000000000000000000000000000000000000000000000000000000000001";
enum { SIZE = 2 * PART_CHUNK + 100 };
static char dir[64];
static struct store *store;
static char *noise;

static int begin(void **state)
{
	struct store_options options = {.root = dir, .helper = "/bin/true"};
	struct err err = {};

	(void)state;
	strcpy(dir, "/tmp/test_part.XXXXXX");
	noise = calloc(1, PART_CHUNK);
	return noise && mkdtemp(dir) ? store_open(&options, &store, &err) : -1;
}

static int end(void **state)
{
	(void)state;
	store_close(store);
	free(noise);
	return path_remove_tree(AT_FDCWD, dir);
}

static struct part *open_part(void)
{
	struct part *part = NULL;
	struct err err = {};

	assert_int_equal(part_open(store, digest, SIZE, &part, &err), 0);
	return part;
}

static void claims(void **state)
{
	struct part *part = open_part();
	uint64_t offset, len;

	(void)state;
	assert_int_equal(part_size(part), SIZE);
	assert_false(part_was_resumed(part));
	assert_int_equal(part_claim(part, 0, &offset, &len), 0);
	assert_true(offset == 0 && len == PART_CHUNK);
	assert_int_equal(part_claim(part, 0, &offset, &len), 1);
	assert_false(part_claim_next(part, 0));
	assert_int_equal(part_claim(part, 2, &offset, &len), 2);
	assert_true(offset == 2 * (uint64_t)PART_CHUNK && len == 100);
	assert_int_equal(part_claim(part, 0, &offset, &len), -ENOENT);
	part_release(part, 1);
	assert_true(part_claim_next(part, 0));
	part_close(part);
}

static void bytes(void **state)
{
	struct part *part = open_part();
	struct err err = {};
	uint64_t offset, len;
	char text[8] = "";

	(void)state;
	assert_int_equal(part_claim(part, 2, &offset, &len), 2);
	assert_int_equal(part_write(part, 2, noise, 101, &err), -EMSGSIZE);
	assert_int_equal(part_write(part, 2, "hello", 5, &err), 0);
	assert_int_equal(part_chunk_missing(part, 2), 95);
	assert_int_equal(part_present(part), 5);
	assert_int_equal(part_wait(part, 2 * (uint64_t)PART_CHUNK, &err), 5);
	assert_int_equal(part_read(part, text, 5, 2 * (uint64_t)PART_CHUNK), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(part_wait(part, SIZE, &err), 0);
	part_close(part);
}

/* What an earlier process wrote is there, and only that is missing which it did not. */
static void resumed(void **state)
{
	struct part *part = open_part();
	struct err err = {};
	uint64_t offset, len;

	(void)state;
	assert_int_equal(part_claim(part, 0, &offset, &len), 0);
	assert_int_equal(part_write(part, 0, noise, PART_CHUNK, &err), 0);
	assert_int_equal(part_claim(part, 1, &offset, &len), 1);
	assert_int_equal(part_write(part, 1, noise, 10, &err), 0);
	part_close(part);
	part = open_part();
	assert_true(part_was_resumed(part));
	assert_int_equal(part_present(part), PART_CHUNK + 10);
	assert_int_equal(part_claim(part, 0, &offset, &len), 1);
	assert_true(offset == PART_CHUNK + 10 && len == PART_CHUNK - 10);
	assert_int_equal(part_reset(part), 0);
	assert_int_equal(part_present(part), 0);
	part_close(part);
}

static void failed(void **state)
{
	struct part *part = open_part();
	struct err why = {}, err = {};

	(void)state;
	err_set(&why, -EPIPE, "cut off");
	part_fail(part, &why);
	assert_true(part_has_failed(part));
	assert_int_equal(part_wait(part, 0, &err), -EPIPE);
	assert_string_equal(err.text, "cut off");
	part_close(part);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(claims),
		TEST(bytes),
		TEST(resumed),
		TEST(failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

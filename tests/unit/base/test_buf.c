/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "tests/unit/unit.h"

#include <stdio.h>

static void test_append(void **state)
{
	autobuf struct buf buf = {};
	(void)state;

	assert_string_equal(buf_str(&buf), "");
	buf_add(&buf, NULL, 0);
	assert_string_equal(buf_str(&buf), "");
	buf_puts(&buf, "one");
	buf_printf(&buf, " %d", 2);
	buf_add(&buf, "\0x", 2);
	assert_int_equal(buf.len, 7);
	assert_memory_equal(buf.data, "one 2\0x", 8);
	assert_false(buf.failed);
}

static void test_growth(void **state)
{
	autobuf struct buf buf = {};
	(void)state;

	for (int i = 0; i < 10000; i++)
		buf_printf(&buf, "%04d", i);
	assert_int_equal(buf.len, 40000);
	for (int i = 0; i < 10000; i++) {
		char want[8];

		snprintf(want, sizeof(want), "%04d", i);
		assert_memory_equal(buf.data + 4 * i, want, 4);
	}
	assert_int_equal(buf.data[buf.len], 0);
}

static void test_reserve(void **state)
{
	autobuf struct buf buf = {};
	char *p = buf_reserve(&buf, 1000);
	(void)state;

	assert_non_null(p);
	assert_int_equal(buf.len, 0);
	memset(p, 'x', 1000);
	buf.len = 1000;
	buf_puts(&buf, "y");
	assert_int_equal(buf.data[999], 'x');
	assert_int_equal(buf.data[1000], 'y');
}

static void test_failure_is_remembered(void **state)
{
	autobuf struct buf buf = {};
	(void)state;

	buf_puts(&buf, "kept");
	assert_null(buf_reserve(&buf, SIZE_MAX - 2));
	assert_true(buf.failed);
	buf_puts(&buf, "more");
	buf_printf(&buf, "%d", 1);
	assert_string_equal(buf_str(&buf), "kept");
	buf_free(&buf);
	assert_false(buf.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_failure_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "tests/unit/unit.h"

static void formats(const char *want, int64_t ns)
{
	char text[CLOCK_TEXT_MAX];

	clock_format_ns(ns, text);
	assert_string_equal(text, want);
}

static void test_nanoseconds(void **state)
{
	(void)state;
	formats("1970-01-01T00:00:00.000000000Z", 0);
	formats("1970-01-01T00:00:01.250000000Z", 1250000000);
	formats("1969-12-31T23:59:59.999999999Z", -1);
	formats("1969-12-31T23:59:59.000000000Z", -1000000000);
	formats("1677-09-21T00:12:43.145224192Z", INT64_MIN);
	formats("2262-04-11T23:47:16.854775807Z", INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nanoseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

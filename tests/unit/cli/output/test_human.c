/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/human.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *three, *four, *binary;
	} cases[] = {
		{0, "0B", "0B", "0B"},
		{999, "999B", "999B", "999B"},
		{1000, "1kB", "1kB", "1000B"},
		{1234567, "1.23MB", "1.235MB", "1.177MiB"},
		{72800000, "72.8MB", "72.8MB", "69.43MiB"},
		{999700, "1MB", "999.7kB", "976.3KiB"},
		{UINT64_MAX, "18.4EB", "18.45EB", "16EiB"},
	};
	char text[HUMAN_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		human_size(cases[i].bytes, 3, text);
		assert_string_equal(text, cases[i].three);
		human_size(cases[i].bytes, 4, text);
		assert_string_equal(text, cases[i].four);
		human_size_binary(cases[i].bytes, text);
		assert_string_equal(text, cases[i].binary);
	}
}

static void ages(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{-5, "Less than a second ago"},
		{0, "Less than a second ago"},
		{1, "1 second ago"},
		{59, "59 seconds ago"},
		{60, "About a minute ago"},
		{120, "2 minutes ago"},
		{3600, "About an hour ago"},
		{7200, "2 hours ago"},
		{47 * 3600, "47 hours ago"},
		{48 * 3600, "2 days ago"},
		{13 * 86400, "13 days ago"},
		{14 * 86400, "2 weeks ago"},
		{60 * 86400, "2 months ago"},
		{729 * 86400, "24 months ago"},
		{730 * 86400, "2 years ago"},
	};
	char text[HUMAN_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		human_age(1000000000 - cases[i].seconds, 1000000000, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void times(void **state)
{
	static const char *const bad[] = {"", "x", "2026-13-01", "2026-02-29", "2026-01-01T25:00",
		"2026-01-01T10:00:00.", "2026-01-01T10:00:00+1", "2026-01-01x", "12a", "1.x"};
	uint32_t ns;
	int64_t t;

	(void)state;
	assert_int_equal(human_parse_time("1970-01-01T00:00:00Z", &t, &ns), 0);
	assert_int_equal(t, 0);
	assert_int_equal(human_parse_time("2026-01-31T12:00:00.000000001Z", &t, &ns), 0);
	assert_int_equal(t, 1769860800);
	assert_int_equal(ns, 1);
	assert_int_equal(human_parse_time("2026-01-31T12:00:00+01:00", &t, NULL), 0);
	assert_int_equal(t, 1769857200);
	assert_int_equal(human_parse_time("2026-01-31", &t, NULL), 0);
	assert_int_equal(t, 1769817600);
	assert_int_equal(human_parse_time("2024-02-29T10:00", &t, NULL), 0);
	assert_int_equal(t, 1709200800);
	assert_int_equal(human_parse_time("1769860800.5", &t, &ns), 0);
	assert_int_equal(t, 1769860800);
	assert_int_equal(ns, 500000000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(human_parse_time(bad[i], &t, &ns), -EINVAL);
}

static void durations(void **state)
{
	static const char *const bad[] = {"", "-", "1", "h", "1x", "1h2", "1.2.3s", "1 h"};
	int64_t ns;

	(void)state;
	assert_int_equal(human_parse_duration("1h30m", &ns), 0);
	assert_int_equal(ns, INT64_C(5400000000000));
	assert_int_equal(human_parse_duration("1.5s", &ns), 0);
	assert_int_equal(ns, 1500000000);
	assert_int_equal(human_parse_duration("300ms", &ns), 0);
	assert_int_equal(ns, 300000000);
	assert_int_equal(human_parse_duration("-2d", &ns), 0);
	assert_int_equal(ns, INT64_C(-172800000000000));
	assert_int_equal(human_parse_duration("0", &ns), 0);
	assert_int_equal(ns, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(human_parse_duration(bad[i], &ns), -EINVAL);
	assert_int_equal(human_parse_duration("999999999999h", &ns), -ERANGE);
}

static void moments(void **state)
{
	struct err err = {};
	int64_t t;

	(void)state;
	assert_int_equal(human_parse_moment("10m", 1000000, &t, &err), 0);
	assert_int_equal(t, 999400);
	assert_int_equal(human_parse_moment("1970-01-02", 1000000, &t, &err), 0);
	assert_int_equal(t, 86400);
	assert_int_equal(human_parse_moment_ns("0s", 1999999999, &t, &err), 0);
	assert_int_equal(t, 1999999999);
	assert_int_equal(human_parse_moment_ns("500ms", 1999999999, &t, &err), 0);
	assert_int_equal(t, 1499999999);
	assert_int_equal(human_parse_moment_ns("1970-01-01T00:00:01.25Z", 0, &t, &err), 0);
	assert_int_equal(t, 1250000000);
	assert_int_equal(human_parse_moment_ns("9999-01-01", 0, &t, &err), 0);
	assert_true(t == INT64_MAX);
	assert_int_equal(human_parse_moment("soon", 1000000, &t, &err), -EINVAL);
	assert_non_null(strstr(err.text, "\"soon\""));
}

static void harmless(void **state)
{
	static const char text[] = "a\033[2Jb\ac\xc2\x9b"
				   "31m\xff ä€\xf0\x9f\x98\x80\xe2\x80\xae";
	autobuf struct buf out = {};

	(void)state;
	human_text(text, sizeof(text) - 1, &out);
	assert_string_equal(buf_str(&out), "a?[2Jb?c??31m? ä€😀???");
	assert_int_equal(human_width("ä€x", strlen("ä€x")), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(ages),
		cmocka_unit_test(times),
		cmocka_unit_test(durations),
		cmocka_unit_test(moments),
		cmocka_unit_test(harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

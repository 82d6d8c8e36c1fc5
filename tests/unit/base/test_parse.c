/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static void test_u32(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "+1", "-1", "0x10", "1.0", "a", "1a", "４", "\n", "1\n"};
	uint32_t n = 77;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_u32(bad[i], &n), -EINVAL);
	assert_int_equal(parse_u32("4294967296", &n), -ERANGE);
	assert_int_equal(parse_u32("99999999999999999999999", &n), -ERANGE);
	assert_int_equal(n, 77);
	assert_int_equal(parse_u32("4294967295", &n), 0);
	assert_true(n == UINT32_MAX);
	assert_int_equal(parse_u32("007", &n), 0);
	assert_int_equal(n, 7);
}

static void test_u64(void **state)
{
	uint64_t n = 77;
	(void)state;

	assert_int_equal(parse_u64("18446744073709551616", &n), -ERANGE);
	assert_int_equal(parse_u64("184467440737095516150", &n), -ERANGE);
	assert_true(n == 77);
	assert_int_equal(parse_u64("18446744073709551615", &n), 0);
	assert_true(n == UINT64_MAX);
}

static void test_i64(void **state)
{
	int64_t n = 77;
	(void)state;

	assert_int_equal(parse_i64("-", &n), -EINVAL);
	assert_int_equal(parse_i64("--1", &n), -EINVAL);
	assert_int_equal(parse_i64("-+1", &n), -EINVAL);
	assert_int_equal(parse_i64("9223372036854775808", &n), -ERANGE);
	assert_int_equal(parse_i64("-9223372036854775809", &n), -ERANGE);
	assert_true(n == 77);
	assert_int_equal(parse_i64("-9223372036854775808", &n), 0);
	assert_true(n == INT64_MIN);
	assert_int_equal(parse_i64("9223372036854775807", &n), 0);
	assert_true(n == INT64_MAX);
	assert_int_equal(parse_i64("-0", &n), 0);
	assert_true(n == 0);
}

static void test_size(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} good[] = {
		{"0", 0},
		{"1", 1},
		{"5b", 5},
		{"64m", 64ULL << 20},
		{"64M", 64ULL << 20},
		{"64mb", 64ULL << 20},
		{"64MiB", 64ULL << 20},
		{"1k", 1024},
		{"2G", 2ULL << 30},
		{"16777215t", 16777215ULL << 40},
	};
	static const char *const bad[] = {
		"", "m", "-1m", "1.5g", "1x", "1mm", "1bb", "1m ", "1bib", " 1m", "1kibx"};
	uint64_t n = 77;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_size(bad[i], &n), -EINVAL);
	assert_int_equal(parse_size("16777216t", &n), -ERANGE);
	assert_true(n == 77);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_size(good[i].text, &n), 0);
		assert_true(n == good[i].want);
	}
}

static void test_signal(void **state)
{
	static const struct {
		const char *text;
		int want;
	} good[] = {
		{"9", 9},
		{"KILL", 9},
		{"SIGKILL", 9},
		{"sigkill", 9},
		{"term", 15},
		{"1", 1},
		{"64", 64},
		{"RTMIN", 34},
		{"SIGRTMIN+3", 37},
		{"rtmax", 64},
		{"RTMAX-1", 63},
		{"RTMAX-30", 34},
		{"POLL", SIGIO},
	};
	static const char *const bad[] = {"", "0", "65", "-9", "SIG", "KILLL", "SIGSIGKILL", "9 ",
		"RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMINX", "99999999999999999999"};
	int sig = 77;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(parse_signal(bad[i], &sig) < 0);
	assert_int_equal(sig, 77);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_signal(good[i].text, &sig), 0);
		assert_int_equal(sig, good[i].want);
	}
}

static void test_signal_names_round_trip(void **state)
{
	int named = 0;
	(void)state;

	for (int sig = 1; sig <= 64; sig++) {
		const char *name = parse_signal_name(sig);
		char prefixed[32];
		int got;

		if (!name)
			continue;
		named++;
		snprintf(prefixed, sizeof(prefixed), "SIG%s", name);
		assert_int_equal(parse_signal(prefixed, &got), 0);
		assert_int_equal(got, sig);
	}
	assert_int_equal(named, 31);
	assert_null(parse_signal_name(0));
	assert_null(parse_signal_name(-1));
}

static void test_prefix(void **state)
{
	const char *rest = "untouched";
	(void)state;

	assert_false(parse_has_prefix("uid", "uids=", &rest));
	assert_string_equal(rest, "untouched");
	assert_true(parse_has_prefix("uids=1", "uids=", &rest));
	assert_string_equal(rest, "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u32),
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_i64),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_signal_names_round_trip),
		cmocka_unit_test(test_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

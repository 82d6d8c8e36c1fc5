/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "cgroups/property.h"
#include "tests/unit/cgroups/check.h"

static void test_values(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"true", "b true"},
		{"false", "b false"},
		{"5", "i 5"},
		{"-5", "i -5"},
		{"uint64 18446744073709551615", "t 18446744073709551615"},
		{"int64 -9223372036854775808", "x -9223372036854775808"},
		{"uint32 7", "u 7"},
		{"byte 255", "y 255"},
		{"'it is'", "s it\\x20is"},
		{"\"a'b\"", "s a'b"},
		{"'tab\\t \\\\ \\''", "s tab\\x09\\x20\\x5c\\x20'"},
		{"''", "s "},
		{"['a', 'b c']", "as a b\\x20c"},
		{"[ \"a\",'' ]", "as a \\e"},
		{"[]", "as"},
	};
	autoarena struct arena arena = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *value = NULL;

		assert_int_equal(property_parse(&arena, cases[i].text, false, &value), 0);
		assert_string_equal(value, cases[i].expected);
	}
}

static void test_bad_values(void **state)
{
	static const char *const bad[] = {"", "True", "abc", "2147483648", "-2147483649",
		"byte 256", "uint32 -1", "uint64 18446744073709551616", "5 ", "'open", "'a' 'b'",
		"['a'", "['a' 'b']", "[5]", "'\\q'", "'\\", "(1, 2)", "{}", "1.5"};
	autoarena struct arena arena = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *value = NULL;

		if (property_parse(&arena, bad[i], false, &value) != -EINVAL)
			fail_msg("\"%s\" gave %s", bad[i], value);
		assert_null(value);
	}
}

static void test_seconds(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"90", "t 90000000"},
		{"uint64 90", "t 90000000"},
		{"1.5", "t 1500000"},
		{"0.0000019", "t 1"},
		{"18446744073709", "t 18446744073709000000"},
	};
	static const char *const bad[] = {"-1", "", "x", "1x", "18446744073710", "'1'", "1.x"};
	autoarena struct arena arena = {};
	const char *value = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(property_parse(&arena, cases[i].text, true, &value), 0);
		assert_string_equal(value, cases[i].expected);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(property_parse(&arena, bad[i], true, &value), -EINVAL);
}

static void test_cpu_masks(void **state)
{
	static const char *const bad[] = {"a", "1-", "-1", "3-1", "1,,2", "8192", "1 2", "0x1"};
	autoarena struct arena arena = {};
	char *mask = NULL;

	(void)state;
	assert_int_equal(property_cpu_mask(&arena, "0-3,7,9", &mask), 0);
	assert_string_equal(mask, "8f02");
	assert_int_equal(property_cpu_mask(&arena, "64", &mask), 0);
	assert_string_equal(mask, "000000000000000001");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(property_cpu_mask(&arena, bad[i], &mask), -EINVAL);
}

static void test_later_names_replace(void **state)
{
	autoarena struct arena arena = {};
	struct pairs properties = {};

	(void)state;
	assert_int_equal(property_add(&properties, "A", "b true", &arena), 0);
	assert_int_equal(property_add(&properties, "B", "b true", &arena), 0);
	assert_int_equal(property_add(&properties, "A", "b false", &arena), 0);
	assert_int_equal(properties.count, 2);
	assert_string_equal(properties.items[0].value, "b false");
	assert_int_equal(property_add(&properties, "C", NULL, &arena), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_cpu_masks),
		cmocka_unit_test(test_later_names_replace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/detach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool type(struct detach_keys *keys, const char *text, const char *wanted)
{
	char out[64];
	size_t len;
	bool left = detach_filter(keys, text, strlen(text), out, &len);

	out[len] = '\0';
	assert_string_equal(out, wanted);
	return left;
}

static void test_keys(void **state)
{
	struct detach_keys keys;
	struct err err = {};

	(void)state;
	assert_int_equal(detach_parse(NULL, &keys, &err), 0);
	assert_false(type(&keys, "ls\x10", "ls"));
	assert_false(type(&keys, "a",
		"\x10"
		"a"));
	assert_false(type(&keys, "\x10\x10", "\x10"));
	assert_true(type(&keys, "\x11more", ""));
	assert_int_equal(detach_parse("a,ctrl-]", &keys, &err), 0);
	assert_true(type(&keys, "xa\x1d", "x"));
	assert_int_equal(detach_parse("", &keys, &err), 0);
	assert_false(type(&keys, "\x10\x11", "\x10\x11"));
}

static void test_bad_keys(void **state)
{
	static const char *const bad[] = {
		"ctrl-", "ctrl-pq", "ab", ",", "ctrl-1", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"};
	struct detach_keys keys;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = {};

		assert_int_equal(detach_parse(bad[i], &keys, &err), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_bad_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

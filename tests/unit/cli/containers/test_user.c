/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/user.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "broken line\n"
			     "web:x:33:34:web:/var/www:/bin/sh\n"
			     "low:x:-1:0::/:\n"
			     "big:x:4294967295:0::/:\n"
			     "odd:x:50:50:odd:relative:/bin/sh\n"
			     "77:x:78:78:a number as a name:/n:\n";
static const char group[] =
	"root:x:0:\nweb:x:34:\nstaff:x:50:web,root\nmore:x:51:other,web\nbad:x:x:web\n";

static int resolve(const char *text, const char *extra, struct arena *arena, struct user *ret)
{
	const struct strings list = {.items = &extra, .count = extra ? 1 : 0};
	struct err err = {};

	return user_resolve(text, &list, passwd, group, arena, ret, &err);
}

static void test_who(void **state)
{
	static const struct {
		const char *text;
		uint32_t uid, gid;
		size_t groups;
		const char *home;
	} cases[] = {
		{NULL, 0, 0, 1, "/root"},
		{"", 0, 0, 1, "/root"},
		{"web", 33, 34, 2, "/var/www"},
		{"33", 33, 34, 2, "/var/www"},
		{"web:staff", 33, 50, 0, "/var/www"},
		{"web:7", 33, 7, 0, "/var/www"},
		{"1234", 1234, 0, 0, "/"},
		{"1234:5678", 1234, 5678, 0, "/"},
		{":staff", 0, 50, 0, "/root"},
		{"odd", 50, 50, 0, "/"},
		{"77", 78, 78, 0, "/n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autoarena struct arena arena = {};
		struct user user;

		assert_int_equal(resolve(cases[i].text, NULL, &arena, &user), 0);
		assert_int_equal(user.uid, cases[i].uid);
		assert_int_equal(user.gid, cases[i].gid);
		assert_int_equal(user.group_count, cases[i].groups);
		assert_string_equal(user.home, cases[i].home);
	}
}

static void test_nobody(void **state)
{
	static const char *const cases[] = {"nobody", "low", "big", "web:nogroup", "-1",
		"4294967295", "99999999999", "broken line"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autoarena struct arena arena = {};
		struct user user;

		assert_int_equal(resolve(cases[i], NULL, &arena, &user), -ENOENT);
	}
}

static void test_more_groups(void **state)
{
	autoarena struct arena arena = {};
	struct user user;

	(void)state;
	assert_int_equal(resolve("5", "staff", &arena, &user), 0);
	assert_int_equal(user.group_count, 1);
	assert_int_equal(user.groups[0], 50);
	assert_int_equal(resolve("5", "900", &arena, &user), 0);
	assert_int_equal(user.groups[0], 900);
	assert_int_equal(resolve("5", "none", &arena, &user), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_more_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/config.h"
#include "tests/unit/unit.h"

static void test_spellings(void **state)
{
	static const struct {
		const char *key, *want;
	} cases[] = {
		{"net.ipv4.ip_forward", "net/ipv4/ip_forward"},
		{"net/ipv4/ip_forward", "net/ipv4/ip_forward"},
		{"net.ipv4.conf.eth0/7.forwarding", "net/ipv4/conf/eth0.7/forwarding"},
		{"net/ipv4/conf/eth0.7/forwarding", "net/ipv4/conf/eth0.7/forwarding"},
		{"kernel", "kernel"},
	};
	autoarena struct arena arena = {};
	const char *path;
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(spec_sysctl_path(cases[i].key, &arena, &path), 0);
		assert_string_equal(path, cases[i].want);
	}
}

static void test_refused(void **state)
{
	static const char *const keys[] = {"", ".", "/", "..", "a..b", "a//b", ".a", "/a", "a.",
		"a/", "a/../b", "a/./b", "a/..", "a.//.b"};
	autoarena struct arena arena = {};
	const char *path = "untouched";
	char big[400];
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (spec_sysctl_path(keys[i], &arena, &path) != -EINVAL)
			fail_msg("%s: %s", keys[i], path);
	memset(big, 'k', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(spec_sysctl_path(big, &arena, &path), -EINVAL);
	assert_string_equal(path, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

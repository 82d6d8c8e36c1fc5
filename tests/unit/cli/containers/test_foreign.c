/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/foreign.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ARM64 "7f454c460201010000000000000000000200b700"
#define S390X "7f454c4602020100000000000000000000020016"

static void test_entries(void **state)
{
	static const char good[] = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64\n"
				   "flags: POCF\noffset 0\nmagic " ARM64 "\nmask ffff\n";
	static const char off[] = "disabled\nflags: F\nmagic " ARM64 "\n";
	static const char loose[] = "enabled\nflags: OC\nmagic " ARM64 "\n";
	static const char big[] = "enabled\nflags: F\nmagic " S390X "\n";
	static const char *const bad[] = {"", "enabled", "enabled\n", "enabled\nmagic 7f454c46\n",
		"enabled\nmagic cafebabecafebabecafebabecafebabecafebabe\n",
		"enabled\nextension .x\n",
		"enabled\nmagic 7f454c4602010100000000000000000002zzzz00\n"};
	bool fixed;

	(void)state;
	assert_true(foreign_entry_fits(good, "arm64", &fixed) && fixed);
	assert_false(foreign_entry_fits(good, "arm", &fixed));
	assert_false(foreign_entry_fits(good, "vax", &fixed));
	assert_false(foreign_entry_fits(off, "arm64", &fixed));
	assert_true(foreign_entry_fits(loose, "arm64", &fixed) && !fixed);
	assert_true(foreign_entry_fits(big, "s390x", &fixed));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(foreign_entry_fits(bad[i], "arm64", &fixed));
}

static void test_check(void **state)
{
	struct err err = {};

	(void)state;
	assert_int_equal(foreign_check(NULL, &err), 0);
	assert_int_equal(foreign_check("", &err), 0);
	assert_int_equal(foreign_check("vax", &err), -ENOEXEC);
#ifdef __x86_64__
	assert_int_equal(foreign_check("386", &err), 0);
	assert_int_equal(foreign_check("amd64", &err), 0);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

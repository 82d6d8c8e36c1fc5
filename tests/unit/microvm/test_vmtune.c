/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/vmtune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int tune(const char *key, const char *value, struct vm_tuning *ret, struct err *err)
{
	struct pair pair = {key, value};
	const struct spec_config config = {.annotations = {.items = &pair, .count = 1}};

	return vm_tune(&config, ret, err);
}

static void assert_wrong(const char *key, const char *value)
{
	struct vm_tuning tuning = {.receive = 77};
	struct err err = {};

	assert_int_equal(tune(key, value, &tuning, &err), -EINVAL);
	assert_non_null(strstr(err.text, key));
	assert_int_equal(tuning.receive, 77); /* untouched */
}

static void test_good(void **state)
{
	struct vm_tuning t;
	struct err err = {};

	(void)state;
	assert_int_equal(tune("other", "x", &t, &err), 0);
	assert_memory_equal(&t, &(struct vm_tuning){}, sizeof(t));
	assert_int_equal(tune("org.brig.vm.kernel", "6.1-brig", &t, &err), 0);
	assert_string_equal(t.kernel, "6.1-brig");
	assert_int_equal(tune("org.brig.vm.memory_max", "1073741824", &t, &err), 0);
	assert_int_equal(t.memory_mib, 1024);
	assert_int_equal(tune("org.brig.vm.huge_pages", "true", &t, &err), 0);
	assert_true(t.huge_pages);
	assert_int_equal(tune("org.brig.vm.huge_pages", "false", &t, &err), 0);
	assert_false(t.huge_pages);
	assert_false(t.nested);
	assert_int_equal(tune("org.brig.vm.nested", "true", &t, &err), 0);
	assert_true(t.nested);
	assert_int_equal(tune("org.brig.vm.net.receive", "1048576", &t, &err), 0);
	assert_int_equal(t.receive, 1048576);
	assert_int_equal(t.send, 0);
	assert_int_equal(tune("org.brig.vm.net.send", "2048", &t, &err), 0);
	assert_int_equal(t.send, 2048);
}

static void test_bad(void **state)
{
	(void)state;
	assert_wrong("org.brig.vm.memory_max", "1g");
	assert_wrong("org.brig.vm.memory_max", "0");
	assert_wrong("org.brig.vm.memory_max", "18446744073709551615");
	assert_wrong("org.brig.vm.huge_pages", "yes");
	assert_wrong("org.brig.vm.nested", "1");
	assert_wrong("org.brig.vm.net.receive", "fast");
	assert_wrong("org.brig.vm.net.receive", "-1");
	assert_wrong("org.brig.vm.net.send", "12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/recorder.h"

#include "base/json.h"

#include <linux/audit.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#ifdef __x86_64__
static json_t *written(const struct recorded *recorded)
{
	autobuf struct buf text = {};
	json_t *profile = NULL;
	struct err err = {};

	assert_int_equal(recorded_write(recorded, &text), 0);
	assert_int_equal(json_parse("p", buf_str(&text), text.len, &profile, &err), 0);
	return profile;
}

static bool has(const json_t *list, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach ((json_t *)list, i, item)
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	return false;
}

static void test_calls_of_all_architectures(void **state)
{
	struct recorded r = {};
	autojson json_t *profile = NULL;
	json_t *names, *arches;

	(void)state;
	recorded_add(&r, AUDIT_ARCH_X86_64, SYS_execve);
	recorded_add(&r, AUDIT_ARCH_X86_64, SYS_execve);
	recorded_add(&r, AUDIT_ARCH_I386, 0x66); /* socketcall */
	recorded_add(&r, AUDIT_ARCH_X86_64, 0x40000000 + SYS_mkdir);
	profile = written(&r);
	arches = json_object_get(profile, "architectures");
	assert_int_equal(json_array_size(arches), 3);
	assert_true(has(arches, "SCMP_ARCH_X86") && has(arches, "SCMP_ARCH_X32"));
	names = json_object_get(json_array_get(json_object_get(profile, "syscalls"), 0), "names");
	assert_true(has(names, "execve") && has(names, "socketcall") && has(names, "mkdir"));
	/* And the two that signals bring. */
	assert_int_equal(json_array_size(names), 5);
}

static void test_hostile_numbers_are_left_out(void **state)
{
	struct recorded r = {};
	autojson json_t *profile = NULL;

	(void)state;
	recorded_add(&r, AUDIT_ARCH_X86_64, 0xffffffff);
	recorded_add(&r, AUDIT_ARCH_X86_64, RECORDER_CALLS);
	recorded_add(&r, AUDIT_ARCH_X86_64, RECORDER_CALLS - 1);
	recorded_add(&r, AUDIT_ARCH_S390X, 1);
	profile = written(&r);
	assert_int_equal(json_array_size(json_object_get(profile, "architectures")), 1);
	assert_int_equal(json_array_size(json_object_get(
				 json_array_get(json_object_get(profile, "syscalls"), 0), "names")),
		2);
}
#endif

static void test_listening_profile_has_every_call_once(void **state)
{
	autojson json_t *profile = recorder_profile("/run/sock"), *seen = json_object();
	json_t *rules = json_object_get(profile, "syscalls"), *name;
	size_t i;

	(void)state;
	json_array_foreach (json_object_get(json_array_get(rules, 0), "names"), i, name)
		json_object_set_new(seen, json_string_value(name), json_true());
	assert_true(i > 300);
	assert_int_equal(json_object_size(seen), i);
	assert_non_null(json_object_get(seen, "execve"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef __x86_64__
		cmocka_unit_test(test_calls_of_all_architectures),
		cmocka_unit_test(test_hostile_numbers_are_left_out),
#endif
		cmocka_unit_test(test_listening_profile_has_every_call_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

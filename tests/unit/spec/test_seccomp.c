/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/spec/mutate.h"

#include <linux/audit.h>

#define S "linux seccomp "
#define P "linux.seccomp."

static const struct mutation mutations[] = {
	{S "defaultAction", NULL, P "defaultAction: is missing"},
	{S "defaultAction", "\"SCMP_ACT_MAYBE\"", "\"SCMP_ACT_MAYBE\" is not a seccomp action"},
	{S "defaultAction", "\"SCMP_ACT_ALLOW\"", P "defaultErrnoRet: only SCMP_ACT_ERRNO"},
	{S "defaultAction", "\"SCMP_ACT_TRACE\"", NULL},
	{S "defaultErrnoRet", "4096", P "defaultErrnoRet: must be at most 4095"},
	{S "defaultErrnoRet", "-1", P "defaultErrnoRet: must not be negative"},
	{S "architectures 0", "\"x86_64\"", P "architectures[0]: \"x86_64\" is not a seccomp arch"},
	{S "architectures", "[]", NULL},
	{S "flags 0", "\"SECCOMP_FILTER_FLAG_X\"",
		"\"SECCOMP_FILTER_FLAG_X\" is not a seccomp flag"},
	{S "flags", "[]", NULL},
	{S "listenerPath", "\"run/s\"", P "listenerPath: \"run/s\" must be an absolute path"},
	{S "listenerPath", NULL, P "listenerPath: is missing: SCMP_ACT_NOTIFY needs"},
	{S "listenerPath", "\"\"", P "listenerPath: is missing: SCMP_ACT_NOTIFY needs"},
	{S "syscalls 2 action", "\"SCMP_ACT_LOG\"", NULL}, /* a listener that nobody needs */
	{S "listenerMetadata", "\"\"", NULL},
	{S "syscalls 0 names", NULL, P "syscalls[0].names: is missing"},
	{S "syscalls 0 names", "[]", P "syscalls[0].names: must name at least one"},
	{S "syscalls 0 names 0", "\"\"", P "syscalls[0].names: a system call's name must not"},
	{S "syscalls 0 names 0", "3", P "syscalls[0].names[0]: must be a string"},
	{S "syscalls 0 action", NULL, P "syscalls[0].action: is missing"},
	{S "syscalls 0 action", "\"ALLOW\"",
		"syscalls[0].action: \"ALLOW\" is not a seccomp action"},
	{S "syscalls 0 errnoRet", "1", P "syscalls[0].errnoRet: only SCMP_ACT_ERRNO and"},
	{S "syscalls 1 errnoRet", "5000", P "syscalls[1].errnoRet: must be at most 4095"},
	{S "syscalls 1 errnoRet", "0", NULL},
	{S "syscalls 1 args 0 index", "6", P "syscalls[1].args[0].index: must be from 0 to 5"},
	{S "syscalls 1 args 0 index", "5", NULL},
	{S "syscalls 1 args 0 index", NULL, P "syscalls[1].args[0].index: is missing"},
	{S "syscalls 1 args 0 value", NULL, P "syscalls[1].args[0].value: is missing"},
	{S "syscalls 1 args 0 op", NULL, P "syscalls[1].args[0].op: is missing"},
	{S "syscalls 1 args 0 op", "\"==\"", "op: \"==\" is not a seccomp operator"},
	{S "syscalls 1 args 0 value", "-1", "value: must not be negative"},
};

static void test_mutations(void **state)
{
	(void)state;
	check_mutations(mutations, ARRAY_LEN(mutations));
}

static void test_notify(void **state)
{
	static const char *const seccomp[][2] = {
		{"{\"defaultAction\": \"SCMP_ACT_NOTIFY\", \"listenerPath\": \"/s\"}",
			P "defaultAction: SCMP_ACT_NOTIFY would stop"},
		{"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerMetadata\": \"m\"}",
			P "listenerMetadata: must not be there without listenerPath"},
		{"{\"defaultAction\": \"SCMP_ACT_TRACE\", \"defaultErrnoRet\": 65536}",
			P "defaultErrnoRet: must be at most 65535"},
		{"{\"defaultAction\": \"SCMP_ACT_TRACE\", \"defaultErrnoRet\": 65535}", NULL},
	};
	json_t *good = load_data("spec/full.json");
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(seccomp); i++)
		check_mutation(
			good, &(struct mutation){"linux seccomp", seccomp[i][0], seccomp[i][1]});
	json_decref(good);
}

static void test_values(void **state)
{
	struct spec_config *config = parse_data("spec/full.json");
	const struct spec_seccomp *s = config->linux_.seccomp;
	(void)state;

	assert_int_equal(s->default_action, SPEC_SECCOMP_ERRNO);
	assert_true(s->default_errno_ret.set && s->default_errno_ret.value == 38);
	assert_int_equal(s->architectures.count, 2);
	assert_true((uint32_t)s->architectures.items[0] == AUDIT_ARCH_X86_64);
	assert_true((uint32_t)s->architectures.items[1] == 0x4000003eU);
	assert_string_equal(s->flags.items[0], "SECCOMP_FILTER_FLAG_LOG");
	assert_string_equal(s->listener_path, "/run/seccomp.sock");
	assert_string_equal(s->listener_metadata, "meta");
	assert_int_equal(s->syscalls.count, 3);
	assert_int_equal(s->syscalls.items[0].names.count, 2);
	assert_int_equal(s->syscalls.items[0].action, SPEC_SECCOMP_ALLOW);
	assert_false(s->syscalls.items[0].errno_ret.set);
	assert_int_equal(s->syscalls.items[1].args.items[0].op, SPEC_SECCOMP_MASKED_EQ);
	assert_int_equal(s->syscalls.items[1].args.items[0].value, 2114060288);
	assert_true(s->syscalls.items[1].args.items[0].value_two == UINT64_MAX);
	spec_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

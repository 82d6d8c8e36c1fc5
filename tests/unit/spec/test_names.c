/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/names.h"

#include "spec/config.h"
#include "tests/unit/unit.h"

#include <linux/capability.h>
#include <linux/seccomp.h>

static void test_capabilities(void **state)
{
	int cap = 77;
	(void)state;

	for (int i = 0; i <= CAP_LAST_CAP; i++) {
		const char *name = spec_capability_name(i);

		assert_non_null(name);
		assert_int_equal(spec_capability_parse(name, &cap), 0);
		assert_int_equal(cap, i);
		assert_int_equal(spec_capability_parse(name + 4, &cap), 0);
		assert_int_equal(cap, i);
	}
	assert_int_equal(spec_capability_parse("cap_net_admin", &cap), 0);
	assert_int_equal(cap, CAP_NET_ADMIN);
	assert_int_equal(spec_capability_parse("", &cap), -EINVAL);
	assert_int_equal(spec_capability_parse("CAP_", &cap), -EINVAL);
	assert_int_equal(spec_capability_parse("CAP_CAP_KILL", &cap), -EINVAL);
	assert_int_equal(spec_capability_parse("all", &cap), -EINVAL);
	assert_int_equal(cap, CAP_NET_ADMIN);
	assert_null(spec_capability_name(-1));
	assert_null(spec_capability_name(CAP_LAST_CAP + 1));
	assert_null(spec_capability_name(63));
	assert_null(spec_capability_name(1000));
}

/* No name twice in a table, and what has one kernel number has one name. */
static void test_tables(void **state)
{
	static const struct {
		const struct json_name *table;
		size_t count;
		bool aliases;
	} tables[] = {
		{spec_capability_names, 41, false},
		{spec_namespace_names, 8, false},
		{spec_rlimit_names, 16, false},
		{spec_sched_policy_names, 7, false},
		{spec_sched_flag_names, 7, false},
		{spec_ioprio_class_names, 3, false},
		{spec_propagation_names, 8, false},
		{spec_mpol_mode_names, 7, false},
		{spec_mpol_flag_names, 3, false},
		{spec_personality_names, 2, false},
		{spec_seccomp_action_names, 9, true},
		{spec_seccomp_op_names, 7, false},
		{spec_seccomp_arch_names, 23, false},
		{spec_seccomp_flag_names, 4, false},
		{spec_vm_format_names, 5, false},
	};
	(void)state;

	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		const struct json_name *names = tables[t].table;
		size_t count = 0;

		for (size_t i = 0; names[i].name; i++, count++) {
			for (size_t j = 0; j < i; j++) {
				assert_string_not_equal(names[i].name, names[j].name);
				assert_true(tables[t].aliases || names[i].value != names[j].value);
			}
		}
		assert_int_equal(count, tables[t].count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

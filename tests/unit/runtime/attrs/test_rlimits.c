/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/rlimits.h"

#include "tests/unit/runtime/attrs/child.h"

#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static void lower(void *arg)
{
	const struct spec_rlimit limits[] = {{RLIMIT_NOFILE, 20, 30}, {RLIMIT_CORE, 0, 0}};
	struct rlimit now;
	struct err err = {};

	(void)arg;
	child_check(rlimits_apply(limits, 2, &err) == 0);
	child_check(
		getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 20 && now.rlim_max == 30);
	child_check(getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur == 0 && now.rlim_max == 0);
}

static void raise_hard(void *arg)
{
	const struct spec_rlimit down = {RLIMIT_NOFILE, 20, 30}, up = {RLIMIT_NOFILE, 20, 31};
	struct err err = {};

	(void)arg;
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresuid(1000, 1000, 1000) < 0))
		_exit(2);
	child_check(rlimits_apply(&down, 1, &err) == 0);
	child_check(rlimits_apply(&up, 1, &err) == -EPERM);
	child_check(strstr(err.text, "RLIMIT_NOFILE"));
	child_check(strstr(err.text, "31") && strstr(err.text, "30"));
	child_check(strstr(err.text, "CAP_SYS_RESOURCE"));
}

static void soft_above_hard(void *arg)
{
	const struct spec_rlimit limit = {RLIMIT_NOFILE, 31, 30};
	struct err err = {};

	(void)arg;
	child_check(rlimits_apply(&limit, 1, &err) == -EINVAL);
	child_check(strstr(err.text, "RLIMIT_NOFILE"));
}

static void limits_are_set(void **state)
{
	(void)state;
	assert_int_equal(child_run(lower, NULL), 0);
}

static void raising_says_what_to_do(void **state)
{
	(void)state;
	assert_int_equal(child_run(raise_hard, NULL), 0);
}

static void soft_is_checked(void **state)
{
	(void)state;
	assert_int_equal(child_run(soft_above_hard, NULL), 0);
}

static void every_limit_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < RLIM_NLIMITS; i++)
		assert_non_null(rlimits_name(i));
	assert_null(rlimits_name(RLIM_NLIMITS));
	assert_null(rlimits_name(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_set),
		cmocka_unit_test(raising_says_what_to_do),
		cmocka_unit_test(soft_is_checked),
		cmocka_unit_test(every_limit_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

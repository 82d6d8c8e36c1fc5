/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/sched.h"

#include "base/sys.h"
#include "base/sys_self.h"
#include "tests/unit/runtime/attrs/child.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>

#include <cmocka.h>

static bool has(const struct sched_set *set, unsigned int i)
{
	return set->words[i / 64] >> i % 64 & 1;
}

static void lists(void **state)
{
	static const char *const bad[] = {"", " ", ",", "1,", ",1", "1-", "-1", "3-1", "a", "1 2",
		"8192", "0-8192", "99999999999999999999", "0-15:2/4", "+1", "1,,2", "0x1"};
	struct sched_set set, before;
	struct err err = {};

	(void)state;
	assert_int_equal(sched_parse_set("x", "0-3,7", &set, &err), 0);
	for (unsigned int i = 0; i < SCHED_SET_BITS; i++)
		assert_int_equal(has(&set, i), i <= 3 || i == 7);
	assert_int_equal(sched_parse_set("x", " 63-64,8191\n", &set, &err), 0);
	for (unsigned int i = 0; i < SCHED_SET_BITS; i++)
		assert_int_equal(has(&set, i), i == 63 || i == 64 || i == 8191);
	before = set;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(sched_parse_set("field", bad[i], &set, &err), -EINVAL);
		assert_non_null(strstr(err.text, "field"));
		assert_memory_equal(&set, &before, sizeof(set));
	}
}

static void nothing_asked(void **state)
{
	struct err err = {};

	(void)state;
	assert_int_equal(sched_apply_scheduler(NULL, &err), 0);
	assert_int_equal(sched_apply_io_priority(NULL, &err), 0);
	assert_int_equal(sched_apply_affinity("x", NULL, &err), 0);
	assert_int_equal(sched_apply_memory_policy(NULL, &err), 0);
	assert_int_equal(sched_apply_personality(NULL, &err), 0);
}

static void batch(void *arg)
{
	const struct spec_scheduler scheduler = {.policy = SCHED_BATCH, .nice = 5};
	const struct spec_io_priority io = {.class = IOPRIO_CLASS_BE, .priority = 6};
	const struct spec_io_priority bad = {.class = IOPRIO_CLASS_BE, .priority = 8};
	const struct spec_personality p32 = {.domain = PER_LINUX32};
	struct sys_sched_attr attr = {};
	cpu_set_t cpus;
	struct err err = {};

	(void)arg;
	child_check(sched_apply_scheduler(&scheduler, &err) == 0);
	child_check(sys_sched_getattr(0, &attr) >= 0);
	child_check(attr.policy == SCHED_BATCH && attr.nice == 5);
	child_check(sched_apply_io_priority(&io, &err) == 0);
	child_check(sys_ioprio_get(IOPRIO_WHO_PROCESS, 0) == (IOPRIO_CLASS_BE << 13 | 6));
	child_check(sched_apply_io_priority(&bad, &err) == -EINVAL);
	child_check(sched_apply_personality(&p32, &err) == 0);
	child_check(personality(0xffffffff) == PER_LINUX32);
	child_check(sched_apply_affinity("initial", "0", &err) == 0);
	child_check(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	child_check(CPU_COUNT(&cpus) == 1 && CPU_ISSET(0, &cpus));
	err_clear(&err);
	child_check(sched_apply_affinity("initial", "8191", &err) == -EINVAL);
	child_check(strstr(err.text, "initial") && strstr(err.text, "8191"));
}

static void applied(void **state)
{
	(void)state;
	assert_int_equal(child_run(batch, NULL), 0);
}

static void flags(void *arg)
{
	const struct spec_scheduler batch_5 = {
		.policy = SCHED_BATCH, .nice = 5, .flags = SCHED_FLAG_RESET_ON_FORK};
	const struct spec_scheduler keep = {
		.policy = SCHED_OTHER, .nice = 7, .flags = SCHED_FLAG_KEEP_POLICY};
	struct sys_sched_attr attr = {};
	struct err err = {};

	(void)arg;
	child_check(sched_apply_scheduler(&batch_5, &err) == 0);
	child_check(sys_sched_getattr(0, &attr) >= 0 && attr.flags & SCHED_FLAG_RESET_ON_FORK);
	child_check(sched_apply_scheduler(&keep, &err) == 0);
	child_check(sys_sched_getattr(0, &attr) >= 0);
	child_check(attr.policy == SCHED_BATCH && attr.nice == 7);
}

static void flags_applied(void **state)
{
	(void)state;
	assert_int_equal(child_run(flags, NULL), 0);
}

static void deadline(void *arg)
{
	const struct spec_scheduler scheduler = {.policy = 6,
		.flags = SCHED_FLAG_RECLAIM | SCHED_FLAG_DL_OVERRUN,
		.runtime = 1000000,
		.deadline = 100000000,
		.period = 100000000};
	struct sys_sched_attr attr = {};
	struct err err = {};
	int r = sched_apply_scheduler(&scheduler, &err);

	(void)arg;
	/* Without the privilege or the bandwidth, or in a cgroup of an RT-grouped kernel. */
	if (r == -EPERM || r == -EBUSY) {
		child_check(strstr(err.text, "process.scheduler"));
		_exit(77);
	}
	child_check(r == 0);
	child_check(sys_sched_getattr(0, &attr) >= 0);
	child_check(attr.policy == 6 && attr.runtime == 1000000 && attr.deadline == 100000000);
	child_check(attr.flags == (SCHED_FLAG_RECLAIM | SCHED_FLAG_DL_OVERRUN));
}

static void deadline_applied(void **state)
{
	int status = child_run(deadline, NULL);

	(void)state;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skip: SCHED_DEADLINE is not permitted here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void memory(void *arg)
{
	const struct spec_memory_policy bind = {.mode = 2, .nodes = "0"};
	const struct spec_memory_policy many = {.mode = 5, .nodes = "0"};
	const struct spec_memory_policy weighted = {.mode = 6, .nodes = "0"};
	const struct spec_memory_policy nowhere = {.mode = 2, .nodes = "1000"};
	const struct spec_memory_policy bare = {.mode = 0, .nodes = "0"};
	const struct spec_memory_policy plain = {.mode = 0};
	unsigned long nodes[SCHED_SET_WORDS] = {};
	struct err err = {};
	int mode = -1, r;

	(void)arg;
	if (sys_get_mempolicy(&mode, NULL, 0) == -ENOSYS)
		_exit(77);
	child_check(sched_apply_memory_policy(&bind, &err) == 0);
	child_check(sys_get_mempolicy(&mode, nodes, SCHED_SET_BITS) == 0);
	child_check(mode == 2 && nodes[0] == 1);
	child_check(sched_apply_memory_policy(&many, &err) == 0);
	child_check(sys_get_mempolicy(&mode, nodes, SCHED_SET_BITS) == 0 && mode == 5);
	r = sched_apply_memory_policy(&weighted, &err);
	child_check(r == 0 || (r == -EINVAL && strstr(err.text, "6.9")));
	child_check(sched_apply_memory_policy(&nowhere, &err) == -EINVAL);
	child_check(strstr(err.text, "1000"));
	child_check(sched_apply_memory_policy(&bare, &err) == -EINVAL);
	child_check(sched_apply_memory_policy(&plain, &err) == 0);
	child_check(sys_get_mempolicy(&mode, NULL, 0) == 0 && mode == 0);
}

static void memory_applied(void **state)
{
	int status = child_run(memory, NULL);

	(void)state;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skip: this kernel has no memory policies\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void personality_flags(void **state)
{
	const char *flag = "ADDR_NO_RANDOMIZE";
	const struct spec_personality p = {.flags = {&flag, 1}};
	struct err err = {};

	(void)state;
	assert_int_equal(sched_apply_personality(&p, &err), -EINVAL);
	assert_non_null(strstr(err.text, flag));
}

static void core_annotation(void **state)
{
	bool new_core = false;
	struct err err = {};

	(void)state;
	assert_int_equal(sched_core_parse(NULL, &new_core, &err), 0);
	assert_false(new_core);
	assert_int_equal(sched_core_parse("new", &new_core, &err), 0);
	assert_true(new_core);
	assert_int_equal(sched_core_parse("New", &new_core, &err), -EINVAL);
	assert_non_null(strstr(err.text, SCHED_CORE_ANNOTATION));
}

/* A cookie of its own, and another process that takes it over; or a clear refusal. */
static void core(void *arg)
{
	unsigned long mine = 0, before = 0;
	struct err err = {};
	pid_t parent;
	int status, r = sched_core_create(&err);

	(void)arg;
	if (r == -EOPNOTSUPP) {
		child_check(strstr(err.text, SCHED_CORE_ANNOTATION));
		child_check(sched_core_join(getpid(), &err) == -EOPNOTSUPP);
		_exit(77);
	}
	child_check(r == 0);
	child_check(prctl(62, 0, 0, 0, &mine) == 0 && mine != 0);
	parent = getpid();
	if (fork() == 0) {
		child_check(sched_core_create(&err) == 0);
		child_check(prctl(62, 0, 0, 0, &before) == 0 && before != mine);
		child_check(sched_core_join(parent, &err) == 0);
		child_check(prctl(62, 0, 0, 0, &before) == 0 && before == mine);
		_exit(0);
	}
	child_check(wait(&status) > 0 && status == 0);
}

static void core_scheduling(void **state)
{
	int status = child_run(core, NULL);

	(void)state;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skip: no core scheduling here; the refusal was checked\n");
		skip();
	}
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(nothing_asked),
		cmocka_unit_test(applied),
		cmocka_unit_test(flags_applied),
		cmocka_unit_test(deadline_applied),
		cmocka_unit_test(memory_applied),
		cmocka_unit_test(personality_flags),
		cmocka_unit_test(core_annotation),
		cmocka_unit_test(core_scheduling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/credentials.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "tests/unit/runtime/attrs/child.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cmocka.h>

#define CAP(c) (1ull << (c))

static const struct credentials full = {
	.permitted = (1ull << 41) - 1,
	.effective = (1ull << 41) - 1,
	.bounding = (1ull << 41) - 1,
};

static struct credentials_plan plan_of(
	const struct spec_process *process, const struct credentials *now)
{
	const struct credentials_options options = {};
	struct credentials_plan plan;
	struct err err = {};

	assert_int_equal(credentials_plan(process, &options, now, &plan, &err), 0);
	return plan;
}

static uint64_t random_set(void)
{
	uint64_t set = (uint64_t)rand() << 31 ^ (uint64_t)rand();

	return (rand() % 2 ? set : set & (uint64_t)rand() << 20) & ((1ull << 41) - 1);
}

/* What capset(2) and PR_CAP_AMBIENT accept, and never more than was asked for: D1 to D3. */
static void plan_properties(void **state)
{
	(void)state;
	srand(7);
	for (int i = 0; i < 20000; i++) {
		struct spec_capabilities caps = {
			random_set(), random_set(), random_set(), random_set(), random_set()};
		const struct credentials now = {
			random_set(), random_set(), random_set(), random_set(), random_set()};
		const struct spec_process process = {
			.user = {.uid = (uint32_t)rand() % 3},
			.capabilities = rand() % 5 ? &caps : NULL,
		};
		const struct credentials_plan plan = plan_of(&process, &now);

		if (!process.capabilities)
			caps = (struct spec_capabilities){};
		assert_int_equal(plan.permitted & ~caps.permitted, 0);
		assert_int_equal(plan.effective & ~caps.effective, 0);
		assert_int_equal(plan.inheritable & ~caps.inheritable, 0);
		assert_int_equal(plan.ambient & ~caps.ambient, 0);
		assert_int_equal(now.bounding & ~plan.drop & ~caps.bounding, 0);
		assert_int_equal(plan.drop & ~now.bounding, 0);
		assert_int_equal(plan.permitted & ~now.permitted, 0);
		assert_int_equal(plan.effective & ~plan.permitted, 0);
		assert_int_equal(plan.inheritable & ~(now.inheritable | now.permitted), 0);
		assert_int_equal(plan.ambient & ~(plan.permitted & plan.inheritable), 0);
		assert_int_equal(
			plan.ungranted & ~(caps.bounding | caps.effective | caps.inheritable |
						 caps.permitted | caps.ambient),
			0);
		if (now.ambient & ~plan.ambient)
			assert_true(plan.clear_ambient);
		if (process.user.uid == 0 || !(plan.permitted | plan.inheritable))
			assert_false(plan.keep_caps);
	}
}

static void nothing_asked_nothing_kept(void **state)
{
	const struct spec_process process = {};
	const struct credentials_plan plan = plan_of(&process, &full);

	(void)state;
	assert_int_equal(plan.drop, full.bounding);
	assert_int_equal(plan.permitted | plan.effective | plan.inheritable | plan.ambient, 0);
	assert_int_equal(plan.ungranted, 0);
}

static void nothing_to_drop_drops_nothing(void **state)
{
	struct spec_capabilities caps = {.bounding = CAP(CAP_CHOWN)};
	const struct credentials now = {.bounding = CAP(CAP_CHOWN)};
	const struct spec_process process = {.capabilities = &caps};

	(void)state;
	assert_int_equal(plan_of(&process, &now).drop, 0);
}

static void what_is_not_there_is_reported(void **state)
{
	struct spec_capabilities caps = {.permitted = CAP(CAP_SYS_RESOURCE) | CAP(CAP_CHOWN)};
	const struct credentials now = {.permitted = CAP(CAP_CHOWN)};
	const struct spec_process process = {.capabilities = &caps};
	const struct credentials_plan plan = plan_of(&process, &now);

	(void)state;
	assert_int_equal(plan.permitted, CAP(CAP_CHOWN));
	assert_int_equal(plan.ungranted, CAP(CAP_SYS_RESOURCE));
}

static void groups_without_setgroups(void **state)
{
	struct credentials_options options = {.setgroups_denied = true};
	struct spec_process process = {};
	struct credentials_plan plan;
	struct err err = {};
	uint32_t group = 5;

	(void)state;
	assert_int_equal(credentials_plan(&process, &options, &full, &plan, &err), 0);
	assert_false(plan.set_groups);
	process.user.additional_gids.items = &group;
	process.user.additional_gids.count = 1;
	assert_int_equal(credentials_plan(&process, &options, &full, &plan, &err), -EPERM);
	assert_non_null(strstr(err.text, "additionalGids"));
	options.keep_original_groups = true;
	assert_int_equal(credentials_plan(&process, &options, &full, &plan, &err), 0);
	assert_false(plan.set_groups);
}

static void ids_that_are_none(void **state)
{
	const struct credentials_options options = {};
	struct spec_process user = {.user.uid = UINT32_MAX}, group = {.user.gid = UINT32_MAX},
			    mask = {.user.umask = {true, 01000}};
	struct credentials_plan plan;
	struct err err = {};

	(void)state;
	assert_int_equal(credentials_plan(&user, &options, &full, &plan, &err), -EINVAL);
	assert_int_equal(credentials_plan(&group, &options, &full, &plan, &err), -EINVAL);
	assert_int_equal(credentials_plan(&mask, &options, &full, &plan, &err), -EINVAL);
}

static int proc_fd(void)
{
	return open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void read_agrees_with_prctl(void **state)
{
	autoclose int procfd = proc_fd();
	struct credentials now;
	struct err err = {};

	(void)state;
	assert_int_equal(credentials_read(procfd, &now, &err), 0);
	for (int cap = 0; cap < 64; cap++)
		assert_int_equal(
			now.bounding >> cap & 1, prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1);
}

static void read_refuses_what_is_no_procfs(void **state)
{
	char dir[] = "/tmp/brig-credentials-XXXXXX", path[64], file[64];
	autoclose int fd = -1;
	struct credentials now;
	struct err err = {};

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/self", dir);
	snprintf(file, sizeof(file), "%s/self/status", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(credentials_read(fd, &now, &err), -EINVAL);
	unlink(file);
	rmdir(path);
	rmdir(dir);
}

/* One case of the matrix: uid × sets. */
struct matrix {
	uint32_t uid;
	struct spec_capabilities caps;
};

/* The kernel's own view after apply, and after an exec would have raised ambient ones. */
static void become(void *arg)
{
	const struct matrix *m = arg;
	struct spec_capabilities caps = m->caps;
	uint32_t groups[] = {7, 8};
	const struct spec_process process = {
		.user = {.uid = m->uid,
			.gid = m->uid,
			.umask = {true, 027},
			.additional_gids = {groups, 2}},
		.capabilities = &caps,
	};
	const struct credentials_options options = {};
	int procfd = proc_fd();
	struct credentials_plan plan;
	struct credentials now;
	uid_t r, e, s;
	struct err err = {};

	child_check(credentials_read(procfd, &now, &err) == 0);
	child_check(credentials_plan(&process, &options, &now, &plan, &err) == 0);
	child_check(credentials_apply(&plan, &err) == 0);
	child_check(umask(0) == 027);
	child_check(getresuid(&r, &e, &s) == 0 && r == m->uid && e == m->uid && s == m->uid);
	child_check(getresgid(&r, &e, &s) == 0 && r == m->uid && e == m->uid && s == m->uid);
	child_check(getgroups(0, NULL) == 2);
	/* Not dumpable after the change of user, so a new look needs a procfs that was open. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	child_check(credentials_read(procfd, &now, &err) == 0);
	child_check(now.permitted == plan.permitted);
	child_check(now.effective == plan.effective);
	child_check(now.inheritable == plan.inheritable);
	child_check(now.ambient == plan.ambient);
	child_check((now.bounding & ~caps.bounding) == 0);
}

static void apply_matrix(void **state)
{
	static const uint64_t sets[] = {0, CAP(CAP_CHOWN),
		CAP(CAP_CHOWN) | CAP(CAP_NET_BIND_SERVICE) | CAP(CAP_SETPCAP), (1ull << 41) - 1};

	(void)state;
	if (geteuid() != 0) {
		print_message("skip: changing credentials needs root\n");
		skip();
	}
	for (uint32_t uid = 0; uid < 2000; uid += 1000)
		for (size_t i = 0; i < ARRAY_LEN(sets); i++)
			for (size_t j = 0; j < ARRAY_LEN(sets); j++) {
				struct matrix m = {.uid = uid,
					.caps = {.bounding = sets[i],
						.permitted = sets[i],
						.effective = sets[i],
						.inheritable = sets[j],
						.ambient = sets[j]}};

				assert_int_equal(child_run(become, &m), 0);
			}
}

static void unprivileged(void *arg)
{
	struct credentials_plan plan = {.uid = 0, .set_groups = false, .gid = 1000};
	struct err err = {};

	(void)arg;
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(1000, 1000, 1000) < 0 ||
				      setresuid(1000, 1000, 1000) < 0))
		_exit(2);
	plan.gid = getgid();
	child_check(credentials_apply(&plan, &err) == -EPERM);
	child_check(strstr(err.text, "becoming user 0"));
	err_clear(&err);
	plan.drop = 1;
	child_check(credentials_apply(&plan, &err) == -EPERM);
	child_check(strstr(err.text, "CAP_CHOWN"));
}

static void apply_is_fatal(void **state)
{
	(void)state;
	assert_int_equal(child_run(unprivileged, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan_properties),
		cmocka_unit_test(nothing_asked_nothing_kept),
		cmocka_unit_test(nothing_to_drop_drops_nothing),
		cmocka_unit_test(what_is_not_there_is_reported),
		cmocka_unit_test(groups_without_setgroups),
		cmocka_unit_test(ids_that_are_none),
		cmocka_unit_test(read_agrees_with_prctl),
		cmocka_unit_test(read_refuses_what_is_no_procfs),
		cmocka_unit_test(apply_matrix),
		cmocka_unit_test(apply_is_fatal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

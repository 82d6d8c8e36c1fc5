/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/host.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "tests/unit/cgroups/check.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/mount.h>

static void test_hybrid_hosts(void **state)
{
	unsigned int v1 = 0;
	char own[64];

	(void)state;
	assert_int_equal(host_parse_own("9:name=systemd:/x\n7:blkio:/\n4:memory:/a/b\n"
					"2:cpu,cpuacct:/\n0::/user.slice/a\n",
				 own, sizeof(own), &v1),
		0);
	assert_string_equal(own, "/user.slice/a");
	assert_int_equal(v1, CGROUP_IO | CGROUP_MEMORY | CGROUP_CPU);
}

static void test_unified_and_v1_hosts(void **state)
{
	unsigned int v1 = 9;
	char own[64], tiny[4];

	(void)state;
	assert_int_equal(host_parse_own("0::/a:b\n", own, sizeof(own), &v1), 0);
	assert_string_equal(own, "/a:b");
	assert_int_equal(v1, 0);
	assert_int_equal(host_parse_own("4:memory:/a\n", own, sizeof(own), &v1), -ENOENT);
	assert_int_equal(host_parse_own("", own, sizeof(own), &v1), -ENOENT);
	assert_int_equal(host_parse_own("0::/too-long\n", tiny, sizeof(tiny), &v1), -ENAMETOOLONG);
}

static void test_controllers(void **state)
{
	(void)state;
	assert_int_equal(cgroup_controllers_parse("cpu io nonsense memory\n"),
		CGROUP_CPU | CGROUP_IO | CGROUP_MEMORY);
	assert_int_equal(cgroup_controllers_parse("cpuset"), CGROUP_CPUSET);
	assert_int_equal(cgroup_controllers_parse(""), 0);
	assert_string_equal(cgroup_controller_name(CGROUP_HUGETLB), "hugetlb");
}

/* In a mount namespace without any cgroup tree, in a process of its own; the exit status. */
static int probe_without_tree(void)
{
	struct cgroup_host host = {};
	struct err err = {};
	int r;

	if (sys_unshare(CLONE_NEWNS) < 0 ||
		sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		sys_mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) < 0)
		return 1;
	r = cgroup_host_probe(&host, &err);
	return r == -ENOENT && strstr(err.text, "disabled") && !host.mount ? 0 : 2;
}

static void test_host_without_a_tree_is_told_what_to_do(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	if (getuid() != 0)
		skip();
	pid = sys_fork();
	if (pid == 0)
		_exit(probe_without_tree());
	assert_int_equal(sys_waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hybrid_hosts),
		cmocka_unit_test(test_unified_and_v1_hosts),
		cmocka_unit_test(test_controllers),
		cmocka_unit_test(test_host_without_a_tree_is_told_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

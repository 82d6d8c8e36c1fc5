/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup's life on the host's own v2 tree, which may be without controllers: made, entered by
 * clone3(), frozen, killed, removed. Needs root; works in cgroups of its own below the top.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/process.h"
#include "cgroups/tree.h"
#include "tests/unit/cgroups/check.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

struct fixture {
	struct cgroup_host host;
	struct cgroup_plan plan;
	char path[64];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = {};

	*state = f;
	if (getuid() != 0 || cgroup_host_probe(&f->host, &err) < 0) {
		print_message("skip: needs root and a cgroup v2 tree: %s\n", err.text);
		return 0;
	}
	snprintf(f->path, sizeof(f->path), "/brig-test-%d/a", (int)getpid());
	f->plan = (struct cgroup_plan){.driver = CGROUP_CGROUPFS, .path = f->path};
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char parent[64];

	snprintf(parent, sizeof(parent), "/brig-test-%d", (int)getpid());
	if (f->host.mount)
		(void)tree_remove(f->host.rootfd, parent);
	cgroup_host_close(&f->host);
	free(f);
	return 0;
}

#define NEED_HOST(f)                  \
	do {                          \
		if (!(f)->host.mount) \
			skip();       \
	} while (0)

/* A process in the cgroup that sleeps until it is killed. */
static pid_t clone_into(int dirfd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)dirfd,
	};
	pid_t pid = sys_clone3(&args);

	if (pid == 0)
		for (;;)
			pause();
	assert_true(pid > 0);
	return pid;
}

static void reap(pid_t pid, int expected_signal)
{
	int status = 0;

	assert_int_equal(sys_waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), expected_signal);
}

static void test_create_enter_kill_destroy(void **state)
{
	struct fixture *f = *state;
	autocgroup struct cgroup *cgroup = NULL;
	struct cgroup_pids pids = {};
	pid_t pid;

	NEED_HOST(f);
	ok(cgroup_create, &f->plan, &f->host, &cgroup);
	assert_string_equal(cgroup->path, f->path);
	pid = clone_into(cgroup->dirfd);
	ok(cgroup_list, cgroup, &pids);
	assert_int_equal(pids.count, 1);
	assert_int_equal(pids.items[0], pid);
	free(pids.items);
	ok(cgroup_kill, cgroup);
	ok(cgroup_wait_empty, cgroup, 5000);
	reap(pid, SIGKILL);
	ok(cgroup_destroy, cgroup, 5000);
	assert_int_equal(tree_open(f->host.rootfd, f->path), -ENOENT);
	ok(cgroup_destroy, cgroup, 5000);
}

static void test_destroy_kills_and_removes_what_is_beneath(void **state)
{
	struct fixture *f = *state;
	autocgroup struct cgroup *cgroup = NULL;
	autoclose int below = -1;
	pid_t pids[2];

	NEED_HOST(f);
	ok(cgroup_create, &f->plan, &f->host, &cgroup);
	assert_int_equal(sys_mkdirat(cgroup->dirfd, "b", 0755), 0);
	assert_int_equal(sys_mkdirat(cgroup->dirfd, "b/c", 0755), 0);
	assert_int_equal(sys_mkdirat(cgroup->dirfd, "d", 0755), 0);
	below = tree_open(cgroup->dirfd, "b/c");
	pids[0] = clone_into(below);
	pids[1] = clone_into(cgroup->dirfd);
	ok(cgroup_freeze, cgroup, 5000);
	ok(cgroup_destroy, cgroup, 5000);
	reap(pids[0], SIGKILL);
	reap(pids[1], SIGKILL);
	assert_int_equal(tree_open(f->host.rootfd, f->path), -ENOENT);
}

static void test_occupied_is_refused(void **state)
{
	struct fixture *f = *state;
	autocgroup struct cgroup *first = NULL, *second = NULL;
	struct err err = {};
	pid_t pid;

	NEED_HOST(f);
	ok(cgroup_create, &f->plan, &f->host, &first);
	pid = clone_into(first->dirfd);
	assert_int_equal(cgroup_create(&f->plan, &f->host, &second, &err), -EBUSY);
	assert_non_null(strstr(err.text, f->path));
	assert_null(second);
	assert_int_equal(sys_kill(pid, 0), 0); /* and nothing happened to it */
	ok(cgroup_destroy, first, 5000);
	reap(pid, SIGKILL);
}

static void test_frozen_is_refused_and_kept(void **state)
{
	struct fixture *f = *state;
	autocgroup struct cgroup *first = NULL, *second = NULL;
	struct err err = {};

	NEED_HOST(f);
	ok(cgroup_create, &f->plan, &f->host, &first);
	ok(cgroup_freeze, first, 5000);
	assert_int_equal(cgroup_create(&f->plan, &f->host, &second, &err), -EBUSY);
	ok(cgroup_destroy, first, 5000);
}

static void test_freeze_stops_and_thaw_continues(void **state)
{
	struct fixture *f = *state;
	autocgroup struct cgroup *cgroup = NULL;
	int pipe[2];
	char byte = 0;
	bool frozen = true;
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	struct pollfd poll;
	pid_t pid;

	NEED_HOST(f);
	ok(cgroup_create, &f->plan, &f->host, &cgroup);
	assert_int_equal(sys_pipe(pipe), 0);
	args.cgroup = (uint64_t)cgroup->dirfd;
	pid = sys_clone3(&args);
	if (pid == 0) /* a byte every few milliseconds shows that it runs */
		for (;;)
			(void)!write(pipe[1], "x", 1), poll = (struct pollfd){},
						       sys_poll(&poll, 0, 5);
	assert_true(pid > 0);
	assert_int_equal(sys_read(pipe[0], &byte, 1), 1);
	ok(cgroup_is_frozen, cgroup, &frozen);
	assert_false(frozen);
	ok(cgroup_freeze, cgroup, 5000);
	ok(cgroup_is_frozen, cgroup, &frozen);
	assert_true(frozen);
	poll = (struct pollfd){.fd = pipe[0], .events = POLLIN};
	while (sys_poll(&poll, 1, 0) == 1) /* what was written before */
		assert_int_equal(sys_read(pipe[0], &byte, 1), 1);
	assert_int_equal(sys_poll(&poll, 1, 100), 0);
	ok(cgroup_thaw, cgroup, 5000);
	assert_int_equal(sys_poll(&poll, 1, 5000), 1);
	ok(cgroup_destroy, cgroup, 5000);
	reap(pid, SIGKILL);
	close(pipe[0]);
	close(pipe[1]);
}

static void test_open_knows_its_own(void **state)
{
	struct fixture *f = *state;
	autocgroup struct cgroup *first = NULL, *second = NULL, *third = NULL;
	struct cgroup_saved saved = {.driver = CGROUP_CGROUPFS, .path = f->path, .top = f->path};
	struct err err = {};

	NEED_HOST(f);
	assert_int_equal(cgroup_open(&saved, &f->host, &third, &err), -ENOENT);
	ok(cgroup_create, &f->plan, &f->host, &first);
	saved.inode = first->inode;
	ok(cgroup_open, &saved, &f->host, &second);
	ok(cgroup_destroy, first, 5000);
	cgroup_release(&first);
	ok(cgroup_create, &f->plan, &f->host, &first);
	assert_int_equal(cgroup_open(&saved, &f->host, &third, &err), -ESTALE);
	assert_null(third);
	ok(cgroup_destroy, first, 5000);
}

static void test_e2_paths_stay_beneath_the_tree(void **state)
{
	static const char *const bad[] = {"../x", "/a/../../x", "a/../..", "../../tmp"};
	struct fixture *f = *state;
	struct err err = {};
	int made;

	NEED_HOST(f);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_true(tree_make(f->host.rootfd, bad[i], 0, 0, &made, &err) < 0);
		tree_unmake(f->host.rootfd, bad[i], made);
		assert_int_equal(tree_open(f->host.rootfd, bad[i]), -EXDEV);
	}
	assert_int_equal(sys_faccessat(AT_FDCWD, "/sys/fs/x", F_OK, 0), -ENOENT);
}

static void test_controller_that_is_missing_is_named(void **state)
{
	struct fixture *f = *state;
	autocgroup struct cgroup *cgroup = NULL;
	struct err err = {};
	unsigned int all = (CGROUP_MISC << 1) - 1, missing;

	NEED_HOST(f);
	assert_int_equal(tree_controllers(f->host.rootfd, "cgroup.controllers", &missing), 0);
	missing = all & ~missing;
	if (!missing)
		skip();
	f->plan.needed = missing & -missing;
	assert_int_equal(cgroup_create(&f->plan, &f->host, &cgroup, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, cgroup_controller_name(f->plan.needed)));
	assert_int_equal(tree_open(f->host.rootfd, f->path), -ENOENT);
}

/* Forks without end, so that a plain loop of kills would never be done. */
static void test_slow_kill_wins_against_forks(void **state)
{
	struct fixture *f = *state;
	autocgroup struct cgroup *cgroup = NULL;
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	bool populated = true;
	pid_t pid;

	NEED_HOST(f);
	ok(cgroup_create, &f->plan, &f->host, &cgroup);
	args.cgroup = (uint64_t)cgroup->dirfd;
	pid = sys_clone3(&args);
	if (pid == 0) {
		signal(SIGCHLD, SIG_IGN);
		for (;;)
			if (sys_fork() > 0)
				usleep(500);
			else if (sys_fork() == 0)
				usleep(20000), _exit(0);
	}
	assert_true(pid > 0);
	usleep(20000);
	ok(process_kill_by_list, cgroup);
	assert_int_equal(tree_event(cgroup->dirfd, "populated", &populated), 0);
	assert_false(populated);
	reap(pid, SIGKILL);
	ok(cgroup_destroy, cgroup, 5000);
}

enum { RACE_ROUNDS = 150, RACE_PROCESSES = 4 };

/* Makes and removes cgroups beneath a parent that comes and goes; an exit status. */
static int race(struct fixture *f, int number)
{
	char path[96];
	struct cgroup_plan plan = {.driver = CGROUP_CGROUPFS, .path = path};
	struct err err = {};

	snprintf(path, sizeof(path), "%s/x/%d", f->path, number);
	for (int i = 0; i < RACE_ROUNDS; i++) {
		struct cgroup *cgroup = NULL;
		int r = cgroup_create(&plan, &f->host, &cgroup, &err);

		if (r >= 0)
			r = cgroup_destroy(cgroup, 5000, &err);
		cgroup_free(cgroup);
		tree_unmake(f->host.rootfd, path, 3);
		if (r < 0) {
			print_error("round %d: %s\n", i, err.text);
			return 1;
		}
	}
	return 0;
}

static void test_parents_come_and_go(void **state)
{
	struct fixture *f = *state;
	pid_t pids[RACE_PROCESSES];

	NEED_HOST(f);
	for (int i = 0; i < RACE_PROCESSES; i++) {
		pids[i] = sys_fork();
		if (pids[i] == 0)
			_exit(race(f, i));
	}
	for (int i = 0; i < RACE_PROCESSES; i++) {
		int status = -1;

		assert_int_equal(sys_waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

/* Whatever a path is made of, what is opened is the tree or beneath it. */
static void test_e2_random_paths_stay_beneath_the_tree(void **state)
{
	static const char *const parts[] = {
		"..", ".", "/", "a", "..a", "...", "../..", "//", "/proc", "%2e%2e"};
	struct fixture *f = *state;
	char path[256], link[64], where[512];

	NEED_HOST(f);
	srand(2);
	for (int round = 0; round < 3000; round++) {
		int fd;
		ssize_t n;

		path[0] = '\0';
		for (int i = rand() % 8; i >= 0; i--)
			strcat(strcat(path, parts[(size_t)rand() % ARRAY_LEN(parts)]),
				rand() % 2 ? "/" : "");
		fd = tree_open(f->host.rootfd, path);
		if (fd < 0)
			continue;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = sys_readlinkat(AT_FDCWD, link, where, sizeof(where) - 1);
		assert_true(n > 0);
		where[n] = '\0';
		if (strncmp(where, f->host.mount, strlen(f->host.mount)) != 0)
			fail_msg("%s opened %s", path, where);
		close(fd);
	}
}

static void test_reason_of_a_missing_controller(void **state)
{
	(void)state;
	refused(-EOPNOTSUPP, "memory, which this host keeps on cgroup v1", tree_missing,
		CGROUP_MEMORY | CGROUP_PIDS, CGROUP_MEMORY | CGROUP_CPU, "/a");
	refused(-EOPNOTSUPP, "io, pids, which is not available in cgroup /a", tree_missing,
		CGROUP_IO | CGROUP_PIDS, 0, "/a");
}

static void test_delegated_cgroup_is_entered_and_given(void **state)
{
	struct fixture *f = *state;
	autocgroup struct cgroup *cgroup = NULL;
	autoclose int procfd = sys_openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY, 0), fd = -1;
	struct stat st;
	char procs[32];
	pid_t pid;

	NEED_HOST(f);
	f->plan.delegated = "payload";
	ok(cgroup_create, &f->plan, &f->host, &cgroup);
	ok(cgroup_delegate, cgroup, 1234, 5678);
	assert_int_equal(sys_fstatat(cgroup->dirfd, "payload/cgroup.procs", &st, 0), 0);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 5678);
	assert_int_equal(sys_fstatat(cgroup->dirfd, "cgroup.subtree_control", &st, 0), 0);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(sys_fstatat(cgroup->dirfd, "cgroup.freeze", &st, 0), 0);
	assert_int_equal(st.st_uid, 0);
	pid = clone_into(cgroup->dirfd);
	ok(cgroup_enter_delegated, cgroup, pid);
	assert_true(fd_read_line(cgroup->dirfd, "payload/cgroup.procs", procs, sizeof(procs)) > 0);
	assert_int_equal(atoi(procs), pid);
	/* A process that joins later goes where the first one is. */
	ok(cgroup_open_for_exec, cgroup, procfd, pid, NULL, &fd);
	assert_int_equal(sys_fstat(fd, &st), 0);
	assert_true(st.st_ino != cgroup->inode);
	ok(cgroup_destroy, cgroup, 5000);
	reap(pid, SIGKILL);
}

static void test_exec_goes_into_a_named_cgroup_beneath(void **state)
{
	struct fixture *f = *state;
	autocgroup struct cgroup *cgroup = NULL;
	struct err err = {};
	int fd = -1;

	NEED_HOST(f);
	ok(cgroup_create, &f->plan, &f->host, &cgroup);
	assert_int_equal(sys_mkdirat(cgroup->dirfd, "sub", 0755), 0);
	ok(cgroup_open_for_exec, cgroup, -1, 0, "sub", &fd);
	close(fd);
	fd = -2;
	assert_true(cgroup_open_for_exec(cgroup, -1, 0, "../..", &fd, &err) < 0);
	assert_int_equal(fd, -2);
	ok(cgroup_destroy, cgroup, 5000);
}

static void test_disabled_does_nothing(void **state)
{
	struct cgroup_plan plan = {.driver = CGROUP_DISABLED};
	struct cgroup_host none = {};
	autocgroup struct cgroup *cgroup = NULL;
	struct cgroup_pids pids = {};
	int fd = 7;

	(void)state;
	ok(cgroup_create, &plan, &none, &cgroup);
	assert_int_equal(cgroup->dirfd, -1);
	ok(cgroup_kill, cgroup);
	ok(cgroup_list, cgroup, &pids);
	assert_int_equal(pids.count, 0);
	ok(cgroup_open_for_exec, cgroup, -1, 1, NULL, &fd);
	assert_int_equal(fd, -1);
	ok(cgroup_destroy, cgroup, 0);
}

/* Only that may be taken away again when something fails later. */
static void test_what_was_made_is_counted(void **state)
{
	struct fixture *f = *state;
	static const int wanted[] = {2, 1, 0};
	struct err err = {};
	char below[80];
	int made = -1;

	NEED_HOST(f);
	snprintf(below, sizeof(below), "%s/b", f->path);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		autoclose int fd =
			tree_make(f->host.rootfd, i == 0 ? f->path : below, 0, 0, &made, &err);

		assert_true(fd >= 0);
		assert_int_equal(made, wanted[i]);
	}
	tree_unmake(f->host.rootfd, below, 1);
	assert_int_equal(tree_open(f->host.rootfd, below), -ENOENT);
	assert_int_equal(tree_remove(f->host.rootfd, f->path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create_enter_kill_destroy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_destroy_kills_and_removes_what_is_beneath, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_occupied_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_frozen_is_refused_and_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_freeze_stops_and_thaw_continues, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_open_knows_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_e2_paths_stay_beneath_the_tree, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_controller_that_is_missing_is_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_delegated_cgroup_is_entered_and_given, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_exec_goes_into_a_named_cgroup_beneath, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_e2_random_paths_stay_beneath_the_tree, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_slow_kill_wins_against_forks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_parents_come_and_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_made_is_counted, set_up, tear_down),
		cmocka_unit_test(test_reason_of_a_missing_controller),
		cmocka_unit_test(test_disabled_does_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

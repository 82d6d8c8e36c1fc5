/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits, statistics and events against a kernel that has every controller on cgroup v2. Run by
 * cgroups.sh in the test machine.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/tree.h"
#include "tests/unit/cgroups/check.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>

#define I64(v)                            \
	{                                 \
		.set = true, .value = (v) \
	}

enum { MIB = 1 << 20 };

struct fixture {
	struct cgroup_host host;
	struct cgroup *cgroup;
	char path[64];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct cgroup_plan plan = {
		.driver = CGROUP_CGROUPFS,
		.path = f->path,
		.needed = CGROUP_MEMORY | CGROUP_CPU | CGROUP_IO | CGROUP_PIDS,
	};
	struct err err = {};

	*state = f;
	snprintf(f->path, sizeof(f->path), "/controllers-%d/a", (int)getpid());
	if (cgroup_host_probe(&f->host, &err) < 0 ||
		cgroup_create(&plan, &f->host, &f->cgroup, &err) < 0) {
		print_error("%s\n", err.text);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	struct err err = {};
	int r = cgroup_destroy(f->cgroup, 5000, &err);

	*strrchr(f->path, '/') = '\0';
	if (r >= 0)
		r = tree_remove(f->host.rootfd, f->path);
	cgroup_free(f->cgroup);
	cgroup_host_close(&f->host);
	free(f);
	return r;
}

static const char *content(const struct cgroup *cgroup, const char *file)
{
	static char text[4096];
	ssize_t n = fd_read_line(cgroup->dirfd, file, text, sizeof(text));

	if (n < 0)
		fail_msg("%s: %s", file, strerror((int)-n));
	return text;
}

#define assert_file(cgroup, file, value) assert_string_equal(content(cgroup, file), value)

/* Runs BODY in the cgroup; the wait status. */
static int run_inside(const struct cgroup *cgroup, int (*body)(void))
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup->dirfd,
	};
	int status = 0;
	pid_t pid = sys_clone3(&args);

	if (pid == 0)
		_exit(body());
	assert_true(pid > 0);
	assert_int_equal(sys_waitpid(pid, &status, 0), pid);
	return status;
}

static void test_every_limit_arrives(void **state)
{
	struct fixture *f = *state;
	struct spec_memory memory = {
		.limit = I64(64 * MIB), .swap = I64(96 * MIB), .reservation = I64(16 * MIB)};
	struct spec_cpu cpu = {.shares = I64(2048),
		.quota = I64(50000),
		.period = I64(200000),
		.burst = I64(10000),
		.cpus = "0",
		.mems = "0"};
	struct spec_hugepage_limit huge = {"2MB", 4 * MIB};
	struct pair unified[] = {{"memory.high", "33554432"}, {"cgroup.max.descendants", "9"}};
	struct spec_resources resources = {
		.memory = &memory,
		.cpu = &cpu,
		.pids_limit = I64(77),
		.hugepage_limits = {&huge, 1},
		.unified = {unified, 2},
	};

	/* cpuset and hugetlb were not asked for when the cgroup was made. */
	ok(cgroup_apply, f->cgroup, &resources);
	assert_file(f->cgroup, "memory.max", "67108864");
	assert_file(f->cgroup, "memory.swap.max", "33554432");
	assert_file(f->cgroup, "memory.low", "16777216");
	assert_file(f->cgroup, "memory.high", "33554432");
	assert_file(f->cgroup, "cpu.weight", "174");
	assert_file(f->cgroup, "cpu.max", "50000 200000");
	assert_file(f->cgroup, "cpu.max.burst", "10000");
	assert_file(f->cgroup, "cpuset.cpus", "0");
	assert_file(f->cgroup, "cpuset.mems", "0");
	assert_file(f->cgroup, "pids.max", "77");
	assert_file(f->cgroup, "hugetlb.2MB.max", "4194304");
	assert_file(f->cgroup, "hugetlb.2MB.rsvd.max", "4194304");
	assert_file(f->cgroup, "cgroup.max.descendants", "9");
}

static void test_updates_grow_and_shrink(void **state)
{
	struct fixture *f = *state;
	struct spec_memory memory = {.limit = I64(64 * MIB), .swap = I64(64 * MIB)};
	struct spec_cpu cpu = {.quota = I64(90000), .burst = I64(80000)};
	struct spec_resources resources = {.memory = &memory, .cpu = &cpu};

	ok(cgroup_apply, f->cgroup, &resources);
	assert_file(f->cgroup, "memory.swap.max", "0");
	memory = (struct spec_memory){.limit = I64(32 * MIB), .swap = I64(128 * MIB)};
	cpu = (struct spec_cpu){.quota = I64(20000), .burst = I64(10000)};
	ok(cgroup_apply, f->cgroup, &resources);
	assert_file(f->cgroup, "memory.max", "33554432");
	assert_file(f->cgroup, "memory.swap.max", "100663296");
	assert_file(f->cgroup, "cpu.max", "20000 100000");
	assert_file(f->cgroup, "cpu.max.burst", "10000");
	cpu = (struct spec_cpu){.quota = I64(200000), .burst = I64(150000)};
	memory = (struct spec_memory){.swap = I64(64 * MIB)};
	ok(cgroup_apply, f->cgroup, &resources);
	assert_file(f->cgroup, "memory.swap.max", "33554432");
	assert_file(f->cgroup, "cpu.max.burst", "150000");
	cpu = (struct spec_cpu){.period = I64(50000)};
	ok(cgroup_apply, f->cgroup, &resources);
	assert_file(f->cgroup, "cpu.max", "200000 50000");
}

static void test_idle_comes_and_goes(void **state)
{
	struct fixture *f = *state;
	struct spec_cpu cpu = {.shares = I64(2048), .idle = I64(1)};
	struct spec_resources resources = {.cpu = &cpu};

	ok(cgroup_apply, f->cgroup, &resources);
	assert_file(f->cgroup, "cpu.idle", "1");
	cpu.idle.value = 0;
	ok(cgroup_apply, f->cgroup, &resources);
	assert_file(f->cgroup, "cpu.idle", "0");
	assert_file(f->cgroup, "cpu.weight", "174");
}

static void test_failed_update_is_taken_back(void **state)
{
	struct fixture *f = *state;
	struct spec_memory memory = {.limit = I64(64 * MIB)};
	struct pair unified = {"cpu.weight", "rubbish"};
	struct spec_resources resources = {.memory = &memory, .pids_limit = I64(10)};

	ok(cgroup_apply, f->cgroup, &resources);
	memory.limit.value = 128 * MIB;
	resources.pids_limit.value = 20;
	resources.unified.items = &unified, resources.unified.count = 1;
	refused(-EINVAL, "unified.cpu.weight", cgroup_apply, f->cgroup, &resources);
	assert_file(f->cgroup, "memory.max", "67108864");
	assert_file(f->cgroup, "pids.max", "10");
}

static void test_unknown_file_is_named(void **state)
{
	struct fixture *f = *state;
	struct pair unified = {"memory.nonsense", "1"};
	struct spec_resources resources = {.unified = {&unified, 1}};

	refused(-EOPNOTSUPP, "memory.nonsense", cgroup_apply, f->cgroup, &resources);
}

static int fork_twice(void)
{
	pid_t first = sys_fork(), second = sys_fork();

	if (first == 0 || second == 0)
		_exit(0);
	return first == -EAGAIN || second == -EAGAIN;
}

static void test_pids_limit_holds(void **state)
{
	struct fixture *f = *state;
	struct spec_resources resources = {.pids_limit = I64(1)};
	struct cgroup_stats stats = {};
	autoarena struct arena arena = {};

	ok(cgroup_apply, f->cgroup, &resources);
	assert_int_equal(WEXITSTATUS(run_inside(f->cgroup, fork_twice)), 1);
	ok(cgroup_stats_read, f->cgroup, &arena, &stats);
	assert_true(stats.pids_present);
	assert_int_equal(stats.pids_limit, 1);
	assert_true(stats.pids_failures >= 1);
}

static int use_memory(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; p != MAP_FAILED && i < size; i += 4096)
		p[i] = 1;
	return 0;
}

static int use_too_much(void)
{
	return use_memory(64 * MIB);
}

static void test_oom_is_seen(void **state)
{
	struct fixture *f = *state;
	struct spec_memory memory = {.limit = I64(8 * MIB), .swap = I64(8 * MIB)};
	struct spec_resources resources = {.memory = &memory};
	struct cgroup_events events = {-1, -1};
	struct cgroup_event_counts counts = {};
	struct cgroup_stats stats = {};
	autoarena struct arena arena = {};
	struct pollfd poll = {.events = POLLPRI};
	int status;

	ok(cgroup_apply, f->cgroup, &resources);
	ok(cgroup_events_open, f->cgroup, &events);
	assert_int_equal(cgroup_events_read(&events, &counts), 0);
	assert_int_equal(counts.oom_kill, 0);
	poll.fd = events.memory;
	assert_int_equal(sys_poll(&poll, 1, 0), 0);
	status = run_inside(f->cgroup, use_too_much);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_int_equal(sys_poll(&poll, 1, 5000), 1);
	assert_int_equal(cgroup_events_read(&events, &counts), 0);
	assert_int_equal(counts.oom_kill, 1);
	assert_true(counts.oom >= 1);
	assert_false(counts.populated);
	assert_int_equal(sys_poll(&poll, 1, 0), 0); /* armed again, nothing new */
	cgroup_events_close(&events);
	ok(cgroup_stats_read, f->cgroup, &arena, &stats);
	assert_int_equal(stats.memory.oom_kill, 1);
	assert_int_equal(stats.memory.limit, 8 * MIB);
	assert_int_equal(stats.memory.swap_limit, 0);
}

static int hold_pipe[2];

static _Noreturn void use_some_and_wait(void)
{
	char byte = 'x';

	use_memory(16 * MIB);
	(void)!sys_write(hold_pipe[1], &byte, 1);
	for (;;)
		pause();
}

static void test_check_before_update_and_stats(void **state)
{
	struct fixture *f = *state;
	struct spec_memory memory = {.limit = I64(4 * MIB), .check_before_update = true};
	struct spec_resources resources = {.memory = &memory};
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	struct cgroup_stats stats = {};
	autoarena struct arena arena = {};
	char byte;
	pid_t pid;

	assert_int_equal(sys_pipe(hold_pipe), 0);
	args.cgroup = (uint64_t)f->cgroup->dirfd;
	pid = sys_clone3(&args);
	if (pid == 0)
		use_some_and_wait();
	assert_int_equal(sys_read(hold_pipe[0], &byte, 1), 1);
	refused(-EBUSY, "memory.limit", cgroup_apply, f->cgroup, &resources);
	assert_file(f->cgroup, "memory.max", "max");
	ok(cgroup_stats_read, f->cgroup, &arena, &stats);
	assert_true(stats.memory.present);
	assert_true(stats.memory.usage >= 16 * MIB);
	assert_true(stats.memory.limit == UINT64_MAX);
	assert_true(stats.memory.stat.count > 20);
	assert_string_equal(stats.memory.stat.items[0].key, "anon");
	assert_true(stats.memory.stat.items[0].value >= 16 * MIB);
	assert_int_equal(stats.pids, 1);
	assert_true(stats.cpu.usage > 0);
	assert_true(stats.io.present);
	ok(cgroup_kill, f->cgroup);
	assert_int_equal(sys_waitpid(pid, NULL, 0), pid);
	close(hold_pipe[0]);
	close(hold_pipe[1]);
}

static void test_parent_with_processes_is_named(void **state)
{
	struct fixture *f = *state;
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	autocgroup struct cgroup *below = NULL;
	char path[96];
	struct cgroup_plan plan = {
		.driver = CGROUP_CGROUPFS, .path = path, .needed = CGROUP_MEMORY};
	pid_t pid;

	snprintf(path, sizeof(path), "%s/below", f->path);
	args.cgroup = (uint64_t)f->cgroup->dirfd;
	pid = sys_clone3(&args);
	if (pid == 0)
		for (;;)
			pause();
	refused(-EBUSY, "memory", cgroup_create, &plan, &f->host, &below);
	refused(-EBUSY, f->path, cgroup_create, &plan, &f->host, &below);
	assert_int_equal(tree_open(f->host.rootfd, path), -ENOENT);
	ok(cgroup_kill, f->cgroup);
	assert_int_equal(sys_waitpid(pid, NULL, 0), pid);
}

static int create_unprivileged(const struct cgroup_plan *plan, struct cgroup_host *host)
{
	pid_t pid = sys_fork();
	int status = 0;

	if (pid == 0) {
		struct cgroup *cgroup = NULL;
		struct err err = {};
		int r;

		if (sys_setgroups(0, NULL) < 0 || sys_setresgid(1000, 1000, 1000) < 0 ||
			sys_setresuid(1000, 1000, 1000) < 0)
			_exit(99);
		r = cgroup_create(plan, host, &cgroup, &err);
		if (r >= 0)
			r = cgroup_destroy(cgroup, 5000, &err);
		_exit(-r);
	}
	assert_int_equal(sys_waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void test_rootless_needs_delegation(void **state)
{
	struct fixture *f = *state;
	char path[96];
	struct cgroup_plan plan = {.driver = CGROUP_CGROUPFS,
		.path = path,
		.wanted = CGROUP_MEMORY | CGROUP_PIDS,
		.rootless = true};

	snprintf(path, sizeof(path), "%s/user/box", f->path);
	assert_int_equal(create_unprivileged(&plan, &f->host), EACCES);
	ok(cgroup_delegate, f->cgroup, 1000, 1000);
	assert_int_equal(create_unprivileged(&plan, &f->host), 0);
}

static void test_io_limits_arrive(void **state)
{
	struct fixture *f = *state;
	struct spec_throttle bytes = {7, 0, 1048576}, operations = {7, 0, 100};
	struct spec_block_io io = {
		.weight = {true, 500}, .read_bps = {&bytes, 1}, .write_iops = {&operations, 1}};
	struct spec_resources resources = {.block_io = &io};

	if (sys_faccessat(AT_FDCWD, "/sys/block/loop0", F_OK, 0) < 0)
		fail_msg("no loop device 7:0");
	ok(cgroup_apply, f->cgroup, &resources);
	assert_file(f->cgroup, "io.max", "7:0 rbps=1048576 wbps=max riops=max wiops=100");
	if (sys_faccessat(f->cgroup->dirfd, "io.weight", F_OK, 0) >= 0)
		assert_file(f->cgroup, "io.weight", "default 4950");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_limit_arrives, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_updates_grow_and_shrink, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_idle_comes_and_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_failed_update_is_taken_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unknown_file_is_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pids_limit_holds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_oom_is_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_check_before_update_and_stats, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_parent_with_processes_is_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rootless_needs_delegation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_io_limits_arrive, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

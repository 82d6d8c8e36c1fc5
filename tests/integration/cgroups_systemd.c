/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The systemd driver against a running systemd. Run by cgroups_systemd.sh in the test machine, as
 * root and as a user with a manager of his own. usage: cgroups_systemd BRIG-SYSTEMD [outside]
 * outside: from a process that is not in the user's manager's cgroups.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/tree.h"
#include "tests/unit/cgroups/check.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>

#define I64(v)                            \
	{                                 \
		.set = true, .value = (v) \
	}

static const char *helper;
static bool from_outside;

struct fixture {
	struct cgroup_host host;
	struct arena arena;
	struct spec_config config;
	struct spec_resources resources;
	struct spec_memory memory;
	struct pair annotations[8];
	struct cgroup_plan plan;
	struct cgroup *cgroup;
	char id[32];
	pid_t pid;
};

static int set_up(void **state)
{
	static int count;
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = {};

	*state = f;
	snprintf(f->id, sizeof(f->id), "test-%d-%d", (int)getpid(), count++);
	f->memory = (struct spec_memory){.limit = I64(64 << 20)};
	f->resources = (struct spec_resources){.memory = &f->memory, .pids_limit = I64(50)};
	f->config.linux_.resources = &f->resources;
	f->config.annotations.items = f->annotations;
	if (cgroup_host_probe(&f->host, &err) < 0) {
		print_error("%s\n", err.text);
		return -1;
	}
	f->host.helper = helper;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	struct err err = {};
	int r = f->cgroup ? cgroup_destroy(f->cgroup, 5000, &err) : 0;

	if (r < 0)
		print_error("%s\n", err.text);
	if (f->pid > 0)
		(void)sys_waitpid(f->pid, NULL, 0);
	cgroup_free(f->cgroup);
	cgroup_host_close(&f->host);
	arena_free(&f->arena);
	free(f);
	return r;
}

static void annotate(struct fixture *f, const char *key, const char *value)
{
	f->annotations[f->config.annotations.count++] = (struct pair){key, value};
}

static void make(struct fixture *f)
{
	struct cgroup_facts facts = {.rootless = getuid() != 0};

	ok(cgroup_plan_make, &f->config, f->id, CGROUP_SYSTEMD, &facts, &f->arena, &f->plan);
	ok(cgroup_create, &f->plan, &f->host, &f->cgroup);
	ok(cgroup_apply, f->cgroup, &f->resources);
}

/* The container's first process: a shell would do, this needs none. */
static void enter(struct fixture *f)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)f->cgroup->dirfd,
	};

	f->pid = sys_clone3(&args);
	if (f->pid == -EACCES && from_outside) {
		args.flags = 0;
		f->pid = sys_clone3(&args);
	}
	if (f->pid == 0)
		for (;;)
			pause();
	if (f->pid < 0)
		fail_msg("clone3: %s", strerror(-f->pid));
	if (from_outside)
		ok(cgroup_attach, f->cgroup, f->pid);
	ok(cgroup_settle, f->cgroup);
}

/* The value of a property by systemd's own tool. */
static const char *show(const struct fixture *f, const char *name)
{
	static char line[1024];
	char command[512];
	FILE *pipe;

	snprintf(command, sizeof(command), "systemctl %s show --value -p %s %s",
		getuid() ? "--user" : "", name, f->plan.unit);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	if (!fgets(line, sizeof(line), pipe))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	pclose(pipe);
	return line;
}

static const char *content(const struct fixture *f, const char *file)
{
	static char text[256];
	ssize_t n = fd_read_line(f->cgroup->dirfd, file, text, sizeof(text));

	if (n < 0)
		fail_msg("%s: %s", file, strerror((int)-n));
	return text;
}

static void test_scope_is_made_entered_and_removed(void **state)
{
	struct fixture *f = *state;
	char procs[64];

	make(f);
	assert_string_equal(strrchr(f->cgroup->path, '/'), "/container");
	enter(f);
	assert_string_equal(show(f, "ActiveState"), "active");
	assert_string_equal(show(f, "MemoryMax"), "67108864");
	assert_string_equal(show(f, "TasksMax"), "50");
	assert_string_equal(show(f, "Delegate"), "yes");
	assert_string_equal(content(f, "memory.max"), "67108864");
	assert_string_equal(content(f, "pids.max"), "50");
	snprintf(procs, sizeof(procs), "%d", (int)f->pid);
	assert_string_equal(content(f, "cgroup.procs"), procs);
	ok(cgroup_destroy, f->cgroup, 5000);
	assert_string_equal(show(f, "LoadState"), "not-found");
	assert_int_equal(tree_open(f->host.rootfd, f->cgroup->top), -ENOENT);
	ok(cgroup_destroy, f->cgroup, 5000);
}

static void test_waiting_room_is_gone_afterwards(void **state)
{
	struct fixture *f = *state;
	autoclose int top = -1;
	struct stat st;

	make(f);
	enter(f);
	top = tree_open(f->host.rootfd, f->cgroup->top);
	assert_true(top >= 0);
	assert_int_equal(sys_fstatat(top, "brig-setup", &st, 0), -ENOENT);
	assert_int_equal(sys_fstatat(top, "container", &st, 0), 0);
}

static void test_update_reaches_the_manager_and_the_kernel(void **state)
{
	struct fixture *f = *state;

	make(f);
	enter(f);
	f->memory.limit.value = 32 << 20;
	f->resources.pids_limit.value = 20;
	ok(cgroup_apply, f->cgroup, &f->resources);
	assert_string_equal(show(f, "MemoryMax"), "33554432");
	assert_string_equal(show(f, "TasksMax"), "20");
	assert_string_equal(content(f, "memory.max"), "33554432");
	assert_string_equal(content(f, "pids.max"), "20");
}

static void test_annotations_become_properties(void **state)
{
	struct fixture *f = *state;

	annotate(f, "org.systemd.property.TimeoutStopSec", "7.5");
	annotate(f, "org.systemd.property.CollectMode", "'inactive'");
	annotate(f, "org.systemd.property.Description", "\"a b\\tc\"");
	annotate(f, "org.systemd.property.TasksMax", "uint64 40");
	annotate(f, "org.systemd.property.Documentation", "['man:a(1)', 'man:b(2)']");
	make(f);
	enter(f);
	assert_string_equal(show(f, "TimeoutStopUSec"), "7.500000s");
	assert_string_equal(show(f, "CollectMode"), "inactive");
	assert_string_equal(show(f, "Description"), "a b\tc");
	assert_string_equal(show(f, "TasksMax"), "40");
	assert_string_equal(show(f, "Documentation"), "\"man:a(1)\" \"man:b(2)\"");
	ok(cgroup_destroy, f->cgroup, 5000);
	assert_string_equal(show(f, "LoadState"), "not-found");
}

static void test_slice_and_no_subgroup(void **state)
{
	struct fixture *f = *state;
	char path[96];

	snprintf(path, sizeof(path), "brigtest.slice:box:%s", f->id);
	f->config.linux_.cgroups_path = path;
	annotate(f, "run.oci.systemd.subgroup", "");
	make(f);
	enter(f);
	assert_string_equal(show(f, "Slice"), "brigtest.slice");
	assert_string_equal(f->cgroup->path, f->cgroup->top);
	assert_non_null(strstr(f->cgroup->path, "/brigtest.slice/box-test-"));
	assert_string_equal(content(f, "memory.max"), "67108864");
}

static void test_bad_property_is_told_and_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct cgroup_facts facts = {.rootless = getuid() != 0};
	struct err err = {};

	annotate(f, "org.systemd.property.NoSuchThing", "true");
	ok(cgroup_plan_make, &f->config, f->id, CGROUP_SYSTEMD, &facts, &f->arena, &f->plan);
	assert_true(cgroup_create(&f->plan, &f->host, &f->cgroup, &err) < 0);
	if (!strstr(err.text, "NoSuchThing") || !strstr(err.text, f->plan.unit))
		fail_msg("%s", err.text);
	assert_null(f->cgroup);
	assert_string_equal(show(f, "LoadState"), "not-found");
}

static void test_same_name_twice_is_refused(void **state)
{
	struct fixture *f = *state;
	struct cgroup *second = NULL;

	make(f);
	enter(f);
	refused(-EEXIST, f->plan.unit, cgroup_create, &f->plan, &f->host, &second);
	assert_string_equal(show(f, "ActiveState"), "active");
}

static void test_what_was_planned_is_enough_to_remove_it(void **state)
{
	struct fixture *f = *state;
	struct cgroup_saved saved = {.driver = CGROUP_SYSTEMD, .rootless = getuid() != 0};
	struct cgroup *again = NULL;

	make(f);
	enter(f);
	saved.unit = f->plan.unit;
	ok(cgroup_open, &saved, &f->host, &again);
	ok(cgroup_destroy, again, 5000);
	assert_string_equal(show(f, "LoadState"), "not-found");
	ok(cgroup_destroy, again, 5000);
	cgroup_free(again);
}

static void test_ends_with_its_last_process(void **state)
{
	struct fixture *f = *state;
	struct cgroup_saved saved;
	struct cgroup *again = NULL;
	struct err err = {};

	make(f);
	enter(f);
	saved = (struct cgroup_saved){.driver = CGROUP_SYSTEMD,
		.path = f->cgroup->path,
		.top = f->cgroup->top,
		.unit = f->cgroup->unit,
		.inode = f->cgroup->inode,
		.rootless = f->cgroup->rootless};
	ok(cgroup_open, &saved, &f->host, &again);
	cgroup_free(again);
	ok(cgroup_kill, f->cgroup);
	(void)sys_waitpid(f->pid, NULL, 0);
	f->pid = 0;
	ok(cgroup_wait_empty, f->cgroup, 5000);
	ok(cgroup_destroy, f->cgroup, 5000);
	assert_int_equal(cgroup_open(&saved, &f->host, &again, &err), -ENOENT);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_scope_is_made_entered_and_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_waiting_room_is_gone_afterwards, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_update_reaches_the_manager_and_the_kernel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_annotations_become_properties, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slice_and_no_subgroup, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_bad_property_is_told_and_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_same_name_twice_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_was_planned_is_enough_to_remove_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ends_with_its_last_process, set_up, tear_down),
	};

	if (argc < 2)
		return 2;
	helper = argv[1];
	from_outside = argc > 2 && strcmp(argv[2], "outside") == 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

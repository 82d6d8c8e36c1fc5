/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/userns.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A folder stands for procfs: what is written where is all that there is to it. */
struct fixture {
	char dir[64];
	int procfd;
	struct spec_config config;
	struct plan plan;
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/brig-userns-%d", (int)getpid());
	sys_mkdirat(AT_FDCWD, f->dir, 0700);
	f->procfd = sys_openat(AT_FDCWD, f->dir, O_RDONLY | O_DIRECTORY, 0);
	sys_mkdirat(f->procfd, "7", 0700);
	f->plan = (struct plan){
		.config = &f->config,
		.id_map = PLAN_ID_MAP_DIRECT,
		.uid_map = "0 100 5\n",
		.gid_map = "0 200 6\n",
	};
	*state = f;
	return f->procfd < 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	path_remove_tree(AT_FDCWD, f->dir);
	close(f->procfd);
	free(f);
	return 0;
}

static void add(struct fixture *f, const char *name)
{
	assert_int_equal(fd_create_file(f->procfd, name, "", 0, 0600), 0);
}

static void assert_text(struct fixture *f, const char *name, const char *want)
{
	autobuf struct buf text = {};

	assert_int_equal(fd_read_file(f->procfd, name, 4096, &text), 0);
	assert_string_equal(buf_str(&text), want);
}

static void test_direct(void **state)
{
	struct fixture *f = *state;

	add(f, "7/uid_map");
	add(f, "7/gid_map");
	add(f, "7/setgroups");
	assert_int_equal(userns_write_maps(&f->plan, f->procfd, 7, &f->err), 0);
	assert_text(f, "7/uid_map", "0 100 5\n");
	assert_text(f, "7/gid_map", "0 200 6\n");
	assert_text(f, "7/setgroups", "");
	f->plan.deny_setgroups = true;
	assert_int_equal(userns_write_maps(&f->plan, f->procfd, 7, &f->err), 0);
	assert_text(f, "7/setgroups", "deny");
}

static void test_each_failure_names_its_file(void **state)
{
	static const char *const files[] = {"setgroups", "uid_map", "gid_map"};
	struct fixture *f = *state;

	f->plan.deny_setgroups = true;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char name[32];

		f->err = (struct err){};
		assert_int_equal(userns_write_maps(&f->plan, f->procfd, 7, &f->err), -ENOENT);
		assert_non_null(strstr(f->err.text, files[i]));
		snprintf(name, sizeof(name), "7/%s", files[i]);
		add(f, name);
	}
	assert_int_equal(userns_write_maps(&f->plan, f->procfd, 7, &f->err), 0);
}

/* A process in a user namespace of its own, which waits to be killed. */
static pid_t start_unshared(void)
{
	int pipe_fds[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER) < 0 || write(pipe_fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	close(pipe_fds[0]);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_for_real(void **state)
{
	struct fixture *f = *state;
	autoclose int procfd = sys_openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY, 0);
	autobuf struct buf text = {};
	char name[32];
	pid_t pid;

	if (getuid() != 0)
		skip();
	pid = start_unshared();
	assert_int_equal(userns_write_maps(&f->plan, procfd, pid, &f->err), 0);
	snprintf(name, sizeof(name), "%d/gid_map", (int)pid);
	assert_int_equal(fd_read_file(procfd, name, 4096, &text), 0);
	assert_non_null(strstr(buf_str(&text), "200          6"));
	/* A map is written once. */
	assert_int_equal(userns_write_maps(&f->plan, procfd, pid, &f->err), -EPERM);
	stop(pid);
}

static void test_helper_refuses_ids_of_others(void **state)
{
	struct spec_id_mapping others = {.container_id = 0, .host_id = 4000000000U, .size = 7};
	struct fixture *f = *state;
	pid_t pid;
	int r;

	if (getuid() != 0)
		skip();
	f->plan.id_map = PLAN_ID_MAP_HELPER;
	f->config.linux_.uid_mappings = (struct spec_id_mappings){&others, 1};
	f->config.linux_.gid_mappings = f->config.linux_.uid_mappings;
	pid = start_unshared();
	r = userns_write_maps(&f->plan, f->procfd, pid, &f->err);
	stop(pid);
	if (r == -ENOENT) /* as on a host without the package */
		assert_non_null(strstr(f->err.text, "install the package uidmap"));
	else
		assert_int_equal(r, -EPERM);
	assert_non_null(strstr(f->err.text, "newuidmap"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_direct),
		TEST(test_each_failure_names_its_file),
		TEST(test_for_real),
		TEST(test_helper_refuses_ids_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

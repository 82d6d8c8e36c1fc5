/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include "base/fd.h"
#include "base/sys.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

/* Runs SCRIPT with sh and returns what it wrote to its standard output. */
static int run(const char *script, struct process_options options, struct buf *out, int *status,
	struct err *err)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	int fds[2], r;

	assert_int_equal(sys_pipe(fds), 0);
	options.path = "/bin/sh";
	options.argv = argv;
	options.stdout_fd = fds[1];
	options.stderr_fd = -1;
	r = process_run(&options, status, err);
	close(fds[1]);
	assert_int_equal(fd_read_all(fds[0], 1 << 20, out), 0);
	close(fds[0]);
	return r;
}

static void test_status_and_output(void **state)
{
	autobuf struct buf out = {};
	struct err err = {};
	int status = -1;
	(void)state;

	assert_int_equal(
		run("echo hi; exit 7", (struct process_options){}, &out, &status, &err), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_string_equal(buf_str(&out), "hi\n");
}

static void test_environment_directory_descriptors(void **state)
{
	const char *env[] = {"ONLY=this", NULL};
	autobuf struct buf out = {};
	struct err err = {};
	int status, inheritable = open("/dev/null", O_RDONLY);
	(void)state;

	setenv("LEAKED", "yes", 1);
	assert_int_equal(
		run("pwd; echo \"$ONLY:$LEAKED\"; echo /proc/self/fd/*",
			(struct process_options){.envp = env, .cwd = "/usr"}, &out, &status, &err),
		0);
	assert_int_equal(strncmp(buf_str(&out), "/usr\nthis:\n", 11), 0);
	assert_non_null(strstr(buf_str(&out), "/proc/self/fd/2"));
	/* 3 is the directory that the shell itself reads. */
	assert_null(strstr(buf_str(&out), "/proc/self/fd/4"));
	close(inheritable);
}

static void test_input(void **state)
{
	static char data[300000];
	autobuf struct buf out = {};
	struct err err = {};
	int status;
	(void)state;

	memset(data, 'i', sizeof(data));
	assert_int_equal(
		run("wc -c", (struct process_options){.input = data, .input_len = sizeof(data)},
			&out, &status, &err),
		0);
	assert_int_equal(atoi(buf_str(&out)), sizeof(data));
	/* A program that does not read its input is no failure. */
	out.len = 0;
	assert_int_equal(run("exec <&-; exit 3",
				 (struct process_options){.input = data, .input_len = sizeof(data)},
				 &out, &status, &err),
		0);
	assert_int_equal(WEXITSTATUS(status), 3);
}

static void test_cannot_start(void **state)
{
	const char *argv[] = {"x", NULL};
	struct process_options options = {
		.path = "/nonexistent/x", .argv = argv, .stdout_fd = -1, .stderr_fd = -1};
	struct err err = {};
	int status;
	(void)state;

	assert_int_equal(process_run(&options, &status, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/x"));
	options.path = "/etc/passwd";
	assert_int_equal(process_run(&options, &status, &err), -EACCES);
	options.path = "/bin/true";
	options.cwd = "/nonexistent";
	assert_int_equal(process_run(&options, &status, &err), -ENOENT);
}

static void test_the_first_that_is_there(void **state)
{
	static const char *const none[] = {"/no/such", "/no/other", NULL};
	static const char *const some[] = {"/no/such", "/bin/sh", "/bin/false", NULL};
	const char *const argv[] = {"x", "-c", "exit 7", NULL};
	const struct process_options options = {.argv = argv, .stdout_fd = -1, .stderr_fd = -1};
	struct err err = {};
	int status = -1;
	(void)state;

	assert_int_equal(process_run_first(none, &options, &status, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/no/other"));
	assert_int_equal(process_run_first(some, &options, &status, &err), 0);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(err.code, 0);
}

static void test_timeout_kills_the_group(void **state)
{
	autobuf struct buf out = {};
	struct timespec start, end;
	struct err err = {};
	int status;
	(void)state;

	clock_gettime(CLOCK_MONOTONIC, &start);
	/* The pipe ends only when the background process is gone as well. */
	assert_int_equal(run("sleep 60 & sleep 60", (struct process_options){.timeout_ms = 200},
				 &out, &status, &err),
		-ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(end.tv_sec - start.tv_sec < 10);
	assert_non_null(strstr(err.text, "200 ms"));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_a_signal_kills_the_group(void **state)
{
	autobuf struct buf out = {};
	struct err err = {};
	int status;
	pid_t pid;
	(void)state;

	/* In a process of its own: the signals stay blocked. */
	pid = fork();
	if (pid == 0) {
		autocancel struct cancel cancel = {-1};
		char script[64];

		assert_int_equal(cancel_open(&cancel, &err), 0);
		snprintf(script, sizeof(script), "kill -HUP %d; sleep 60 & sleep 60", getpid());
		assert_int_equal(run(script, (struct process_options){.cancel = &cancel}, &out,
					 &status, &err),
			-EINTR);
		assert_string_equal(err.text, "/bin/sh: interrupted by SIGHUP");
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		/* It was taken: the next program runs. */
		assert_int_equal(run("exit 7", (struct process_options){.cancel = &cancel}, &out,
					 &status, &err),
			0);
		_exit(WEXITSTATUS(status));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void test_it_dies_with_its_caller(void **state)
{
	struct process_options options = {.stderr_fd = -1};
	const char *argv[] = {"sh", "-c", "echo; exec sleep 60", NULL};
	int fds[2], status;
	char c;
	pid_t pid;
	(void)state;

	assert_int_equal(sys_pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct err err = {};

		options.path = "/bin/sh";
		options.argv = argv;
		options.stdout_fd = fds[1];
		_exit(process_run(&options, &status, &err) != 0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* The pipe ends with the last who has it. */
	alarm(10);
	assert_int_equal(read(fds[0], &c, 1), 0);
	alarm(0);
	close(fds[0]);
}

static void test_signals_are_reset(void **state)
{
	autobuf struct buf out = {};
	struct err err = {};
	sigset_t blocked, before;
	int status;
	(void)state;

	signal(SIGTERM, SIG_IGN);
	sigfillset(&blocked);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	assert_int_equal(
		run("kill -TERM $$; echo alive", (struct process_options){}, &out, &status, &err),
		0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGTERM, SIG_DFL);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* With 0, 1 and 2 closed, the null devices of the program must not overwrite each other. */
static void test_closed_standard_descriptors(void **state)
{
	const char *argv[] = {
		"sh", "-c", "test -c /dev/fd/0 -a -c /dev/fd/1 -a -c /dev/fd/2", NULL};
	struct process_options options = {
		.path = "/bin/sh", .argv = argv, .stdout_fd = -1, .stderr_fd = -1};
	pid_t pid;
	int status;
	(void)state;

	pid = fork();
	if (pid == 0) {
		struct err err = {};
		int inner = -1;

		for (int i = 0; i < 3; i++)
			close(i);
		if (process_run(&options, &inner, &err) < 0)
			_exit(100);
		_exit(WEXITSTATUS(inner));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1); /* standard input is a pipe, not the device */
}

static void test_start_time(void **state)
{
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned long long mine = 0, again = 0;
	char letter = 0;
	(void)state;

	assert_int_equal(process_start_time(proc, getpid(), &mine, &letter), 0);
	assert_int_equal(letter, 'R');
	assert_int_equal(process_start_time(proc, getpid(), &again, NULL), 0);
	assert_true(mine > 0 && mine == again);
	assert_int_equal(process_start_time(proc, 0x3ffffff, &mine, NULL), -ESRCH);
	close(proc);
}

/* A process is what it was until it ends, also before anybody has waited for it. */
static void test_inode(void **state)
{
	uint64_t mine = 0, child = 0;
	siginfo_t info;
	pid_t pid;
	int r = process_pidfd_inode(getpid(), &mine);
	(void)state;

	if (r == -EOPNOTSUPP)
		skip();
	assert_int_equal(r, 0);
	assert_int_equal(process_is_inode(getpid(), mine), 1);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(process_pidfd_inode(pid, &child), 0);
	assert_true(child != mine);
	assert_int_equal(process_is_inode(pid, child), 1);
	assert_int_equal(process_is_inode(pid, mine), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_is_inode(pid, child), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(process_is_inode(pid, child), 0);
}

/* Whether /proc/self/NAME has TEXT in it, or does not begin with START. */
static bool shows(const char *name, const char *text, const char *start)
{
	enum { ARGUMENTS_MAX = 8 << 20 };
	autobuf struct buf all = {};
	char path[64];
	int fd, r;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd_read_all(fd, ARGUMENTS_MAX, &all);
	close(fd);
	return r < 0 || memmem(buf_str(&all), all.len, text, strlen(text)) ||
	       strncmp(buf_str(&all), start, strlen(start)) != 0;
}

static void test_hidden(void **state)
{
	pid_t pid;
	int status;
	(void)state;

	assert_true(shows("cmdline", "base_process", ""));
	assert_true(shows("environ", "PATH=", ""));
	pid = fork();
	if (pid == 0) {
		process_hide("a title");
		if (shows("environ", "PATH=", ""))
			_exit(1);
		_exit(shows("cmdline", "base_process", "a title") ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_non_null(getenv("PATH"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_and_output),
		cmocka_unit_test(test_environment_directory_descriptors),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_cannot_start),
		cmocka_unit_test(test_the_first_that_is_there),
		cmocka_unit_test(test_timeout_kills_the_group),
		cmocka_unit_test(test_a_signal_kills_the_group),
		cmocka_unit_test(test_it_dies_with_its_caller),
		cmocka_unit_test(test_signals_are_reset),
		cmocka_unit_test(test_closed_standard_descriptors),
		cmocka_unit_test(test_start_time),
		cmocka_unit_test(test_inode),
		cmocka_unit_test(test_hidden),
	};

	argv = process_own_arguments(argc, argv);
	if (!argv)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

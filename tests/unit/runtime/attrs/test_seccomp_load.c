/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/seccomp/load.h"

#include "base/fd.h"
#include "base/sys.h"
#include "tests/unit/runtime/attrs/child.h"
#include "tests/unit/runtime/attrs/profile.h"

#include <errno.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

static const char message[] = "{\"ociVersion\":\"1.2.0\",\"fds\":[\"seccompFd\"]}";

static void expect_compile(const struct profile *p, struct seccomp_program *ret)
{
	struct err err = {};

	if (seccomp_compile(&p->seccomp, ret, &err) < 0)
		fail_msg("%s", err.text);
}

static void filtered(void *arg)
{
	const struct seccomp_program *program = arg;
	struct err err = {};

	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(seccomp_install(program, NULL, &err) == 0);
	child_check(syscall(SYS_getppid) > 0);
	child_check(syscall(SYS_mkdirat, -1, "x", 0) < 0 && errno == 77);
	child_check(syscall(SYS_personality, 0xffffffff) < 0 && errno == EPERM);
	child_check(syscall(SYS_personality, 8) >= 0);
	child_check(syscall(SYS_getcwd, NULL, 0) < 0 && errno == EPERM);
	child_check(syscall(999) < 0 && errno == ENOSYS);
}

/* The kernel's own answer for a program that is really installed. */
static void filter_works(void **state)
{
	/* The last three are the address sanitizer's, when the child ends. */
	static const char *const needed[] = {"getppid", "write", "exit_group", "exit",
		"rt_sigaction", "sigaltstack", "mmap", "munmap"};
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program program = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		profile_add(&p, SPEC_SECCOMP_ALLOW, needed[i]);
	profile_add(&p, SPEC_SECCOMP_ERRNO, "mkdirat")->errno_ret = (struct opt_u32){true, 77};
	rule_arg(profile_add(&p, SPEC_SECCOMP_ALLOW, "personality"), 0, SPEC_SECCOMP_EQ, 8, 0);
	profile_flag(&p, "SECCOMP_FILTER_FLAG_LOG");
	profile_flag(&p, "SECCOMP_FILTER_FLAG_SPEC_ALLOW");
	profile_flag(&p, "SECCOMP_FILTER_FLAG_TSYNC");
	expect_compile(&p, &program);
	assert_int_equal(child_run(filtered, &program), 0);
}

static void killed(void *arg)
{
	const struct seccomp_program *program = arg;
	struct err err = {};

	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(seccomp_install(program, NULL, &err) == 0);
	syscall(SYS_getppid);
}

static void engine_profile_loads(void **state)
{
	autoprofile struct profile p = profile_like_an_engine();
	autoprogram struct seccomp_program program = {};
	int status;

	(void)state;
	p.seccomp.syscalls.items[0].names.items[0] = "write";
	profile_add(&p, SPEC_SECCOMP_KILL_PROCESS, "getppid");
	for (size_t i = 0; i < p.seccomp.syscalls.items[0].names.count; i++)
		if (strcmp(p.seccomp.syscalls.items[0].names.items[i], "getppid") == 0)
			p.seccomp.syscalls.items[0].names.items[i] = "write";
	expect_compile(&p, &program);
	status = child_run(killed, &program);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void without_privilege(void *arg)
{
	struct err err = {};

	if (geteuid() == 0 && setresuid(1000, 1000, 1000) < 0)
		_exit(2);
	child_check(seccomp_install(arg, NULL, &err) == -EACCES);
	child_check(strstr(err.text, "noNewPrivileges"));
}

static void needs_no_new_privs(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ALLOW);
	autoprogram struct seccomp_program program = {};

	(void)state;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
		print_message("skip: no_new_privs is set already\n");
		skip();
	}
	expect_compile(&p, &program);
	assert_int_equal(child_run(without_privilege, &program), 0);
}

static void notify_needs_a_place_for_the_listener(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ALLOW);
	autoprogram struct seccomp_program program = {};
	struct err err = {};

	(void)state;
	profile_add(&p, SPEC_SECCOMP_NOTIFY, "mkdirat");
	expect_compile(&p, &program);
	assert_int_equal(seccomp_install(&program, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "listenerPath"));
}

/* ---- the listener ---- */

struct loader {
	const struct seccomp_program *program;
	int sock;
};

/* Everything is trapped, execve too: whoever waits for a system call of this process waits for
 * ever. The answer to mkdirat is 55; all else is let through. */
static void trapped(void *arg)
{
	const struct loader *l = arg;
	struct err err = {};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(2);
	if (seccomp_install_notify(l->program, l->sock, message, sizeof(message), &err) < 0)
		_exit(3);
	if (syscall(SYS_mkdirat, -1, "x", 0) != -1 || errno != 55)
		_exit(4);
	execl("/bin/true", "true", NULL);
	_exit(5);
}

static int supervise(int listener)
{
	struct seccomp_notif_sizes sizes;
	autofree struct seccomp_notif *request = NULL;
	int count = 0;

	assert_int_equal(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes), 0);
	request = calloc(1, sizes.seccomp_notif);
	for (;;) {
		struct seccomp_notif_resp response = {};

		memset(request, 0, sizes.seccomp_notif);
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, request) < 0) {
			if (errno == EINTR)
				continue;
			return count; /* ENOENT: nobody is left */
		}
		count++;
		response.id = request->id;
		if (request->data.nr == SYS_mkdirat)
			response.error = -55;
		else
			response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
	}
}

static int wait_listener_end(pid_t pid, int listener, int *ret_count)
{
	int status;
	pid_t supervisor = fork();

	if (supervisor == 0) {
		alarm(60);
		_exit(supervise(listener) > 3 ? 0 : 1);
	}
	close(listener);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	kill(supervisor, SIGTERM);
	waitpid(supervisor, ret_count, 0);
	return status;
}

static void everything_trapped(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_NOTIFY);
	autoprogram struct seccomp_program program = {};

	(void)state;
	profile_add(&p, SPEC_SECCOMP_ALLOW, "read");
	profile_flag(&p, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
	expect_compile(&p, &program);
	assert_true(program.notify);
	/* Many times over, since what is looked for is a race. */
	for (int i = 0; i < 200; i++) {
		struct loader l = {.program = &program};
		int pair[2], listener = -1, count;
		char text[200];
		size_t fds = 1;
		pid_t pid;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		l.sock = pair[1];
		pid = fork();
		if (pid == 0) {
			alarm(60);
			trapped(&l);
		}
		close(pair[1]);
		assert_int_equal(
			fd_recv(pair[0], text, sizeof(text), &listener, &fds), sizeof(message));
		assert_int_equal(fds, 1);
		assert_string_equal(text, message);
		close(pair[0]);
		assert_int_equal(wait_listener_end(pid, listener, &count), 0);
	}
}

/* The supervisor went away: an error, and calls that fail instead of waiting. */
static void abandoned(void *arg)
{
	const struct loader *l = arg;
	struct err err = {};

	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(seccomp_install_notify(l->program, l->sock, message, sizeof(message), &err) ==
		    -EPIPE);
	child_check(strstr(err.text, "supervisor"));
	child_check(syscall(SYS_mkdirat, -1, "x", 0) < 0 && errno == ENOSYS);
}

static void supervisor_is_gone(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ALLOW);
	autoprogram struct seccomp_program program = {};
	struct loader l = {.program = &program};
	int pair[2];

	(void)state;
	profile_add(&p, SPEC_SECCOMP_NOTIFY, "mkdirat");
	expect_compile(&p, &program);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[0]);
	l.sock = pair[1];
	assert_int_equal(child_run(abandoned, &l), 0);
	close(pair[1]);
}

/* Installing fails: the thread is told, nothing is sent. */
static void refused(void *arg)
{
	const struct loader *l = arg;
	struct err err = {};

	if (geteuid() == 0 && setresuid(1000, 1000, 1000) < 0)
		_exit(2);
	child_check(seccomp_install_notify(l->program, l->sock, message, sizeof(message), &err) ==
		    -EACCES);
}

static void refusal_is_reported(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ALLOW);
	autoprogram struct seccomp_program program = {};
	struct loader l = {.program = &program};
	int pair[2];
	char byte;

	(void)state;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
		print_message("skip: no_new_privs is set already\n");
		skip();
	}
	profile_add(&p, SPEC_SECCOMP_NOTIFY, "mkdirat");
	expect_compile(&p, &program);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	l.sock = pair[1];
	assert_int_equal(child_run(refused, &l), 0);
	close(pair[1]);
	assert_int_equal(read(pair[0], &byte, 1), 0);
	close(pair[0]);
}

/* A state longer than the socket's buffer arrives whole. */
struct big {
	struct loader loader;
	const char *text;
	size_t len;
};

static void load_big(void *arg)
{
	const struct big *b = arg;
	struct err err = {};

	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(seccomp_install_notify(
			    b->loader.program, b->loader.sock, b->text, b->len, &err) == 0);
}

static void long_state(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ALLOW);
	autoprogram struct seccomp_program program = {};
	const size_t len = 3 << 20;
	autofree char *text = malloc(len), *got = malloc(len);
	struct big b = {.loader = {.program = &program}, .text = text, .len = len};
	int pair[2], status, listener = -1;
	size_t at, fds = 1;
	ssize_t n;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < len; i++)
		text[i] = (char)(i * 7 + i / 1000);
	profile_add(&p, SPEC_SECCOMP_NOTIFY, "mkdirat");
	expect_compile(&p, &program);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	b.loader.sock = pair[1];
	pid = fork();
	if (pid == 0) {
		load_big(&b);
		_exit(0);
	}
	close(pair[1]);
	n = fd_recv(pair[0], got, len, &listener, &fds);
	assert_true(n > 0);
	assert_int_equal(fds, 1);
	for (at = (size_t)n; (n = read(pair[0], got + at, len - at)) > 0;)
		at += (size_t)n;
	assert_int_equal(at, len);
	assert_memory_equal(got, text, len);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(pair[0]);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter_works),
		cmocka_unit_test(engine_profile_loads),
		cmocka_unit_test(needs_no_new_privs),
		cmocka_unit_test(notify_needs_a_place_for_the_listener),
		cmocka_unit_test(everything_trapped),
		cmocka_unit_test(supervisor_is_gone),
		cmocka_unit_test(refusal_is_reported),
		cmocka_unit_test(long_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the process that talks to registries may still do, each tried in one of its own. */
#include "images/remote/remote.h"

#include "base/sys.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOT_ENTERED = 100 };

static char dir[64];
static pid_t parent;

/* What ATTEMPT, which returns a positive errno, gives in the sandbox. */
static int confined(bool writable, int (*attempt)(void))
{
	static const char *const no_files[] = {NULL};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int root = open(dir, O_RDONLY | O_DIRECTORY);
		struct err err = {};

		if (remote_sandbox_enter(root, writable, no_files, &err) < 0) {
			(void)!write(2, err.text, strlen(err.text));
			_exit(NOT_ENTERED);
		}
		_exit(attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), NOT_ENTERED);
	return WEXITSTATUS(status);
}

static int outcome(long r)
{
	return r < 0 ? errno : 0;
}

static int write_store(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/blob", dir);
	return outcome(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int read_certificates(void)
{
	return outcome(open("/etc/ssl", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int read_secrets(void)
{
	return outcome(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int write_elsewhere(void)
{
	return outcome(open("/tmp/test_sandbox.outside", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int run_program(void)
{
	static char *const argv[] = {(char *)"true", NULL}, *const envp[] = {NULL};

	return outcome(execve("/bin/true", argv, envp));
}

static int make_process(void)
{
	return outcome(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
}

static int make_namespace(void)
{
	return outcome(unshare(CLONE_NEWUSER));
}

static int open_unix_socket(void)
{
	return outcome(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int open_packet_socket(void)
{
	return outcome(socket(AF_PACKET, SOCK_RAW, 0));
}

static int open_ip_socket(void)
{
	return outcome(socket(AF_INET, SOCK_STREAM, 0));
}

static int signal_another(void)
{
	return outcome(kill(parent, 0));
}

static int trace_another(void)
{
	return outcome(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
}

static int map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}

static int use_capability(void)
{
	return outcome(chown(dir, 1, 1));
}

static void *nothing(void *arg)
{
	return arg;
}

static int make_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 2;
}

static void what_it_needs(void **state)
{
	(void)state;
	assert_int_equal(confined(true, write_store), 0);
	assert_int_equal(confined(true, read_certificates), 0);
	assert_int_equal(confined(true, open_ip_socket), 0);
	assert_int_equal(confined(true, make_thread), 0);
}

static void what_it_does_not(void **state)
{
	(void)state;
	assert_int_equal(confined(true, run_program), EPERM);
	assert_int_equal(confined(true, make_process), EPERM);
	assert_int_equal(confined(true, make_namespace), EPERM);
	assert_int_equal(confined(true, open_unix_socket), EPERM);
	assert_int_equal(confined(true, open_packet_socket), EPERM);
	assert_int_equal(confined(true, signal_another), EPERM);
	assert_int_equal(confined(true, trace_another), EPERM);
	assert_int_equal(confined(true, map_code), EPERM);
	assert_int_equal(confined(true, use_capability), EPERM);
}

static void files(void **state)
{
	(void)state;
	if (!has_landlock())
		skip();
	assert_int_equal(confined(true, read_secrets), EACCES);
	assert_int_equal(confined(true, write_elsewhere), EACCES);
	unlink("/tmp/test_sandbox.outside");
	/* A push only reads. */
	assert_int_equal(confined(false, write_store), EACCES);
}

static int make_folder(void **state)
{
	(void)state;
	parent = getpid();
	strcpy(dir, "/tmp/test_sandbox.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_file(void **state)
{
	char path[96];

	(void)state;
	snprintf(path, sizeof(path), "%s/blob", dir);
	unlink(path);
	return 0;
}

static int remove_folder(void **state)
{
	remove_file(state);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_needs),
		cmocka_unit_test(what_it_does_not),
		cmocka_unit_test_setup(files, remove_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

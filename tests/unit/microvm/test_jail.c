/* SPDX-License-Identifier: Apache-2.0 */
/* What a compromised VMM could still do: each case is a child that goes into the jail and tries. */
#include "runtime/microvm/vmm/jail.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/vmm/filter.h"
#include "tests/unit/microvm/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { JAIL_FAILED = 99, OWN_UID = 64123 };

/* The wait(2) status of a child that runs TRY in the jail. */
static int in_jail(int (*try)(void), const char *role)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct jail_options options = {.descriptors = 64,
			.change_user = geteuid() == 0,
			.uid = OWN_UID,
			.gid = OWN_UID};
		struct err err = {};

		if (jail_enter(&options, &err) < 0 || (role && filter_load(role, &err) < 0)) {
			fprintf(stderr, "%s\n", err.text);
			_exit(JAIL_FAILED);
		}
		syscall(SYS_exit_group, try());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int nothing(void)
{
	return 7;
}

static int open_files(void)
{
	static const char *const paths[] = {
		"/", ".", "..", "/proc", "/etc/passwd", "/dev/kvm", "../.."};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (open(paths[i], O_RDONLY) >= 0)
			return 1 + (int)i;
	}
	return open("/new", O_CREAT | O_WRONLY, 0600) >= 0 || mkdir("/dir", 0700) == 0 ? 20 : 0;
}

static int capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	if (syscall(SYS_capget, &head, data) < 0)
		return 1;
	if (data[0].permitted | data[0].effective | data[0].inheritable | data[1].permitted)
		return 2;
	if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) != 0)
		return 3;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 4;
}

static int user(void)
{
	uid_t real, effective, saved;

	getresuid(&real, &effective, &saved);
	if (real != effective || real != saved || real == 0)
		return 1;
	return setuid(0) == 0 || seteuid(0) == 0 ? 2 : 0;
}

static int network(void)
{
	struct sockaddr other = {.sa_family = AF_INET};
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	return sock >= 0 && connect(sock, &other, 16) == 0; /* not even loopback is up */
}

static int limits(void)
{
	struct rlimit core, files;

	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &files);
	return core.rlim_max != 0 || files.rlim_max != 64 || prctl(PR_GET_DUMPABLE) != 0;
}

/* --- what a role's filter is for: each of these kills --- */

static int ruled_open(void)
{
	return open("/", O_RDONLY);
}

static int ruled_ioctl(void)
{
	return ioctl(0, KVM_CREATE_VM, 0);
}

static int ruled_exec(void)
{
	return execl("/bin/true", "true", NULL);
}

static int ruled_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int ruled_protect(void)
{
	return mprotect(NULL, 4096, PROT_EXEC);
}

static int ruled_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

#define RULED(name, ...)                          \
	static int ruled_##name(void)             \
	{                                         \
		return (int)syscall(__VA_ARGS__); \
	}
RULED(ptrace, SYS_ptrace, 0, 0, 0, 0)
RULED(unshare, SYS_unshare, CLONE_NEWUSER)
RULED(setns, SYS_setns, 0, 0)
RULED(clone_namespaces, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)
RULED(mount, SYS_mount, "", "/", "tmpfs", 0, "")
RULED(bpf, SYS_bpf, 0, 0, 0)
RULED(perf, SYS_perf_event_open, 0, 0, 0, 0, 0)
RULED(keys, SYS_add_key, "user", "a", "b", 1, -2)
RULED(uring, SYS_io_uring_setup, 1, 0)
RULED(userfault, SYS_userfaultfd, 0)
RULED(peek, SYS_process_vm_readv, 1, 0, 0, 0, 0, 0)
RULED(steal, SYS_pidfd_getfd, 0, 0, 0)
RULED(memfd, SYS_memfd_create, "x", 0)
RULED(prctl, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)
RULED(seccomp, SYS_seccomp, 0, 0, 0)

static int ruled_kvm_run(void)
{
	return ioctl(-1, KVM_RUN, 0) == -1 && errno == EBADF ? 7 : 1; /* allowed, on nothing */
}

static void test_jail(void **state)
{
	static int (*const tries[])(void) = {open_files, capabilities, user, network, limits};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		if (tries[i] == user && geteuid() != 0)
			continue; /* there is only one user to be */
		assert_int_equal(in_jail(tries[i], NULL), 0);
	}
}

static void assert_killed(int status)
{
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void test_filters(void **state)
{
	static int (*const killed[])(void) = {ruled_ioctl, ruled_exec, ruled_socket, ruled_protect,
		ruled_code, ruled_ptrace, ruled_unshare, ruled_setns, ruled_clone_namespaces,
		ruled_mount, ruled_bpf, ruled_perf, ruled_keys, ruled_uring, ruled_userfault,
		ruled_peek, ruled_steal, ruled_memfd, ruled_prctl, ruled_seccomp};
	static const char *const roles[] = {"io", "vcpu", "fsd"};

	(void)state;
	for (size_t role = 0; role < ARRAY_LEN(roles); role++) {
		assert_int_equal(WEXITSTATUS(in_jail(nothing, roles[role])), 7);
		for (size_t i = 0; i < ARRAY_LEN(killed); i++) {
			int status = in_jail(killed[i], roles[role]);

			if (!WIFSIGNALED(status))
				print_message("%s: call %zu went on\n", roles[role], i);
			assert_killed(status);
		}
		if (strcmp(roles[role], "fsd") != 0) /* which opens beneath its folder */
			assert_killed(in_jail(ruled_open, roles[role]));
	}
	assert_int_equal(WEXITSTATUS(in_jail(ruled_kvm_run, "vcpu")), 7);
	assert_killed(in_jail(ruled_kvm_run, "io")); /* only vCPUs run */
}

static void test_unknown_role(void **state)
{
	struct err err = {};

	(void)state;
	assert_int_equal(filter_load("nobody", &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jail),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_unknown_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/remote/remote.h"

#include "base/cleanup.h"
#include "base/jail.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* ---- capabilities ---- */

static int drop_capabilities(struct err *err)
{
	int r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

	if (r == 0)
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r == 0)
		r = jail_capabilities(0);
	return r < 0 ? err_sys(err, r, "sandbox: give up capabilities") : 0;
}

/* ---- files ---- */

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

static const uint64_t read_accesses = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

/* Certificates, resolv.conf and what it points to, libraries that are loaded late. */
static const char *const readable[] = {
	"/etc/ssl",
	"/etc/pki",
	"/etc/ca-certificates",
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/host.conf",
	"/etc/gai.conf",
	"/etc/nsswitch.conf",
	"/etc/services",
	"/etc/protocols",
	"/etc/localtime",
	"/run/systemd/resolve",
	"/run/resolvconf",
	"/run/NetworkManager",
	"/usr",
	"/lib",
	"/lib64",
	"/var/lib/ca-certificates",
	"/dev/null",
	"/dev/urandom",
	NULL,
};

static int allow(int ruleset, int fd, uint64_t accesses)
{
	struct landlock_path_beneath_attr rule = {.parent_fd = fd, .allowed_access = accesses};
	struct stat st;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if (!S_ISDIR(st.st_mode)) /* what is only for directories is an error then */
		rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		       ? -errno
		       : 0;
}

static int allow_paths(int ruleset, const char *const *paths)
{
	int r = 0;

	for (; *paths && r == 0; paths++) {
		autoclose int fd = sys_openat(AT_FDCWD, *paths, O_PATH, 0);

		/* Not every machine has each of them. */
		if (fd >= 0)
			r = allow(ruleset, fd, read_accesses);
	}
	return r;
}

static int restrict_files(
	int store_root, bool writable, const char *const *cert_files, struct err *err)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
	uint64_t store = read_accesses;
	autoclose int ruleset = -1;
	int r;

	/* The first version has no word for renames between directories, which the store lives by.
	 */
	if (version < 2)
		return 0;
	attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (writable)
		store = attr.handled_access_fs &
			~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
				    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SOCK |
				    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM);
	else
		store |= LANDLOCK_ACCESS_FS_WRITE_FILE; /* of the lock */
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	r = ruleset < 0 ? -errno : 0;
	if (r == 0 && store_root >= 0)
		r = allow(ruleset, store_root, store);
	if (r == 0)
		r = allow_paths(ruleset, readable);
	if (r == 0)
		r = allow_paths(ruleset, cert_files);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "sandbox: Landlock") : 0;
}

/* ---- system calls ---- */

/* What libcurl, OpenSSL, the resolver, threads and the store need. */
static const char *const calls[] = {"access", "brk", "clock_getres", "clock_gettime",
	"clock_nanosleep", "close", "close_range", "connect", "copy_file_range", "dup", "dup2",
	"dup3", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "exit",
	"exit_group", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchmod", "fcntl",
	"fdatasync", "flock", "fstat", "fstatfs", "fsync", "ftruncate", "futex", "getcwd",
	"getdents64", "getegid", "geteuid", "getgid", "getpeername", "getpid", "getrandom",
	"getrusage", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "lseek",
	"lstat", "madvise", "membarrier", "mkdir", "mkdirat", "mremap", "munmap", "nanosleep",
	"newfstatat", "open", "openat", "openat2", "pipe", "pipe2", "poll", "ppoll", "pread64",
	"preadv", "pselect6", "pwrite64", "pwritev", "read", "readlink", "readlinkat", "readv",
	"recvfrom", "recvmmsg", "recvmsg", "rename", "renameat", "renameat2", "restart_syscall",
	"rmdir", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait",
	"sched_getaffinity", "sched_yield", "select", "sendmmsg", "sendmsg", "sendto",
	"set_robust_list", "setsockopt", "shutdown", "sigaltstack", "splice", "stat", "statfs",
	"statx", "syncfs", "sysinfo", "tee", "time", "uname", "unlink", "unlinkat", "write",
	"writev", "bind"};

static int add_calls(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(calls) && r == 0; i++) {
		int nr = seccomp_syscall_resolve_name(calls[i]);

		if (nr >= 0) /* not every architecture has the old ones */
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	return r;
}

/* Those that are harmless with the right arguments only. */
static int add_conditions(scmp_filter_ctx ctx)
{
	static const int families[] = {AF_INET, AF_INET6, AF_NETLINK};
	static const unsigned long controls[] = {FIONREAD, FIONBIO};
	const uint64_t threads = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(families) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
	for (size_t i = 0; i < ARRAY_LEN(controls) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, controls[i]));
	if (r == 0) /* the pair over which helpers are asked for */
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
			SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, threads, threads));
	if (r == 0) /* its flags are out of a filter's sight; libc then takes clone(2) */
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	if (r == 0) /* only asks: the new limits are not there */
		r = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0));
	if (r == 0) /* abort(3), to itself */
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	return r;
}

static int restrict_calls(struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!ctx)
		return err_sys(err, -ENOMEM, "sandbox: seccomp");
	r = add_calls(ctx);
	if (r == 0)
		r = add_conditions(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r < 0 ? err_sys(err, r == -EINVAL ? -EOPNOTSUPP : r, "sandbox: seccomp") : 0;
}

int remote_sandbox_enter(
	int store_root, bool writable, const char *const *cert_files, struct err *err)
{
	const struct rlimit no_core = {0, 0};
	int r;

	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return err_sys(err, -errno, "sandbox: core limit");
	r = drop_capabilities(err);
	if (r == 0)
		r = restrict_files(store_root, writable, cert_files, err);
	if (r == 0)
		r = restrict_calls(err);
	return r;
}

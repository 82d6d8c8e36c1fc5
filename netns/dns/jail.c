/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/dns/jail.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "base/sys_self.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum {
	NOBODY = 65534, /* owns no file, by Debian's policy and the kernel's overflowuid */
	/* All that the first version of Landlock knows; what came later only adds to it. */
	ACCESS_ALL = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	ACCESS_READ = LANDLOCK_ACCESS_FS_READ_FILE,
	ACCESS_LIST = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	FILES_MAX = 512,
	MEMORY_MAX = 64 << 20,
};

static int allow(int ruleset, int dirfd, uint64_t access)
{
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = access, .parent_fd = dirfd};

	return sys_landlock_add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* Where resolv.conf is, and what it may be a link to. */
static int restrict_files(int dir, struct err *err)
{
	static const char *const host[] = {"/etc", "/run"};
	const struct sys_landlock_ruleset attr = {.fs = ACCESS_ALL};
	autoclose int ruleset = sys_landlock_create_ruleset(&attr, sizeof(attr.fs), 0);
	int r = ruleset;

	if (r == -ENOSYS || r == -EOPNOTSUPP)
		return 0; /* an identity that owns nothing has to do */
	if (r >= 0 && dir >= 0)
		r = allow(ruleset, dir, ACCESS_LIST);
	for (size_t i = 0; i < ARRAY_LEN(host) && r >= 0; i++) {
		autoclose int fd = sys_openat(AT_FDCWD, host[i], O_PATH | O_DIRECTORY, 0);

		r = fd == -ENOENT ? 0 : fd < 0 ? fd : allow(ruleset, fd, ACCESS_READ);
	}
	if (r >= 0)
		r = sys_landlock_restrict_self(ruleset, 0);
	return r < 0 ? err_sys(err, r, "Landlock") : 0;
}

static int set_limits(struct err *err)
{
	static const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		{RLIMIT_CORE, 0},
		{RLIMIT_NOFILE, FILES_MAX},
		{RLIMIT_FSIZE, 0},
#if !defined(__SANITIZE_ADDRESS__)
		{RLIMIT_AS, MEMORY_MAX},
#endif
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(limits) && r == 0; i++) {
		const struct rlimit limit = {limits[i].value, limits[i].value};

		r = sys_prlimit(0, limits[i].resource, &limit, NULL);
	}
	return r < 0 ? err_sys(err, r, "limits") : 0;
}

/* A process without privilege to begin with has no identity to give up. */
static int drop_identity(struct err *err)
{
	struct __user_cap_data_struct none[2] = {};
	int r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

	if (r == 0 && geteuid() == 0) {
		r = sys_setgroups(0, NULL);
		if (r == 0)
			r = sys_setresgid(NOBODY, NOBODY, NOBODY);
		if (r == 0)
			r = sys_setresuid(NOBODY, NOBODY, NOBODY);
	}
	if (r == 0)
		r = sys_capset(none);
	if (r == 0) /* others with that identity may not look into us */
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return r < 0 ? err_sys(err, r, "give up the identity") : 0;
}

int dns_jail_enter(int dir, struct err *err)
{
	int r = set_limits(err);

	if (r == 0)
		r = drop_identity(err);
	return r < 0 ? r : restrict_files(dir, err);
}

int dns_jail_filter(struct err *err)
{
	static const int calls[] = {
		/* sockets */
		SCMP_SYS(recvfrom),
		SCMP_SYS(recvmsg),
		SCMP_SYS(sendto),
		SCMP_SYS(poll),
		SCMP_SYS(ppoll),
		SCMP_SYS(socket),
		SCMP_SYS(connect),
		SCMP_SYS(accept4),
		/* names */
		SCMP_SYS(openat),
		SCMP_SYS(read),
		SCMP_SYS(fstat),
		SCMP_SYS(newfstatat),
		SCMP_SYS(getdents64),
		SCMP_SYS(close),
		SCMP_SYS(fcntl),
		SCMP_SYS(lseek),
		/* libc: memory, time, the end */
		SCMP_SYS(brk),
		SCMP_SYS(mmap),
		SCMP_SYS(munmap),
		SCMP_SYS(mremap),
		SCMP_SYS(madvise),
		SCMP_SYS(getrandom),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(restart_syscall),
		SCMP_SYS(rt_sigreturn),
		SCMP_SYS(exit),
		SCMP_SYS(exit_group),
#if defined(__SANITIZE_ADDRESS__)
		SCMP_SYS(sigaltstack),
		SCMP_SYS(rt_sigaction),
		SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(getpid),
		SCMP_SYS(gettid),
		SCMP_SYS(futex),
		SCMP_SYS(write),
#endif
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_LEN(calls) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	if (r == 0)
		r = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r < 0 ? err_sys(err, r, "the system call filter") : 0;
}

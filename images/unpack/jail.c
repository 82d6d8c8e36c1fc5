/* SPDX-License-Identifier: Apache-2.0 */
#include "images/unpack/jail.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* malloc, exit and the C library's own needs. */
JAIL_NEEDS(JAIL_ALL, SYS_brk);
JAIL_NEEDS(JAIL_ALL, SYS_mmap);
JAIL_NEEDS(JAIL_ALL, SYS_munmap);
JAIL_NEEDS(JAIL_ALL, SYS_mremap);
JAIL_NEEDS(JAIL_ALL, SYS_madvise);
JAIL_NEEDS(JAIL_ALL, SYS_getrandom);
JAIL_NEEDS(JAIL_ALL, SYS_exit_group);
JAIL_NEEDS(JAIL_ALL, SYS_exit);
JAIL_NEEDS(JAIL_ALL, SYS_rt_sigreturn);
JAIL_NEEDS(JAIL_ALL, SYS_restart_syscall);
/* A sanitizer's runtime has needs of its own; a release has none of these. */
#if defined(__SANITIZE_ADDRESS__)
JAIL_NEEDS(JAIL_ALL, SYS_sigaltstack);
JAIL_NEEDS(JAIL_ALL, SYS_rt_sigaction);
JAIL_NEEDS(JAIL_ALL, SYS_rt_sigprocmask);
JAIL_NEEDS(JAIL_ALL, SYS_getpid);
JAIL_NEEDS(JAIL_ALL, SYS_gettid);
JAIL_NEEDS(JAIL_ALL, SYS_futex);
JAIL_NEEDS(JAIL_ALL, SYS_sched_yield);
JAIL_NEEDS(JAIL_ALL, SYS_clock_gettime);
#endif

extern const struct jail_need __start_jail_needs[], __stop_jail_needs[];

#if defined(__x86_64__)
#define AUDIT_ARCH_OURS AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCH_OURS AUDIT_ARCH_AARCH64
#else
#error "the seccomp filter needs this architecture's audit number"
#endif

/* ---- the empty root ---- */

static int pivot_into(int fs)
{
	int r = sys_move_mount(fs, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH);

	if (r == 0)
		r = sys_fchdir(fs);
	if (r == 0)
		r = sys_pivot_root(".", ".");
	if (r == 0)
		r = sys_umount2(".", MNT_DETACH);
	return r;
}

static int enter_empty_root(struct err *err)
{
	autoclose int context = -1, fs = -1;
	int r = sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);

	if (r < 0)
		return err_sys(err, r, "jail: make the mounts private");
	context = sys_fsopen("tmpfs");
	if (context < 0)
		return err_sys(err, context, "jail: tmpfs");
	r = sys_fsconfig(context, FSCONFIG_SET_STRING, "size", "4k", 0);
	if (r == 0)
		r = sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r < 0)
		return err_sys(err, r, "jail: tmpfs");
	fs = sys_fsmount(context,
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (fs < 0)
		return err_sys(err, fs, "jail: tmpfs");
	r = pivot_into(fs);
	/* A root that is the initial ramfs cannot be exchanged: then the empty one is a chroot,
	 * which the filter lets nobody leave. */
	if (r == -EINVAL)
		r = sys_chroot(".");
	if (r == 0)
		r = sys_chdir("/");
	return r < 0 ? err_sys(err, r, "jail: enter the empty root") : 0;
}

/* ---- limits ---- */

static int set_limits(const struct unpack_request *request, struct err *err)
{
	const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		{RLIMIT_CORE, 0},
		{RLIMIT_NOFILE, 64},
		{RLIMIT_NPROC, 0},
		{RLIMIT_MEMLOCK, 0},
		{RLIMIT_MSGQUEUE, 0},
		{RLIMIT_CPU, request->limits.seconds},
		{RLIMIT_FSIZE,
			request->role == UNPACK_EXTRACT ? request->limits.bytes : RLIM_INFINITY},
#if !defined(__SANITIZE_ADDRESS__)
		{RLIMIT_AS, 1UL << 30},
#endif
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct rlimit now, want = {limits[i].value, limits[i].value};

		if (getrlimit((__rlimit_resource_t)limits[i].resource, &now) < 0)
			return err_sys(err, -errno, "jail: read limit %d", limits[i].resource);
		if (now.rlim_max < want.rlim_max)
			want.rlim_cur = want.rlim_max = now.rlim_max;
		if (setrlimit((__rlimit_resource_t)limits[i].resource, &want) < 0)
			return err_sys(err, -errno, "jail: set limit %d", limits[i].resource);
	}
	return 0;
}

/* ---- capabilities ---- */

static uint64_t role_capabilities(const struct unpack_request *request)
{
	const uint64_t files = 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER;

	switch (request->role) {
	case UNPACK_EXTRACT:
		return files | 1ULL << CAP_CHOWN | 1ULL << CAP_FSETID | 1ULL << CAP_SETFCAP |
		       1ULL << CAP_MKNOD;
	case UNPACK_PACK:
	case UNPACK_EROFS:
		return 1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_DAC_OVERRIDE;
	case UNPACK_REMOVE:
		return files;
	default:
		return 0;
	}
}

static int drop_capabilities(uint64_t keep, struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	for (int cap = 0; cap < 64; cap++) {
		if (sys_prctl(PR_CAPBSET_READ, (unsigned long)cap, 0, 0, 0) < 0)
			break;
		if (!(keep >> cap & 1) &&
			sys_prctl(PR_CAPBSET_DROP, (unsigned long)cap, 0, 0, 0) == -EINVAL)
			return err_set(err, -EINVAL, "jail: drop capability %d", cap);
	}
	if (sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_set(err, -EPERM, "jail: clear the ambient capabilities");
	if (syscall(SYS_capget, &header, data) < 0)
		return err_sys(err, -errno, "jail: capget");
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(keep >> (32 * i)) & data[i].permitted;

		data[i] = (struct __user_cap_data_struct){.effective = half, .permitted = half};
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return err_sys(err, -errno, "jail: capset");
	return 0;
}

/* ---- Landlock ---- */

/* Headers older than the kernel: landlock(7) for what each version added. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define ACCESS_FS_IOCTL_DEV (1ULL << 15)

static uint64_t handled_accesses(long version)
{
	uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	if (version >= 2)
		all |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		all |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (version >= 5)
		all |= ACCESS_FS_IOCTL_DEV;
	return all;
}

static uint64_t role_accesses(uint32_t role)
{
	const uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	const uint64_t remove = LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE;

	switch (role) {
	case UNPACK_EXTRACT:
		return read | remove | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REFER |
		       LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		       LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		       LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM;
	case UNPACK_PACK:
	case UNPACK_EROFS:
		return read;
	case UNPACK_REMOVE:
		return LANDLOCK_ACCESS_FS_READ_DIR | remove;
	default:
		return 0;
	}
}

/* 1 when it is in force, 0 when the kernel has no Landlock. */
static int restrict_files(uint32_t role, int dirfd, struct err *err)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = {};
	struct landlock_path_beneath_attr beneath = {.parent_fd = dirfd};
	autoclose int ruleset = -1;

	if (version < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP
			       ? 0
			       : err_sys(err, -errno, "jail: Landlock");
	attr.handled_access_fs = handled_accesses(version);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return err_sys(err, -errno, "jail: Landlock");
	beneath.allowed_access = role_accesses(role) & attr.handled_access_fs;
	if (dirfd >= 0 && beneath.allowed_access &&
		syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) <
			0)
		return err_sys(err, -errno, "jail: Landlock rule");
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_sys(err, -errno, "jail: Landlock");
	return 1;
}

/* ---- seccomp ---- */

enum { FILTER_MAX = 256 };

struct program {
	struct sock_filter code[FILTER_MAX];
	unsigned short len;
};

static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (p->len < FILTER_MAX)
		p->code[p->len] = (struct sock_filter){code, jt, jf, k};
	p->len++;
}

#define LOAD(member) BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member), 0, 0
#define RETURN(what) BPF_RET | BPF_K, what, 0, 0

/* New executable memory would turn a bug into code: mmap and mremap must not ask for it. */
static void emit_no_exec(struct program *p, uint32_t call)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4);
	emit(p, LOAD(args[2]));
	emit(p, BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1);
	emit(p, RETURN(SECCOMP_RET_KILL_PROCESS));
	emit(p, RETURN(SECCOMP_RET_ALLOW));
}

static int install_filter(uint32_t role, struct err *err)
{
	struct program p = {};
	struct sock_fprog fprog;

	emit(&p, LOAD(arch));
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_OURS, 1, 0);
	emit(&p, RETURN(SECCOMP_RET_KILL_PROCESS));
	emit(&p, LOAD(nr));
	/* By the linker's bounds, not by an array's: these are gathered from all files. */
	for (const struct jail_need *n = __start_jail_needs; n < __stop_jail_needs; n++) {
		if (!(n->roles & role))
			continue;
		if (n->call == SYS_mmap) {
			emit_no_exec(&p, n->call);
			continue;
		}
		emit(&p, BPF_JMP | BPF_JEQ | BPF_K, n->call, 0, 1);
		emit(&p, RETURN(SECCOMP_RET_ALLOW));
	}
	emit(&p, RETURN(SECCOMP_RET_KILL_PROCESS));
	if (p.len > FILTER_MAX)
		return err_set(err, -E2BIG, "jail: the filter has %u instructions", p.len);
	fprog = (struct sock_fprog){.len = p.len, .filter = p.code};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog) < 0)
		return err_sys(err, -errno, "jail: seccomp");
	return 0;
}

int unpack_jail_enter(const struct unpack_request *request, int dirfd, struct err *err)
{
	int r = 0, landlocked;

	if (request->isolated)
		r = enter_empty_root(err);
	if (r == 0)
		r = set_limits(request, err);
	if (r < 0)
		return r;
	r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r == 0)
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r < 0)
		return err_sys(err, r, "jail: prctl");
	landlocked = restrict_files(request->role, dirfd, err);
	if (landlocked < 0)
		return landlocked;
	if (!landlocked && !request->isolated)
		return err_set(err, -EOPNOTSUPP,
			"jail: this kernel has no Landlock and the user may make no namespaces: "
			"refusing to unpack foreign files unprotected");
	r = drop_capabilities(role_capabilities(request), err);
	if (r == 0)
		r = install_filter(request->role, err);
	return r;
}

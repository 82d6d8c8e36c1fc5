/* SPDX-License-Identifier: Apache-2.0 */
#include "images/unpack/jail.h"

#include "base/cleanup.h"
#include "base/jail.h"
#include "base/sys.h"

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

/* ---- Landlock ---- */

/* Headers older than the kernel: landlock(7) for what each version added. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif

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
		r = jail_empty_root();
	if (r < 0)
		return err_sys(err, r, "jail: an empty root");
	r = set_limits(request, err);
	if (r < 0)
		return r;
	r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r == 0)
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r < 0)
		return err_sys(err, r, "jail: prctl");
	landlocked = jail_files(dirfd, role_accesses(request->role));
	if (landlocked < 0)
		return err_sys(err, landlocked, "jail: Landlock");
	if (!landlocked && !request->isolated)
		return err_set(err, -EOPNOTSUPP,
			"jail: this kernel has no Landlock and the user may make no namespaces: "
			"refusing to unpack foreign files unprotected");
	r = jail_capabilities(role_capabilities(request));
	return r < 0 ? err_sys(err, r, "jail: capabilities") : install_filter(request->role, err);
}

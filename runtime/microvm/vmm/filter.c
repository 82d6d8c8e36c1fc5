/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/filter.h"

#include "base/cleanup.h"
#include "vmm-syscalls.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <linux/vfio.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#endif

/* What newer architectures leave out; libc makes the other call there, which is allowed, too. */
#ifndef SYS_epoll_wait
#define SYS_epoll_wait SYS_epoll_pwait
#endif
#ifndef SYS_poll
#define SYS_poll SYS_ppoll
#endif

#define LOAD(field)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_##what)
/* Skips the next N instructions unless the loaded word is VALUE. */
#define UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (n))

/* A call that may be made, but not with any of BITS in its argument N. */
#define NEVER_WITH(name, n, bits)                                                                 \
	UNLESS(SYS_##name, 4), LOAD(args[n]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), 0, 1), \
		RETURN(KILL_PROCESS), LOAD(nr)
/* No memory becomes code, and no new process gets namespaces, whatever a role may call. clone3(2)
 * hides its flags in memory: libc then takes clone(2). */
#define HEAD                                                                          \
	LOAD(arch), UNLESS(FILTER_ARCH, 1), BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),      \
		RETURN(KILL_PROCESS), LOAD(nr), NEVER_WITH(mmap, 2, PROT_EXEC),       \
		NEVER_WITH(mprotect, 2, PROT_EXEC), NEVER_WITH(clone, 0, NAMESPACES), \
		UNLESS(SYS_clone3, 1), RETURN(ERRNO | ENOSYS)
#define NAMESPACES                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		CLONE_NEWPID | CLONE_NEWNET)
#define ALLOW(name) UNLESS(SYS_##name, 1), RETURN(ALLOW)
/* The request's low word; the kernel looks at no more of it either. */
#define ALLOW_IOCTL(request)                                                                    \
	UNLESS(SYS_ioctl, 4), LOAD(args[1]), UNLESS((unsigned int)(request), 1), RETURN(ALLOW), \
		LOAD(nr)

/* What libc does on its own: memory, and the process's end. */
#define COMMON ALLOW(exit_group), ALLOW(munmap), ALLOW(brk), ALLOW(restart_syscall)

#define CALL(name)     ALLOW(name),
#define IOCTL(request) ALLOW_IOCTL(request),

static const struct sock_filter io_filter[] = {
	HEAD, FILTER_IO(CALL, IOCTL) COMMON, RETURN(KILL_PROCESS)};
/* KVM_RUN first: nothing else is made so often. */
static const struct sock_filter vcpu_filter[] = {
	HEAD, ALLOW_IOCTL(KVM_RUN), FILTER_VCPU(CALL, IOCTL) COMMON, RETURN(KILL_PROCESS)};

static const struct sock_filter fsd_filter[] = {
	HEAD, FILTER_FSD(CALL, IOCTL) COMMON, RETURN(KILL_PROCESS)};

static const struct sock_filter attendant_filter[] = {
	HEAD, FILTER_ATTENDANT(CALL, IOCTL) COMMON, RETURN(KILL_PROCESS)};

#define ROLE(name)                                                                    \
	{                                                                             \
#name,                                                                \
		{                                                                     \
			ARRAY_LEN(name##_filter), (struct sock_filter *)name##_filter \
		}                                                                     \
	}

static const struct {
	const char *role;
	struct sock_fprog program;
} roles[] = {ROLE(io), ROLE(vcpu), ROLE(fsd), ROLE(attendant)};

int filter_load(const char *role, struct err *err)
{
	size_t i = 0;

	while (i < ARRAY_LEN(roles) && strcmp(roles[i].role, role) != 0)
		i++;
	if (i == ARRAY_LEN(roles))
		return err_set(err, -EINVAL, "there is no system call filter for %s", role);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &roles[i].program) < 0)
		return err_sys(err, -errno, "the system call filter of %s", role);
	return 0;
}

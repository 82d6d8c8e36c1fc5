/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sys_self.h"

#include <errno.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RESULT(call)                                  \
	({                                            \
		__auto_type r_ = (call);              \
		r_ < 0 ? (__typeof__(r_))-errno : r_; \
	})

int sys_capget(struct __user_cap_data_struct *ret)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return (int)RESULT(syscall(SYS_capget, &header, ret));
}

int sys_capset(const struct __user_cap_data_struct *data)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return (int)RESULT(syscall(SYS_capset, &header, data));
}

int sys_prlimit(pid_t pid, int resource, const struct rlimit *limit, struct rlimit *ret)
{
	return (int)RESULT(syscall(SYS_prlimit64, pid, resource, limit, ret));
}

int sys_sched_setattr(pid_t pid, const struct sys_sched_attr *attr)
{
	return (int)RESULT(syscall(SYS_sched_setattr, pid, attr, 0));
}

int sys_sched_getattr(pid_t pid, struct sys_sched_attr *ret)
{
	return (int)RESULT(syscall(SYS_sched_getattr, pid, ret, sizeof(*ret), 0));
}

int sys_sched_setaffinity(pid_t pid, size_t size, const unsigned long *mask)
{
	return (int)RESULT(syscall(SYS_sched_setaffinity, pid, size, mask));
}

int sys_sched_getaffinity(pid_t pid, size_t size, unsigned long *ret)
{
	return (int)RESULT(syscall(SYS_sched_getaffinity, pid, size, ret));
}

int sys_ioprio_set(int which, int who, int value)
{
	return (int)RESULT(syscall(SYS_ioprio_set, which, who, value));
}

int sys_ioprio_get(int which, int who)
{
	return (int)RESULT(syscall(SYS_ioprio_get, which, who));
}

int sys_set_mempolicy(int mode, const unsigned long *nodes, unsigned long bits)
{
	return (int)RESULT(syscall(SYS_set_mempolicy, mode, nodes, bits));
}

int sys_get_mempolicy(int *ret_mode, unsigned long *ret_nodes, unsigned long bits)
{
	return (int)RESULT(syscall(SYS_get_mempolicy, ret_mode, ret_nodes, bits, NULL, 0));
}

int sys_personality(unsigned long persona)
{
	return RESULT(personality(persona));
}

int sys_landlock_create_ruleset(
	const struct sys_landlock_ruleset *ruleset, size_t size, uint32_t flags)
{
	return (int)RESULT(syscall(SYS_landlock_create_ruleset, ruleset, size, flags));
}

int sys_landlock_add_rule(int ruleset_fd, int type, const void *rule, uint32_t flags)
{
	return (int)RESULT(syscall(SYS_landlock_add_rule, ruleset_fd, type, rule, flags));
}

int sys_landlock_restrict_self(int ruleset_fd, uint32_t flags)
{
	return (int)RESULT(syscall(SYS_landlock_restrict_self, ruleset_fd, flags));
}

int sys_seccomp(unsigned int operation, unsigned int flags, void *args)
{
	return (int)RESULT(syscall(SYS_seccomp, operation, flags, args));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls by which a process changes itself: identity, limits, scheduling, filters. Same
 * convention as base/sys.h: −errno, one call each, nothing decided here.
 *
 * All of them act on the calling thread (the raw call, where glibc's would go round all threads).
 */
#pragma once

#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* All of struct sched_attr of linux/sched/types.h, which does not go together with sched.h. */
struct sys_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

/* As the kernel's of ABI 6, whatever linux/landlock.h has. */
struct sys_landlock_ruleset {
	uint64_t fs, net, scoped;
};

/* DATA[2]; _LINUX_CAPABILITY_VERSION_3. */
int sys_capget(struct __user_cap_data_struct *ret);
int sys_capset(const struct __user_cap_data_struct *data);
int sys_prlimit(pid_t pid, int resource, const struct rlimit *limit, struct rlimit *ret);
int sys_sched_setattr(pid_t pid, const struct sys_sched_attr *attr);
int sys_sched_getattr(pid_t pid, struct sys_sched_attr *ret);
/* SIZE in bytes. The getter returns how many bytes the kernel wrote. */
int sys_sched_setaffinity(pid_t pid, size_t size, const unsigned long *mask);
int sys_sched_getaffinity(pid_t pid, size_t size, unsigned long *ret);
int sys_ioprio_set(int which, int who, int value);
int sys_ioprio_get(int which, int who);
/* BITS as the kernel counts them: one more than the highest node. */
int sys_set_mempolicy(int mode, const unsigned long *nodes, unsigned long bits);
int sys_get_mempolicy(int *ret_mode, unsigned long *ret_nodes, unsigned long bits);
int sys_personality(unsigned long persona);
/* RULESET NULL with LANDLOCK_CREATE_RULESET_VERSION returns the ABI. Close-on-exec. */
int sys_landlock_create_ruleset(
	const struct sys_landlock_ruleset *ruleset, size_t size, uint32_t flags);
int sys_landlock_add_rule(int ruleset_fd, int type, const void *rule, uint32_t flags);
int sys_landlock_restrict_self(int ruleset_fd, uint32_t flags);
int sys_seccomp(unsigned int operation, unsigned int flags, void *args);

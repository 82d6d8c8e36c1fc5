/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When and where a process runs: scheduler, I/O priority, CPUs, memory nodes, execution domain,
 * core scheduling.
 *
 * Each apply function changes the calling process and nothing else, in one or two system calls,
 * and a NULL request does nothing and makes none. They belong before credentials_apply(), because
 * most need CAP_SYS_NICE, and after the process is in its cgroup, whose cpuset bounds CPUs and
 * nodes. −errno with a sentence naming the field; a failure is final. Child stages only.
 */
#pragma once

#include "base/err.h"
#include "spec/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A set of CPUs or memory nodes; 8,192 is the most that Linux can be built for (x86: MAXSMP). */
enum { SCHED_SET_BITS = 8192, SCHED_SET_WORDS = SCHED_SET_BITS / (8 * sizeof(unsigned long)) };
struct sched_set {
	unsigned long words[SCHED_SET_WORDS];
};

/*
 * Parses a list as in cpuset(7): "0-3,7" (strides as in "0-15:2/4" are refused). WHAT names the
 * field in errors. White space around the list is allowed, since engines pass the kernel's files
 * on. −EINVAL for an empty list. Any process; pure.
 */
int sched_parse_set(const char *what, const char *list, struct sched_set *ret, struct err *err);

/* process.scheduler; sched_setattr(2). SCHED_DEADLINE and util clamps included. */
int sched_apply_scheduler(const struct spec_scheduler *scheduler, struct err *err);

/* process.ioPriority; ioprio_set(2). */
int sched_apply_io_priority(const struct spec_io_priority *priority, struct err *err);

/*
 * process.execCPUAffinity.initial or .final, LIST as written (NULL: nothing); WHAT is the field's
 * name. CPUs that are offline or outside the cpuset are left out by the kernel, as everywhere
 * (sched_setaffinity(2)); it is an error when none is left. For "initial", the runtime calls it
 * before the process joins the container's cgroup, for "final" after.
 */
int sched_apply_affinity(const char *what, const char *list, struct err *err);

/* linux.memoryPolicy; set_mempolicy(2). Kept across execve(2). */
int sched_apply_memory_policy(const struct spec_memory_policy *policy, struct err *err);

/* linux.personality; personality(2). Read back. */
int sched_apply_personality(const struct spec_personality *personality, struct err *err);

/*
 * Core scheduling, the annotation "org.brig.core_sched" (prctl(2), PR_SCHED_CORE): with the value
 * "new" the container gets a cookie of its own, so that no task outside it ever runs on a
 * hyperthread of the same core at the same moment. An exec'd process takes the cookie of the
 * container's init process over.
 */
#define SCHED_CORE_ANNOTATION "org.brig.core_sched"

/* VALUE is the annotation's, NULL when there is none. −EINVAL for anything but "new". Pure. */
int sched_core_parse(const char *value, bool *ret_new, struct err *err);
/* Gives the calling process a new cookie; its children inherit it. −EOPNOTSUPP when the kernel has
 * no core scheduling, or the machine no hyperthreads in use. */
int sched_core_create(struct err *err);
/* Takes the cookie of INIT (a pid in the caller's PID namespace) over. Needs ptrace access to
 * INIT: call it before credentials_apply(). */
int sched_core_join(pid_t init, struct err *err);

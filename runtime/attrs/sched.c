/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/sched.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "base/sys_self.h"

#include <linux/ioprio.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/personality.h>

enum { WORD_BITS = 8 * sizeof(unsigned long) };

/* linux/mempolicy.h of Linux 6.9 and 6.18 and linux/sched.h, where the build's headers are older
 * or get in the way of sched.h. */
enum {
	POLICY_DEFAULT = 0,
	POLICY_LOCAL = 4,
	FLAG_UTIL_CLAMP_MIN = 0x20,
	FLAG_UTIL_CLAMP_MAX = 0x40,
	FLAG_CLAMPS = FLAG_UTIL_CLAMP_MIN | FLAG_UTIL_CLAMP_MAX,
	CLASS_DEADLINE = 6, /* SCHED_DEADLINE */
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* Reads a number below SCHED_SET_BITS; NULL when there is none. */
static const char *read_number(const char *at, unsigned int *ret)
{
	unsigned int n = 0;

	if (*at < '0' || *at > '9')
		return NULL;
	for (; *at >= '0' && *at <= '9'; at++) {
		n = n * 10 + (unsigned int)(*at - '0');
		if (n >= SCHED_SET_BITS)
			return NULL;
	}
	*ret = n;
	return at;
}

/* Reads "N" or "N-M" into SET; NULL when it is neither. */
static const char *read_range(const char *at, struct sched_set *set)
{
	unsigned int first, last;

	at = read_number(at, &first);
	last = first;
	if (at && *at == '-')
		at = read_number(at + 1, &last);
	if (!at || last < first)
		return NULL;
	for (unsigned int i = first; i <= last; i++)
		set->words[i / WORD_BITS] |= 1UL << i % WORD_BITS;
	return at;
}

int sched_parse_set(const char *what, const char *list, struct sched_set *ret, struct err *err)
{
	struct sched_set set = {};
	const char *at = list;

	while (is_space(*at))
		at++;
	for (;;) {
		at = read_range(at, &set);
		if (!at || *at != ',')
			break;
		at++;
	}
	while (at && is_space(*at))
		at++;
	if (!at || *at)
		return err_set(err, -EINVAL,
			"%s: \"%s\" is no list of numbers below %d as in \"0-3,7\"", what, list,
			SCHED_SET_BITS);
	*ret = set;
	return 0;
}

/* One more than the highest member; 0 for the empty set. */
static unsigned long set_bits(const struct sched_set *set)
{
	for (size_t i = SCHED_SET_WORDS; i-- > 0;)
		if (set->words[i])
			return (i + 1) * WORD_BITS - (unsigned long)__builtin_clzl(set->words[i]);
	return 0;
}

int sched_apply_scheduler(const struct spec_scheduler *scheduler, struct err *err)
{
	struct sys_sched_attr attr = {.size = sizeof(attr)};
	int r;

	if (!scheduler)
		return 0;
	attr.policy = (uint32_t)scheduler->policy;
	attr.flags = scheduler->flags;
	attr.nice = scheduler->nice;
	attr.priority = (uint32_t)scheduler->priority;
	attr.runtime = scheduler->runtime;
	attr.deadline = scheduler->deadline;
	attr.period = scheduler->period;
	/* The specification has the flags but no values. Without these the kernel would read the
	 * zeroes as clamps; −1 resets a clamp to the system's (Linux 5.11). */
	if (attr.flags & FLAG_UTIL_CLAMP_MIN)
		attr.util_min = UINT32_MAX;
	if (attr.flags & FLAG_UTIL_CLAMP_MAX)
		attr.util_max = UINT32_MAX;
	r = sys_sched_setattr(0, &attr);
	if (r == -EPERM)
		return err_set(err, r,
			"process.scheduler: the policy, priority or nice value needs CAP_SYS_NICE "
			"or a "
			"higher RLIMIT_RTPRIO or RLIMIT_NICE%s",
			attr.policy == CLASS_DEADLINE ? "; SCHED_DEADLINE also refuses a CPU "
							"affinity narrower than its root domain"
						      : "");
	if (r == -EOPNOTSUPP || (r == -EINVAL && attr.flags & FLAG_CLAMPS))
		return err_set(err, r,
			"process.scheduler.flags: this kernel refuses them (utilisation clamps "
			"need "
			"CONFIG_UCLAMP_TASK)");
	if (r == -EBUSY)
		return err_set(err, r,
			"process.scheduler: no CPU bandwidth is left for this runtime and period");
	if (r < 0)
		return err_sys(err, r, "process.scheduler: setting policy %d", scheduler->policy);
	return 0;
}

int sched_apply_io_priority(const struct spec_io_priority *priority, struct err *err)
{
	int r;

	if (!priority)
		return 0;
	/* Anything wider would run into the class or a hint. */
	if (priority->priority < 0 || priority->priority >= IOPRIO_NR_LEVELS)
		return err_set(err, -EINVAL, "process.ioPriority.priority: %d is not from 0 to 7",
			priority->priority);
	r = sys_ioprio_set(
		IOPRIO_WHO_PROCESS, 0, priority->class << IOPRIO_CLASS_SHIFT | priority->priority);
	if (r == -EPERM)
		return err_set(err, r,
			"process.ioPriority.class: the real-time class needs CAP_SYS_NICE or "
			"CAP_SYS_ADMIN");
	if (r < 0)
		return err_sys(err, r, "process.ioPriority: setting class %d", priority->class);
	return 0;
}

int sched_apply_affinity(const char *what, const char *list, struct err *err)
{
	struct sched_set set = {};
	int r;

	if (!list)
		return 0;
	r = sched_parse_set(what, list, &set, err);
	if (r < 0)
		return r;
	r = sys_sched_setaffinity(0, sizeof(set), set.words);
	if (r == -EINVAL)
		return err_set(err, r, "%s: none of the CPUs \"%s\" is online and in the cpuset",
			what, list);
	if (r < 0)
		return err_sys(err, r, "%s: running on the CPUs \"%s\"", what, list);
	return 0;
}

int sched_apply_memory_policy(const struct spec_memory_policy *policy, struct err *err)
{
	struct sched_set nodes = {};
	unsigned long bits = 0;
	bool bare;
	int r;

	if (!policy)
		return 0;
	bare = policy->mode == POLICY_DEFAULT || policy->mode == POLICY_LOCAL;
	if (policy->nodes && *policy->nodes) {
		r = sched_parse_set("linux.memoryPolicy.nodes", policy->nodes, &nodes, err);
		if (r < 0)
			return r;
		if (bare)
			return err_set(err, -EINVAL,
				"linux.memoryPolicy.nodes: MPOL_DEFAULT and MPOL_LOCAL take no "
				"nodes");
		/* The kernel counts one less than it is told (set_mempolicy(2), BUGS). */
		bits = set_bits(&nodes) + 1;
	}
	r = sys_set_mempolicy(policy->mode | (int)policy->flags, bits ? nodes.words : NULL, bits);
	if (r == -EINVAL)
		return err_set(err, r,
			"linux.memoryPolicy: this kernel refuses mode %d with flags %#llx and the "
			"nodes \"%s\": the nodes must be there and in the cpuset, and "
			"MPOL_PREFERRED_MANY needs Linux 5.15, MPOL_WEIGHTED_INTERLEAVE 6.9",
			policy->mode, (unsigned long long)policy->flags, policy->nodes ?: "");
	if (r < 0)
		return err_sys(err, r, "linux.memoryPolicy: setting mode %d", policy->mode);
	return 0;
}

int sched_apply_personality(const struct spec_personality *personality, struct err *err)
{
	int r;

	if (!personality)
		return 0;
	if (personality->flags.count > 0)
		return err_set(err, -EINVAL, "linux.personality.flags: \"%s\" is not known",
			personality->flags.items[0]);
	r = sys_personality((unsigned long)personality->domain);
	if (r < 0)
		return err_sys(err, r, "linux.personality.domain: setting %d", personality->domain);
	/* Some architectures keep another domain than the one asked for, without an error. */
	r = sys_personality(0xffffffff);
	if (r != personality->domain)
		return err_set(err, -EINVAL,
			"linux.personality.domain: the kernel keeps %#x instead of %#x", r,
			personality->domain);
	return 0;
}

int sched_core_parse(const char *value, bool *ret_new, struct err *err)
{
	if (value && strcmp(value, "new") != 0)
		return err_set(err, -EINVAL,
			"annotation " SCHED_CORE_ANNOTATION ": \"%s\" is not known; the value is "
			"\"new\"",
			value);
	*ret_new = value != NULL;
	return 0;
}

static int core_error(int code, struct err *err)
{
	switch (-code) {
	case EINVAL:
		return err_set(err, -EOPNOTSUPP,
			"annotation " SCHED_CORE_ANNOTATION
			": this kernel has no core scheduling (CONFIG_SCHED_CORE, Linux 5.14)");
	case ENODEV:
		return err_set(err, -EOPNOTSUPP,
			"annotation " SCHED_CORE_ANNOTATION ": no hyperthreads are in use on this "
			"machine, so that there is nothing to schedule; leave the annotation out");
	case EPERM:
		return err_set(err, code,
			"annotation " SCHED_CORE_ANNOTATION
			": no permission to look at the container's init process");
	default:
		return err_sys(err, code, "annotation " SCHED_CORE_ANNOTATION);
	}
}

int sched_core_create(struct err *err)
{
	int r = sys_prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, 0 /* this thread */, 0);

	return r < 0 ? core_error(r, err) : 0;
}

int sched_core_join(pid_t init, struct err *err)
{
	int r = sys_prctl(PR_SCHED_CORE, PR_SCHED_CORE_SHARE_FROM, (unsigned long)init, 0, 0);

	return r < 0 ? core_error(r, err) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/rlimits.h"

#include "base/cleanup.h"
#include "base/sys_self.h"

static const char *const names[] = {
	[RLIMIT_AS] = "RLIMIT_AS",
	[RLIMIT_CORE] = "RLIMIT_CORE",
	[RLIMIT_CPU] = "RLIMIT_CPU",
	[RLIMIT_DATA] = "RLIMIT_DATA",
	[RLIMIT_FSIZE] = "RLIMIT_FSIZE",
	[RLIMIT_LOCKS] = "RLIMIT_LOCKS",
	[RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK",
	[RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE",
	[RLIMIT_NICE] = "RLIMIT_NICE",
	[RLIMIT_NOFILE] = "RLIMIT_NOFILE",
	[RLIMIT_NPROC] = "RLIMIT_NPROC",
	[RLIMIT_RSS] = "RLIMIT_RSS",
	[RLIMIT_RTPRIO] = "RLIMIT_RTPRIO",
	[RLIMIT_RTTIME] = "RLIMIT_RTTIME",
	[RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING",
	[RLIMIT_STACK] = "RLIMIT_STACK",
};

const char *rlimits_name(int resource)
{
	return resource >= 0 && (size_t)resource < ARRAY_LEN(names) ? names[resource] : NULL;
}

/* Says why prlimit(2) refused; what was there is asked for only now. */
static int explain(const struct spec_rlimit *limit, int code, struct err *err)
{
	const char *name = rlimits_name(limit->resource) ?: "an unknown limit";
	struct rlimit now;

	if (code != -EPERM || sys_prlimit(0, limit->resource, NULL, &now) < 0)
		return err_sys(err, code, "process.rlimits: setting %s", name);
	if (limit->hard > now.rlim_max)
		return err_set(err, code,
			"process.rlimits: %s: the hard limit of %llu is above the %llu that this "
			"runtime has, and raising it needs CAP_SYS_RESOURCE; ask for at most that, "
			"or "
			"raise the limit of the service or session that starts the runtime",
			name, (unsigned long long)limit->hard, (unsigned long long)now.rlim_max);
	return err_set(err, code,
		"process.rlimits: %s: the hard limit of %llu is above the kernel's own bound "
		"(fs.nr_open); ask for less or raise that",
		name, (unsigned long long)limit->hard);
}

int rlimits_apply(const struct spec_rlimit *limits, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct rlimit limit = {
			.rlim_cur = limits[i].soft, .rlim_max = limits[i].hard};
		int r;

		if (limits[i].soft > limits[i].hard)
			return err_set(err, -EINVAL,
				"process.rlimits: %s: the soft limit of %llu is above the hard "
				"limit "
				"of %llu",
				rlimits_name(limits[i].resource) ?: "an unknown limit",
				(unsigned long long)limits[i].soft,
				(unsigned long long)limits[i].hard);
		r = sys_prlimit(0, limits[i].resource, &limit, NULL);
		if (r < 0)
			return explain(&limits[i], r, err);
	}
	return 0;
}

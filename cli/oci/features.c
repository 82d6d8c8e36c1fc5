/* SPDX-License-Identifier: Apache-2.0 */
/* features: what brig-oci implements, and which seccomp flags this kernel has. */
#include "spec/features.h"
#include "cgroups/cgroup.h"
#include "cli/oci/oci.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A flag is there when the kernel does not refuse it before it looks at the filter: EFAULT. */
static bool has_seccomp_flag(unsigned int flag)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL) < 0 && errno == EFAULT;
}

static size_t seccomp_flags(const char **ret)
{
	static const struct {
		const char *name;
		unsigned int flag;
	} flags[] = {
		{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
		{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
		{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
		{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
			/* counts only together with a listener */
			SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | SECCOMP_FILTER_FLAG_NEW_LISTENER},
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (has_seccomp_flag(flags[i].flag))
			ret[n++] = flags[i].name;
	return n;
}

int oci_features(const struct invocation *inv, struct err *err)
{
	static const char *unsafe[] = {
		"org.systemd.property.",
		"run.oci.",
		"org.brig.",
	};
	static struct pair about[] = {
		{"org.brig.version", BRIG_VERSION},
	};
	const char *flags[4];
	struct spec_features_given given = {
		.systemd = cgroup_has_systemd(),
		.annotations = {.items = about, .count = ARRAY_LEN(about)},
		.unsafe_annotations = {.items = unsafe, .count = ARRAY_LEN(unsafe)},
	};
	autojson json_t *features = NULL;
	int r;

	(void)inv;
	given.seccomp_flags = (struct strings){.items = flags, .count = seccomp_flags(flags)};
	r = spec_features_build(&given, &features, err);
	return r < 0 ? r : oci_print_json(features, err);
}

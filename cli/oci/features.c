/* SPDX-License-Identifier: Apache-2.0 */
/* features: what is true on this host, by looking. */
#include "spec/features.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"
#include "cli/oci/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool exists(const char *path)
{
	struct stat st;

	return sys_fstatat(AT_FDCWD, path, &st, 0) == 0;
}

static int last_capability(void)
{
	char text[16];
	uint32_t n;

	if (fd_read_line(AT_FDCWD, "/proc/sys/kernel/cap_last_cap", text, sizeof(text)) < 0 ||
		parse_u32(text, &n) < 0)
		return 40; /* CAP_CHECKPOINT_RESTORE: the last of the oldest kernel supported */
	return (int)n;
}

static bool reads_yes(const char *path)
{
	char text[8];

	return fd_read_line(AT_FDCWD, path, text, sizeof(text)) > 0 && text[0] == 'Y';
}

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
	struct spec_features_host host = {
		.last_cap = last_capability(),
		.seccomp = true,
		.apparmor = reads_yes("/sys/module/apparmor/parameters/enabled"),
		.selinux = exists("/sys/fs/selinux/enforce"),
		.memory_policy = exists("/proc/self/numa_maps"),
		.net_devices = true,
		.idmap = true,
		.annotations = {.items = about, .count = ARRAY_LEN(about)},
		.unsafe_annotations = {.items = unsafe, .count = ARRAY_LEN(unsafe)},
	};
	autojson json_t *features = NULL;
	int r;

	(void)inv;
	host.cgroup.v2 = true;
	host.cgroup.systemd = host.cgroup.systemd_user = exists("/run/systemd/system");
	host.intel_rdt.enabled = exists("/sys/fs/resctrl/schemata");
	host.intel_rdt.schemata = host.intel_rdt.enabled;
	host.intel_rdt.monitoring = exists("/sys/fs/resctrl/mon_groups");
	host.seccomp_flags = (struct strings){.items = flags, .count = seccomp_flags(flags)};
	r = spec_features_build(&host, &features, err);
	return r < 0 ? r : oci_print_json(features, err);
}

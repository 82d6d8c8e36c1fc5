/* SPDX-License-Identifier: Apache-2.0 */
/* Watching a cgroup: poll(2) for POLLPRI on its event files. */
#include "base/cleanup.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/statfile.h"

#include <fcntl.h>
#include <string.h>

int cgroup_events_open(const struct cgroup *cgroup, struct cgroup_events *ret, struct err *err)
{
	int state, memory;

	if (cgroup->driver == CGROUP_DISABLED)
		return err_set(err, -EOPNOTSUPP, "the container has no cgroup to watch");
	state = sys_openat(cgroup->dirfd, "cgroup.events", O_RDONLY, 0);
	if (state < 0)
		return err_sys(err, state, "open cgroup.events of cgroup %s", cgroup->path);
	memory = sys_openat(cgroup->dirfd, "memory.events", O_RDONLY, 0);
	ret->state = state;
	ret->memory = memory < 0 ? -1 : memory;
	return 0;
}

/* Reading from the start is what arms a file of cgroupfs again. */
static int read_text(int fd, char *text, size_t size)
{
	ssize_t n = sys_pread(fd, text, size - 1, 0);

	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return 0;
}

int cgroup_events_read(const struct cgroup_events *events, struct cgroup_event_counts *ret)
{
	struct cgroup_event_counts counts = {};
	char text[1024];
	int r = read_text(events->state, text, sizeof(text));

	if (r < 0)
		return r;
	counts.populated = statfile_key(text, "populated") == 1;
	counts.frozen = statfile_key(text, "frozen") == 1;
	if (events->memory >= 0) {
		r = read_text(events->memory, text, sizeof(text));
		if (r < 0)
			return r;
		counts.oom = statfile_key(text, "oom");
		counts.oom_kill = statfile_key(text, "oom_kill");
		counts.oom_group_kill = statfile_key(text, "oom_group_kill");
		counts.high = statfile_key(text, "high");
		counts.max = statfile_key(text, "max");
	}
	*ret = counts;
	return 0;
}

void cgroup_events_close(struct cgroup_events *events)
{
	cleanup_close(&events->state);
	cleanup_close(&events->memory);
}

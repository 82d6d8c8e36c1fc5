/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_stats_read(): the files of every controller that is on. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/statfile.h"
#include "cgroups/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct reading {
	int dirfd;
	struct arena *arena;
	struct buf buf; /* the file that was read last */
};

enum { FILE_MAX = 16 << 20 };

/* The text of FILE; "" when it is not there. Valid until the next one is read. */
static const char *read_text(struct reading *r, const char *file)
{
	r->buf.len = 0;
	if (r->buf.data)
		r->buf.data[0] = '\0';
	if (fd_read_file(r->dirfd, file, FILE_MAX, &r->buf) < 0) {
		r->buf.len = 0;
		return "";
	}
	return buf_str(&r->buf);
}

static uint64_t read_value(struct reading *r, const char *file)
{
	return statfile_number(read_text(r, file));
}

static bool exists(const struct reading *r, const char *file)
{
	return sys_faccessat(r->dirfd, file, F_OK, 0) >= 0;
}

static int read_cpu(struct reading *r, struct cgroup_stats *stats)
{
	struct cgroup_stats_cpu *cpu = &stats->cpu;
	const char *text = read_text(r, "cpu.stat");

	cpu->usage = statfile_key(text, "usage_usec");
	cpu->user = statfile_key(text, "user_usec");
	cpu->system = statfile_key(text, "system_usec");
	cpu->periods = statfile_key(text, "nr_periods");
	cpu->throttled = statfile_key(text, "nr_throttled");
	cpu->throttled_time = statfile_key(text, "throttled_usec");
	cpu->bursts = statfile_key(text, "nr_bursts");
	cpu->burst_time = statfile_key(text, "burst_usec");
	statfile_pressure(read_text(r, "cpu.pressure"), &cpu->pressure);
	return 0;
}

/* A copy of a one-line FILE, NULL when it is not there. */
static int copy_line(struct reading *r, const char *file, const char **ret)
{
	const char *text;

	if (!exists(r, file))
		return 0;
	text = read_text(r, file);
	*ret = arena_printf(r->arena, "%.*s", (int)strcspn(text, "\n"), text);
	return *ret ? 0 : -ENOMEM;
}

static int read_cpuset(struct reading *r, struct cgroup_stats *stats)
{
	int e = copy_line(r, "cpuset.cpus.effective", &stats->cpuset_cpus);

	return e < 0 ? e : copy_line(r, "cpuset.mems.effective", &stats->cpuset_mems);
}

static int read_memory(struct reading *r, struct cgroup_stats *stats)
{
	struct cgroup_stats_memory *memory = &stats->memory;
	const char *text;

	statfile_pressure(read_text(r, "memory.pressure"), &memory->pressure);
	memory->present = exists(r, "memory.current");
	if (!memory->present)
		return 0;
	memory->usage = read_value(r, "memory.current");
	memory->peak = read_value(r, "memory.peak");
	memory->limit = read_value(r, "memory.max");
	memory->high = read_value(r, "memory.high");
	memory->low = read_value(r, "memory.low");
	memory->swap_usage = read_value(r, "memory.swap.current");
	memory->swap_peak = read_value(r, "memory.swap.peak");
	memory->swap_limit = read_value(r, "memory.swap.max");
	text = read_text(r, "memory.events");
	memory->events_low = statfile_key(text, "low");
	memory->events_high = statfile_key(text, "high");
	memory->events_max = statfile_key(text, "max");
	memory->oom = statfile_key(text, "oom");
	memory->oom_kill = statfile_key(text, "oom_kill");
	memory->oom_group_kill = statfile_key(text, "oom_group_kill");
	return statfile_flat(read_text(r, "memory.stat"), r->arena, &memory->stat);
}

static int read_pids(struct reading *r, struct cgroup_stats *stats)
{
	stats->pids_present = exists(r, "pids.current");
	if (!stats->pids_present)
		return 0;
	stats->pids = read_value(r, "pids.current");
	stats->pids_limit = read_value(r, "pids.max");
	stats->pids_peak = read_value(r, "pids.peak");
	stats->pids_failures = statfile_key(read_text(r, "pids.events"), "max");
	return 0;
}

static int read_io(struct reading *r, struct cgroup_stats *stats)
{
	statfile_pressure(read_text(r, "io.pressure"), &stats->io.pressure);
	stats->io.present = exists(r, "io.stat");
	return statfile_io(read_text(r, "io.stat"), r->arena, &stats->io);
}

static int read_hugetlb_size(struct reading *r, const char *size, struct cgroup_stats_hugetlb *ret)
{
	char file[128];

	ret->page_size = arena_strdup(r->arena, size);
	if (!ret->page_size)
		return -ENOMEM;
	snprintf(file, sizeof(file), "hugetlb.%s.current", size);
	ret->usage = read_value(r, file);
	snprintf(file, sizeof(file), "hugetlb.%s.max", size);
	ret->limit = read_value(r, file);
	snprintf(file, sizeof(file), "hugetlb.%s.events", size);
	ret->failures = statfile_key(read_text(r, file), "max");
	snprintf(file, sizeof(file), "hugetlb.%s.rsvd.current", size);
	ret->rsvd_usage = read_value(r, file);
	snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max", size);
	ret->rsvd_limit = read_value(r, file);
	return 0;
}

/* "2MB" from "hugetlb.2MB.current", but nothing from "hugetlb.2MB.rsvd.current". */
static bool hugetlb_size(const char *file, char *size, size_t room)
{
	const char *rest;
	size_t n;

	if (!parse_has_prefix(file, "hugetlb.", &rest))
		return false;
	n = strcspn(rest, ".");
	if (strcmp(rest + n, ".current") != 0 || n >= room)
		return false;
	memcpy(size, rest, n);
	size[n] = '\0';
	return true;
}

enum { HUGETLB_SIZES_MAX = 16 };

static int read_hugetlb(struct reading *r, struct cgroup_stats *stats)
{
	struct cgroup_stats_hugetlb *items;
	struct dirent *entry;
	char size[32];
	size_t count = 0;
	unsigned int on = 0;
	int fd, e = 0;
	DIR *dir;

	(void)tree_controllers(r->dirfd, "cgroup.controllers", &on);
	if (!(on & CGROUP_HUGETLB))
		return 0;
	fd = sys_openat(r->dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	dir = fd < 0 ? NULL : fdopendir(fd);
	items = arena_array(r->arena, HUGETLB_SIZES_MAX, struct cgroup_stats_hugetlb);
	if (!dir) {
		cleanup_close(&fd);
		return fd < 0 ? 0 : -ENOMEM;
	}
	while (items && e >= 0 && count < HUGETLB_SIZES_MAX && (entry = readdir(dir)))
		if (hugetlb_size(entry->d_name, size, sizeof(size)))
			e = read_hugetlb_size(r, size, &items[count++]);
	closedir(dir);
	stats->hugetlb.items = items;
	stats->hugetlb.count = count;
	return items ? e : -ENOMEM;
}

/* One item a line of rdma.current, its limits from the same device's line of rdma.max. */
static int read_rdma(struct reading *r, struct cgroup_stats *stats)
{
	const char *current, *max;
	struct pairs_u64 devices = {};
	int e;

	if (!exists(r, "rdma.current"))
		return 0;
	current = arena_strdup(r->arena, read_text(r, "rdma.current"));
	if (!current)
		return -ENOMEM;
	max = read_text(r, "rdma.max");
	e = statfile_flat(current, r->arena, &devices); /* for the names */
	if (e < 0)
		return e;
	stats->rdma.items = arena_array(r->arena, devices.count + 1, struct cgroup_stats_rdma);
	if (!stats->rdma.items)
		return -ENOMEM;
	for (size_t i = 0; i < devices.count; i++) {
		const char *name = devices.items[i].key;
		const char *used = statfile_line(current, name), *limit = statfile_line(max, name);

		stats->rdma.items[i] = (struct cgroup_stats_rdma){
			.device = name,
			.handles = statfile_nested(used, "hca_handle"),
			.objects = statfile_nested(used, "hca_object"),
			.handles_limit = limit ? statfile_nested(limit, "hca_handle") : UINT64_MAX,
			.objects_limit = limit ? statfile_nested(limit, "hca_object") : UINT64_MAX,
		};
	}
	stats->rdma.count = devices.count;
	return 0;
}

static int read_misc(struct reading *r, struct cgroup_stats *stats)
{
	struct pairs_u64 usage = {};
	int e = statfile_flat(read_text(r, "misc.current"), r->arena, &usage);

	if (e < 0)
		return e;
	stats->misc.items = arena_array(r->arena, usage.count + 1, struct cgroup_stats_misc);
	if (!stats->misc.items)
		return -ENOMEM;
	for (size_t i = 0; i < usage.count; i++) {
		struct cgroup_stats_misc *item = &stats->misc.items[i];
		char key[64];

		item->name = usage.items[i].key;
		item->usage = usage.items[i].value;
		item->limit = statfile_key(read_text(r, "misc.max"), item->name);
		snprintf(key, sizeof(key), "%s.max", item->name);
		item->failures = statfile_key(read_text(r, "misc.events"), key);
	}
	stats->misc.count = usage.count;
	return 0;
}

int cgroup_stats_read(
	const struct cgroup *cgroup, struct arena *arena, struct cgroup_stats *ret, struct err *err)
{
	static int (*const readers[])(struct reading *, struct cgroup_stats *) = {read_cpu,
		read_cpuset, read_memory, read_pids, read_io, read_hugetlb, read_rdma, read_misc};
	struct reading reading = {.dirfd = cgroup->dirfd, .arena = arena};
	struct cgroup_stats stats = {};
	int r;

	if (cgroup->driver == CGROUP_DISABLED)
		return err_set(err, -EOPNOTSUPP,
			"the container has no cgroup, so there are no statistics of it");
	r = tree_event(cgroup->dirfd, "frozen", &stats.frozen);
	for (size_t i = 0; i < ARRAY_LEN(readers) && r >= 0; i++)
		r = readers[i](&reading, &stats);
	buf_free(&reading.buf);
	if (r < 0)
		return err_sys(err, r, "read the statistics of cgroup %s", cgroup->path);
	*ret = stats;
	return 0;
}

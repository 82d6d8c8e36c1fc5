/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/stats.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NS_PER_US = 1000, LIST_MAX = 8192, NET_DEV_MAX = 16 << 20 };

/* Adds VALUE under KEY to OBJECT; what failed before stays failed. */
static json_t *with(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *with_u64(json_t *object, const char *key, uint64_t value)
{
	return with(object, key, json_u64(value));
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t stat_of(const struct cgroup_stats_memory *memory, const char *key)
{
	for (size_t i = 0; i < memory->stat.count; i++)
		if (strcmp(memory->stat.items[i].key, key) == 0)
			return memory->stat.items[i].value;
	return 0;
}

/* ---- pressure ---- */

static json_t *pressure_line(const struct cgroup_pressure_line *line)
{
	return with_u64(json_pack("{s:f, s:f, s:f}", "avg10", line->avg10, "avg60", line->avg60,
				"avg300", line->avg300),
		"total", line->total);
}

static json_t *with_pressure(json_t *object, const struct cgroup_pressure *pressure)
{
	if (!pressure->present)
		return object;
	return with(object, "psi",
		json_pack("{s:o, s:o}", "some", pressure_line(&pressure->some), "full",
			pressure_line(&pressure->full)));
}

/* ---- controllers ---- */

static json_t *cpu_json(const struct cgroup_stats_cpu *cpu)
{
	json_t *usage = json_object(), *throttling = json_object();

	usage = with_u64(usage, "total", cpu->usage * NS_PER_US);
	usage = with_u64(usage, "kernel", cpu->system * NS_PER_US);
	usage = with_u64(usage, "user", cpu->user * NS_PER_US);
	throttling = with_u64(throttling, "periods", cpu->periods);
	throttling = with_u64(throttling, "throttledPeriods", cpu->throttled);
	throttling = with_u64(throttling, "throttledTime", cpu->throttled_time * NS_PER_US);
	throttling = with_u64(throttling, "bursts", cpu->bursts);
	throttling = with_u64(throttling, "burstTime", cpu->burst_time * NS_PER_US);
	return with_pressure(
		json_pack("{s:o, s:o}", "usage", usage, "throttling", throttling), &cpu->pressure);
}

/* What v1 had beside the lists has no counterpart, but readers want the members. */
static json_t *cpuset_json(const struct cgroup_stats *stats)
{
	return json_pack("{s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "cpus",
		stats_parse_list(stats->cpuset_cpus), "mems", stats_parse_list(stats->cpuset_mems),
		"cpu_exclusive", 0, "mem_hardwall", 0, "mem_exclusive", 0, "memory_migrate", 0,
		"memory_spread_page", 0, "memory_spread_slab", 0, "memory_pressure", 0,
		"sched_load_balance", 0, "sched_relax_domain_level", 0);
}

static json_t *memory_entry(uint64_t limit, uint64_t usage, uint64_t max, uint64_t failures)
{
	json_t *entry = json_object();

	entry = with_u64(entry, "limit", limit);
	entry = with_u64(entry, "usage", usage);
	if (max)
		entry = with_u64(entry, "max", max);
	return with_u64(entry, "failcnt", failures);
}

static json_t *raw_json(const struct cgroup_stats_memory *memory)
{
	json_t *raw = json_object();

	for (size_t i = 0; i < memory->stat.count; i++)
		raw = with_u64(raw, memory->stat.items[i].key, memory->stat.items[i].value);
	return raw;
}

static json_t *oom_json(const struct cgroup_stats_memory *memory)
{
	json_t *oom = json_object();

	oom = with_u64(oom, "events", memory->oom);
	oom = with_u64(oom, "kills", memory->oom_kill);
	return with_u64(oom, "groupKills", memory->oom_group_kill);
}

static json_t *memory_json(const struct cgroup_stats_memory *memory)
{
	uint64_t both = memory->swap_limit == UINT64_MAX ? UINT64_MAX
							 : plus(memory->swap_limit, memory->limit);
	json_t *object = json_object();

	if (!memory->present)
		return with_pressure(object, &memory->pressure);
	object = with_u64(object, "cache", stat_of(memory, "file"));
	object = with(object, "usage",
		memory_entry(memory->limit, memory->usage, memory->peak, memory->events_max));
	object = with(
		object, "swap", memory_entry(both, plus(memory->usage, memory->swap_usage), 0, 0));
	object = with(object, "swap_only",
		memory_entry(memory->swap_limit, memory->swap_usage, memory->swap_peak, 0));
	object = with(object, "kernel", memory_entry(UINT64_MAX, stat_of(memory, "kernel"), 0, 0));
	object = with(object, "kernelTCP", memory_entry(UINT64_MAX, stat_of(memory, "sock"), 0, 0));
	object = with(object, "raw", raw_json(memory));
	object = with(object, "oom", oom_json(memory));
	return with_pressure(object, &memory->pressure);
}

static json_t *pids_json(const struct cgroup_stats *stats)
{
	json_t *object = json_object();

	if (!stats->pids_present)
		return object;
	object = with_u64(object, "current", stats->pids);
	/* 0 is what readers take for "no limit" here. */
	object = with_u64(object, "limit", stats->pids_limit == UINT64_MAX ? 0 : stats->pids_limit);
	if (stats->pids_peak)
		object = with_u64(object, "max", stats->pids_peak);
	return with_u64(object, "failcnt", stats->pids_failures);
}

/* ---- block devices ---- */

static int add_io(
	json_t *list, const struct cgroup_stats_io_device *device, const char *op, uint64_t value)
{
	json_t *entry = json_pack("{s:I, s:I, s:s}", "major", (json_int_t)device->major, "minor",
		(json_int_t)device->minor, "op", op);

	return json_array_append_new(list, with_u64(entry, "value", value));
}

static json_t *io_json(const struct cgroup_stats_io *io)
{
	json_t *bytes = json_array(), *count = json_array();
	int r = 0;

	for (size_t i = 0; i < io->count; i++) {
		const struct cgroup_stats_io_device *d = &io->items[i];

		r |= add_io(bytes, d, "Read", d->rbytes);
		r |= add_io(bytes, d, "Write", d->wbytes);
		r |= add_io(bytes, d, "Discard", d->dbytes);
		r |= add_io(count, d, "Read", d->rios);
		r |= add_io(count, d, "Write", d->wios);
		r |= add_io(count, d, "Discard", d->dios);
	}
	if (r < 0) {
		json_decref(bytes);
		json_decref(count);
		return NULL;
	}
	return with_pressure(json_pack("{s:o, s:o}", "ioServiceBytesRecursive", bytes,
				     "ioServicedRecursive", count),
		&io->pressure);
}

/* ---- named resources ---- */

static json_t *hugetlb_json(const struct cgroup_stats *stats)
{
	json_t *object = json_object();

	for (size_t i = 0; i < stats->hugetlb.count; i++) {
		const struct cgroup_stats_hugetlb *h = &stats->hugetlb.items[i];
		json_t *entry = json_object();

		entry = with_u64(entry, "usage", h->usage);
		entry = with_u64(entry, "limit", h->limit);
		entry = with_u64(entry, "failcnt", h->failures);
		object = with(object, h->page_size, entry);
	}
	return object;
}

static json_t *rdma_json(const struct cgroup_stats *stats)
{
	json_t *object = json_object();

	for (size_t i = 0; i < stats->rdma.count; i++) {
		const struct cgroup_stats_rdma *d = &stats->rdma.items[i];
		json_t *entry = json_object();

		entry = with_u64(entry, "hcaHandles", d->handles);
		entry = with_u64(entry, "hcaObjects", d->objects);
		object = with(object, d->device, entry);
	}
	return object;
}

json_t *stats_json(const struct cgroup_stats *stats, json_t *links, json_t *rdt)
{
	json_t *object = json_object();

	object = with(object, "cpu", cpu_json(&stats->cpu));
	object = with(object, "cpuset", cpuset_json(stats));
	object = with(object, "memory", memory_json(&stats->memory));
	object = with(object, "pids", pids_json(stats));
	object = with(object, "blkio", io_json(&stats->io));
	object = with(object, "hugetlb", hugetlb_json(stats));
	if (stats->rdma.count)
		object = with(object, "rdma", rdma_json(stats));
	object = with(object, "intel_rdt", rdt ? rdt : json_object());
	return with(object, "network_interfaces", links ? links : json_array());
}

/* ---- texts ---- */

json_t *stats_parse_list(const char *text)
{
	autojson json_t *list = json_array();
	unsigned int first, last;
	int n;

	for (const char *p = text; p && *p; p += p[0] == ',') {
		if (sscanf(p, "%u%n", &first, &n) != 1)
			break;
		last = first;
		p += n;
		if (*p == '-') {
			if (sscanf(p, "-%u%n", &last, &n) != 1)
				break;
			p += n;
		}
		for (; first <= last && json_array_size(list) < LIST_MAX; first++)
			if (json_array_append_new(list, json_integer(first)) < 0)
				return NULL;
		if (*p != ',')
			break;
	}
	return json_incref(list);
}

/* In the order of the columns of /proc/net/dev. */
static const char *const link_columns[] = {"RxBytes", "RxPackets", "RxErrors", "RxDropped",
	"RxFifo", "RxFrame", "RxCompressed", "RxMulticast", "TxBytes", "TxPackets", "TxErrors",
	"TxDropped", "TxFifo", "TxCollisions", "TxCarrier", "TxCompressed"};

static json_t *link_json(const char *name, size_t len, const char *numbers)
{
	json_t *object = json_object();
	char text[32];
	char *end;

	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	for (size_t i = 0; i < len; i++)
		text[i] = (char)(isprint((unsigned char)name[i]) ? name[i] : '?');
	text[len] = '\0';
	object = with(object, "Name", json_string(text));
	for (size_t i = 0; i < ARRAY_LEN(link_columns); i++) {
		object = with_u64(object, link_columns[i], strtoull(numbers, &end, 10));
		numbers = end;
	}
	return object;
}

json_t *stats_parse_links(const char *text)
{
	autojson json_t *links = json_array();

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		const char *name, *colon;
		size_t len;

		line += *line == '\n';
		name = line + strspn(line, " ");
		len = strcspn(name, ":\n");
		colon = name + len;
		if (*colon != ':' || (len == 2 && memcmp(name, "lo", 2) == 0))
			continue;
		if (json_array_append_new(links, link_json(name, len, colon + 1)) < 0)
			return NULL;
	}
	return json_incref(links);
}

int stats_read_links(int procfd, pid_t pid, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};
	struct stat theirs, ours;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "%d/ns/net", pid);
	r = sys_fstatat(procfd, name, &theirs, 0);
	if (r == 0)
		r = sys_fstatat(procfd, "self/ns/net", &ours, 0);
	if (r == 0 && theirs.st_ino != ours.st_ino) {
		snprintf(name, sizeof(name), "%d/net/dev", pid);
		r = fd_read_file(procfd, name, NET_DEV_MAX, &text);
	}
	if (r < 0)
		return err_sys(err, r, "read the network interfaces of process %d", pid);
	*ret = stats_parse_links(buf_str(&text));
	return *ret ? 0 : err_sys(err, -ENOMEM, "statistics");
}

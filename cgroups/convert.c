/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/convert.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "cgroups/cgroup.h"
#include "cgroups/property.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct conversion {
	const struct spec_resources *resources;
	const struct convert_now *now;
	struct arena *arena;
	struct convert_writes *out;
	size_t room;
	struct err *err;
};

static int add(struct conversion *c, unsigned int controller, const char *field, const char *file,
	const char *value, unsigned int flags)
{
	struct convert_writes *out = c->out;

	if (!file || !value)
		return err_sys(c->err, -ENOMEM, "%s", field);
	if (out->count == c->room) {
		size_t room = c->room ? c->room * 2 : 32;
		struct convert_write *items = arena_array(c->arena, room, struct convert_write);

		if (!items)
			return err_sys(c->err, -ENOMEM, "%s", field);
		if (out->count)
			memcpy(items, out->items, out->count * sizeof(*items));
		out->items = items;
		c->room = room;
	}
	out->items[out->count++] = (struct convert_write){controller, field, file, value, flags};
	out->controllers |= controller;
	return 0;
}

/* UINT64_MAX is "max". */
static const char *number(struct conversion *c, uint64_t value)
{
	return value == UINT64_MAX ? "max" : arena_printf(c->arena, "%" PRIu64, value);
}

static uint64_t unlimited(int64_t value)
{
	return value < 0 ? UINT64_MAX : (uint64_t)value;
}

static bool opt_nonzero(struct opt_i64 value)
{
	return value.set && value.value != 0;
}

uint64_t convert_shares(uint64_t shares)
{
	double l;

	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log2((double)shares);
	/* The nudge keeps what is whole on paper (1024 → 100) from being rounded up. */
	return (uint64_t)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0) - 1e-6);
}

uint64_t convert_io_weight(uint32_t weight)
{
	if (weight < 10)
		weight = 10;
	if (weight > 1000)
		weight = 1000;
	return 1 + ((uint64_t)weight - 10) * 9999 / 990;
}

/* ---- memory ---- */

static int refuse_memory(const struct conversion *c, const struct spec_memory *m)
{
	bool swap_off = m->swap.set && m->limit.set && m->limit.value > 0 &&
			m->swap.value == m->limit.value;

	if (m->kernel.set && m->kernel.value > 0)
		return err_set(c->err, -EOPNOTSUPP,
			"memory.kernel: cgroup v2 has no limit of its own for kernel memory; it "
			"counts towards memory.limit");
	if (m->kernel_tcp.set && m->kernel_tcp.value > 0)
		return err_set(c->err, -EOPNOTSUPP,
			"memory.kernelTCP: cgroup v2 has no limit of its own for socket buffers; "
			"they count towards memory.limit");
	if (m->swappiness.set && !swap_off)
		return err_set(c->err, -EOPNOTSUPP,
			"memory.swappiness: cgroup v2 has no swappiness of its own for a cgroup; "
			"limit memory.swap instead");
	if (m->disable_oom_killer.set && m->disable_oom_killer.value)
		return err_set(c->err, -EOPNOTSUPP,
			"memory.disableOOMKiller: cgroup v2 cannot switch the OOM killer off");
	return 0;
}

/*
 * The specification's swap is memory and swap together, cgroup v2's is swap alone. 0 and absent are
 * the same for limits, as engines write both for "none was asked for". RET.set: there is something
 * to write.
 */
static int swap_limit(const struct conversion *c, const struct spec_memory *m, struct opt_u64 *ret)
{
	struct opt_u64 memory = c->now->memory_max;

	*ret = (struct opt_u64){};
	if (opt_nonzero(m->limit))
		memory = (struct opt_u64){true, unlimited(m->limit.value)};
	if (!opt_nonzero(m->swap)) {
		/* On v1 a limit of memory that is lifted lifts that of both together. */
		if (opt_nonzero(m->limit) && m->limit.value < 0)
			*ret = (struct opt_u64){true, UINT64_MAX};
		return 0;
	}
	if (m->swap.value < 0) {
		*ret = (struct opt_u64){true, UINT64_MAX};
		return 0;
	}
	if (!memory.set || memory.value == UINT64_MAX)
		return err_set(c->err, -EINVAL,
			"memory.swap is the limit of memory and swap together, so memory.limit "
			"must "
			"be set as well");
	if ((uint64_t)m->swap.value < memory.value)
		return err_set(c->err, -EINVAL,
			"memory.swap (%" PRId64 ") is the limit of memory and swap together, so it "
			"must not be below memory.limit (%" PRIu64 ")",
			m->swap.value, memory.value);
	*ret = (struct opt_u64){true, (uint64_t)m->swap.value - memory.value};
	return 0;
}

static int add_swap(struct conversion *c, struct opt_u64 swap)
{
	if (!swap.set)
		return 0;
	/* A kernel without accounting of swap cannot limit it, so "max" is what it has anyway. */
	return add(c, CGROUP_MEMORY, "memory.swap", "memory.swap.max", number(c, swap.value),
		swap.value == UINT64_MAX ? CONVERT_OPTIONAL : 0);
}

static int convert_memory(struct conversion *c)
{
	const struct spec_memory *m = c->resources->memory;
	bool swap_first;
	struct opt_u64 swap;
	int r;

	if (!m)
		return 0;
	r = refuse_memory(c, m);
	if (r >= 0)
		r = swap_limit(c, m, &swap);
	if (r < 0)
		return r;
	/* More swap must be there before memory shrinks into it; less only when memory has grown.
	 */
	swap_first = swap.set && c->now->swap_max.set && swap.value > c->now->swap_max.value;
	if (swap_first)
		r = add_swap(c, swap);
	if (r >= 0 && opt_nonzero(m->limit))
		r = add(c, CGROUP_MEMORY, "memory.limit", "memory.max",
			number(c, unlimited(m->limit.value)), 0);
	if (r >= 0 && !swap_first)
		r = add_swap(c, swap);
	if (r >= 0 && opt_nonzero(m->reservation))
		r = add(c, CGROUP_MEMORY, "memory.reservation", "memory.low",
			number(c, unlimited(m->reservation.value)), 0);
	return r;
}

/* ---- cpu ---- */

/* "QUOTA PERIOD" for cpu.max; NULL with 0 when neither is set. */
static int cpu_max(struct conversion *c, const struct spec_cpu *cpu, const char **ret)
{
	bool period = cpu->period.set && cpu->period.value;
	const char *now = c->now->cpu_max ? c->now->cpu_max : "max 100000";

	*ret = NULL;
	if (!opt_nonzero(cpu->quota) && !period)
		return 0;
	if (!period) /* one word keeps the period */
		*ret = number(c, unlimited(cpu->quota.value));
	else if (opt_nonzero(cpu->quota))
		*ret = arena_printf(c->arena, "%s %" PRIu64, number(c, unlimited(cpu->quota.value)),
			cpu->period.value);
	else
		*ret = arena_printf(
			c->arena, "%.*s %" PRIu64, (int)strcspn(now, " "), now, cpu->period.value);
	return *ret ? 0 : err_sys(c->err, -ENOMEM, "cpu.quota");
}

/* The kernel holds burst ≤ quota at any time, so which goes first depends on what is there. */
static int add_bandwidth(struct conversion *c, const struct spec_cpu *cpu)
{
	bool burst_first = cpu->burst.set && c->now->cpu_burst.set &&
			   cpu->burst.value < c->now->cpu_burst.value;
	const char *max;
	int r = cpu_max(c, cpu, &max);

	for (int step = 0; step < 2 && r >= 0; step++) {
		if ((step == 0) == burst_first && cpu->burst.set)
			r = add(c, CGROUP_CPU, "cpu.burst", "cpu.max.burst",
				number(c, cpu->burst.value), 0);
		else if ((step == 0) != burst_first && max)
			r = add(c, CGROUP_CPU, opt_nonzero(cpu->quota) ? "cpu.quota" : "cpu.period",
				"cpu.max", max, 0);
	}
	return r;
}

static int convert_cpu(struct conversion *c)
{
	const struct spec_cpu *cpu = c->resources->cpu;
	bool idle;
	int r = 0;

	if (!cpu)
		return 0;
	if (opt_nonzero(cpu->realtime_runtime) ||
		(cpu->realtime_period.set && cpu->realtime_period.value))
		return err_set(c->err, -EOPNOTSUPP,
			"cpu.realtimeRuntime and cpu.realtimePeriod: cgroup v2 has no share of "
			"realtime for a cgroup");
	idle = cpu->idle.set && cpu->idle.value != 0;
	/* An idle cgroup takes no weight. */
	if (cpu->idle.set && !idle)
		r = add(c, CGROUP_CPU, "cpu.idle", "cpu.idle", "0", 0);
	if (r >= 0 && cpu->shares.set && cpu->shares.value && !idle)
		r = add(c, CGROUP_CPU, "cpu.shares", "cpu.weight",
			number(c, convert_shares(cpu->shares.value)), 0);
	if (r >= 0 && idle)
		r = add(c, CGROUP_CPU, "cpu.idle", "cpu.idle", number(c, (uint64_t)cpu->idle.value),
			0);
	if (r >= 0)
		r = add_bandwidth(c, cpu);
	if (r >= 0 && cpu->cpus && *cpu->cpus)
		r = add(c, CGROUP_CPUSET, "cpu.cpus", "cpuset.cpus", cpu->cpus, 0);
	if (r >= 0 && cpu->mems && *cpu->mems)
		r = add(c, CGROUP_CPUSET, "cpu.mems", "cpuset.mems", cpu->mems, 0);
	return r;
}

/* ---- io ---- */

/* BFQ has files of its own, with the range of v1; which of both there is depends on the kernel. */
static int add_weight(struct conversion *c, const char *field, const char *device, uint32_t weight)
{
	int r;

	if (weight < 10 || weight > 1000)
		return err_set(c->err, -EINVAL, "%s: %u is not between 10 and 1000", field, weight);
	r = add(c, CGROUP_IO, field, "io.bfq.weight",
		arena_printf(c->arena, "%s %u", device, weight), CONVERT_EITHER);
	return r < 0 ? r
		     : add(c, CGROUP_IO, field, "io.weight",
			       arena_printf(
				       c->arena, "%s %" PRIu64, device, convert_io_weight(weight)),
			       0);
}

static int add_throttles(struct conversion *c, const struct spec_throttle_list *list,
	const char *field, const char *key)
{
	int r = 0;

	for (size_t i = 0; i < list->count && r >= 0; i++) {
		const struct spec_throttle *t = &list->items[i];

		/* The kernel keeps the other keys of a device, so each can have its own line. */
		r = add(c, CGROUP_IO, field, "io.max",
			arena_printf(c->arena, "%" PRId64 ":%" PRId64 " %s=%s", t->major, t->minor,
				key, t->rate ? number(c, t->rate) : "max"),
			0);
	}
	return r;
}

static int convert_io(struct conversion *c)
{
	const struct spec_block_io *io = c->resources->block_io;
	int r = 0;

	if (!io)
		return 0;
	if (io->leaf_weight.set && io->leaf_weight.value)
		return err_set(c->err, -EOPNOTSUPP,
			"blockIO.leafWeight: cgroup v2 knows no processes beside child cgroups");
	if (io->weight.set && io->weight.value)
		r = add_weight(c, "blockIO.weight", "default", io->weight.value);
	for (size_t i = 0; i < io->weight_device.count && r >= 0; i++) {
		const struct spec_weight_device *d = &io->weight_device.items[i];
		char device[64];

		if (d->leaf_weight.set && d->leaf_weight.value)
			return err_set(c->err, -EOPNOTSUPP,
				"blockIO.weightDevice: cgroup v2 has no leafWeight");
		if (!d->weight.set || !d->weight.value)
			continue;
		snprintf(device, sizeof(device), "%" PRId64 ":%" PRId64, d->major, d->minor);
		r = add_weight(c, "blockIO.weightDevice", device, d->weight.value);
	}
	if (r >= 0)
		r = add_throttles(c, &io->read_bps, "blockIO.throttleReadBpsDevice", "rbps");
	if (r >= 0)
		r = add_throttles(c, &io->write_bps, "blockIO.throttleWriteBpsDevice", "wbps");
	if (r >= 0)
		r = add_throttles(c, &io->read_iops, "blockIO.throttleReadIOPSDevice", "riops");
	if (r >= 0)
		r = add_throttles(c, &io->write_iops, "blockIO.throttleWriteIOPSDevice", "wiops");
	return r;
}

/* ---- the others ---- */

static int convert_pids(struct conversion *c)
{
	struct opt_i64 limit = c->resources->pids_limit;

	if (!limit.set)
		return 0;
	/* With 0 the kernel would not let the first process in; after that it is the same as 1. */
	if (limit.value == 0)
		limit.value = 1;
	return add(c, CGROUP_PIDS, "pids.limit", "pids.max",
		number(c, limit.value < 0 ? UINT64_MAX : (uint64_t)limit.value), 0);
}

static int convert_hugetlb(struct conversion *c)
{
	int r = 0;

	for (size_t i = 0; i < c->resources->hugepage_limits.count && r >= 0; i++) {
		const struct spec_hugepage_limit *h = &c->resources->hugepage_limits.items[i];
		const char *value = number(c, h->limit);
		static const char field[] = "hugepageLimits";

		if (!path_is_component(h->page_size))
			return err_set(c->err, -EINVAL, "%s: \"%s\" is not a page size", field,
				h->page_size);
		r = add(c, CGROUP_HUGETLB, field,
			arena_printf(c->arena, "hugetlb.%s.max", h->page_size), value, 0);
		/* What is reserved but not yet touched counts too, where the kernel can tell. */
		if (r >= 0)
			r = add(c, CGROUP_HUGETLB, field,
				arena_printf(c->arena, "hugetlb.%s.rsvd.max", h->page_size), value,
				CONVERT_OPTIONAL);
	}
	return r;
}

static const char *rdma_value(struct conversion *c, struct opt_u32 value)
{
	return value.set ? number(c, value.value) : "max";
}

static int convert_rdma(struct conversion *c)
{
	int r = 0;

	for (size_t i = 0; i < c->resources->rdma.count && r >= 0; i++) {
		const struct spec_rdma *d = &c->resources->rdma.items[i];

		if (strpbrk(d->device, " \n"))
			return err_set(c->err, -EINVAL, "rdma: \"%s\" is not a device", d->device);
		r = add(c, CGROUP_RDMA, "rdma", "rdma.max",
			arena_printf(c->arena, "%s hca_handle=%s hca_object=%s", d->device,
				rdma_value(c, d->hca_handles), rdma_value(c, d->hca_objects)),
			0);
	}
	return r;
}

static int refuse_network(const struct conversion *c)
{
	const struct spec_network *n = c->resources->network;

	if (n && n->class_id.set && n->class_id.value)
		return err_set(c->err, -EOPNOTSUPP,
			"network.classID: cgroup v2 has no net_cls; match the cgroup's path in "
			"nftables instead");
	if (n && n->priorities.count)
		return err_set(
			c->err, -EOPNOTSUPP, "network.priorities: cgroup v2 has no net_prio");
	return 0;
}

/* Files of the core that are the runtime's own means: not limits, and dangerous in other hands. */
static bool is_reserved(const char *file)
{
	static const char *const allowed[] = {
		"cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"};

	if (strncmp(file, "cgroup.", 7) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (strcmp(file, allowed[i]) == 0)
			return false;
	return true;
}

static int add_unified(struct conversion *c, const char *file, const char *value)
{
	size_t prefix = strcspn(file, ".");
	const char *field = arena_printf(c->arena, "unified.%s", file);
	char name[16] = "";
	unsigned int controller;
	int r = 0;

	if (!field)
		return err_sys(c->err, -ENOMEM, "unified");
	if (!path_is_component(file) || !file[prefix] || !prefix || prefix >= sizeof(name))
		return err_set(c->err, -EINVAL,
			"unified: \"%s\" is not the name of a file of a cgroup controller", file);
	if (is_reserved(file))
		return err_set(c->err, -EINVAL, "unified: %s is not a resource", file);
	memcpy(name, file, prefix);
	controller = strcmp(name, "cgroup") ? cgroup_controllers_parse(name) : 0;
	/* Such files take one line a write(2). */
	do {
		size_t len = strcspn(value, "\n");

		r = add(c, controller, field, file, arena_printf(c->arena, "%.*s", (int)len, value),
			0);
		value += len + (value[len] == '\n');
	} while (r >= 0 && *value);
	return r;
}

int convert_resources(const struct spec_resources *resources, const struct convert_now *now,
	struct arena *arena, struct convert_writes *ret, struct err *err)
{
	struct convert_writes out = {};
	struct conversion c = {resources, now, arena, &out, 0, err};
	static int (*const steps[])(struct conversion *) = {convert_memory, convert_cpu, convert_io,
		convert_pids, convert_hugetlb, convert_rdma};
	int r = refuse_network(&c);

	for (size_t i = 0; i < ARRAY_LEN(steps) && r >= 0; i++)
		r = steps[i](&c);
	/* Last, as they are the more exact word where both speak of the same file. */
	for (size_t i = 0; i < resources->unified.count && r >= 0; i++)
		r = add_unified(
			&c, resources->unified.items[i].key, resources->unified.items[i].value);
	if (r >= 0)
		*ret = out;
	return r;
}

/* ---- properties of a unit ---- */

/* Per second, in microseconds; systemd keeps whole per cents, so it is rounded up to one. */
static uint64_t quota_per_second(const char *quota_period)
{
	uint64_t quota = strtoull(quota_period, NULL, 10), period = 100000, usec;
	const char *space = strchr(quota_period, ' ');

	if (strncmp(quota_period, "max", 3) == 0)
		return UINT64_MAX;
	if (space)
		period = strtoull(space + 1, NULL, 10);
	if (!period || __builtin_mul_overflow(quota, 1000000, &usec))
		return UINT64_MAX;
	usec /= period;
	return (usec + 9999) / 10000 * 10000;
}

/* One file's value as a property; files that have none are left out. */
static int add_property(const struct convert_write *w, const char *now_period, struct arena *arena,
	struct pairs *properties)
{
	static const struct json_name numbers[] = {{"memory.max", 0}, {"memory.swap.max", 1},
		{"memory.low", 2}, {"pids.max", 3}, {"cpu.weight", 4}, {NULL, 0}};
	static const char *const names[] = {
		"MemoryMax", "MemorySwapMax", "MemoryLow", "TasksMax", "CPUWeight"};
	const char *weight, *value;
	char *mask;
	int64_t i;
	int r;

	if (json_name_find(numbers, w->file, &i)) {
		value = strcmp(w->value, "max") ? w->value : "18446744073709551615";
		return property_add(
			properties, names[i], arena_printf(arena, "t %s", value), arena);
	}
	if (strcmp(w->file, "cpu.max") == 0) {
		value = strchr(w->value, ' ') ? w->value
					      : arena_printf(arena, "%s %s", w->value, now_period);
		if (!value)
			return -ENOMEM;
		return property_add(properties, "CPUQuotaPerSecUSec",
			arena_printf(arena, "t %" PRIu64, quota_per_second(value)), arena);
	}
	if (strcmp(w->file, "cpuset.cpus") == 0 || strcmp(w->file, "cpuset.mems") == 0) {
		r = property_cpu_mask(arena, w->value, &mask);
		return r < 0 ? r
			     : property_add(properties,
				       w->file[7] == 'c' ? "AllowedCPUs" : "AllowedMemoryNodes",
				       arena_printf(arena, "ay %s", mask), arena);
	}
	if (strcmp(w->file, "io.weight") == 0 && strncmp(w->value, "default ", 8) == 0) {
		weight = w->value + 8;
		return property_add(
			properties, "IOWeight", arena_printf(arena, "t %s", weight), arena);
	}
	return 0;
}

int convert_properties(const struct spec_resources *resources, const struct convert_now *now,
	struct arena *arena, struct pairs *properties, struct err *err)
{
	const char *period = now->cpu_max ? strchr(now->cpu_max, ' ') : NULL;
	struct convert_writes writes;
	int r = convert_resources(resources, now, arena, &writes, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < writes.count; i++) {
		const struct convert_write *w = &writes.items[i];

		/* Unified ones are the runtime's own to write, in whatever syntax they have. */
		if (strncmp(w->field, "unified.", 8) == 0)
			continue;
		r = add_property(w, period ? period + 1 : "100000", arena, properties);
		if (r < 0)
			return err_sys(err, r, "%s", w->field);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"
#include "spec/tables.h"

#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

enum { ACCESS_ALL = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE };
enum { WEIGHT_MAX = 1000, SWAPPINESS_MAX = 100 };

/* ---- devices ---- */

static int parse_access(const json_t *value, void *out, const struct json_context *ctx)
{
	const char *text = json_string_value(value);
	unsigned int access = 0;

	if (!text)
		return json_fail(ctx, NULL, "must be a string");
	for (const char *p = text; *p; p++) {
		if (*p == 'r')
			access |= BPF_DEVCG_ACC_READ;
		else if (*p == 'w')
			access |= BPF_DEVCG_ACC_WRITE;
		else if (*p == 'm')
			access |= BPF_DEVCG_ACC_MKNOD;
		else
			return json_fail(ctx, NULL,
				"\"%s\" must be made of r (read), w (write) and m (mknod)", text);
	}
	*(unsigned int *)out = access ? access : ACCESS_ALL;
	return 0;
}

static json_t *encode_access(const void *in)
{
	unsigned int access = *(const unsigned int *)in;
	char text[4];

	snprintf(text, sizeof(text), "%s%s%s", access & BPF_DEVCG_ACC_READ ? "r" : "",
		access & BPF_DEVCG_ACC_WRITE ? "w" : "", access & BPF_DEVCG_ACC_MKNOD ? "m" : "");
	return json_string(text);
}

static json_t *encode_rule_type(const void *in)
{
	return json_stringn(in, 1);
}

static int parse_rule_type(const json_t *value, void *out, const struct json_context *ctx)
{
	const char *text = json_string_value(value);

	if (!text)
		return json_fail(ctx, NULL, "must be a string");
	if (!*text)
		text = "a";
	if (strlen(text) != 1 || !strchr("abcu", *text))
		return json_fail(ctx, NULL,
			"\"%s\" must be a (all), b (block) or c (character device)", text);
	*(char *)out = *text == 'u' ? 'c' : *text;
	return 0;
}

static int finish_device_rule(void *out, const struct json_context *ctx)
{
	const struct spec_device_rule *rule = out;

	if (rule->major < -1 || rule->major > UINT32_MAX)
		return json_fail(ctx, "major", "must be a device number, or -1 for all");
	if (rule->minor < -1 || rule->minor > UINT32_MAX)
		return json_fail(ctx, "minor", "must be a device number, or -1 for all");
	return 0;
}

static const struct json_rule device_rule_rules[] = {
	{"allow", JSON_BOOL, .required = true, JSON_AT(spec_device_rule, allow)},
	{"type", JSON_PARSE, JSON_AT(spec_device_rule, type), .parse = parse_rule_type,
		.encode = encode_rule_type},
	{"major", JSON_I64, JSON_AT(spec_device_rule, major)},
	{"minor", JSON_I64, JSON_AT(spec_device_rule, minor)},
	{"access", JSON_PARSE, JSON_AT(spec_device_rule, access), .parse = parse_access,
		.encode = encode_access},
	{},
};

static const struct spec_device_rule device_rule_defaults = {
	.type = 'a',
	.major = -1,
	.minor = -1,
	.access = ACCESS_ALL,
};

static const struct json_table device_rule_table = {
	.size = sizeof(struct spec_device_rule),
	.rules = device_rule_rules,
	.defaults = &device_rule_defaults,
	.finish = finish_device_rule,
};

/* ---- memory, cpu, pids ---- */

static int finish_memory(void *out, const struct json_context *ctx)
{
	const struct spec_memory *memory = out;
	const struct {
		const char *key;
		int64_t value;
	} limits[] = {
		{"limit", memory->limit.value},
		{"reservation", memory->reservation.value},
		{"swap", memory->swap.value},
		{"kernel", memory->kernel.value},
		{"kernelTCP", memory->kernel_tcp.value},
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (limits[i].value < -1)
			return json_fail(ctx, limits[i].key, "must be bytes, or -1 for no limit");
	if (memory->swappiness.value > SWAPPINESS_MAX)
		return json_fail(ctx, "swappiness", "must be from 0 to %d", SWAPPINESS_MAX);
	if (memory->swap.value > 0 && memory->limit.value > memory->swap.value)
		return json_fail(ctx, "swap",
			"must not be below \"limit\": it counts memory and swap together");
	return 0;
}

static const struct json_rule memory_rules[] = {
	{"limit", JSON_OPT_I64, JSON_AT(spec_memory, limit)},
	{"reservation", JSON_OPT_I64, JSON_AT(spec_memory, reservation)},
	{"swap", JSON_OPT_I64, JSON_AT(spec_memory, swap)},
	{"kernel", JSON_OPT_I64, JSON_AT(spec_memory, kernel)},
	{"kernelTCP", JSON_OPT_I64, JSON_AT(spec_memory, kernel_tcp)},
	{"swappiness", JSON_OPT_U64, JSON_AT(spec_memory, swappiness)},
	{"disableOOMKiller", JSON_OPT_BOOL, JSON_AT(spec_memory, disable_oom_killer)},
	{"useHierarchy", JSON_OPT_BOOL, JSON_AT(spec_memory, use_hierarchy)},
	{"checkBeforeUpdate", JSON_BOOL, JSON_AT(spec_memory, check_before_update)},
	{},
};

static const struct json_table memory_table = {
	.size = sizeof(struct spec_memory),
	.rules = memory_rules,
	.finish = finish_memory,
};

static int finish_cpu(void *out, const struct json_context *ctx)
{
	struct spec_cpu *cpu = out;

	if (cpu->cpus && !*cpu->cpus)
		cpu->cpus = NULL;
	if (cpu->mems && !*cpu->mems)
		cpu->mems = NULL;
	if (cpu->cpus && !spec_is_list(cpu->cpus))
		return json_fail(
			ctx, "cpus", "\"%s\" is no list of CPUs such as \"0-3,7\"", cpu->cpus);
	if (cpu->mems && !spec_is_list(cpu->mems))
		return json_fail(ctx, "mems", "\"%s\" is no list of memory nodes such as \"0-1\"",
			cpu->mems);
	if (cpu->quota.value < -1)
		return json_fail(ctx, "quota", "must be microseconds, or -1 for no limit");
	if (cpu->idle.value < 0 || cpu->idle.value > 1)
		return json_fail(ctx, "idle", "must be 0 or 1");
	return 0;
}

static const struct json_rule cpu_rules[] = {
	{"shares", JSON_OPT_U64, JSON_AT(spec_cpu, shares)},
	{"quota", JSON_OPT_I64, JSON_AT(spec_cpu, quota)},
	{"burst", JSON_OPT_U64, JSON_AT(spec_cpu, burst)},
	{"period", JSON_OPT_U64, JSON_AT(spec_cpu, period)},
	{"realtimeRuntime", JSON_OPT_I64, JSON_AT(spec_cpu, realtime_runtime)},
	{"realtimePeriod", JSON_OPT_U64, JSON_AT(spec_cpu, realtime_period)},
	{"idle", JSON_OPT_I64, JSON_AT(spec_cpu, idle)},
	{"cpus", JSON_TEXT, JSON_AT(spec_cpu, cpus)},
	{"mems", JSON_TEXT, JSON_AT(spec_cpu, mems)},
	{},
};

static const struct json_table cpu_table = {
	.size = sizeof(struct spec_cpu),
	.rules = cpu_rules,
	.finish = finish_cpu,
};

static const struct json_rule pids_rules[] = {
	{"limit", JSON_OPT_I64, .required = true, JSON_AT(spec_resources, pids_limit)},
	{},
};

static const struct json_table pids_table = {
	.size = sizeof(struct spec_resources),
	.rules = pids_rules,
};

/* ---- block devices ---- */

static int check_device_number(int64_t major, int64_t minor, const struct json_context *ctx)
{
	if (major < 0 || major > UINT32_MAX || minor < 0 || minor > UINT32_MAX)
		return json_fail(ctx, NULL, "major and minor must be a device's numbers");
	return 0;
}

static int finish_throttle(void *out, const struct json_context *ctx)
{
	const struct spec_throttle *throttle = out;

	return check_device_number(throttle->major, throttle->minor, ctx);
}

static const struct json_rule throttle_rules[] = {
	{"major", JSON_I64, .required = true, JSON_AT(spec_throttle, major)},
	{"minor", JSON_I64, .required = true, JSON_AT(spec_throttle, minor)},
	{"rate", JSON_U64, .required = true, JSON_AT(spec_throttle, rate)},
	{},
};

static const struct json_table throttle_table = {
	.size = sizeof(struct spec_throttle),
	.rules = throttle_rules,
	.finish = finish_throttle,
};

static int check_weight(struct opt_u32 weight, const char *key, const struct json_context *ctx)
{
	if (weight.value > WEIGHT_MAX)
		return json_fail(ctx, key, "must be from 10 to %d", WEIGHT_MAX);
	return 0;
}

static int finish_weight_device(void *out, const struct json_context *ctx)
{
	const struct spec_weight_device *device = out;
	int r = check_device_number(device->major, device->minor, ctx);

	if (r == 0 && !device->weight.set && !device->leaf_weight.set)
		r = json_fail(ctx, NULL, "needs weight or leafWeight");
	if (r == 0)
		r = check_weight(device->weight, "weight", ctx);
	return r < 0 ? r : check_weight(device->leaf_weight, "leafWeight", ctx);
}

static const struct json_rule weight_device_rules[] = {
	{"major", JSON_I64, .required = true, JSON_AT(spec_weight_device, major)},
	{"minor", JSON_I64, .required = true, JSON_AT(spec_weight_device, minor)},
	{"weight", JSON_OPT_U32, JSON_AT(spec_weight_device, weight)},
	{"leafWeight", JSON_OPT_U32, JSON_AT(spec_weight_device, leaf_weight)},
	{},
};

static const struct json_table weight_device_table = {
	.size = sizeof(struct spec_weight_device),
	.rules = weight_device_rules,
	.finish = finish_weight_device,
};

static int finish_block_io(void *out, const struct json_context *ctx)
{
	const struct spec_block_io *io = out;
	int r = check_weight(io->weight, "weight", ctx);

	return r < 0 ? r : check_weight(io->leaf_weight, "leafWeight", ctx);
}

static const struct json_rule block_io_rules[] = {
	{"weight", JSON_OPT_U32, JSON_AT(spec_block_io, weight)},
	{"leafWeight", JSON_OPT_U32, JSON_AT(spec_block_io, leaf_weight)},
	{"weightDevice", JSON_STRUCTS, JSON_AT(spec_block_io, weight_device),
		.table = &weight_device_table},
	{"throttleReadBpsDevice", JSON_STRUCTS, JSON_AT(spec_block_io, read_bps),
		.table = &throttle_table},
	{"throttleWriteBpsDevice", JSON_STRUCTS, JSON_AT(spec_block_io, write_bps),
		.table = &throttle_table},
	{"throttleReadIOPSDevice", JSON_STRUCTS, JSON_AT(spec_block_io, read_iops),
		.table = &throttle_table},
	{"throttleWriteIOPSDevice", JSON_STRUCTS, JSON_AT(spec_block_io, write_iops),
		.table = &throttle_table},
	{},
};

static const struct json_table block_io_table = {
	.size = sizeof(struct spec_block_io),
	.rules = block_io_rules,
	.finish = finish_block_io,
};

/* ---- huge pages, RDMA, network ---- */

/* As in the names of the kernel's files, hugetlb.2MB.max: ^[1-9][0-9]*[KMG]B$. */
static int finish_hugepage(void *out, const struct json_context *ctx)
{
	const char *size = ((struct spec_hugepage_limit *)out)->page_size;
	size_t digits = strspn(size, "0123456789");

	if (!digits || size[0] == '0' || !size[digits] || !strchr("KMG", size[digits]) ||
		strcmp(size + digits + 1, "B") != 0)
		return json_fail(ctx, "pageSize",
			"\"%s\" must be a number with KB, MB or GB, such as \"2MB\"", size);
	return 0;
}

static const struct json_rule hugepage_rules[] = {
	{"pageSize", JSON_TEXT, .required = true, JSON_AT(spec_hugepage_limit, page_size)},
	{"limit", JSON_U64, .required = true, JSON_AT(spec_hugepage_limit, limit)},
	{},
};

static const struct json_table hugepage_table = {
	.size = sizeof(struct spec_hugepage_limit),
	.rules = hugepage_rules,
	.finish = finish_hugepage,
};

static int finish_rdma(void *out, const struct json_context *ctx)
{
	const char *device = ((struct spec_rdma *)out)->device;

	if (!*device || strpbrk(device, " \n"))
		return json_fail(ctx, NULL, "\"%s\" is no name of an RDMA device", device);
	return 0;
}

static const struct json_rule rdma_rules[] = {
	{"hcaHandles", JSON_OPT_U32, JSON_AT(spec_rdma, hca_handles)},
	{"hcaObjects", JSON_OPT_U32, JSON_AT(spec_rdma, hca_objects)},
	{},
};

static const struct json_table rdma_table = {
	.size = sizeof(struct spec_rdma),
	.rules = rdma_rules,
	.finish = finish_rdma,
};

static const struct json_rule priority_rules[] = {
	{"name", JSON_TEXT, .required = true, JSON_AT(spec_interface_priority, name)},
	{"priority", JSON_U32, .required = true, JSON_AT(spec_interface_priority, priority)},
	{},
};

static const struct json_table priority_table = {
	.size = sizeof(struct spec_interface_priority),
	.rules = priority_rules,
};

static const struct json_rule network_rules[] = {
	{"classID", JSON_OPT_U32, JSON_AT(spec_network, class_id)},
	{"priorities", JSON_STRUCTS, JSON_AT(spec_network, priorities), .table = &priority_table},
	{},
};

static const struct json_table network_table = {
	.size = sizeof(struct spec_network),
	.rules = network_rules,
};

/* ---- the whole ---- */

/* Each key names a file of the container's cgroup; those of the core interface, which freeze,
 * kill and delegate, are the runtime's own. */
static int check_unified(const struct pairs *unified, const struct json_context *ctx)
{
	for (size_t i = 0; i < unified->count; i++) {
		const char *key = unified->items[i].key, *rest;

		if (strchr(key, '/') || !strchr(key, '.') || key[0] == '.')
			return json_fail(ctx, "unified",
				"\"%s\" must be the name of a cgroup v2 file such as "
				"\"memory.high\"",
				key);
		/* But for the limits of the subtree, which nobody else sets. */
		if (parse_has_prefix(key, "cgroup.", &rest) && strncmp(rest, "max.", 4) != 0)
			return json_fail(
				ctx, "unified", "\"%s\" belongs to the runtime: remove it", key);
	}
	return 0;
}

static int finish_resources(void *out, const struct json_context *ctx)
{
	return check_unified(&((struct spec_resources *)out)->unified, ctx);
}

static const struct json_rule resources_rules[] = {
	{"devices", JSON_STRUCTS, JSON_AT(spec_resources, devices), .table = &device_rule_table},
	{"memory", JSON_STRUCT, JSON_AT(spec_resources, memory), .table = &memory_table},
	{"cpu", JSON_STRUCT, JSON_AT(spec_resources, cpu), .table = &cpu_table},
	{"pids", JSON_PART, .table = &pids_table},
	{"blockIO", JSON_STRUCT, JSON_AT(spec_resources, block_io), .table = &block_io_table},
	{"hugepageLimits", JSON_STRUCTS, JSON_AT(spec_resources, hugepage_limits),
		.table = &hugepage_table},
	{"rdma", JSON_STRUCT_MAP, JSON_AT(spec_resources, rdma), .table = &rdma_table},
	{"network", JSON_STRUCT, JSON_AT(spec_resources, network), .table = &network_table},
	{"unified", JSON_PAIRS, JSON_AT(spec_resources, unified)},
	{},
};

const struct json_table spec_resources_table = {
	.size = sizeof(struct spec_resources),
	.rules = resources_rules,
	.finish = finish_resources,
};

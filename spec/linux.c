/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"
#include "spec/names.h"
#include "spec/tables.h"

#include <net/if.h>
#include <string.h>
#include <sys/stat.h>

/* ---- namespaces ---- */

static int finish_namespace(void *out, const struct json_context *ctx)
{
	struct spec_namespace *ns = out;

	if (ns->path && !*ns->path)
		ns->path = NULL;
	if (ns->path && ns->path[0] != '/')
		return json_fail(ctx, "path", "\"%s\" must be an absolute path", ns->path);
	return 0;
}

static const struct json_rule namespace_rules[] = {
	{"type", JSON_NAME, .required = true, JSON_AT(spec_namespace, type),
		.names = spec_namespace_names, .what = "a namespace"},
	{"path", JSON_TEXT, JSON_AT(spec_namespace, path)},
	{},
};

static const struct json_table namespace_table = {
	.size = sizeof(struct spec_namespace),
	.rules = namespace_rules,
	.finish = finish_namespace,
};

static int finish_time_offset(void *out, const struct json_context *ctx)
{
	struct spec_time_offset *offset = out;

	if (offset->nanosecs >= 1000000000)
		return json_fail(ctx, "nanosecs", "must be below 1000000000");
	offset->set = true;
	return 0;
}

static const struct json_rule time_offset_rules[] = {
	{"secs", JSON_I64, JSON_AT(spec_time_offset, secs)},
	{"nanosecs", JSON_U32, JSON_AT(spec_time_offset, nanosecs)},
	{},
};

static const struct json_table time_offset_table = {
	.size = sizeof(struct spec_time_offset),
	.rules = time_offset_rules,
	.finish = finish_time_offset,
};

static const struct json_rule time_offsets_rules[] = {
	{"boottime", JSON_STRUCT, JSON_AT(spec_linux, time_boottime), .table = &time_offset_table},
	{"monotonic", JSON_STRUCT, JSON_AT(spec_linux, time_monotonic),
		.table = &time_offset_table},
	{},
};

static const struct json_table time_offsets_table = {.rules = time_offsets_rules};

/* ---- devices ---- */

static int parse_device_type(const json_t *value, void *out, const struct json_context *ctx)
{
	const char *text = json_string_value(value);

	if (!text)
		return json_fail(ctx, NULL, "must be a string");
	if (strlen(text) != 1 || !strchr("bcup", *text))
		return json_fail(ctx, NULL,
			"\"%s\" must be b (block), c or u (character) or p (FIFO)", text);
	*(char *)out = *text == 'u' ? 'c' : *text;
	return 0;
}

static int finish_device(void *out, const struct json_context *ctx)
{
	struct spec_device *device = out;
	const unsigned int bits = 07777;

	if (device->path[0] != '/' || !device->path[1])
		return json_fail(
			ctx, "path", "\"%s\" must be the absolute path of a device", device->path);
	/* Some engines leave the type of the file in. */
	if (device->file_mode.value & ~(bits | S_IFMT))
		return json_fail(ctx, "fileMode", "has bits beyond the permissions (octal 7777)");
	device->file_mode.value &= bits;
	if (device->type == 'p') {
		device->major = device->minor = 0;
		return 0;
	}
	if (device->major < 0 || device->major > UINT32_MAX)
		return json_fail(
			ctx, "major", "must be the device's number, for the types b and c");
	if (device->minor < 0 || device->minor > UINT32_MAX)
		return json_fail(
			ctx, "minor", "must be the device's number, for the types b and c");
	return 0;
}

static const struct json_rule device_rules[] = {
	{"path", JSON_TEXT, .required = true, JSON_AT(spec_device, path)},
	{"type", JSON_PARSE, .required = true, JSON_AT(spec_device, type),
		.parse = parse_device_type},
	{"major", JSON_I64, JSON_AT(spec_device, major)},
	{"minor", JSON_I64, JSON_AT(spec_device, minor)},
	{"fileMode", JSON_OPT_U32, JSON_AT(spec_device, file_mode)},
	{"uid", JSON_OPT_U32, JSON_AT(spec_device, uid)},
	{"gid", JSON_OPT_U32, JSON_AT(spec_device, gid)},
	{},
};

static const struct spec_device device_defaults = {.major = -1, .minor = -1};

static const struct json_table device_table = {
	.size = sizeof(struct spec_device),
	.rules = device_rules,
	.defaults = &device_defaults,
	.finish = finish_device,
};

/* The kernel's dev_valid_name(), and no '%': that would be a template. */
static bool is_interface_name(const char *name)
{
	return path_is_component(name) && strlen(name) < IF_NAMESIZE &&
	       !strpbrk(name, ":% \t\n\v\f\r");
}

/* In the container a name may be a template: one "%d", for which the kernel finds a number. */
static bool is_interface_template(const char *name)
{
	const char *percent = strchr(name, '%');
	char plain[IF_NAMESIZE];
	size_t n = percent ? (size_t)(percent - name) : 0;

	if (!percent || percent[1] != 'd' || strlen(name) >= sizeof(plain))
		return is_interface_name(name);
	memcpy(plain, name, n);
	plain[n] = '0'; /* whatever number it will be */
	strcpy(plain + n + 1, percent + 2);
	return is_interface_name(plain);
}

static int finish_net_device(void *out, const struct json_context *ctx)
{
	struct spec_net_device *device = out;

	if (device->name && !*device->name)
		device->name = NULL;
	if (!is_interface_name(device->host_name))
		return json_fail(
			ctx, NULL, "\"%s\" is no name of a network device", device->host_name);
	if (device->name && !is_interface_template(device->name))
		return json_fail(
			ctx, "name", "\"%s\" is no name of a network device", device->name);
	return 0;
}

static const struct json_rule net_device_rules[] = {
	{"name", JSON_TEXT, JSON_AT(spec_net_device, name)},
	{},
};

static const struct json_table net_device_table = {
	.size = sizeof(struct spec_net_device),
	.rules = net_device_rules,
	.finish = finish_net_device,
};

/* ---- Intel RDT ---- */

/* "/" is the root's class; these other names are files or directories of resctrl itself. */
static bool is_class_name(const char *id)
{
	static const char *const taken[] = {"info", "mon_data", "mon_groups"};

	if (strcmp(id, "/") == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (strcmp(id, taken[i]) == 0)
			return false;
	return path_is_component(id) && !strchr(id, '\n');
}

static int finish_intel_rdt(void *out, const struct json_context *ctx)
{
	struct spec_intel_rdt *rdt = out;

	if (rdt->clos_id && !*rdt->clos_id)
		rdt->clos_id = NULL;
	if (rdt->l3_cache_schema && !*rdt->l3_cache_schema)
		rdt->l3_cache_schema = NULL;
	if (rdt->mem_bw_schema && !*rdt->mem_bw_schema)
		rdt->mem_bw_schema = NULL;
	if (rdt->clos_id && !is_class_name(rdt->clos_id))
		return json_fail(ctx, "closID",
			"\"%s\" is no name of a class: one component, "
			"or \"/\" for the root's",
			rdt->clos_id);
	if (rdt->mem_bw_schema &&
		(strncmp(rdt->mem_bw_schema, "MB:", 3) != 0 || strchr(rdt->mem_bw_schema, '\n')))
		return json_fail(ctx, "memBwSchema", "must be one line that begins with \"MB:\"");
	for (size_t i = 0; i < rdt->schemata.count; i++)
		if (!strchr(rdt->schemata.items[i], ':') || strchr(rdt->schemata.items[i], '\n'))
			return json_fail(ctx, "schemata",
				"\"%s\" must be one line such as \"L3:0=ff;1=ff\"",
				rdt->schemata.items[i]);
	return 0;
}

static const struct json_rule intel_rdt_rules[] = {
	{"closID", JSON_TEXT, JSON_AT(spec_intel_rdt, clos_id)},
	{"schemata", JSON_TEXTS, JSON_AT(spec_intel_rdt, schemata)},
	{"l3CacheSchema", JSON_TEXT, JSON_AT(spec_intel_rdt, l3_cache_schema)},
	{"memBwSchema", JSON_TEXT, JSON_AT(spec_intel_rdt, mem_bw_schema)},
	{"enableMonitoring", JSON_BOOL, JSON_AT(spec_intel_rdt, enable_monitoring)},
	{},
};

static const struct json_table intel_rdt_table = {
	.size = sizeof(struct spec_intel_rdt),
	.rules = intel_rdt_rules,
	.finish = finish_intel_rdt,
};

/* ---- memory policy, personality ---- */

static const struct json_rule memory_policy_rules[] = {
	{"mode", JSON_NAME, .required = true, JSON_AT(spec_memory_policy, mode),
		.names = spec_mpol_mode_names, .what = "a memory policy"},
	{"nodes", JSON_TEXT, JSON_AT(spec_memory_policy, nodes)},
	{"flags", JSON_FLAGS, JSON_AT(spec_memory_policy, flags), .names = spec_mpol_flag_names,
		.what = "a flag of memory policies"},
	{},
};

static const struct json_table memory_policy_table = {
	.size = sizeof(struct spec_memory_policy),
	.rules = memory_policy_rules,
	.finish = spec_check_memory_policy,
};

static int finish_personality(void *out, const struct json_context *ctx)
{
	const struct spec_personality *personality = out;

	if (personality->flags.count)
		return json_fail(ctx, "flags",
			"\"%s\" is unknown: the specification defines no flags",
			personality->flags.items[0]);
	return 0;
}

static const struct json_rule personality_rules[] = {
	{"domain", JSON_NAME, .required = true, JSON_AT(spec_personality, domain),
		.names = spec_personality_names, .what = "an execution domain"},
	{"flags", JSON_TEXTS, JSON_AT(spec_personality, flags)},
	{},
};

static const struct json_table personality_table = {
	.size = sizeof(struct spec_personality),
	.rules = personality_rules,
	.finish = finish_personality,
};

/* ---- the whole ---- */

static int parse_propagation(const json_t *value, void *out, const struct json_context *ctx)
{
	const char *text = json_string_value(value);
	int64_t flags = 0;

	if (!text)
		return json_fail(ctx, NULL, "must be a string");
	if (*text && !json_name_find(spec_propagation_names, text, &flags))
		return json_fail(ctx, NULL,
			"\"%s\" must be private, shared, slave, unbindable, or one of these with r "
			"in front",
			text);
	*(uint64_t *)out = (uint64_t)flags;
	return 0;
}

static int check_paths(const struct strings *paths, const char *key, const struct json_context *ctx)
{
	for (size_t i = 0; i < paths->count; i++)
		if (paths->items[i][0] != '/')
			return json_fail(
				ctx, key, "\"%s\" must be an absolute path", paths->items[i]);
	return 0;
}

static int check_cgroups_path(struct spec_linux *l, const struct json_context *ctx)
{
	if (l->cgroups_path && !*l->cgroups_path)
		l->cgroups_path = NULL;
	for (const char *p = l->cgroups_path; p && *p; p += strcspn(p, "/")) {
		p += strspn(p, "/");
		if (strcspn(p, "/") == 2 && strncmp(p, "..", 2) == 0)
			return json_fail(ctx, "cgroupsPath", "\"%s\" must not have \"..\" in it",
				l->cgroups_path);
	}
	return 0;
}

static int check_net_devices(const struct spec_linux *l, const struct json_context *ctx)
{
	for (size_t i = 0; i < l->net_devices.count; i++) {
		const struct spec_net_device *a = &l->net_devices.items[i];
		const char *name = a->name ? a->name : a->host_name;

		for (size_t j = 0; j < i; j++) {
			const struct spec_net_device *b = &l->net_devices.items[j];

			if (!strchr(name, '%') &&
				strcmp(name, b->name ? b->name : b->host_name) == 0)
				return json_fail(ctx, "netDevices",
					"two devices would be named \"%s\" in the container", name);
		}
	}
	return 0;
}

static int finish_linux(void *out, const struct json_context *ctx)
{
	struct spec_linux *l = out;
	int r = check_paths(&l->masked_paths, "maskedPaths", ctx);

	if (r == 0)
		r = check_paths(&l->readonly_paths, "readonlyPaths", ctx);
	if (r == 0)
		r = check_cgroups_path(l, ctx);
	if (r == 0)
		r = check_net_devices(l, ctx);
	if (r == 0)
		r = spec_check_mappings(&l->uid_mappings, "uidMappings", ctx);
	return r < 0 ? r : spec_check_mappings(&l->gid_mappings, "gidMappings", ctx);
}

static const struct json_rule linux_rules[] = {
	{"namespaces", JSON_STRUCTS, JSON_AT(spec_linux, namespaces), .table = &namespace_table},
	{"uidMappings", JSON_STRUCTS, JSON_AT(spec_linux, uid_mappings),
		.table = &spec_mapping_table},
	{"gidMappings", JSON_STRUCTS, JSON_AT(spec_linux, gid_mappings),
		.table = &spec_mapping_table},
	{"timeOffsets", JSON_PART, .table = &time_offsets_table},
	{"devices", JSON_STRUCTS, JSON_AT(spec_linux, devices), .table = &device_table},
	{"netDevices", JSON_STRUCT_MAP, JSON_AT(spec_linux, net_devices),
		.table = &net_device_table},
	{"cgroupsPath", JSON_TEXT, JSON_AT(spec_linux, cgroups_path)},
	{"resources", JSON_STRUCT, JSON_AT(spec_linux, resources), .table = &spec_resources_table},
	{"rootfsPropagation", JSON_PARSE, JSON_AT(spec_linux, rootfs_propagation),
		.parse = parse_propagation},
	{"seccomp", JSON_STRUCT, JSON_AT(spec_linux, seccomp), .table = &spec_seccomp_table},
	{"sysctl", JSON_PAIRS, JSON_AT(spec_linux, sysctl)},
	{"maskedPaths", JSON_TEXTS, JSON_AT(spec_linux, masked_paths)},
	{"readonlyPaths", JSON_TEXTS, JSON_AT(spec_linux, readonly_paths)},
	{"mountLabel", JSON_TEXT, JSON_AT(spec_linux, mount_label)},
	{"intelRdt", JSON_STRUCT, JSON_AT(spec_linux, intel_rdt), .table = &intel_rdt_table},
	{"memoryPolicy", JSON_STRUCT, JSON_AT(spec_linux, memory_policy),
		.table = &memory_policy_table},
	{"personality", JSON_STRUCT, JSON_AT(spec_linux, personality), .table = &personality_table},
	{},
};

const struct json_table spec_linux_table = {
	.size = sizeof(struct spec_linux),
	.rules = linux_rules,
	.finish = finish_linux,
};

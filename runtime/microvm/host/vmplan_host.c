/* SPDX-License-Identifier: Apache-2.0 */
/* What of a configuration is the host's, and what its cgroup gets. Pure. */
#include "runtime/microvm/host/vmplan.h"

#include "base/arena.h"
#include "base/parse.h"

#include <linux/bpf.h>
#include <sched.h>
#include <string.h>

/* File systems that the guest's kernel makes itself; all else the host mounts, and shares. */
static bool is_guests(const struct spec_mount *mount)
{
	static const char *const types[] = {
		"tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs"};

	if (mount->options.extra & SPEC_MOUNT_REMOUNT)
		return true;
	if (mount->options.extra & SPEC_MOUNT_BIND)
		return false;
	for (size_t i = 0; mount->type && i < ARRAY_LEN(types); i++)
		if (!strcmp(mount->type, types[i]))
			return true;
	return false;
}

bool vm_plan_is_hosts(const struct spec_mount *mount)
{
	return !is_guests(mount);
}

static int host_namespaces(
	const struct spec_config *config, struct arena *arena, struct spec_linux *ret)
{
	const struct spec_namespace *net = spec_find_namespace(config, CLONE_NEWNET);

	ret->namespaces.items = arena_array(arena, 2, struct spec_namespace);
	if (!ret->namespaces.items)
		return -ENOMEM;
	ret->namespaces.items[0] = (struct spec_namespace){.type = CLONE_NEWNS};
	ret->namespaces.items[1] = *net;
	ret->namespaces.count = 2;
	return 0;
}

static int host_mounts(
	const struct spec_config *config, struct arena *arena, struct spec_config *ret)
{
	ret->mounts.items = arena_array(arena, config->mounts.count, struct spec_mount);
	if (!ret->mounts.items)
		return -ENOMEM;
	for (size_t i = 0; i < config->mounts.count; i++)
		if (!is_guests(&config->mounts.items[i]))
			ret->mounts.items[ret->mounts.count++] = config->mounts.items[i];
	return 0;
}

/* What the VMM opens; nothing of it opens anything later. */
static int host_devices(const struct vm_plan *plan, struct arena *arena, struct spec_resources *ret)
{
	enum { MISC = 10, KVM = 232, TUN = 200, VFIO = 196 };
	const unsigned int use = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
	struct vm_group always[] = {{NULL, MISC, KVM}, {NULL, MISC, TUN}, {NULL, MISC, VFIO}};
	size_t count = plan->groups.count ? 3 : 2;

	ret->devices.items = arena_array(arena, 4 + VM_GROUPS_MAX, struct spec_device_rule);
	if (!ret->devices.items)
		return -ENOMEM;
	ret->devices.items[0] = (struct spec_device_rule){
		.type = 'a', .major = -1, .minor = -1, .access = use | BPF_DEVCG_ACC_MKNOD};
	for (size_t i = 0; i < count + plan->groups.count; i++) {
		const struct vm_group *node =
			i < count ? always + i : plan->groups.items + i - count;

		ret->devices.items[i + 1] = (struct spec_device_rule){.allow = true,
			.type = 'c',
			.major = node->major,
			.minor = node->minor,
			.access = use};
	}
	ret->devices.count = 1 + count + plan->groups.count;
	return 0;
}

/* What counts the machine from outside. */
static int host_unified(
	const struct spec_resources *resources, struct arena *arena, struct spec_resources *ret)
{
	ret->unified.items = arena_array(arena, resources->unified.count, struct pair);
	if (!ret->unified.items)
		return -ENOMEM;
	for (size_t i = 0; i < resources->unified.count; i++) {
		const struct pair *pair = &resources->unified.items[i];
		const char *rest;

		if (parse_has_prefix(pair->key, "cpu", &rest) ||
			parse_has_prefix(pair->key, "io.", &rest))
			ret->unified.items[ret->unified.count++] = *pair;
	}
	return 0;
}

static void raise(struct opt_i64 *limit, uint64_t by)
{
	if (limit->set && limit->value > 0)
		limit->value = (int64_t)((uint64_t)limit->value > INT64_MAX - by
						 ? INT64_MAX
						 : (uint64_t)limit->value + by);
}

int vm_plan_resources(const struct spec_resources *resources, const struct vm_plan *plan,
	struct arena *arena, struct spec_resources *ret, struct err *err)
{
	uint64_t limit = vm_plan_memory_limit(resources);
	int r = host_unified(resources, arena, ret);

	ret->cpu = resources->cpu;
	ret->block_io = resources->block_io;
	if (r == 0 && (resources->memory || limit)) {
		/* The machine may have more than the limit, which holds within it: the host must
		 * never take the machine away for what the guest does within its own. */
		uint64_t more = ((uint64_t)plan->needed_mib << 20) + plan->overhead;

		ret->memory = arena_new(arena, struct spec_memory);
		if (!ret->memory)
			return err_sys(err, -ENOMEM, "linux.resources");
		if (resources->memory)
			*ret->memory = *resources->memory;
		ret->memory->limit = (struct opt_i64){limit > 0, (int64_t)limit};
		if (limit) {
			more = more > limit ? more - limit : plan->overhead;
			raise(&ret->memory->swap, more);
			raise(&ret->memory->limit, more);
		}
		ret->memory->disable_oom_killer = (struct opt_bool){};
		ret->memory->check_before_update = false;
	}
	return r < 0 ? err_sys(err, r, "linux.resources") : 0;
}

int vm_plan_host(const struct spec_config *config, const struct vm_plan *plan, struct arena *arena,
	struct spec_config *ret, struct err *err)
{
	static const struct spec_resources none;
	const struct spec_linux *l = &config->linux_;
	struct spec_resources *resources = arena_new(arena, struct spec_resources);
	struct spec_config host = {
		.oci_version = config->oci_version,
		.root = config->root,
		.process = config->process,
		.hooks = config->hooks,
		.annotations = config->annotations,
		.linux_ =
			{
				.cgroups_path = l->cgroups_path,
				.net_devices = l->net_devices,
				.intel_rdt = l->intel_rdt,
				.resources = resources,
			},
	};
	int r = resources ? host_namespaces(config, arena, &host.linux_) : -ENOMEM;

	if (r == 0)
		r = host_mounts(config, arena, &host);
	if (r < 0)
		return err_sys(err, r, "planning the virtual machine");
	r = vm_plan_resources(l->resources ? l->resources : &none, plan, arena, resources, err);
	if (r == 0 && host_devices(plan, arena, resources) < 0)
		r = err_sys(err, -ENOMEM, "planning the virtual machine");
	if (r == 0)
		*ret = host;
	return r;
}

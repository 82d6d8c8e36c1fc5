/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/vmplan.h"

#include "base/arena.h"
#include "base/parse.h"
#include "runtime/microvm/proto.h"
#include "spec/names.h"

#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum {
	GUEST_OVERHEAD_MIB = 64, /* kernel, initramfs, agent */
	GUEST_PAGES_SHARE = 32,  /* and a 32nd of the memory for what describes it */
	HOST_OVERHEAD_MIB = 64,  /* VMM, file server, attendants, KVM's tables */
	HOST_PAGES_SHARE = 128,
	VCPUS_LIMIT = 64,
};

#define MIB (1ULL << 20)

/* ---- what a virtual machine cannot honour ---- */

static int refuse_namespaces(const struct spec_config *config, struct err *err)
{
	static const struct {
		int type;
		bool needed;
	} rules[] = {
		{CLONE_NEWPID, true},
		{CLONE_NEWIPC, true},
		{CLONE_NEWNET, true},
		{CLONE_NEWNS, false},
		{CLONE_NEWUTS, false},
		{CLONE_NEWUSER, false},
		{CLONE_NEWCGROUP, false},
		{CLONE_NEWTIME, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct spec_namespace *ns = spec_find_namespace(config, rules[i].type);
		const char *name = json_name_of(spec_namespace_names, rules[i].type);

		if (!ns && rules[i].needed)
			return err_set(err, -EINVAL,
				"linux.namespaces: a virtual machine cannot share the host's "
				"\"%s\" namespace: add {\"type\": \"%s\"}",
				name, name);
		if (ns && ns->path && rules[i].type != CLONE_NEWNET)
			return err_set(err, -EINVAL,
				"linux.namespaces: a virtual machine cannot join the \"%s\" "
				"namespace %s",
				name, ns->path);
	}
	return 0;
}

/* Those that every kernel has. */
static bool is_common_device(const struct spec_device *d)
{
	static const struct {
		int64_t major, minor;
	} common[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}};

	if (d->type == 'p')
		return true;
	for (size_t i = 0; d->type == 'c' && i < ARRAY_LEN(common); i++)
		if (d->major == common[i].major && d->minor == common[i].minor)
			return true;
	return false;
}

/* "/dev/vfio/3", or the node that all groups share. */
static bool is_vfio(const struct spec_device *d, bool *ret_group)
{
	const char *rest;

	if (d->type != 'c' || !parse_has_prefix(d->path, "/dev/vfio/", &rest) || !*rest)
		return false;
	*ret_group = rest[strspn(rest, "0123456789")] == 0;
	return *ret_group || strcmp(rest, "vfio") == 0;
}

static int plan_groups(const struct spec_linux *l, struct vm_plan *plan, struct err *err)
{
	for (size_t i = 0; i < l->devices.count; i++) {
		const struct spec_device *d = &l->devices.items[i];
		bool group;

		if (!is_vfio(d, &group) || !group)
			continue;
		if (plan->groups.count == VM_GROUPS_MAX)
			return err_set(err, -EINVAL,
				"linux.devices: a virtual machine has room for %d groups of VFIO",
				VM_GROUPS_MAX);
		plan->groups.items[plan->groups.count++] =
			(struct vm_group){d->path, d->major, d->minor};
	}
	return 0;
}

static int refuse_linux(const struct spec_linux *l, struct err *err)
{
	bool group;

	for (size_t i = 0; i < l->devices.count; i++)
		if (!is_common_device(&l->devices.items[i]) &&
			!is_vfio(&l->devices.items[i], &group))
			return err_set(err, -EINVAL,
				"linux.devices[%zu]: %s is a device of the host, which a virtual "
				"machine does not have: a PCI device can be passed through as "
				"/dev/vfio/N, its group of the IOMMU",
				i, l->devices.items[i].path);
	if (l->seccomp && l->seccomp->listener_path)
		return err_set(err, -EINVAL,
			"linux.seccomp.listenerPath: a virtual machine's system calls cannot be "
			"handed to the host");
	if (l->memory_policy)
		return err_set(err, -EINVAL,
			"linux.memoryPolicy: a virtual machine has no nodes of the host");
	return 0;
}

static int refuse_annotations(const struct spec_config *config, struct err *err)
{
	if (spec_annotation(config, "run.oci.keep_original_groups"))
		return err_set(err, -ENOTSUP,
			"annotations: run.oci.keep_original_groups: the caller has no groups in a "
			"virtual machine");
	return 0;
}

static int refuse_vm(const struct spec_vm *vm, struct err *err)
{
	const struct {
		const char *field;
		bool set;
	} fields[] = {
		{"vm.hypervisor", vm->hypervisor.path},
		{"vm.kernel.initrd", vm->kernel.initrd},
		{"vm.image", vm->image.path},
		{"vm.hwConfig.deviceTree", vm->device_tree},
		{"vm.hwConfig.dtdevs", vm->dtdevs.count},
		{"vm.hwConfig.iomems", vm->iomems.count},
		{"vm.hwConfig.irqs", vm->irqs.count},
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (fields[i].set)
			return err_set(err, -ENOTSUP,
				"%s: is not supported: brig brings its own monitor and initial "
				"file system, and runs what root.path has",
				fields[i].field);
	return 0;
}

/* ---- the size ---- */

static uint64_t unified_limit(const struct spec_resources *r)
{
	uint64_t value;

	for (size_t i = 0; i < r->unified.count; i++)
		if (!strcmp(r->unified.items[i].key, "memory.max") &&
			parse_u64(r->unified.items[i].value, &value) == 0)
			return value;
	return 0;
}

/* Bytes, 0 without one. */
static uint64_t memory_limit(const struct spec_resources *r)
{
	if (r && r->memory && r->memory->limit.set && r->memory->limit.value > 0)
		return (uint64_t)r->memory->limit.value;
	return r ? unified_limit(r) : 0;
}

/* The guest's own cgroup holds the container to the limit itself. */
uint64_t vm_plan_needed(uint64_t limit)
{
	uint64_t mib = limit / MIB + (limit % MIB != 0);

	mib += GUEST_OVERHEAD_MIB + mib / GUEST_PAGES_SHARE;
	return mib < VM_MEMORY_MIN_MIB ? VM_MEMORY_MIN_MIB : mib;
}

static int plan_memory(const struct spec_config *config, struct vm_plan *plan, struct err *err)
{
	uint64_t limit = memory_limit(config->linux_.resources), mib;

	if (config->vm && config->vm->memory.set) {
		mib = config->vm->memory.value / MIB;
		if (mib < VM_MEMORY_MIN_MIB)
			return err_set(err, -EINVAL,
				"vm.hwConfig.memory: no kernel boots in %llu MiB: give at least %d",
				(unsigned long long)mib, VM_MEMORY_MIN_MIB);
	} else if (limit) {
		mib = vm_plan_needed(limit);
	} else {
		mib = VM_MEMORY_DEFAULT_MIB;
	}
	if (mib > UINT32_MAX)
		return err_set(err, -EINVAL,
			"linux.resources.memory.limit: more than any machine "
			"has");
	plan->needed_mib = (uint32_t)mib;
	/* Room to grow: it costs only what describes its pages, until it is used. */
	if (plan->tuning.memory_mib)
		mib = vm_plan_needed(plan->tuning.memory_mib * MIB);
	if (mib < plan->needed_mib)
		return err_set(err, -EINVAL,
			"annotations: org.brig.vm.memory_max: is less than the container has from "
			"the start");
	mib += plan->tuning.huge_pages && mib % 2; /* whole ones */
	plan->memory_mib = (uint32_t)mib;
	plan->overhead = (HOST_OVERHEAD_MIB + mib / HOST_PAGES_SHARE) * MIB;
	return 0;
}

static uint32_t count_cpus(const struct spec_config *config, unsigned int online)
{
	const struct spec_cpu *cpu =
		config->linux_.resources ? config->linux_.resources->cpu : NULL;
	uint64_t period = cpu && cpu->period.set && cpu->period.value ? cpu->period.value : 100000;
	uint64_t count = online;

	if (config->vm && config->vm->vcpus.set)
		return config->vm->vcpus.value;
	if (cpu && cpu->quota.set && cpu->quota.value > 0)
		count = ((uint64_t)cpu->quota.value + period - 1) / period;
	count = count > online ? online : count;
	return (uint32_t)(count > VM_VCPUS_MAX ? VM_VCPUS_MAX : count ? count : 1);
}

static int plan_vcpus(
	const struct spec_config *config, unsigned int cpus, struct vm_plan *plan, struct err *err)
{
	plan->vcpus = count_cpus(config, cpus);
	if (plan->vcpus > VCPUS_LIMIT)
		return err_set(err, -EINVAL, "vm.hwConfig.vcpus: at most %d", VCPUS_LIMIT);
	return 0;
}

static int plan_kernel(
	const struct spec_vm *vm, struct arena *arena, struct vm_plan *plan, struct err *err)
{
	const char *line = "";

	plan->kernel = vm && vm->kernel.path ? vm->kernel.path : plan->tuning.kernel;
	for (size_t i = 0; vm && line && i < vm->kernel.parameters.count; i++)
		line = arena_printf(arena, "%s %s", line, vm->kernel.parameters.items[i]);
	plan->command_line = line;
	return line ? 0 : err_sys(err, -ENOMEM, "vm.kernel.parameters");
}

int vm_plan_make(const struct spec_config *config, unsigned int cpus, struct arena *arena,
	struct vm_plan *ret, struct err *err)
{
	struct vm_plan plan = {};
	int r = refuse_namespaces(config, err);

	if (r == 0)
		r = refuse_linux(&config->linux_, err);
	if (r == 0)
		r = refuse_annotations(config, err);
	if (r == 0 && config->vm)
		r = refuse_vm(config->vm, err);
	if (r == 0)
		r = plan_groups(&config->linux_, &plan, err);
	if (r == 0)
		r = vm_tune(config, &plan.tuning, err);
	if (r == 0)
		r = plan_memory(config, &plan, err);
	if (r == 0)
		r = plan_vcpus(config, cpus, &plan, err);
	if (r == 0)
		r = plan_kernel(config->vm, arena, &plan, err);
	if (r == 0)
		*ret = plan;
	return r;
}

/* ---- the host's part ---- */

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
	uint64_t limit = memory_limit(resources);
	int r = host_unified(resources, arena, ret);

	ret->cpu = resources->cpu;
	ret->block_io = resources->block_io;
	if (r == 0 && (resources->memory || limit)) {
		/* The machine may have more than the limit, which holds within it: the host must
		 * never take the machine away for what the guest does within its own. */
		uint64_t more = plan->needed_mib * MIB + plan->overhead;

		/* What describes the pages that it may grow into is there from the start. */
		more += (plan->memory_mib - plan->needed_mib) * MIB / GUEST_PAGES_SHARE;

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

/* ---- the guest's part ---- */

static void drop_keys(json_t *object, const char *const *keys)
{
	for (; *keys; keys++)
		json_object_del(object, *keys);
}

/* What the host has done for the clone that it shares. */
static int share_mount(json_t *mount, const struct spec_mount *spec, size_t index)
{
	static const char *const done[] = {"uidMappings", "gidMappings", NULL};
	bool bind = spec->options.extra & SPEC_MOUNT_BIND;
	autojson json_t *options = json_array();
	char path[64];
	int r = 0;

	snprintf(path, sizeof(path), GUEST_FILES "/%zu", index);
	drop_keys(mount, done);
	for (size_t i = 0; bind && i < spec->option_names.count && r == 0; i++) {
		const char *word = spec->option_names.items[i], *rest;

		if (!parse_has_prefix(word, "idmap", &rest) &&
			!parse_has_prefix(word, "ridmap", &rest))
			r = json_array_append_new(options, json_string(word));
	}
	if (r == 0 && !bind)
		r = json_array_append_new(options, json_string("bind"));
	if (r == 0)
		r = json_object_set_new(mount, "source", json_string(path));
	if (r == 0)
		r = json_object_set_new(mount, "type", json_string("bind"));
	return r < 0 ? r : json_object_set(mount, "options", options);
}

/* FIRST: the number of the first of the host's. */
static int guest_mounts(json_t *guest, const struct spec_config *config, size_t first)
{
	json_t *mounts = json_object_get(guest, "mounts");
	size_t shared = first;
	int r = 0;

	for (size_t i = 0; i < config->mounts.count && r == 0; i++)
		if (!is_guests(&config->mounts.items[i]))
			r = share_mount(
				json_array_get(mounts, i), &config->mounts.items[i], shared++);
	return r;
}

/* What the machine gets has other names there; the agent finds them. */
static void guest_devices(json_t *devices, const struct spec_linux *l)
{
	bool group;

	for (size_t i = l->devices.count; i-- > 0;)
		if (is_vfio(&l->devices.items[i], &group))
			json_array_remove(devices, i);
}

/* The container's network is the machine's own. */
static int guest_namespaces(json_t *linux_)
{
	json_t *list = json_object_get(linux_, "namespaces"), *ns;
	size_t i;
	int r = 0;

	json_array_foreach (list, i, ns) {
		const char *type = json_string_value(json_object_get(ns, "type"));

		if (type && !strcmp(type, "network"))
			r = json_object_set_new(ns, "path", json_string("/proc/self/ns/net"));
	}
	return r;
}

static void guest_resources(json_t *resources)
{
	static const char *const hosts[] = {"blockIO", "hugepageLimits", "rdma", "network", NULL};
	static const char *const hosts_cpu[] = {
		"cpus", "mems", "realtimePeriod", "realtimeRuntime", NULL};
	json_t *unified = json_object_get(resources, "unified"), *value;
	const char *key, *rest;
	void *next;

	drop_keys(resources, hosts);
	drop_keys(json_object_get(resources, "cpu"), hosts_cpu);
	json_object_foreach_safe(unified, next, key,
		value) if (!parse_has_prefix(key, "memory.", &rest) &&
			   !parse_has_prefix(key, "pids.", &rest)) json_object_del(unified, key);
}

/* Names of the host in annotations say nothing in the guest. */
static void guest_annotations(json_t *annotations)
{
	static const char *const hosts[] = {"org.brig.isolation", "org.brig.template",
		"org.brig.vm.", "org.systemd.", "run.oci.hooks.", "run.oci.pidfd_receiver",
		"run.oci.seccomp.receiver", "run.oci.systemd.", NULL};
	const char *key, *rest;
	json_t *value;
	void *next;

	json_object_foreach_safe(
		annotations, next, key, value) for (const char *const *host = hosts; *host;
						    host++) if (parse_has_prefix(key, *host, &rest))
	{
		json_object_del(annotations, key);
		break;
	}
}

static void guest_hooks(json_t *hooks)
{
	static const char *const hosts[] = {
		"prestart", "createRuntime", "createContainer", "poststart", "poststop", NULL};

	drop_keys(hooks, hosts);
}

/* Labels are of the host's policy, and of its kernel. */
static void guest_process(json_t *process)
{
	static const char *const hosts[] = {"apparmorProfile", "selinuxLabel", NULL};

	drop_keys(process, hosts);
}

json_t *vm_plan_guest(const struct spec_config *config, size_t layers)
{
	static const char *const hosts[] = {"vm", NULL};
	static const char *const hosts_linux[] = {
		"cgroupsPath", "intelRdt", "netDevices", "mountLabel", NULL};
	autojson json_t *guest = json_deep_copy(config->json);
	json_t *linux_ = json_object_get(guest, "linux");
	int r = guest ? guest_mounts(guest, config, 0) : -ENOMEM;

	if (r == 0)
		r = guest_namespaces(linux_);
	if (r == 0)
		r = json_object_set_new(json_object_get(guest, "root"), "path",
			json_string(layers ? GUEST_ROOT : GUEST_FILES "/rootfs"));
	if (r < 0)
		return NULL;
	guest_devices(json_object_get(linux_, "devices"), &config->linux_);
	drop_keys(guest, hosts);
	drop_keys(linux_, hosts_linux);
	guest_process(json_object_get(guest, "process"));
	guest_resources(json_object_get(linux_, "resources"));
	guest_annotations(json_object_get(guest, "annotations"));
	guest_hooks(json_object_get(guest, "hooks"));
	return json_incref(guest);
}

json_t *vm_plan_guest_process(const json_t *process)
{
	json_t *guest = json_deep_copy(process);

	guest_process(guest);
	return guest;
}

json_t *vm_plan_guest_mounts(const struct spec_config *config, const json_t *mounts, size_t first)
{
	autojson json_t *guest = json_deep_copy(mounts);

	if (!guest || guest_mounts(guest, config, first) < 0)
		return NULL;
	return json_incref(json_object_get(guest, "mounts"));
}

json_t *vm_plan_guest_resources(const struct spec_resources *resources)
{
	json_t *json = spec_resources_json(resources);

	guest_resources(json);
	return json;
}

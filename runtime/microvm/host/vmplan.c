/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/vmplan.h"

#include "base/arena.h"
#include "base/parse.h"
#include "runtime/microvm/proto.h"
#include "spec/names.h"

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

bool vm_plan_is_vfio(const struct spec_device *d, bool *ret_group)
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

		if (!vm_plan_is_vfio(d, &group) || !group)
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
			!vm_plan_is_vfio(&l->devices.items[i], &group))
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

uint64_t vm_plan_memory_limit(const struct spec_resources *r)
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
	uint64_t limit = vm_plan_memory_limit(config->linux_.resources), mib;

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
	/* What describes the pages that it may grow into is there from the start. */
	plan->overhead += (plan->memory_mib - plan->needed_mib) * MIB / GUEST_PAGES_SHARE;
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

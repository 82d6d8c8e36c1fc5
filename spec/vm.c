/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/names.h"
#include "spec/tables.h"

/* The inner objects lie in struct spec_vm itself, so their rules have its offsets. */

static const struct json_rule hypervisor_rules[] = {
	{"path", JSON_TEXT, .required = true, JSON_AT(spec_vm, hypervisor.path)},
	{"parameters", JSON_TEXTS, JSON_AT(spec_vm, hypervisor.parameters)},
	{},
};

static const struct json_rule kernel_rules[] = {
	{"path", JSON_TEXT, .required = true, JSON_AT(spec_vm, kernel.path)},
	{"initrd", JSON_TEXT, JSON_AT(spec_vm, kernel.initrd)},
	{"parameters", JSON_TEXTS, JSON_AT(spec_vm, kernel.parameters)},
	{},
};

static const struct json_rule image_rules[] = {
	{"path", JSON_TEXT, .required = true, JSON_AT(spec_vm, image.path)},
	{"format", JSON_NAME, .required = true, JSON_AT(spec_vm, image.format),
		.names = spec_vm_format_names, .what = "an image format"},
	{},
};

static const struct json_rule io_memory_rules[] = {
	{"firstGFN", JSON_OPT_U64, JSON_AT(spec_vm_io_memory, first_gfn)},
	{"firstMFN", JSON_U64, .required = true, JSON_AT(spec_vm_io_memory, first_mfn)},
	{"nrMFNs", JSON_U64, .required = true, JSON_AT(spec_vm_io_memory, count)},
	{},
};

static const struct json_table io_memory_table = {
	.size = sizeof(struct spec_vm_io_memory),
	.rules = io_memory_rules,
};

static const struct json_rule hardware_rules[] = {
	{"deviceTree", JSON_TEXT, JSON_AT(spec_vm, device_tree)},
	{"vcpus", JSON_OPT_U32, JSON_AT(spec_vm, vcpus)},
	{"memory", JSON_OPT_U64, JSON_AT(spec_vm, memory)},
	{"dtdevs", JSON_TEXTS, JSON_AT(spec_vm, dtdevs)},
	{"iomems", JSON_STRUCTS, JSON_AT(spec_vm, iomems), .table = &io_memory_table},
	{"irqs", JSON_U32S, JSON_AT(spec_vm, irqs)},
	{},
};

static const struct json_table hypervisor_table = {.rules = hypervisor_rules};
static const struct json_table kernel_table = {.rules = kernel_rules};
static const struct json_table image_table = {.rules = image_rules};
static const struct json_table hardware_table = {.rules = hardware_rules};

/* config-vm.md wants these absolute, as paths of the host. */
static int finish_vm(void *out, const struct json_context *ctx)
{
	const struct spec_vm *vm = out;
	const struct {
		const char *key, *path;
	} paths[] = {
		{"hypervisor.path", vm->hypervisor.path},
		{"kernel.path", vm->kernel.path},
		{"kernel.initrd", vm->kernel.initrd},
		{"image.path", vm->image.path},
		{"hwConfig.deviceTree", vm->device_tree},
	};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (paths[i].path && paths[i].path[0] != '/')
			return json_fail(ctx, paths[i].key, "\"%s\" must be an absolute path",
				paths[i].path);
	if (vm->vcpus.set && !vm->vcpus.value)
		return json_fail(ctx, "hwConfig.vcpus", "must be at least 1");
	if (vm->memory.set && !vm->memory.value)
		return json_fail(ctx, "hwConfig.memory", "must be above 0");
	return 0;
}

static const struct json_rule vm_rules[] = {
	{"hypervisor", JSON_PART, .table = &hypervisor_table},
	{"kernel", JSON_PART, .required = true, .table = &kernel_table},
	{"image", JSON_PART, .table = &image_table},
	{"hwConfig", JSON_PART, .table = &hardware_table},
	{},
};

const struct json_table spec_vm_table = {
	.size = sizeof(struct spec_vm),
	.rules = vm_rules,
	.finish = finish_vm,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/plan.h"

#include <stddef.h>

static const struct json_rule limit_rules[] = {
	{"bytes", JSON_U64, JSON_AT(plan_limit, bytes)},
	{"operations", JSON_U64, JSON_AT(plan_limit, operations)},
	{},
};
static const struct json_table limit_table = {sizeof(struct plan_limit), limit_rules};

static const struct json_rule port_rules[] = {
	{"port", JSON_U32, .required = true, JSON_AT(plan_vsock_port, port)},
	{"fd", JSON_I32, .required = true, JSON_AT(plan_vsock_port, fd)},
	{},
};
static const struct json_table port_table = {sizeof(struct plan_vsock_port), port_rules};

static const struct json_rule vsock_rules[] = {
	{"cid", JSON_U32, .required = true, JSON_AT(plan_vsock, cid)},
	{"listener", JSON_OPT_U32, JSON_AT(plan_vsock, listener)},
	{"ports", JSON_STRUCTS, JSON_AT(plan_vsock, ports), .table = &port_table},
	{},
};
static const struct json_table vsock_table = {sizeof(struct plan_vsock), vsock_rules};

static const struct json_rule block_rules[] = {
	{"fd", JSON_I32, .required = true, JSON_AT(plan_block, fd)},
	{"readOnly", JSON_BOOL, JSON_AT(plan_block, read_only)},
	{"serial", JSON_TEXT, JSON_AT(plan_block, serial)},
	{"limit", JSON_STRUCT, JSON_AT(plan_block, limit), .table = &limit_table},
	{},
};
static const struct json_table block_table = {sizeof(struct plan_block), block_rules};

static const struct json_rule net_rules[] = {
	{"tap", JSON_I32, .required = true, JSON_AT(plan_net, tap)},
	{"mac", JSON_TEXT, .required = true, JSON_AT(plan_net, mac)},
	{"mtu", JSON_U32, JSON_AT(plan_net, mtu)},
	{"receive", JSON_STRUCT, JSON_AT(plan_net, receive), .table = &limit_table},
	{"send", JSON_STRUCT, JSON_AT(plan_net, send), .table = &limit_table},
	{},
};
static const struct json_table net_table = {sizeof(struct plan_net), net_rules};

static const struct json_rule pmem_rules[] = {
	{"fd", JSON_I32, .required = true, JSON_AT(plan_pmem, fd)},
	{"readOnly", JSON_BOOL, JSON_AT(plan_pmem, read_only)},
	{},
};
static const struct json_table pmem_table = {sizeof(struct plan_pmem), pmem_rules};

static const struct json_rule filesystem_rules[] = {
	{"tag", JSON_TEXT, .required = true, JSON_AT(plan_filesystem, tag)},
	{"socket", JSON_I32, .required = true, JSON_AT(plan_filesystem, socket)},
	{},
};
static const struct json_table filesystem_table = {
	sizeof(struct plan_filesystem), filesystem_rules};

static const struct json_rule console_rules[] = {
	{"in", JSON_I32, .required = true, JSON_AT(plan_console, in)},
	{"out", JSON_I32, .required = true, JSON_AT(plan_console, out)},
	{},
};
static const struct json_table console_table = {sizeof(struct plan_console), console_rules};

static const struct json_rule jail_rules[] = {
	{"uid", JSON_U32, .required = true, JSON_AT(plan_jail, uid)},
	{"gid", JSON_U32, .required = true, JSON_AT(plan_jail, gid)},
	{},
};
static const struct json_table jail_table = {sizeof(struct plan_jail), jail_rules};

static const struct json_rule vfio_device_rules[] = {
	{"address", JSON_TEXT, .required = true, JSON_AT(plan_vfio_device, address)},
	{"group", JSON_I32, .required = true, JSON_AT(plan_vfio_device, group)},
	{},
};
static const struct json_table vfio_device_table = {
	sizeof(struct plan_vfio_device), vfio_device_rules};

static const struct json_rule vfio_rules[] = {
	{"container", JSON_I32, .required = true, JSON_AT(plan_vfio, container)},
	{"devices", JSON_STRUCTS, .required = true, JSON_AT(plan_vfio, devices),
		.table = &vfio_device_table},
	{},
};
static const struct json_table vfio_table = {sizeof(struct plan_vfio), vfio_rules};

static const struct json_rule restore_rules[] = {
	{"state", JSON_I32, .required = true, JSON_AT(plan_restore, state)},
	{"memory", JSON_I32, .required = true, JSON_AT(plan_restore, memory)},
	{},
};
static const struct json_table restore_table = {sizeof(struct plan_restore), restore_rules};

static const struct json_rule plan_rules[] = {
	{"vcpus", JSON_U32, JSON_AT(plan, vcpus)},
	{"memoryMiB", JSON_U32, JSON_AT(plan, memory_mib)},
	{"hugePages", JSON_BOOL, JSON_AT(plan, huge_pages)},
	{"nested", JSON_BOOL, JSON_AT(plan, nested)},
	{"commandLine", JSON_TEXT, JSON_AT(plan, command_line)},
	{"kernel", JSON_I32, JSON_AT(plan, kernel)},
	{"restore", JSON_STRUCT, JSON_AT(plan, restore), .table = &restore_table},
	{"kvm", JSON_OPT_U32, JSON_AT(plan, kvm)},
	{"initramfs", JSON_OPT_U32, JSON_AT(plan, initramfs)},
	{"serial", JSON_OPT_U32, JSON_AT(plan, serial)},
	{"control", JSON_OPT_U32, JSON_AT(plan, control)},
	{"controlListener", JSON_OPT_U32, JSON_AT(plan, control_listener)},
	{"rng", JSON_BOOL, JSON_AT(plan, rng)},
	{"balloon", JSON_BOOL, JSON_AT(plan, balloon)},
	{"vsock", JSON_STRUCT, JSON_AT(plan, vsock), .table = &vsock_table},
	{"console", JSON_STRUCT, JSON_AT(plan, console), .table = &console_table},
	{"jail", JSON_STRUCT, JSON_AT(plan, jail), .table = &jail_table},
	{"vfio", JSON_STRUCT, JSON_AT(plan, vfio), .table = &vfio_table},
	{"blocks", JSON_STRUCTS, JSON_AT(plan, blocks), .table = &block_table},
	{"nets", JSON_STRUCTS, JSON_AT(plan, nets), .table = &net_table},
	{"pmems", JSON_STRUCTS, JSON_AT(plan, pmems), .table = &pmem_table},
	{"filesystems", JSON_STRUCTS, JSON_AT(plan, filesystems), .table = &filesystem_table},
	{},
};
static const struct json_table plan_table = {sizeof(struct plan), plan_rules};

static size_t device_count(const struct plan *p)
{
	return p->blocks.count + p->nets.count + p->pmems.count + p->filesystems.count + p->rng +
	       p->balloon + !!p->vsock + !!p->console;
}

int plan_decode(const json_t *value, struct arena *arena, struct plan *ret, struct err *err)
{
	struct plan plan = {};
	int r = json_decode(value, &plan_table, arena, &plan, err);

	if (r < 0)
		return r;
	if (!plan.kernel && !plan.restore) /* 0 is standard input, where the plan is from */
		return err_set(err, -EINVAL, "kernel: there is nothing to boot");
	if (!plan.vcpus)
		plan.vcpus = 1;
	if (!plan.memory_mib)
		plan.memory_mib = 256;
	if (!plan.command_line)
		plan.command_line = "";
	if (device_count(&plan) > PLAN_DEVICES_MAX)
		return err_set(err, -EINVAL, "a VM has room for %d devices", PLAN_DEVICES_MAX);
	if (plan.vfio && plan.vfio->devices.count > PLAN_VFIO_MAX)
		return err_set(
			err, -EINVAL, "a VM has room for %d devices of the host", PLAN_VFIO_MAX);
	/* A device may write to any page at any time: none can be given back. */
	if (plan.vfio && plan.balloon)
		return err_set(err, -EINVAL,
			"vfio: memory of devices of the host is pinned, and a "
			"balloon gives it back");
	*ret = plan;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the plan that is about file systems and devices. */
#include "runtime/activation.h"
#include "runtime/attrs/lsm.h"
#include "runtime/plan.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static bool is_path(const char *path, const char *want)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	return strlen(want) == n && memcmp(path, want, n) == 0;
}

static enum plan_mount_kind kind_of(const struct spec_mount *mount)
{
	static const struct {
		const char *type;
		enum plan_mount_kind kind;
	} kinds[] = {
		{"tmpfs", PLAN_MOUNT_TMPFS},
		{"proc", PLAN_MOUNT_PROC},
		{"sysfs", PLAN_MOUNT_SYSFS},
		{"devpts", PLAN_MOUNT_DEVPTS},
		{"cgroup", PLAN_MOUNT_CGROUP},
		{"cgroup2", PLAN_MOUNT_CGROUP},
		{"bind", PLAN_MOUNT_BIND},
		{"rbind", PLAN_MOUNT_BIND},
	};

	if (mount->options.extra & SPEC_MOUNT_REMOUNT)
		return PLAN_MOUNT_REMOUNT;
	if (mount->options.extra & SPEC_MOUNT_BIND)
		return PLAN_MOUNT_BIND;
	for (size_t i = 0; mount->type && i < ARRAY_LEN(kinds); i++)
		if (strcmp(mount->type, kinds[i].type) == 0)
			return kinds[i].kind;
	return PLAN_MOUNT_FS;
}

/*
 * "idmap=uids=@…" gives the outer ids as the container knows them: replaces them by the host's.
 */
static int make_absolute(const struct spec_id_mappings *in,
	const struct spec_id_mappings *container, struct arena *arena, struct spec_id_mappings *ret,
	struct err *err)
{
	struct spec_id_mappings out = {.count = in->count};

	out.items = arena_array(arena, in->count, struct spec_id_mapping);
	if (!out.items)
		return err_sys(err, -ENOMEM, "planning mounts");
	for (size_t i = 0; i < in->count; i++) {
		uint32_t first, last;

		out.items[i] = in->items[i];
		if (!container->count)
			continue;
		if (!plan_host_id(container, in->items[i].host_id, &first) ||
			!plan_host_id(
				container, in->items[i].host_id + in->items[i].size - 1, &last) ||
			last - first != in->items[i].size - 1)
			return err_set(err, -EINVAL,
				"idmap: ids %u to %u are not in one range of the container's "
				"mappings",
				in->items[i].host_id, in->items[i].host_id + in->items[i].size - 1);
		out.items[i].host_id = first;
	}
	*ret = out;
	return 0;
}

/* Which id map a mount has: its own mappings, those of an idmap option, or the container's. */
static int plan_idmap(const struct plan *plan, const struct spec_mount *mount, struct arena *arena,
	struct plan_mount *ret, struct err *err)
{
	const struct spec_linux *linux_ = &plan->config->linux_;
	const struct spec_mount_options *options = &mount->options;
	struct spec_id_mappings uids = mount->uid_mappings, gids = mount->gid_mappings;
	int r = 0;

	if (!uids.count && !(options->extra & SPEC_MOUNT_IDMAP))
		return 0;
	if (!uids.count)
		uids = options->uid_mappings, gids = options->gid_mappings;
	if (options->mappings_relative) {
		r = make_absolute(&uids, &linux_->uid_mappings, arena, &uids, err);
		if (r == 0)
			r = make_absolute(&gids, &linux_->gid_mappings, arena, &gids, err);
	}
	if (r < 0)
		return err_add(err, "mounts: %s", mount->destination);
	if (!uids.count)
		uids = linux_->uid_mappings, gids = linux_->gid_mappings;
	if (!uids.count || !gids.count)
		return err_set(err, -EINVAL,
			"mounts: %s: idmap needs uidMappings and gidMappings, of the mount or of "
			"the "
			"container",
			mount->destination);
	ret->uid_map = plan_map_text(&uids, arena);
	ret->gid_map = plan_map_text(&gids, arena);
	return ret->uid_map && ret->gid_map ? 0 : err_sys(err, -ENOMEM, "planning mounts");
}

static bool may_write_cgroups(const struct plan *plan)
{
	for (size_t i = 0; i < plan->nmounts; i++)
		if (plan->mounts[i].kind == PLAN_MOUNT_CGROUP &&
			!(plan->mounts[i].spec->options.attr_set & MOUNT_ATTR_RDONLY))
			return plan->new_cgroup_namespace;
	return spec_annotation(plan->config, "run.oci.delegate-cgroup") != NULL;
}

/*
 * File systems that are made for the container alone and keep no labels of their own; what shows
 * the kernel's or the host's files has theirs. A label among the mount's own options goes first.
 */
static bool wants_label(const struct plan_mount *mount)
{
	const struct strings *data = &mount->spec->options.data;
	const size_t key = strlen(mount->context_key);

	if (mount->kind != PLAN_MOUNT_TMPFS && mount->kind != PLAN_MOUNT_DEVPTS &&
		!(mount->kind == PLAN_MOUNT_FS && strcmp(mount->type, "mqueue") == 0))
		return false;
	for (size_t i = 0; i < data->count; i++)
		if (strncmp(data->items[i], mount->context_key, key) == 0 &&
			data->items[i][key] == '=')
			return false;
	return true;
}

static int plan_mount(const struct plan *plan, const struct spec_mount *mount, struct arena *arena,
	struct plan_mount *ret, struct err *err)
{
	*ret = (struct plan_mount){
		.kind = kind_of(mount),
		.type = mount->type,
		.source = mount->source,
		.destination = mount->destination,
		.spec = mount,
		.context_key = plan->context_key,
	};
	ret->is_dev = ret->kind == PLAN_MOUNT_TMPFS && is_path(mount->destination, "/dev");
	if (ret->kind == PLAN_MOUNT_BIND) {
		if (!mount->source || !*mount->source)
			return err_set(err, -EINVAL, "mounts: %s: a bind mount needs a source",
				mount->destination);
		ret->source = plan_bundle_path(plan, arena, mount->source);
		if (!ret->source)
			return err_sys(err, -ENOMEM, "planning mounts");
	} else if (ret->kind == PLAN_MOUNT_FS && !mount->type) {
		return err_set(err, -EINVAL, "mounts: %s: needs a type, or the option bind",
			mount->destination);
	}
	if (wants_label(ret))
		ret->context = plan->config->linux_.mount_label;
	return plan_idmap(plan, mount, arena, ret, err);
}

/* Last, so that nothing is mounted over it. */
static void plan_notify_socket(struct plan *plan)
{
	static const struct spec_mount spec = {
		.destination = ACTIVATION_SOCKET,
		.options = {.extra = SPEC_MOUNT_BIND},
	};

	if (!plan->request.notify_socket)
		return;
	plan->mounts[plan->nmounts++] = (struct plan_mount){
		.kind = PLAN_MOUNT_BIND,
		.source = plan->request.notify_socket,
		.destination = spec.destination,
		.spec = &spec,
	};
}

int plan_mounts(
	struct plan *plan, const struct plan_host *host, struct arena *arena, struct err *err)
{
	const struct spec_config *config = plan->config;

	plan->sources_by_init = host->uid != 0;
	plan->sysfs_by_bind = spec_find_namespace(config, CLONE_NEWUSER) || !host->privileged;
	if (config->linux_.mount_label) {
		int r = lsm_check_mount_label(config->linux_.mount_label, err);

		if (r < 0)
			return r;
	}
	plan->rootfs_propagation = config->linux_.rootfs_propagation;
	plan->mounts = arena_array(arena, config->mounts.count + 1, struct plan_mount);
	if (!plan->mounts)
		return err_sys(err, -ENOMEM, "planning mounts");
	for (size_t i = 0; i < config->mounts.count; i++) {
		struct plan_mount *mount = &plan->mounts[plan->nmounts];
		int r = plan_mount(plan, &config->mounts.items[i], arena, mount, err);

		if (r < 0)
			return r;
		plan->nmounts++;
		if (is_path(mount->destination, "/dev") && mount->kind != PLAN_MOUNT_REMOUNT)
			plan->has_dev = mount->kind != PLAN_MOUNT_BIND;
	}
	plan->owns_cgroup = plan->id_map != PLAN_ID_MAP_NONE && may_write_cgroups(plan);
	plan_notify_socket(plan);
	return 0;
}

/* ---- devices ---- */

/* What every container has in /dev: runtime-spec, config-linux.md, "Default Devices". */
static const struct plan_device default_devices[] = {
	{.path = "/dev/null", .major = 1, .minor = 3},
	{.path = "/dev/zero", .major = 1, .minor = 5},
	{.path = "/dev/full", .major = 1, .minor = 7},
	{.path = "/dev/random", .major = 1, .minor = 8},
	{.path = "/dev/urandom", .major = 1, .minor = 9},
	{.path = "/dev/tty", .major = 5, .minor = 0},
};

static bool is_listed(const struct spec_linux *linux_, const char *path)
{
	for (size_t i = 0; i < linux_->devices.count; i++)
		if (is_path(linux_->devices.items[i].path, path))
			return true;
	return false;
}

int plan_devices(
	struct plan *plan, const struct plan_host *host, struct arena *arena, struct err *err)
{
	const struct spec_linux *linux_ = &plan->config->linux_;
	bool in_user_namespace = spec_find_namespace(plan->config, CLONE_NEWUSER) != NULL;

	plan->devices_by_bind = in_user_namespace || !host->privileged;
	plan->devices = arena_array(
		arena, linux_->devices.count + ARRAY_LEN(default_devices), struct plan_device);
	if (!plan->devices)
		return err_sys(err, -ENOMEM, "planning devices");
	if (!plan->has_dev && !linux_->devices.count)
		return 0;
	for (size_t i = 0; plan->has_dev && i < ARRAY_LEN(default_devices); i++) {
		struct plan_device *device = &plan->devices[plan->ndevices];

		if (is_listed(linux_, default_devices[i].path))
			continue;
		*device = default_devices[i];
		device->mode = S_IFCHR | 0666;
		device->is_default = true;
		plan->ndevices++;
	}
	for (size_t i = 0; i < linux_->devices.count; i++) {
		const struct spec_device *d = &linux_->devices.items[i];
		mode_t type = d->type == 'b' ? S_IFBLK : d->type == 'p' ? S_IFIFO : S_IFCHR;

		plan->devices[plan->ndevices++] = (struct plan_device){
			.path = d->path,
			.mode = type | (d->file_mode.set ? d->file_mode.value & 07777 : 0666),
			.major = d->major,
			.minor = d->minor,
			.uid = d->uid.set ? d->uid.value : 0,
			.gid = d->gid.set ? d->gid.value : 0,
		};
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"
#include "spec/mount_options.h"
#include "spec/tables.h"

#include <string.h>

enum { MAPPINGS_MAX = 340 }; /* the kernel's UID_GID_MAP_MAX_EXTENTS */

static bool ranges_meet(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return a < (uint64_t)b + b_size && b < (uint64_t)a + a_size;
}

int spec_check_mappings(
	const struct spec_id_mappings *mappings, const char *key, const struct json_context *ctx)
{
	if (mappings->count > MAPPINGS_MAX)
		return json_fail(ctx, key, "the kernel takes at most %d ranges", MAPPINGS_MAX);
	for (size_t i = 0; i < mappings->count; i++) {
		const struct spec_id_mapping *a = &mappings->items[i];

		if (!a->size)
			return json_fail(ctx, key, "range %zu has size 0", i);
		/* The last id, 2^32−1, is no id; see user_namespaces(7). */
		if (a->size > UINT32_MAX - a->container_id || a->size > UINT32_MAX - a->host_id)
			return json_fail(ctx, key, "range %zu goes beyond the highest id", i);
		for (size_t j = 0; j < i; j++) {
			const struct spec_id_mapping *b = &mappings->items[j];

			if (ranges_meet(a->container_id, a->size, b->container_id, b->size))
				return json_fail(ctx, key,
					"ranges %zu and %zu overlap in the container", j, i);
			if (a->relative == b->relative &&
				ranges_meet(a->host_id, a->size, b->host_id, b->size))
				return json_fail(
					ctx, key, "ranges %zu and %zu overlap on the host", j, i);
		}
	}
	return 0;
}

int spec_mapping_resolve(const struct spec_id_mapping *mapping,
	const struct spec_id_mappings *container, struct spec_id_mapping *ret)
{
	if (!mapping->relative) {
		*ret = *mapping;
		return 0;
	}
	for (size_t i = 0; i < container->count; i++) {
		const struct spec_id_mapping *range = &container->items[i];

		if (mapping->host_id < range->container_id ||
			(uint64_t)mapping->host_id + mapping->size >
				(uint64_t)range->container_id + range->size)
			continue;
		*ret = (struct spec_id_mapping){
			.container_id = mapping->container_id,
			.host_id = range->host_id + (mapping->host_id - range->container_id),
			.size = mapping->size,
		};
		return 0;
	}
	return -ERANGE;
}

static const struct json_rule mapping_rules[] = {
	{"containerID", JSON_U32, .required = true, JSON_AT(spec_id_mapping, container_id)},
	{"hostID", JSON_U32, .required = true, JSON_AT(spec_id_mapping, host_id)},
	{"size", JSON_U32, .required = true, JSON_AT(spec_id_mapping, size)},
	{},
};

const struct json_table spec_mapping_table = {
	.size = sizeof(struct spec_id_mapping),
	.rules = mapping_rules,
};

static int finish_options(struct spec_mount *mount, const struct json_context *ctx)
{
	struct err err = {};
	int r = spec_mount_options_parse(&mount->option_names, ctx->arena, &mount->options, &err);

	if (r == -ENOMEM)
		return err_sys(ctx->err, r, "reading options");
	if (r < 0)
		return json_fail(ctx, "options", "%s", err.text);
	if (mount->type && strcmp(mount->type, "bind") == 0)
		mount->options.extra |= SPEC_MOUNT_BIND;
	if (mount->uid_mappings.count)
		mount->options.extra |= SPEC_MOUNT_IDMAP;
	return 0;
}

static int check_type(const struct spec_mount *mount, const struct json_context *ctx)
{
	const char *type = mount->type ? mount->type : "none";

	/* Without a file system to mount, something must be done to what is there. */
	if (mount->options.extra & (SPEC_MOUNT_BIND | SPEC_MOUNT_REMOUNT) ||
		mount->options.propagation)
		return 0;
	if (!*type || strcmp(type, "none") == 0)
		return json_fail(ctx, "type",
			"is missing: name a file system, or add \"bind\" or \"rbind\" to options");
	if (strchr(type, '/'))
		return json_fail(ctx, "type", "\"%s\" is no name of a file system", type);
	return 0;
}

/* What only makes sense together; the words alone were checked before. */
static int check_combination(const struct spec_mount *mount, const struct json_context *ctx)
{
	unsigned int extra = mount->options.extra;
	bool bind = extra & SPEC_MOUNT_BIND;
	unsigned int bind_only = SPEC_MOUNT_COPY_SYMLINK | SPEC_MOUNT_SRC_NOFOLLOW;

	if (bind && mount->options.data.count)
		return json_fail(ctx, "options", "\"%s\" is not an option of a bind mount",
			mount->options.data.items[0]);
	if (bind && !(extra & SPEC_MOUNT_REMOUNT) && (!mount->source || !*mount->source))
		return json_fail(ctx, "source", "is missing: a bind mount needs one");
	if (!bind && extra & bind_only)
		return json_fail(ctx, "options", "\"%s\" is for bind mounts only",
			extra & SPEC_MOUNT_COPY_SYMLINK ? "copy-symlink" : "src-nofollow");
	if (extra & SPEC_MOUNT_TMPCOPYUP && (!mount->type || strcmp(mount->type, "tmpfs") != 0))
		return json_fail(ctx, "options", "\"tmpcopyup\" is for the type tmpfs only");
	return 0;
}

static int check_mount_mappings(const struct spec_mount *mount, const struct json_context *ctx)
{
	int r;

	if (!mount->uid_mappings.count != !mount->gid_mappings.count)
		return json_fail(ctx, mount->uid_mappings.count ? "gidMappings" : "uidMappings",
			"is missing: a mount has both kinds of mappings or none");
	if (mount->uid_mappings.count && mount->options.uid_mappings.count)
		return json_fail(ctx, "options",
			"\"idmap=\" has mappings, and so has uidMappings: keep one of them");
	r = spec_check_mappings(&mount->uid_mappings, "uidMappings", ctx);
	return r < 0 ? r : spec_check_mappings(&mount->gid_mappings, "gidMappings", ctx);
}

static int finish_mount(void *out, const struct json_context *ctx)
{
	struct spec_mount *mount = out;
	int r;

	if (!*mount->destination)
		return json_fail(ctx, "destination", "must not be empty");
	r = finish_options(mount, ctx);
	if (r == 0)
		r = check_type(mount, ctx);
	if (r == 0)
		r = check_combination(mount, ctx);
	return r < 0 ? r : check_mount_mappings(mount, ctx);
}

static const struct json_rule mount_rules[] = {
	{"destination", JSON_TEXT, .required = true, JSON_AT(spec_mount, destination)},
	{"type", JSON_TEXT, JSON_AT(spec_mount, type)},
	{"source", JSON_TEXT, JSON_AT(spec_mount, source)},
	{"options", JSON_TEXTS, JSON_AT(spec_mount, option_names)},
	{"uidMappings", JSON_STRUCTS, JSON_AT(spec_mount, uid_mappings),
		.table = &spec_mapping_table},
	{"gidMappings", JSON_STRUCTS, JSON_AT(spec_mount, gid_mappings),
		.table = &spec_mapping_table},
	{},
};

const struct json_table spec_mount_table = {
	.size = sizeof(struct spec_mount),
	.rules = mount_rules,
	.finish = finish_mount,
};

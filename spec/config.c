/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/config.h"

#include "spec/tables.h"

#include <string.h>

static int finish_root(void *out, const struct json_context *ctx)
{
	const struct spec_root *root = out;

	if (!*root->path)
		return json_fail(ctx, "path", "must not be empty: it names the root file system");
	return 0;
}

static const struct json_rule root_rules[] = {
	{"path", JSON_TEXT, .required = true, JSON_AT(spec_root, path)},
	{"readonly", JSON_BOOL, JSON_AT(spec_root, readonly)},
	{},
};

static const struct json_table root_table = {
	.size = sizeof(struct spec_root),
	.rules = root_rules,
	.finish = finish_root,
};

static int finish_config(void *out, const struct json_context *ctx)
{
	struct spec_config *config = out;
	struct spec_resources *resources = config->linux_.resources;
	int r;

	if (config->hostname && !*config->hostname)
		config->hostname = NULL;
	if (config->domainname && !*config->domainname)
		config->domainname = NULL;
	r = spec_validate(config, ctx->err);
	/* Until 1.3 a limit of 0 was the other word for none, and engines of that time say it so.
	 */
	if (r == 0 && resources && resources->pids_limit.set && resources->pids_limit.value == 0 &&
		!spec_is_since(config, 3))
		resources->pids_limit.value = -1;
	return r;
}

static const struct json_rule config_rules[] = {
	{"ociVersion", JSON_TEXT, .required = true, JSON_AT(spec_config, oci_version)},
	{"root", JSON_STRUCT, JSON_AT(spec_config, root), .table = &root_table},
	{"mounts", JSON_STRUCTS, JSON_AT(spec_config, mounts), .table = &spec_mount_table},
	{"process", JSON_STRUCT, JSON_AT(spec_config, process), .table = &spec_process_table},
	{"hostname", JSON_TEXT, JSON_AT(spec_config, hostname)},
	{"domainname", JSON_TEXT, JSON_AT(spec_config, domainname)},
	{"hooks", JSON_PART, JSON_AT(spec_config, hooks), .table = &spec_hooks_table},
	{"annotations", JSON_PAIRS, JSON_AT(spec_config, annotations)},
	{"linux", JSON_PART, JSON_AT(spec_config, linux_), .table = &spec_linux_table},
	{"vm", JSON_STRUCT, JSON_AT(spec_config, vm), .table = &spec_vm_table},
	{},
};

static const struct json_table config_table = {
	.size = sizeof(struct spec_config),
	.rules = config_rules,
	.finish = finish_config,
};

int spec_config_parse(
	const char *name, const char *text, size_t len, struct spec_config **ret, struct err *err)
{
	autospec struct spec_config *config = calloc(1, sizeof(*config));
	int r;

	if (!config)
		return err_sys(err, -ENOMEM, "%s", name);
	r = json_parse(name, text, len, &config->json, err);
	if (r < 0)
		return r;
	r = json_decode(config->json, &config_table, &config->arena, config, err);
	if (r < 0)
		return err_add(err, "%s", name);
	*ret = take_ptr(config);
	return 0;
}

void spec_config_free(struct spec_config *config)
{
	if (!config)
		return;
	arena_free(&config->arena);
	json_decref(config->json);
	free(config);
}

/* One object of TABLE alone in a file. */
static int parse_part(const char *name, const char *text, size_t len,
	const struct json_table *table, struct arena *arena, json_t **ret_json, void **ret,
	struct err *err)
{
	void *part = arena_alloc(arena, 1, table->size);
	autojson json_t *json = NULL;
	int r;

	if (!part)
		return err_sys(err, -ENOMEM, "%s", name);
	r = json_parse(name, text, len, &json, err);
	if (r < 0)
		return r;
	r = json_decode(json, table, arena, part, err);
	if (r < 0)
		return err_add(err, "%s", name);
	*ret_json = take_ptr(json);
	*ret = part;
	return 0;
}

int spec_process_parse(const char *name, const char *text, size_t len, struct arena *arena,
	json_t **ret_json, struct spec_process **ret, struct err *err)
{
	return parse_part(name, text, len, &spec_process_table, arena, ret_json, (void **)ret, err);
}

json_t *spec_process_json(const struct spec_process *process)
{
	return json_encode(process, &spec_process_table);
}

json_t *spec_resources_json(const struct spec_resources *resources)
{
	return json_encode(resources, &spec_resources_table);
}

int spec_resources_parse(const char *name, const char *text, size_t len, struct arena *arena,
	json_t **ret_json, struct spec_resources **ret, struct err *err)
{
	return parse_part(
		name, text, len, &spec_resources_table, arena, ret_json, (void **)ret, err);
}

static const struct json_rule mounts_rules[] = {
	{"mounts", JSON_STRUCTS, .table = &spec_mount_table},
	{},
};

static const struct json_table mounts_table = {
	.size = sizeof(struct spec_mounts),
	.rules = mounts_rules,
};

int spec_mounts_parse(const char *name, const char *text, size_t len, struct arena *arena,
	json_t **ret_json, struct spec_mounts *ret, struct err *err)
{
	autojson json_t *list = NULL, *object = NULL;
	struct spec_mounts mounts = {};
	int r = json_parse(name, text, len, &list, err);

	if (r < 0)
		return r;
	object = json_pack("{s:O}", "mounts", list);
	if (!object)
		return err_sys(err, -ENOMEM, "%s", name);
	r = json_decode(object, &mounts_table, arena, &mounts, err);
	if (r < 0)
		return err_add(err, "%s", name);
	*ret = mounts;
	*ret_json = take_ptr(object);
	return 0;
}

const struct spec_namespace *spec_find_namespace(const struct spec_config *config, int type)
{
	for (size_t i = 0; i < config->linux_.namespaces.count; i++)
		if (config->linux_.namespaces.items[i].type == type)
			return &config->linux_.namespaces.items[i];
	return NULL;
}

const char *spec_annotation(const struct spec_config *config, const char *key)
{
	for (size_t i = 0; i < config->annotations.count; i++)
		if (strcmp(config->annotations.items[i].key, key) == 0)
			return config->annotations.items[i].value;
	return NULL;
}

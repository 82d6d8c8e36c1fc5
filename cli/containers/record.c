/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/record.h"

#include "cli/options_json.h"

#include <string.h>

static const struct json_name mount_types[] = {
	{"bind", RECORD_MOUNT_BIND},
	{"volume", RECORD_MOUNT_VOLUME},
	{"tmpfs", RECORD_MOUNT_TMPFS},
	{NULL, 0},
};

static const struct json_rule mount_rules[] = {
	{"type", JSON_NAME, true, JSON_AT(record_mount, type), .names = mount_types,
		.what = "a type of mount"},
	{"source", JSON_TEXT, false, JSON_AT(record_mount, source)},
	{"target", JSON_TEXT, true, JSON_AT(record_mount, target)},
	{"volume", JSON_TEXT, false, JSON_AT(record_mount, volume)},
	{"options", JSON_TEXTS, false, JSON_AT(record_mount, options)},
	{"anonymous", JSON_BOOL, false, JSON_AT(record_mount, anonymous)},
	{"copyUp", JSON_BOOL, false, JSON_AT(record_mount, copy_up)},
	{"chown", JSON_BOOL, false, JSON_AT(record_mount, chown)},
	{},
};
static const struct json_table mount_table = {sizeof(struct record_mount), mount_rules};

static const struct json_rule health_rules[] = {
	{"test", JSON_TEXTS, true, JSON_AT(record_health, test)},
	{"interval", JSON_U64, true, JSON_AT(record_health, interval)},
	{"timeout", JSON_U64, true, JSON_AT(record_health, timeout)},
	{"startPeriod", JSON_U64, true, JSON_AT(record_health, start_period)},
	{"retries", JSON_U32, true, JSON_AT(record_health, retries)},
	{},
};
static const struct json_table health_table = {sizeof(struct record_health), health_rules};

static int take_options(const json_t *value, void *out, const struct json_context *ctx)
{
	return options_from_json(run_options, value, ctx->arena, out, ctx->err);
}

static const struct json_rule record_rules[] = {
	{"id", JSON_TEXT, true, JSON_AT(record, id)},
	{"name", JSON_TEXT, true, JSON_AT(record, name)},
	{"created", JSON_TEXT, true, JSON_AT(record, created)},
	{"image", JSON_TEXT, true, JSON_AT(record, image)},
	{"imageId", JSON_TEXT, true, JSON_AT(record, image_id)},
	{"manifest", JSON_TEXT, true, JSON_AT(record, manifest)},
	{"options", JSON_PARSE, true, JSON_AT(record, options), .parse = take_options},
	{"command", JSON_TEXTS, false, JSON_AT(record, command)},
	{"args", JSON_TEXTS, true, JSON_AT(record, args)},
	{"env", JSON_TEXTS, false, JSON_AT(record, env)},
	{"cwd", JSON_TEXT, true, JSON_AT(record, cwd)},
	{"user", JSON_TEXT, false, JSON_AT(record, user)},
	{"labels", JSON_PAIRS, false, JSON_AT(record, labels)},
	{"exposed", JSON_TEXTS, false, JSON_AT(record, exposed)},
	{"mounts", JSON_STRUCTS, false, JSON_AT(record, mounts), .table = &mount_table},
	{"systemd", JSON_BOOL, false, JSON_AT(record, systemd)},
	{"stopSignal", JSON_I32, true, JSON_AT(record, stop_signal)},
	{"stopTimeout", JSON_U32, true, JSON_AT(record, stop_timeout)},
	{"health", JSON_STRUCT, false, JSON_AT(record, health), .table = &health_table},
	{"uidMap", JSON_TEXTS, false, JSON_AT(record, uid_map)},
	{"gidMap", JSON_TEXTS, false, JSON_AT(record, gid_map)},
	{},
};
static const struct json_table record_table = {sizeof(struct record), record_rules};

int box_record_parse(
	const char *name, const char *text, size_t len, struct record *ret, struct err *err)
{
	autorecord struct record record = {};
	autojson json_t *json = NULL;
	struct arena arena = {};
	int r = json_parse(name, text, len, &json, err);

	if (r == 0)
		r = json_decode(json, &record_table, &arena, &record, err);
	record.json = take_ptr(json);
	record.arena = arena;
	if (r < 0)
		return r;
	*ret = record;
	record = (struct record){};
	return 0;
}

void box_record_free(struct record *record)
{
	json_decref(record->json);
	record->json = NULL;
	arena_free(&record->arena);
}

/* ---- writing ---- */

static json_t *texts_json(const struct strings *texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < texts->count; i++)
		json_array_append_new(array, json_string(texts->items[i]));
	return array;
}

static json_t *labels_json(const struct pairs *pairs)
{
	json_t *object = json_object();

	for (size_t i = 0; i < pairs->count; i++)
		json_object_set_new(
			object, pairs->items[i].key, json_string(pairs->items[i].value));
	return object;
}

static json_t *mounts_json(const struct record *record)
{
	json_t *array = json_array();

	for (size_t i = 0; i < record->mounts.count; i++) {
		const struct record_mount *m = &record->mounts.items[i];

		json_array_append_new(
			array, json_pack("{s:s, s:s*, s:s, s:s*, s:o, s:b, s:b, s:b}", "type",
				       json_name_of(mount_types, m->type), "source", m->source,
				       "target", m->target, "volume", m->volume, "options",
				       texts_json(&m->options), "anonymous", m->anonymous, "copyUp",
				       m->copy_up, "chown", m->chown));
	}
	return array;
}

static json_t *health_json(const struct record_health *health)
{
	if (!health)
		return NULL;
	return json_pack("{s:o, s:o, s:o, s:o, s:I}", "test", texts_json(&health->test), "interval",
		json_u64(health->interval), "timeout", json_u64(health->timeout), "startPeriod",
		json_u64(health->start_period), "retries", (json_int_t)health->retries);
}

int box_record_write(const struct record *r, struct buf *ret, struct err *err)
{
	autojson json_t *json = NULL, *options = NULL;
	int code = options_to_json(run_options, &r->options, &options, err);

	if (code < 0)
		return code;
	json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:O, s:o, s:o, s:o, s:s, s:s*, s:o, s:o, "
			 "s:o, s:b, s:i, s:I, s:o*, s:o, s:o}",
		"id", r->id, "name", r->name, "created", r->created, "image", r->image, "imageId",
		r->image_id, "manifest", r->manifest, "options", options, "command",
		texts_json(&r->command), "args", texts_json(&r->args), "env", texts_json(&r->env),
		"cwd", r->cwd, "user", r->user, "labels", labels_json(&r->labels), "exposed",
		texts_json(&r->exposed), "mounts", mounts_json(r), "systemd", r->systemd,
		"stopSignal", r->stop_signal, "stopTimeout", (json_int_t)r->stop_timeout, "health",
		health_json(r->health), "uidMap", texts_json(&r->uid_map), "gidMap",
		texts_json(&r->gid_map));
	if (!json || json_write(json, JSON_COMPACT, ret) < 0)
		return err_sys(err, -ENOMEM, "container %s", r->name);
	return 0;
}

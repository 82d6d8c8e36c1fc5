/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/record.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <string.h>

/* ---- reading ---- */

static int no_memory(const struct json_context *ctx)
{
	return err_sys(ctx->err, -ENOMEM, "record");
}

int record_text(const json_t *value, void *out, const struct json_context *ctx)
{
	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return json_fail(ctx, NULL, "must be a text");
	*(const char **)out = arena_strdup(ctx->arena, json_string_value(value));
	return *(const char **)out ? 0 : no_memory(ctx);
}

int record_texts(const json_t *value, void *out, const struct json_context *ctx)
{
	struct strings *list = out;
	size_t count = json_array_size(value);
	int r = 0;

	if (!json_is_array(value))
		return json_fail(ctx, NULL, "must be a list of texts");
	list->items = arena_array(ctx->arena, count + 1, const char *);
	if (!list->items)
		return no_memory(ctx);
	for (size_t i = 0; i < count && r == 0; i++)
		r = record_text(json_array_get(value, i), &list->items[list->count++], ctx);
	return r;
}

int record_pairs(const json_t *value, void *out, const struct json_context *ctx)
{
	struct pairs *list = out;
	const char *key;
	json_t *item;
	int r = 0;

	if (!json_is_object(value))
		return json_fail(ctx, NULL, "must be an object of texts");
	list->items = arena_array(ctx->arena, json_object_size(value) + 1, struct pair);
	if (!list->items)
		return no_memory(ctx);
	json_object_foreach ((json_t *)value, key, item) {
		struct pair *pair = &list->items[list->count];

		r = record_text(item, &pair->value, ctx);
		if (r < 0)
			return r;
		pair->key = arena_strdup(ctx->arena, key);
		if (!pair->key)
			return no_memory(ctx);
		list->count++;
	}
	return 0;
}

int record_address(const json_t *value, void *out, const struct json_context *ctx)
{
	const char *text = json_string_value(value);

	if (!text || (address_parse(text, out) < 0 && address_parse_prefix(text, out) < 0))
		return json_fail(ctx, NULL, "must be an address");
	return 0;
}

int record_port(const json_t *value, void *out, const struct json_context *ctx)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < 0 || n > UINT16_MAX)
		return json_fail(ctx, NULL, "must be a number of 16 bits");
	*(uint16_t *)out = (uint16_t)n;
	return 0;
}

int record_read(int dirfd, const char *name, const struct json_table *table, struct arena *arena,
	void *ret, struct err *err)
{
	autobuf struct buf text = {};
	autojson json_t *value = NULL;
	int r = fd_read_file(dirfd, name, RECORD_MAX, &text);

	if (r == -ENOENT)
		return r;
	if (r < 0)
		return err_sys(err, r, "read %s", name);
	r = json_parse(name, buf_str(&text), text.len, &value, err);
	if (r == 0)
		r = json_decode(value, table, arena, ret, err);
	return r < 0 ? err_add(err, "%s", name) : 0;
}

/* ---- writing ---- */

static json_t *encode_texts(const struct strings *list)
{
	json_t *array = list->count ? json_array() : NULL;

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, json_string(list->items[i]));
	return array;
}

static json_t *encode_pairs(const struct pairs *list)
{
	json_t *object = list->count ? json_object() : NULL;

	for (size_t i = 0; i < list->count; i++)
		json_object_set_new(object, list->items[i].key, json_string(list->items[i].value));
	return object;
}

static json_t *encode_address(const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];

	if (!address->family)
		return NULL;
	return json_string(address->prefix == address_bits(address)
				   ? address_format(address, text)
				   : address_format_prefix(address, text));
}

static json_t *encode_structs(const struct json_table *table, const void *list)
{
	const struct {
		char *items;
		size_t count;
	} *l = list;
	json_t *array = l->count ? json_array() : NULL;

	for (size_t i = 0; i < l->count; i++)
		json_array_append_new(array, record_encode(table, l->items + i * table->size));
	return array;
}

static json_t *encode_parsed(const struct json_rule *rule, const void *at)
{
	if (rule->parse == record_text) {
		const char *text = *(const char *const *)at;

		return text ? json_string(text) : NULL;
	}
	if (rule->parse == record_texts)
		return encode_texts(at);
	if (rule->parse == record_pairs)
		return encode_pairs(at);
	if (rule->parse == record_port)
		return *(const uint16_t *)at ? json_integer(*(const uint16_t *)at) : NULL;
	return encode_address(at);
}

/* NULL: nothing to be written. */
static json_t *encode_member(const struct json_rule *rule, const void *at)
{
	const char *name;

	if (rule->kind == JSON_BOOL)
		return *(const bool *)at ? json_true() : NULL;
	if (rule->kind == JSON_U32)
		return *(const uint32_t *)at ? json_integer(*(const uint32_t *)at) : NULL;
	if (rule->kind == JSON_U64)
		return *(const uint64_t *)at ? json_u64(*(const uint64_t *)at) : NULL;
	if (rule->kind == JSON_STRUCTS)
		return encode_structs(rule->table, at);
	if (rule->kind == JSON_PART)
		return record_encode(rule->table, at);
	if (rule->kind == JSON_PARSE)
		return encode_parsed(rule, at);
	name = json_name_of(rule->names, *(const int *)at);
	return name ? json_string(name) : NULL;
}

json_t *record_encode(const struct json_table *table, const void *data)
{
	json_t *object = json_object();

	for (const struct json_rule *rule = table->rules; rule->key; rule++) {
		json_t *value = encode_member(rule, (const char *)data + rule->offset);

		if (value)
			json_object_set_new(object, rule->key, value);
	}
	return object;
}

int record_write(int dirfd, const char *name, const struct json_table *table, const void *data,
	struct err *err)
{
	autojson json_t *object = record_encode(table, data);
	autobuf struct buf text = {};
	int r = object ? json_write(object, JSON_INDENT(1), &text) : -ENOMEM;

	buf_puts(&text, "\n");
	if (r == 0 && text.failed)
		r = -ENOMEM;
	if (r == 0)
		r = fd_replace_file(dirfd, name, text.data, text.len, 0600);
	return r < 0 ? err_sys(err, r, "write %s", name) : 0;
}

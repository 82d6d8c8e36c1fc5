/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

/* The layout that all lists of base/json.h share. */
struct list {
	const void *items;
	size_t count;
};

static const void *at(const void *in, const struct json_rule *rule)
{
	return (const char *)in + rule->offset;
}

/* Adds VALUE to ARRAY; what failed before stays failed. */
static json_t *append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) == 0)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) == 0)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *encode_texts(const struct strings *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		array = append(array, json_string(list->items[i]));
	return array;
}

static json_t *encode_pairs(const struct pairs *list)
{
	json_t *object = json_object();

	for (size_t i = 0; i < list->count; i++)
		object = set(object, list->items[i].key, json_string(list->items[i].value));
	return object;
}

static json_t *encode_numbers(const struct list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		array = append(array, json_integer(((const uint32_t *)list->items)[i]));
	return array;
}

static json_t *encode_flags(uint64_t flags, const struct json_name *names)
{
	json_t *array = json_array();

	for (; names->name; names++)
		if (names->value && (flags & (uint64_t)names->value) == (uint64_t)names->value)
			array = append(array, json_string(names->name));
	return array;
}

static json_t *encode_name(int value, const struct json_name *names)
{
	const char *name = json_name_of(names, value);

	return name ? json_string(name) : NULL;
}

static json_t *encode_structs(const struct list *list, const struct json_table *table)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		array = append(
			array, json_encode((const char *)list->items + i * table->size, table));
	return array;
}

static json_t *encode_map(const struct list *list, const struct json_table *table)
{
	json_t *object = json_object();

	for (size_t i = 0; i < list->count; i++) {
		const char *item = (const char *)list->items + i * table->size;

		object = set(
			object, *(const char *const *)(const void *)item, json_encode(item, table));
	}
	return object;
}

/* False: there is nothing to write, which decodes to the same. */
static bool is_set(const struct json_rule *rule, const void *in, const struct json_table *table)
{
	switch (rule->kind) {
	case JSON_OPT_BOOL:
		return ((const struct opt_bool *)in)->set;
	case JSON_OPT_I64:
		return ((const struct opt_i64 *)in)->set;
	case JSON_OPT_U64:
		return ((const struct opt_u64 *)in)->set;
	case JSON_OPT_U32:
		return ((const struct opt_u32 *)in)->set;
	case JSON_TEXT:
	case JSON_STRUCT:
		return *(const void *const *)in;
	case JSON_NAME:
		return *(const int *)in || rule->required;
	case JSON_TEXTS:
	case JSON_PAIRS:
	case JSON_STRUCTS:
	case JSON_STRUCT_MAP:
	case JSON_NAMES:
	case JSON_U32S:
		return ((const struct list *)in)->count || rule->required || table->defaults;
	case JSON_BOOL:
	case JSON_I32:
	case JSON_I64:
	case JSON_U32:
	case JSON_U64:
	case JSON_FLAGS:
	case JSON_PART:
	case JSON_PARSE:
		break;
	}
	return true;
}

static json_t *encode_member(const struct json_rule *rule, const void *in)
{
	switch (rule->kind) {
	case JSON_BOOL:
		return json_boolean(*(const bool *)in);
	case JSON_OPT_BOOL:
		return json_boolean(((const struct opt_bool *)in)->value);
	case JSON_I32:
		return json_integer(*(const int32_t *)in);
	case JSON_I64:
		return json_integer(*(const int64_t *)in);
	case JSON_U32:
		return json_integer(*(const uint32_t *)in);
	case JSON_U64:
		return json_u64(*(const uint64_t *)in);
	case JSON_OPT_I64:
		return json_integer(((const struct opt_i64 *)in)->value);
	case JSON_OPT_U64:
		return json_u64(((const struct opt_u64 *)in)->value);
	case JSON_OPT_U32:
		return json_integer(((const struct opt_u32 *)in)->value);
	case JSON_TEXT:
		return json_string(*(const char *const *)in);
	case JSON_TEXTS:
		return encode_texts(in);
	case JSON_PAIRS:
		return encode_pairs(in);
	case JSON_STRUCT:
		return json_encode(*(const void *const *)in, rule->table);
	case JSON_STRUCTS:
		return encode_structs(in, rule->table);
	case JSON_STRUCT_MAP:
		return encode_map(in, rule->table);
	case JSON_NAME:
		return encode_name(*(const int *)in, rule->names);
	case JSON_FLAGS:
		return encode_flags(*(const uint64_t *)in, rule->names);
	case JSON_U32S:
		return encode_numbers(in);
	case JSON_PART:
		return json_encode(in, rule->table);
	case JSON_PARSE:
		return rule->encode ? rule->encode(in) : NULL;
	case JSON_NAMES:
		break;
	}
	return NULL;
}

json_t *json_encode(const void *in, const struct json_table *table)
{
	json_t *object = json_object();

	for (const struct json_rule *rule = table->rules; object && rule->key; rule++) {
		const void *member = at(in, rule);
		json_t *value;

		if (!is_set(rule, member, table))
			continue;
		value = encode_member(rule, member);
		if (rule->kind == JSON_PART && !rule->required && value && !json_object_size(value))
			json_decref(value); /* which is not the same as one without members */
		else
			object = set(object, rule->key, value);
	}
	return object;
}

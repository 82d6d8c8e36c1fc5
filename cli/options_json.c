/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options_json.h"

#include <string.h>

static json_t *texts_json(const struct strings *texts)
{
	json_t *array;

	if (!texts->count)
		return NULL;
	array = json_array();
	for (size_t i = 0; i < texts->count; i++)
		json_array_append_new(array, json_string(texts->items[i]));
	return array;
}

static json_t *integer_unless_zero(int64_t value)
{
	return value ? json_integer(value) : NULL;
}

/* NULL for what need not be written. */
static json_t *value_json(const struct option *o, const void *at)
{
	const char *name;

	switch (o->kind) {
	case OPTION_FLAG:
		return *(const bool *)at ? json_true() : NULL;
	case OPTION_OPT_FLAG: {
		const struct opt_bool *v = at;

		return v->set ? json_boolean(v->value) : NULL;
	}
	case OPTION_TEXT:
		return *(const char *const *)at ? json_string(*(const char *const *)at) : NULL;
	case OPTION_TEXTS:
		return texts_json(at);
	case OPTION_U32:
		return integer_unless_zero(*(const uint32_t *)at);
	case OPTION_OPT_U32: {
		const struct opt_u32 *v = at;

		return v->set ? json_integer(v->value) : NULL;
	}
	case OPTION_OPT_U64:
	case OPTION_SIZE: {
		const struct opt_u64 *v = at;

		return v->set ? json_u64(v->value) : NULL;
	}
	case OPTION_OPT_I64:
	case OPTION_LIMIT: {
		const struct opt_i64 *v = at;

		return v->set ? json_integer(v->value) : NULL;
	}
	case OPTION_SIGNAL:
		return integer_unless_zero(*(const int *)at);
	case OPTION_NAME:
		name = *(const int *)at ? json_name_of(o->names, *(const int *)at) : NULL;
		return name ? json_string(name) : NULL;
	case OPTION_CUSTOM:
		break;
	}
	return NULL;
}

/* Whether ROW is only another name of a value that has a row of its own. */
static bool is_alias(const struct option *table, const struct option *row)
{
	for (const struct option *o = table; row->hidden && o->name; o++)
		if (!o->hidden && o->offset == row->offset)
			return true;
	return false;
}

int options_to_json(const struct option *table, const void *source, json_t **ret, struct err *err)
{
	autojson json_t *object = json_object();

	for (const struct option *o = table; object && o->name; o++) {
		json_t *value =
			is_alias(table, o) ? NULL : value_json(o, (const char *)source + o->offset);

		if (value && json_object_set_new(object, o->name, value) < 0)
			return err_sys(err, -ENOMEM, "options");
	}
	if (!object)
		return err_sys(err, -ENOMEM, "options");
	*ret = take_ptr(object);
	return 0;
}

static int take_texts(const json_t *value, struct arena *arena, struct strings *ret)
{
	size_t count = json_array_size(value);
	struct strings texts = {.items = arena_array(arena, count, const char *)};

	if (!json_is_array(value))
		return -EINVAL;
	if (!texts.items)
		return -ENOMEM;
	for (; texts.count < count; texts.count++) {
		const char *text = json_string_value(json_array_get(value, texts.count));

		if (!text)
			return -EINVAL;
		texts.items[texts.count] = text;
	}
	*ret = texts;
	return 0;
}

static int take_number(const struct option *o, const json_t *value, void *at)
{
	int64_t n = json_integer_value(value);

	if (!json_is_integer(value))
		return -EINVAL;
	if ((o->kind == OPTION_U32 || o->kind == OPTION_OPT_U32) && (n < 0 || n > UINT32_MAX))
		return -EINVAL;
	if (o->kind == OPTION_U32)
		*(uint32_t *)at = (uint32_t)n;
	else if (o->kind == OPTION_OPT_U32)
		*(struct opt_u32 *)at = (struct opt_u32){true, (uint32_t)n};
	else if (o->kind == OPTION_OPT_U64 || o->kind == OPTION_SIZE)
		*(struct opt_u64 *)at = (struct opt_u64){true, (uint64_t)n};
	else if (o->kind == OPTION_SIGNAL)
		*(int *)at = (int)n;
	else
		*(struct opt_i64 *)at = (struct opt_i64){true, n};
	return 0;
}

static int take_value(const struct option *o, const json_t *value, struct arena *arena, void *at)
{
	int64_t n;

	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)at = json_is_true(value);
		return json_is_boolean(value) ? 0 : -EINVAL;
	case OPTION_OPT_FLAG:
		*(struct opt_bool *)at = (struct opt_bool){true, json_is_true(value)};
		return json_is_boolean(value) ? 0 : -EINVAL;
	case OPTION_TEXT:
		*(const char **)at = json_string_value(value);
		return json_is_string(value) ? 0 : -EINVAL;
	case OPTION_TEXTS:
		return take_texts(value, arena, at);
	case OPTION_NAME:
		if (!json_is_string(value) ||
			!json_name_find(o->names, json_string_value(value), &n))
			return -EINVAL;
		*(int *)at = (int)n;
		return 0;
	case OPTION_U32:
	case OPTION_OPT_U32:
	case OPTION_OPT_U64:
	case OPTION_OPT_I64:
	case OPTION_SIZE:
	case OPTION_LIMIT:
	case OPTION_SIGNAL:
		return take_number(o, value, at);
	case OPTION_CUSTOM:
		break;
	}
	return 0;
}

int options_from_json(const struct option *table, const json_t *value, struct arena *arena,
	void *dest, struct err *err)
{
	const char *name;
	json_t *member;

	if (!json_is_object(value))
		return err_set(err, -EINVAL, "options: must be an object");
	/* Of many options few are given. */
	json_object_foreach ((json_t *)value, name, member) {
		const struct option *o = table;
		int r = 0;

		while (o->name && (*o->name != *name || strcmp(o->name, name) != 0))
			o++;
		if (o->name)
			r = take_value(o, member, arena, (char *)dest + o->offset);
		if (r < 0)
			return err_sys(err, r, "options: %s", name);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/json_read.h"
#include "base/parse.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

/* Stands in front of an integer that jansson cannot hold, carried as a string. No text that
 * somebody means begins like this, and none is taken for one. */
static const char big_mark[] = "\x01integer:";
static const char big_mark_json[] = "\\u0001integer:";

/* Where we are in the value, for errors: a list from the innermost place outwards. */
struct json_place {
	const struct json_place *outer;
	const char *key; /* NULL: an array's element */
	size_t index;
};

static void place_print(const struct json_place *place, struct buf *buf)
{
	if (!place)
		return;
	place_print(place->outer, buf);
	if (place->key)
		buf_printf(buf, "%s%s", buf->len ? "." : "", place->key);
	else
		buf_printf(buf, "[%zu]", place->index);
}

int json_fail(const struct json_context *ctx, const char *key, const char *fmt, ...)
{
	autobuf struct buf text = {};
	va_list ap;

	place_print(ctx->place, &text);
	if (key)
		buf_printf(&text, "%s%s", text.len ? "." : "", key);
	if (text.len)
		buf_puts(&text, ": ");
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	return err_set(ctx->err, -EINVAL, "%s", buf_str(&text));
}

static int no_memory(const struct json_context *ctx, const char *key)
{
	return err_sys(ctx->err, -ENOMEM, "reading %s", key);
}

/* Copies the string literal at TEXT[I]; returns the index behind it. */
static size_t copy_string(const char *text, size_t i, size_t len, struct buf *ret)
{
	size_t start = i;

	for (i++; i < len && text[i] != '"'; i++)
		if (text[i] == '\\')
			i++;
	i = i < len ? i + 1 : len;
	buf_add(ret, text + start, i - start);
	return i;
}

/*
 * Copies the number literal at TEXT[I]; returns the index behind it. Only a positive integer that
 * does not fit into 63 bits is turned into a string.
 */
static size_t copy_number(const char *text, size_t i, size_t len, struct buf *ret)
{
	static const char highest[] = "9223372036854775807";
	const size_t most = sizeof(highest) - 1;
	const char *start = text + i;
	bool integer = true;
	size_t n, after;

	for (; i < len && text[i] && strchr("0123456789+-.eE", text[i]); i++)
		integer &= isdigit((unsigned char)text[i]) != 0;
	n = (size_t)(text + i - start);
	/* In front of a ':' stands a key, which a number cannot be: jansson is to say so. */
	for (after = i; after < len && strchr(" \t\r\n", text[after]) && text[after]; after++)
		;
	integer &= after == len || text[after] != ':';
	if (integer && (n > most || (n == most && memcmp(start, highest, most) > 0)))
		buf_printf(ret, "\"%s%.*s\"", big_mark_json, (int)n, start);
	else
		buf_add(ret, start, n);
	return i;
}

/* Every run of that many digits has one at a multiple of this: no other byte needs a look. */
enum { BIG_DIGITS = 19 };

/* Whether TEXT has so many digits in a row anywhere. */
static bool may_have_big_integer(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i += BIG_DIGITS) {
		size_t first = i, last = i;

		if (!isdigit((unsigned char)text[i]))
			continue;
		while (first && isdigit((unsigned char)text[first - 1]))
			first--;
		while (last + 1 < len && isdigit((unsigned char)text[last + 1]))
			last++;
		if (last - first + 1 >= BIG_DIGITS)
			return true;
	}
	return false;
}

/* Copies TEXT with every integer above INT64_MAX turned into a marked string. What is no JSON
 * before is none afterwards. */
static int quote_big_integers(const char *text, size_t len, struct buf *ret)
{
	size_t i = 0;

	while (i < len) {
		size_t start = i;

		while (i < len && text[i] != '"' && text[i] != '-' &&
			!isdigit((unsigned char)text[i]))
			i++;
		buf_add(ret, text + start, i - start);
		if (i == len)
			break;
		i = text[i] == '"' ? copy_string(text, i, len, ret)
				   : copy_number(text, i, len, ret);
	}
	return ret->failed ? -ENOMEM : 0;
}

static json_t *load(const char *text, size_t len, json_error_t *error)
{
	return json_loadb(text, len, JSON_REJECT_DUPLICATES, error);
}

int json_parse(const char *name, const char *text, size_t len, json_t **ret, struct err *err)
{
	const void *random = (const void *)getauxval(AT_RANDOM); /* not aligned */
	unsigned int seed;
	json_error_t error;
	json_t *value = NULL;

	/* The kernel gave every process 16 random bytes: jansson need not read /dev/urandom. */
	if (random) {
		memcpy(&seed, random, sizeof(seed));
		json_object_seed(seed | 1);
	}
	value = json_read_plain(text, len);
	if (!value && may_have_big_integer(text, len)) {
		autobuf struct buf quoted = {};

		if (quote_big_integers(text, len, &quoted) < 0)
			return err_sys(err, -ENOMEM, "%s", name);
		value = load(quoted.data, quoted.len, &error);
	}
	if (!value) /* again after an error, whose place is in the text as it was given */
		value = load(text, len, &error);
	if (!value && json_error_code(&error) == json_error_out_of_memory)
		return err_sys(err, -ENOMEM, "%s", name);
	if (!value)
		return err_set(err, -EINVAL, "%s:%d:%d: not valid JSON: %s", name, error.line,
			error.column, error.text);
	*ret = value;
	return 0;
}

bool json_name_find(const struct json_name *names, const char *name, int64_t *ret)
{
	for (; names->name; names++) {
		if (strcmp(names->name, name) == 0) {
			*ret = names->value;
			return true;
		}
	}
	return false;
}

const char *json_name_of(const struct json_name *names, int64_t value)
{
	for (; names->name; names++)
		if (names->value == value)
			return names->name;
	return NULL;
}

/* The digits of an integer that json_parse() carried through, or NULL. */
static const char *big_digits(const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text || strncmp(text, big_mark, sizeof(big_mark) - 1) != 0)
		return NULL;
	return text + sizeof(big_mark) - 1;
}

static int get_i64(
	const json_t *value, int64_t min, int64_t max, int64_t *ret, const struct json_context *ctx)
{
	int64_t n;

	if (big_digits(value))
		return json_fail(ctx, NULL, "out of range");
	if (!json_is_integer(value))
		return json_fail(ctx, NULL,
			json_is_string(value) ? "must be a number, not a string"
					      : "must be an integer");
	n = json_integer_value(value);
	if (n < min || n > max)
		return json_fail(
			ctx, NULL, min == 0 && n < 0 ? "must not be negative" : "out of range");
	*ret = n;
	return 0;
}

static int get_u64(const json_t *value, uint64_t *ret, const struct json_context *ctx)
{
	const char *digits = big_digits(value);
	int64_t n;
	int r;

	if (digits) {
		if (parse_u64(digits, ret) < 0)
			return json_fail(ctx, NULL, "out of range");
		return 0;
	}
	r = get_i64(value, 0, INT64_MAX, &n, ctx);
	if (r == 0)
		*ret = (uint64_t)n;
	return r;
}

static int get_u32(const json_t *value, uint32_t *ret, const struct json_context *ctx)
{
	int64_t n;
	int r = get_i64(value, 0, UINT32_MAX, &n, ctx);

	if (r == 0)
		*ret = (uint32_t)n;
	return r;
}

static int get_text(const json_t *value, const char **ret, const struct json_context *ctx)
{
	if (!json_is_string(value) || big_digits(value))
		return json_fail(ctx, NULL, "must be a string");
	*ret = json_string_value(value);
	return 0;
}

static int get_name(const json_t *value, const struct json_rule *rule, int64_t *ret,
	const struct json_context *ctx)
{
	const char *text;
	int r = get_text(value, &text, ctx);

	if (r < 0)
		return r;
	if (json_name_find(rule->names, text, ret))
		return 0;
	return json_fail(ctx, NULL, "\"%s\" is not %s", text,
		rule->what ? rule->what : "a value that is known here");
}

static int decode(const json_t *value, const struct json_table *table, const char *map_key,
	void *out, const struct json_context *ctx);

/* Arrays of every kind share their layout with this. */
struct array {
	void *items;
	size_t count;
};

static int get_element(const json_t *value, const struct json_rule *rule, void *out,
	const struct json_context *ctx)
{
	int64_t n;
	int r;

	switch (rule->kind) {
	case JSON_TEXTS:
		return get_text(value, out, ctx);
	case JSON_U32S:
		return get_u32(value, out, ctx);
	case JSON_NAMES:
		r = get_name(value, rule, &n, ctx);
		if (r == 0)
			*(int *)out = (int)n;
		return r;
	default:
		return decode(value, rule->table, NULL, out, ctx);
	}
}

static size_t element_size(const struct json_rule *rule)
{
	switch (rule->kind) {
	case JSON_TEXTS:
		return sizeof(const char *);
	case JSON_U32S:
		return sizeof(uint32_t);
	case JSON_NAMES:
		return sizeof(int);
	default:
		return rule->table->size;
	}
}

static int get_array(const json_t *value, const struct json_rule *rule, struct array *out,
	const struct json_context *ctx)
{
	size_t size = element_size(rule), count = json_array_size(value);
	struct json_place here = {.outer = ctx->place};
	struct json_context inner = {ctx->arena, ctx->err, &here};
	char *items;

	if (!json_is_array(value))
		return json_fail(ctx, NULL, "must be an array");
	items = arena_alloc(ctx->arena, count, size);
	if (!items)
		return no_memory(ctx, rule->key);
	for (; here.index < count; here.index++) {
		int r = get_element(
			json_array_get(value, here.index), rule, items + here.index * size, &inner);

		if (r < 0)
			return r;
	}
	*out = (struct array){.items = items, .count = count};
	return 0;
}

static int get_pairs(const json_t *value, struct pairs *out, const struct json_context *ctx)
{
	struct json_place here = {.outer = ctx->place};
	struct json_context inner = {ctx->arena, ctx->err, &here};
	struct pair *pair;
	const char *key;
	json_t *item;

	if (!json_is_object(value))
		return json_fail(ctx, NULL, "must be an object");
	pair = out->items = arena_array(ctx->arena, json_object_size(value), struct pair);
	if (!pair)
		return no_memory(ctx, ctx->place->key);
	json_object_foreach ((json_t *)value, key, item) {
		int r;

		here.key = pair->key = key;
		r = get_text(item, &pair->value, &inner);
		if (r < 0)
			return r;
		pair++;
	}
	out->count = json_object_size(value);
	return 0;
}

static int get_struct_map(const json_t *value, const struct json_rule *rule, struct array *out,
	const struct json_context *ctx)
{
	struct json_place here = {.outer = ctx->place};
	struct json_context inner = {ctx->arena, ctx->err, &here};
	char *items, *next;
	const char *key;
	json_t *item;

	if (!json_is_object(value))
		return json_fail(ctx, NULL, "must be an object");
	items = next = arena_alloc(ctx->arena, json_object_size(value), rule->table->size);
	if (!items)
		return no_memory(ctx, rule->key);
	json_object_foreach ((json_t *)value, key, item) {
		int r;

		here.key = key;
		r = decode(item, rule->table, key, next, &inner);
		if (r < 0)
			return r;
		next += rule->table->size;
	}
	*out = (struct array){.items = items, .count = json_object_size(value)};
	return 0;
}

static int get_flags(const json_t *value, const struct json_rule *rule, uint64_t *out,
	const struct json_context *ctx)
{
	struct json_place here = {.outer = ctx->place};
	struct json_context inner = {ctx->arena, ctx->err, &here};

	if (!json_is_array(value))
		return json_fail(ctx, NULL, "must be an array");
	for (; here.index < json_array_size(value); here.index++) {
		int64_t n;
		int r = get_name(json_array_get(value, here.index), rule, &n, &inner);

		if (r < 0)
			return r;
		*out |= (uint64_t)n;
	}
	return 0;
}

static int get_bool(const json_t *value, bool *ret, const struct json_context *ctx)
{
	if (!json_is_boolean(value))
		return json_fail(ctx, NULL, "must be true or false");
	*ret = json_is_true(value);
	return 0;
}

static int get_struct(const json_t *value, const struct json_rule *rule, void **out,
	const struct json_context *ctx)
{
	*out = arena_alloc(ctx->arena, 1, rule->table->size);
	if (!*out)
		return no_memory(ctx, rule->key);
	return decode(value, rule->table, NULL, *out, ctx);
}

static int get_member(const json_t *value, const struct json_rule *rule, void *out,
	const struct json_context *ctx)
{
	int64_t n = 0;
	int r;

	switch (rule->kind) {
	case JSON_BOOL:
		return get_bool(value, out, ctx);
	case JSON_OPT_BOOL:
		((struct opt_bool *)out)->set = true;
		return get_bool(value, &((struct opt_bool *)out)->value, ctx);
	case JSON_I32:
		r = get_i64(value, INT32_MIN, INT32_MAX, &n, ctx);
		*(int32_t *)out = (int32_t)n;
		return r;
	case JSON_I64:
		return get_i64(value, INT64_MIN, INT64_MAX, out, ctx);
	case JSON_U32:
		return get_u32(value, out, ctx);
	case JSON_U64:
		return get_u64(value, out, ctx);
	case JSON_OPT_I64:
		((struct opt_i64 *)out)->set = true;
		return get_i64(value, INT64_MIN, INT64_MAX, &((struct opt_i64 *)out)->value, ctx);
	case JSON_OPT_U64:
		((struct opt_u64 *)out)->set = true;
		return get_u64(value, &((struct opt_u64 *)out)->value, ctx);
	case JSON_OPT_U32:
		((struct opt_u32 *)out)->set = true;
		return get_u32(value, &((struct opt_u32 *)out)->value, ctx);
	case JSON_TEXT:
		return get_text(value, out, ctx);
	case JSON_PAIRS:
		return get_pairs(value, out, ctx);
	case JSON_STRUCT:
		return get_struct(value, rule, out, ctx);
	case JSON_PART:
		return decode(value, rule->table, NULL, out, ctx);
	case JSON_STRUCT_MAP:
		return get_struct_map(value, rule, out, ctx);
	case JSON_NAME:
		r = get_name(value, rule, &n, ctx);
		*(int *)out = (int)n;
		return r;
	case JSON_FLAGS:
		return get_flags(value, rule, out, ctx);
	case JSON_PARSE:
		return rule->parse(value, out, ctx);
	case JSON_TEXTS:
	case JSON_STRUCTS:
	case JSON_NAMES:
	case JSON_U32S:
		break;
	}
	return get_array(value, rule, out, ctx);
}

/* OBJECT's member KEY. NEXT goes through OBJECT along with the keys that are asked for: one who
 * writes has the table's order, and then nothing is searched. */
static const json_t *find_member(const json_t *object, const char *key, void **next)
{
	const json_t *member;

	if (!*next || strcmp(json_object_iter_key(*next), key) != 0)
		return json_object_get(object, key);
	member = json_object_iter_value(*next);
	*next = json_object_iter_next((json_t *)object, *next);
	return member;
}

/* MAP_KEY: the key in a JSON_STRUCT_MAP, or NULL. */
static int decode(const json_t *value, const struct json_table *table, const char *map_key,
	void *out, const struct json_context *ctx)
{
	struct json_place here = {.outer = ctx->place};
	struct json_context inner = {ctx->arena, ctx->err, &here};
	void *next = json_object_iter((json_t *)value);

	if (!json_is_object(value))
		return json_fail(ctx, NULL, "must be an object");
	if (table->defaults)
		memcpy(out, table->defaults, table->size);
	if (map_key)
		*(const char **)out = map_key;
	for (const struct json_rule *rule = table->rules; rule->key; rule++) {
		const json_t *member = find_member(value, rule->key, &next);
		int r;

		here.key = rule->key;
		if (!member || json_is_null(member)) {
			if (rule->required)
				return json_fail(&inner, NULL, "is missing");
			continue;
		}
		r = get_member(member, rule, (char *)out + rule->offset, &inner);
		if (r < 0)
			return r;
	}
	return table->finish ? table->finish(out, ctx) : 0;
}

int json_decode(const json_t *value, const struct json_table *table, struct arena *arena, void *out,
	struct err *err)
{
	struct json_context ctx = {.arena = arena, .err = err};

	return decode(value, table, NULL, out, &ctx);
}

static int write_chunk(const char *data, size_t len, void *buf)
{
	buf_add(buf, data, len);
	return ((struct buf *)buf)->failed ? -1 : 0;
}

/* The mark that begins a string at TEXT[I] and what follows it are an integer: its length with the
 * quotes, else 0. A key is never one: a ':' would follow. */
static size_t marked_length(const char *text, size_t i, size_t len)
{
	const size_t mark = sizeof(big_mark_json) - 1;
	size_t n = mark + 1;

	if (len - i < mark + 3 || text[i] != '"' || memcmp(text + i + 1, big_mark_json, mark) != 0)
		return 0;
	while (i + n < len && isdigit((unsigned char)text[i + n]))
		n++;
	if (n == mark + 1 || i + n >= len || text[i + n] != '"')
		return 0;
	n++;
	return i + n < len && text[i + n] == ':' ? 0 : n;
}

/* Turns marked strings from TEXT[FROM] on into the integers that they carry. */
static void unquote_big_integers(struct buf *buf, size_t from)
{
	const size_t mark = sizeof(big_mark_json) - 1;
	size_t to = from, n;

	for (size_t i = from; i < buf->len;) {
		/* A quote behind a backslash is inside of a string. */
		n = i == from || buf->data[i - 1] != '\\' ? marked_length(buf->data, i, buf->len)
							  : 0;
		if (n) {
			memmove(buf->data + to, buf->data + i + 1 + mark, n - mark - 2);
			to += n - mark - 2;
			i += n;
		} else {
			buf->data[to++] = buf->data[i++];
		}
	}
	buf->len = to;
	if (buf->data)
		buf->data[to] = '\0';
}

int json_write(const json_t *value, size_t flags, struct buf *ret)
{
	size_t from = ret->len;

	if (json_dump_callback(value, write_chunk, ret, flags) != 0)
		return -ENOMEM;
	if (ret->data && strstr(ret->data + from, big_mark_json))
		unquote_big_integers(ret, from);
	return 0;
}

json_t *json_u64(uint64_t value)
{
	char text[sizeof(big_mark) + 24];

	if (value <= INT64_MAX)
		return json_integer((json_int_t)value);
	snprintf(text, sizeof(text), "%s%" PRIu64, big_mark, value);
	return json_string(text);
}

const char *json_text_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return big_digits(value) ? NULL : json_string_value(value);
}

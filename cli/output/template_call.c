/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: their functions. */
#include "base/json.h"
#include "cli/output/template_private.h"

#include <ctype.h>
#include <string.h>

typedef int function(json_t *const *args, size_t count, json_t **ret, struct err *err);

static int give(json_t *value, json_t **ret, struct err *err)
{
	if (!value)
		return err_set(err, -ENOMEM, "out of memory");
	*ret = value;
	return 0;
}

static int give_text(const struct buf *text, json_t **ret, struct err *err)
{
	/* Text that was cut inside of a character is no JSON string. */
	json_t *value = json_stringn(buf_str(text), text->len);

	if (!value && !text->failed)
		return err_set(err, -EINVAL, "the result is not UTF-8");
	return give(text->failed ? NULL : value, ret, err);
}

static int want_text(const json_t *value, const char **ret, struct err *err)
{
	if (!json_is_string(value))
		return err_set(err, -EINVAL, "wants a string, not %s", template_type(value));
	*ret = json_string_value(value);
	return 0;
}

static int want_integer(const json_t *value, long long *ret, struct err *err)
{
	if (!json_is_integer(value))
		return err_set(err, -EINVAL, "wants an integer, not %s", template_type(value));
	*ret = json_integer_value(value);
	return 0;
}

bool template_truth(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return json_object_size(value) > 0;
	case JSON_ARRAY:
		return json_array_size(value) > 0;
	case JSON_STRING:
		return json_string_length(value) > 0;
	case JSON_INTEGER:
	case JSON_REAL:
		return json_number_value(value) != 0;
	case JSON_TRUE:
		return true;
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
	return false;
}

/* ---- comparisons ---- */

/* −1, 0, 1; an error for what has no order. NULL and booleans are only equal or not. */
static int compare(const json_t *a, const json_t *b, bool order, int *ret, struct err *err)
{
	if (json_is_integer(a) && json_is_integer(b)) {
		long long x = json_integer_value(a), y = json_integer_value(b);

		*ret = (x > y) - (x < y);
	} else if (json_is_number(a) && json_is_number(b)) {
		double x = json_number_value(a), y = json_number_value(b);

		*ret = (x > y) - (x < y);
	} else if (json_is_string(a) && json_is_string(b)) {
		int r = strcmp(json_string_value(a), json_string_value(b));

		*ret = (r > 0) - (r < 0);
	} else if (!order && (json_is_null(a) || json_is_null(b) ||
				     (json_is_boolean(a) && json_is_boolean(b)))) {
		*ret = json_typeof(a) != json_typeof(b);
	} else {
		return err_set(err, -EINVAL, "cannot compare %s with %s", template_type(a),
			template_type(b));
	}
	return 0;
}

static int call_eq(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	int order, r;

	for (size_t i = 1; i < count; i++) {
		r = compare(args[0], args[i], false, &order, err);
		if (r < 0)
			return r;
		if (order == 0)
			return give(json_true(), ret, err);
	}
	return give(json_false(), ret, err);
}

static int call_ne(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	int order, r = compare(args[0], args[1], false, &order, err);

	(void)count;
	return r < 0 ? r : give(json_boolean(order != 0), ret, err);
}

#define ORDER_FUNCTION(name, condition)                                                          \
	static int call_##name(json_t *const *args, size_t count, json_t **ret, struct err *err) \
	{                                                                                        \
		int order, r = compare(args[0], args[1], true, &order, err);                     \
                                                                                                 \
		(void)count;                                                                     \
		return r < 0 ? r : give(json_boolean(condition), ret, err);                      \
	}

ORDER_FUNCTION(lt, order < 0)
ORDER_FUNCTION(le, order <= 0)
ORDER_FUNCTION(gt, order > 0)
ORDER_FUNCTION(ge, order >= 0)

static int call_not(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	(void)count;
	return give(json_boolean(!template_truth(args[0])), ret, err);
}

/* ---- collections ---- */

static int call_len(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	const json_t *value = args[0];
	size_t len;

	(void)count;
	if (json_is_object(value))
		len = json_object_size(value);
	else if (json_is_array(value))
		len = json_array_size(value);
	else if (json_is_string(value))
		len = json_string_length(value);
	else
		return err_set(err, -EINVAL, "%s has no length", template_type(value));
	return give(json_integer((json_int_t)len), ret, err);
}

static int index_one(json_t *value, const json_t *key, json_t **ret, struct err *err)
{
	if (json_is_object(value) && json_is_string(key)) {
		json_t *member = json_object_get(value, json_string_value(key));

		/* Go's index of a map gives the empty value, which for labels is "". */
		*ret = member ? member : NULL;
		return 0;
	}
	if (json_is_array(value) && json_is_integer(key)) {
		json_int_t i = json_integer_value(key);

		if (i < 0 || (size_t)i >= json_array_size(value))
			return err_set(err, -EINVAL, "index out of range: %lld", (long long)i);
		*ret = json_array_get(value, (size_t)i);
		return 0;
	}
	return err_set(err, -EINVAL, "%s has no index that is %s", template_type(value),
		template_type(key));
}

static int call_index(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	json_t *value = args[0];
	int r;

	for (size_t i = 1; i < count; i++) {
		r = index_one(value, args[i], &value, err);
		if (r < 0)
			return r;
		if (!value)
			return i + 1 == count ? give(json_string(""), ret, err)
					      : err_set(err, -EINVAL, "index of nil");
	}
	return give(json_incref(value), ret, err);
}

static int call_slice(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	size_t len =
		json_is_string(args[0]) ? json_string_length(args[0]) : json_array_size(args[0]);
	long long from = 0, to = (long long)len;
	int r = 0;

	if (!json_is_string(args[0]) && !json_is_array(args[0]))
		return err_set(err, -EINVAL, "%s cannot be cut", template_type(args[0]));
	if (count > 1)
		r = want_integer(args[1], &from, err);
	if (r == 0 && count > 2)
		r = want_integer(args[2], &to, err);
	if (r < 0)
		return r;
	if (from < 0 || to > (long long)len || from > to)
		return err_set(
			err, -EINVAL, "index out of range: %lld to %lld of %zu", from, to, len);
	if (json_is_string(args[0])) {
		json_t *text = json_stringn(json_string_value(args[0]) + from, (size_t)(to - from));

		return text ? give(text, ret, err)
			    : err_set(err, -EINVAL, "cuts a character in two");
	}
	autojson json_t *list = json_array();
	for (; list && from < to; from++)
		if (json_array_append(list, json_array_get(args[0], (size_t)from)) < 0)
			return err_set(err, -ENOMEM, "out of memory");
	return give(take_ptr(list), ret, err);
}

static int call_join(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};
	const char *separator = NULL;
	json_t *value;
	size_t i;
	int r = want_text(args[1], &separator, err);

	(void)count;
	if (r < 0)
		return r;
	if (!json_is_array(args[0]))
		return err_set(err, -EINVAL, "wants a list, not %s", template_type(args[0]));
	json_array_foreach (args[0], i, value) {
		buf_puts(&text, i ? separator : "");
		template_print_value(value, &text);
	}
	return give_text(&text, ret, err);
}

static int call_split(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	autojson json_t *list = json_array();
	const char *text = NULL, *separator = NULL, *next;
	int r = want_text(args[0], &text, err);

	(void)count;
	if (r == 0)
		r = want_text(args[1], &separator, err);
	if (r < 0)
		return r;
	if (!*separator)
		return err_set(err, -EINVAL, "wants something to split at");
	for (; list; text = next + strlen(separator)) {
		next = strstr(text, separator);
		if (json_array_append_new(
			    list, json_stringn(text, next ? (size_t)(next - text) : strlen(text))))
			return err_set(err, -EINVAL, "the parts are not UTF-8");
		if (!next)
			break;
	}
	return give(take_ptr(list), ret, err);
}

/* ---- text ---- */

static int call_json(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};

	(void)count;
	if (json_write(args[0], JSON_COMPACT | JSON_ENCODE_ANY, &text) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return give_text(&text, ret, err);
}

/* ASCII only: what images and containers are named with. */
static int change_case(
	const json_t *value, int (*first)(int), int (*rest)(int), json_t **ret, struct err *err)
{
	autobuf struct buf changed = {};
	const char *text = NULL;
	bool inside = false;
	int r = want_text(value, &text, err);

	if (r < 0)
		return r;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		char out = c & 0x80 ? *text : (char)(inside ? rest : first)(c);

		buf_add(&changed, &out, 1);
		inside = isalnum(c) || c & 0x80 || c == '_' || c == '\'';
	}
	return give_text(&changed, ret, err);
}

static int same(int c)
{
	return c;
}

static int call_lower(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	(void)count;
	return change_case(args[0], tolower, tolower, ret, err);
}

static int call_upper(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	(void)count;
	return change_case(args[0], toupper, toupper, ret, err);
}

static int call_title(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	(void)count;
	return change_case(args[0], toupper, same, ret, err);
}

static int call_pad(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};
	const char *value = NULL;
	long long before = 0, after = 0;
	int r = want_text(args[0], &value, err);

	(void)count;
	if (r == 0)
		r = want_integer(args[1], &before, err);
	if (r == 0)
		r = want_integer(args[2], &after, err);
	if (r < 0)
		return r;
	if (before < 0 || after < 0 || before > TEMPLATE_WIDTH_MAX || after > TEMPLATE_WIDTH_MAX)
		return err_set(err, -EINVAL, "wants from 0 to %d spaces", TEMPLATE_WIDTH_MAX);
	if (*value)
		buf_printf(&text, "%*s%s%*s", (int)before, "", value, (int)after, "");
	return give_text(&text, ret, err);
}

static int call_truncate(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};
	const char *value = NULL;
	long long max = 0;
	int r = want_text(args[0], &value, err);

	(void)count;
	if (r == 0)
		r = want_integer(args[1], &max, err);
	if (r < 0)
		return r;
	for (long long n = -1; *value; value++) {
		if (((unsigned char)*value & 0xc0) != 0x80 && ++n >= max)
			break;
		buf_add(&text, value, 1);
	}
	return give_text(&text, ret, err);
}

/* A space between two operands when neither is a string; with LINES between all. */
static int print_all(json_t *const *args, size_t count, bool lines, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};

	for (size_t i = 0; i < count; i++) {
		if (i && (lines || (!json_is_string(args[i - 1]) && !json_is_string(args[i]))))
			buf_puts(&text, " ");
		template_print_value(args[i], &text);
	}
	buf_puts(&text, lines ? "\n" : "");
	return give_text(&text, ret, err);
}

static int call_print(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	return print_all(args, count, false, ret, err);
}

static int call_println(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	return print_all(args, count, true, ret, err);
}

static int call_printf(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	autobuf struct buf text = {};
	int r = template_printf(args, count, &text, err);

	return r < 0 ? r : give_text(&text, ret, err);
}

static int call_html(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	static const char from[] = "<>&'\"";
	static const char *const to[] = {"&lt;", "&gt;", "&amp;", "&#39;", "&#34;"};
	autobuf struct buf plain = {}, text = {};

	(void)count;
	template_print_value(args[0], &plain);
	for (const char *at = buf_str(&plain); *at; at++) {
		const char *found = strchr(from, *at);

		if (found)
			buf_puts(&text, to[found - from]);
		else
			buf_add(&text, at, 1);
	}
	return give_text(&text, ret, err);
}

static int call_urlquery(json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	autobuf struct buf plain = {}, text = {};

	(void)count;
	template_print_value(args[0], &plain);
	for (const char *at = buf_str(&plain); *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (isalnum(c) || strchr("-_.~", c))
			buf_add(&text, at, 1);
		else
			buf_printf(&text, c == ' ' ? "+" : "%%%02X", c);
	}
	return give_text(&text, ret, err);
}

enum { ANY = 0xffff };

static const struct {
	const char *name;
	function *call; /* NULL: the caller does it */
	size_t min, max;
} functions[] = {
	{"and", NULL, 1, ANY},
	{"eq", call_eq, 2, ANY},
	{"ge", call_ge, 2, 2},
	{"gt", call_gt, 2, 2},
	{"html", call_html, 1, 1},
	{"index", call_index, 1, ANY},
	{"join", call_join, 2, 2},
	{"json", call_json, 1, 1},
	{"le", call_le, 2, 2},
	{"len", call_len, 1, 1},
	{"lower", call_lower, 1, 1},
	{"lt", call_lt, 2, 2},
	{"ne", call_ne, 2, 2},
	{"not", call_not, 1, 1},
	{"or", NULL, 1, ANY},
	{"pad", call_pad, 3, 3},
	{"print", call_print, 0, ANY},
	{"printf", call_printf, 1, ANY},
	{"println", call_println, 0, ANY},
	{"slice", call_slice, 1, 3},
	{"split", call_split, 2, 2},
	{"title", call_title, 1, 1},
	{"truncate", call_truncate, 2, 2},
	{"upper", call_upper, 1, 1},
	{"urlquery", call_urlquery, 1, 1},
};

bool template_function_exists(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(functions); i++)
		if (strcmp(functions[i].name, name) == 0)
			return true;
	return false;
}

int template_call(
	const char *name, json_t *const *args, size_t count, json_t **ret, struct err *err)
{
	size_t i = 0;
	int r;

	while (strcmp(functions[i].name, name) != 0)
		i++;
	if (count < functions[i].min || count > functions[i].max)
		return err_set(err, -EINVAL, "%s: wrong number of arguments: %zu", name, count);
	r = functions[i].call(args, count, ret, err);
	return r < 0 ? err_add(err, "%s", name) : 0;
}

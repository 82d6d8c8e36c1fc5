/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: values as text, as Go's fmt prints them. */
#include "base/json.h"
#include "cli/output/template_private.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **template_sorted_keys(const json_t *object, struct arena *arena)
{
	size_t count = json_object_size(object), i = 0;
	const char **keys = arena_array(arena, count + 1, const char *);
	const char *key;
	json_t *member;

	if (!keys)
		return NULL;
	json_object_foreach ((json_t *)object, key, member)
		keys[i++] = key;
	qsort(keys, count, sizeof(keys[0]), compare_keys);
	return keys;
}

const char *template_type(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		break;
	}
	return "nil";
}

/* Shortest digits that give the number back; an exponent from 1e21 on, as Go does. */
static void print_real(double value, struct buf *ret)
{
	char text[40];

	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	if (strchr(text, 'e') && fabs(value) < 1e21 && fabs(value) >= 1e-4)
		snprintf(text, sizeof(text), "%.0f", value);
	buf_puts(ret, text);
}

static void print_object(const json_t *value, struct buf *ret)
{
	autoarena struct arena arena = {};
	const char **keys = template_sorted_keys(value, &arena);

	if (!keys) {
		ret->failed = true;
		return;
	}
	buf_puts(ret, "map[");
	for (size_t i = 0; keys[i]; i++) {
		buf_printf(ret, "%s%s:", i ? " " : "", keys[i]);
		template_print_value(json_object_get(value, keys[i]), ret);
	}
	buf_puts(ret, "]");
}

void template_print_value(const json_t *value, struct buf *ret)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		print_object(value, ret);
		return;
	case JSON_ARRAY:
		buf_puts(ret, "[");
		for (size_t i = 0; i < json_array_size(value); i++) {
			buf_puts(ret, i ? " " : "");
			template_print_value(json_array_get(value, i), ret);
		}
		buf_puts(ret, "]");
		return;
	case JSON_STRING:
		/* What json_u64() made of a number beyond int64_t. */
		if (json_string_value(value)[0] == '\x01' &&
			json_write(value, JSON_ENCODE_ANY, ret) == 0)
			return;
		buf_add(ret, json_string_value(value), json_string_length(value));
		return;
	case JSON_INTEGER:
		buf_printf(ret, "%lld", (long long)json_integer_value(value));
		return;
	case JSON_REAL:
		print_real(json_real_value(value), ret);
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		buf_puts(ret, json_is_true(value) ? "true" : "false");
		return;
	case JSON_NULL:
		buf_puts(ret, "<nil>");
	}
}

/* ---- printf ---- */

struct directive {
	bool minus, zero, plus, space, sharp;
	int width, precision; /* −1: none */
	char verb;
};

static int take_count(const char **at, int *ret)
{
	int n = 0;

	while (isdigit((unsigned char)**at) && n <= TEMPLATE_WIDTH_MAX)
		n = n * 10 + *(*at)++ - '0';
	*ret = n;
	return n > TEMPLATE_WIDTH_MAX ? -ERANGE : 0;
}

/* What follows a '%'. */
static int take_directive(const char **at, struct directive *ret)
{
	*ret = (struct directive){.width = -1, .precision = -1};
	for (; **at && strchr("-0+ #", **at); ++*at) {
		ret->minus |= **at == '-';
		ret->zero |= **at == '0';
		ret->plus |= **at == '+';
		ret->space |= **at == ' ';
		ret->sharp |= **at == '#';
	}
	if (isdigit((unsigned char)**at) && take_count(at, &ret->width) < 0)
		return -ERANGE;
	if (**at == '.') {
		++*at;
		if (take_count(at, &ret->precision) < 0)
			return -ERANGE;
	}
	ret->verb = **at;
	*at += **at != '\0';
	return 0;
}

static size_t characters(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

/* TEXT in the width of the directive. */
static void add_padded(const struct directive *d, const char *text, struct buf *ret)
{
	size_t len = strlen(text), width = characters(text, len);
	size_t pad = d->width > (int)width ? (size_t)d->width - width : 0;
	bool zero = d->zero && !d->minus && !strchr("sqvc", d->verb);

	if (zero && (*text == '-' || *text == '+')) {
		buf_add(ret, text++, 1);
		len--;
	}
	if (!d->minus)
		for (size_t i = 0; i < pad; i++)
			buf_puts(ret, zero ? "0" : " ");
	buf_add(ret, text, len);
	if (d->minus)
		for (size_t i = 0; i < pad; i++)
			buf_puts(ret, " ");
}

static void format_integer(const struct directive *d, long long value, struct buf *ret)
{
	unsigned long long n = value < 0 ? -(unsigned long long)value : (unsigned long long)value;
	const char *sign = value < 0 ? "-" : d->plus ? "+" : d->space ? " " : "";

	switch (d->verb) {
	case 'x':
		buf_printf(ret, d->sharp ? "%s0x%llx" : "%s%llx", sign, n);
		return;
	case 'X':
		buf_printf(ret, d->sharp ? "%s0X%llX" : "%s%llX", sign, n);
		return;
	case 'o':
		buf_printf(ret, d->sharp ? "%s0%llo" : "%s%llo", sign, n);
		return;
	case 'b':
		buf_puts(ret, sign);
		for (int bit = n ? 63 - __builtin_clzll(n) : 0; bit >= 0; bit--)
			buf_puts(ret, n >> bit & 1 ? "1" : "0");
		return;
	case 'c':
		if (n > 0 && n < 0x80)
			buf_printf(ret, "%c", (int)n);
		return;
	default:
		buf_printf(ret, "%s%llu", sign, n);
	}
}

static void format_real(const struct directive *d, double value, struct buf *ret)
{
	const char format[] = {'%', d->plus ? '+' : '.', d->plus ? '.' : '*',
		d->plus ? '*' : d->verb, d->plus ? d->verb : '\0', '\0'};
	int precision = d->precision >= 0 ? d->precision : 6;
	char text[TEMPLATE_WIDTH_MAX + 400];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), format, precision, value);
#pragma GCC diagnostic pop
	buf_puts(ret, text);
}

static void format_text(const struct directive *d, const json_t *value, struct buf *ret)
{
	autobuf struct buf text = {};

	template_print_value(value, &text);
	if (d->verb == 'q') {
		autojson json_t *string = json_string(buf_str(&text));

		if (!string || json_write(string, JSON_ENCODE_ANY, ret) < 0)
			ret->failed = true;
		return;
	}
	if (d->verb == 'x' || d->verb == 'X') {
		for (size_t i = 0; i < text.len; i++)
			buf_printf(
				ret, d->verb == 'x' ? "%02x" : "%02X", (unsigned char)text.data[i]);
		return;
	}
	if (d->precision >= 0) {
		size_t len = 0;

		for (int n = 0; len < text.len; len++) {
			bool first = ((unsigned char)text.data[len] & 0xc0) != 0x80;

			if (first && n++ == d->precision)
				break;
		}
		text.len = len;
	}
	buf_add(ret, buf_str(&text), text.len);
}

static int format_one(
	const struct directive *d, const json_t *value, struct buf *ret, struct err *err)
{
	autobuf struct buf text = {};

	if (strchr("dxXobc", d->verb) && json_is_integer(value))
		format_integer(d, json_integer_value(value), &text);
	else if (strchr("eEfFgG", d->verb) && json_is_number(value))
		format_real(d, json_number_value(value), &text);
	else if (d->verb == 't' && json_is_boolean(value))
		buf_puts(&text, json_is_true(value) ? "true" : "false");
	else if (d->verb == 's' || d->verb == 'v' ||
		 (strchr("qxX", d->verb) && json_is_string(value)))
		format_text(d, value, &text);
	else
		return err_set(err, -EINVAL, "printf: %%%c does not fit %s", d->verb,
			template_type(value));
	if (text.failed)
		return err_set(err, -ENOMEM, "out of memory");
	add_padded(d, buf_str(&text), ret);
	return 0;
}

int template_printf(json_t *const *args, size_t count, struct buf *ret, struct err *err)
{
	const char *at = count ? json_string_value(args[0]) : NULL;
	struct directive d;
	size_t next = 1;
	int r;

	if (!at)
		return err_set(err, -EINVAL, "printf: the first argument must be a string");
	while (*at) {
		size_t len = strcspn(at, "%");

		buf_add(ret, at, len);
		at += len;
		if (!*at)
			break;
		at++;
		if (take_directive(&at, &d) < 0)
			return err_set(err, -EINVAL, "printf: more than %d characters wide",
				TEMPLATE_WIDTH_MAX);
		if (d.verb == '%') {
			buf_puts(ret, "%");
			continue;
		}
		if (!d.verb || !strchr("svqdxXobcteEfFgG", d.verb))
			return err_set(err, -EINVAL, "printf: bad directive in \"%s\"",
				json_string_value(args[0]));
		if (next == count)
			return err_set(err, -EINVAL, "printf: not enough arguments");
		r = format_one(&d, args[next++], ret, err);
		if (r < 0)
			return r;
	}
	if (next < count)
		return err_set(err, -EINVAL, "printf: too many arguments");
	return 0;
}

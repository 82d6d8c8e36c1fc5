/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/property.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"

#include <ctype.h>
#include <string.h>

int property_add(struct pairs *properties, const char *name, const char *value, struct arena *arena)
{
	struct pair *items;

	if (!value)
		return -ENOMEM;
	for (size_t i = 0; i < properties->count; i++)
		if (strcmp(properties->items[i].key, name) == 0) {
			properties->items[i].value = value;
			return 0;
		}
	items = arena_array(arena, properties->count + 1, struct pair);
	if (!items)
		return -ENOMEM;
	if (properties->count)
		memcpy(items, properties->items, properties->count * sizeof(*items));
	items[properties->count++] = (struct pair){name, value};
	properties->items = items;
	return 0;
}

static void escape(struct buf *buf, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= ' ' || c >= 0x7f || c == '\\')
			buf_printf(buf, "\\x%02x", c);
		else
			buf_add(buf, &text[i], 1);
	}
}

char *property_escape(struct arena *arena, const char *text, size_t len)
{
	autobuf struct buf buf = {};

	escape(&buf, text, len);
	return buf.failed ? NULL : arena_strdup(arena, buf_str(&buf));
}

enum { CPU_MAX = 8192 };

int property_cpu_mask(struct arena *arena, const char *list, char **ret)
{
	unsigned char mask[CPU_MAX / 8] = {};
	autobuf struct buf buf = {};
	size_t used = 0;

	while (*list) {
		unsigned long first, last;
		char *end;

		if (!isdigit((unsigned char)*list))
			return -EINVAL;
		first = last = strtoul(list, &end, 10);
		if (*end == '-') {
			if (!isdigit((unsigned char)end[1]))
				return -EINVAL;
			last = strtoul(end + 1, &end, 10);
		}
		if (last < first || last >= CPU_MAX || (*end && *end != ','))
			return -EINVAL;
		for (unsigned long i = first; i <= last; i++)
			mask[i / 8] |= (unsigned char)(1U << (i % 8));
		if (used < last / 8 + 1)
			used = last / 8 + 1;
		list = *end ? end + 1 : end;
	}
	for (size_t i = 0; i < used; i++)
		buf_printf(&buf, "%02x", mask[i]);
	*ret = buf.failed ? NULL : arena_strdup(arena, buf_str(&buf));
	return *ret ? 0 : -ENOMEM;
}

static const struct {
	const char *name, *type;
	int64_t min;
	uint64_t max;
} integers[] = {
	{"byte ", "y", 0, UINT8_MAX},
	{"int32 ", "i", INT32_MIN, INT32_MAX},
	{"uint32 ", "u", 0, UINT32_MAX},
	{"int64 ", "x", INT64_MIN, INT64_MAX},
	{"uint64 ", "t", 0, UINT64_MAX},
	{"", "i", INT32_MIN, INT32_MAX},
};

static int parse_integer(struct arena *arena, const char *text, const char **ret)
{
	for (size_t i = 0; i < ARRAY_LEN(integers); i++) {
		const char *number;
		uint64_t plain;
		int64_t negative;

		if (!parse_has_prefix(text, integers[i].name, &number))
			continue;
		number += strspn(number, " ");
		if (*number == '-' ? parse_i64(number, &negative) < 0 || negative < integers[i].min
				   : parse_u64(number, &plain) < 0 || plain > integers[i].max)
			return -EINVAL;
		*ret = arena_printf(arena, "%s %s", integers[i].type, number);
		return *ret ? 0 : -ENOMEM;
	}
	return -EINVAL;
}

/* One quoted string at *TEXT, which moves behind it; its bytes go to BUF escaped. */
static int quoted(const char **text, struct buf *buf)
{
	char quote = **text;
	const char *p = *text + 1;

	if (quote != '\'' && quote != '"')
		return -EINVAL;
	for (; *p && *p != quote; p++) {
		static const char from[] = "abfnrtv\"'\\", to[] = "\a\b\f\n\r\t\v\"'\\";
		const char *at;

		if (*p != '\\') {
			escape(buf, p, 1);
			continue;
		}
		at = *++p ? strchr(from, *p) : NULL;
		if (!at)
			return -EINVAL;
		escape(buf, &to[at - from], 1);
	}
	if (!*p)
		return -EINVAL;
	*text = p + 1;
	return 0;
}

static int parse_strings(const char *text, struct buf *buf)
{
	int r;

	if (*text != '[') {
		buf_puts(buf, "s ");
		r = quoted(&text, buf);
		return r < 0 ? r : *text ? -EINVAL : 0;
	}
	buf_puts(buf, "as");
	text += 1 + strspn(text + 1, " ");
	while (*text != ']') {
		size_t before;

		buf_puts(buf, " ");
		before = buf->len;
		r = quoted(&text, buf);
		if (r < 0)
			return r;
		if (buf->len == before)
			buf_puts(buf, "\\e");
		text += strspn(text, " ");
		if (*text == ',')
			text += 1 + strspn(text + 1, " ");
		else if (*text != ']')
			return -EINVAL;
	}
	return text[1] ? -EINVAL : 0;
}

/* Decimal digits of microseconds, without a detour over floating point. */
static int parse_seconds(struct arena *arena, const char *text, const char **ret)
{
	uint64_t whole = 0, part = 0, scale = 100000;
	const char *number = text;

	for (size_t i = 0; i < ARRAY_LEN(integers) - 1; i++)
		if (parse_has_prefix(text, integers[i].name, &number))
			break;
	(void)parse_has_prefix(number, "double ", &number);
	if (!isdigit((unsigned char)*number))
		return -EINVAL;
	for (; isdigit((unsigned char)*number); number++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
			__builtin_add_overflow(whole, (uint64_t)(*number - '0'), &whole))
			return -EINVAL;
	if (*number == '.')
		for (number++; isdigit((unsigned char)*number); number++, scale /= 10)
			part += (uint64_t)(*number - '0') * scale;
	if (*number || __builtin_mul_overflow(whole, 1000000, &whole) ||
		__builtin_add_overflow(whole, part, &whole))
		return -EINVAL;
	*ret = arena_printf(arena, "t %llu", (unsigned long long)whole);
	return *ret ? 0 : -ENOMEM;
}

int property_parse(struct arena *arena, const char *text, bool seconds, const char **ret)
{
	autobuf struct buf buf = {};
	int r;

	if (seconds)
		return parse_seconds(arena, text, ret);
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
		*ret = arena_printf(arena, "b %s", text);
		return *ret ? 0 : -ENOMEM;
	}
	if (*text != '\'' && *text != '"' && *text != '[')
		return parse_integer(arena, text, ret);
	r = parse_strings(text, &buf);
	if (r < 0)
		return r;
	*ret = buf.failed ? NULL : arena_strdup(arena, buf_str(&buf));
	return *ret ? 0 : -ENOMEM;
}

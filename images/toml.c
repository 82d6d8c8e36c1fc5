/* SPDX-License-Identifier: Apache-2.0 */
#include "images/toml.h"

#include "base/buf.h"
#include "base/json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 32 };

struct toml {
	const char *name, *p, *end;
	int line, depth;
	struct err *err;
};

static int bad(struct toml *t, const char *what)
{
	return err_set(t->err, -EINVAL, "%s:%d: %s", t->name, t->line, what);
}

static char peek(const struct toml *t)
{
	return t->p < t->end ? *t->p : '\0';
}

static bool starts(const struct toml *t, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(t->end - t->p) >= n && memcmp(t->p, text, n) == 0;
}

static void skip_blanks(struct toml *t)
{
	while (peek(t) == ' ' || peek(t) == '\t')
		t->p++;
}

/* Blanks, comments and line ends. */
static void skip_lines(struct toml *t)
{
	for (;;) {
		skip_blanks(t);
		if (peek(t) == '#')
			while (t->p < t->end && *t->p != '\n')
				t->p++;
		if (peek(t) == '\n')
			t->line++;
		else if (!starts(t, "\r\n"))
			return;
		t->p++;
	}
}

static int end_line(struct toml *t)
{
	skip_blanks(t);
	if (t->p < t->end && *t->p != '#' && *t->p != '\n' && !starts(t, "\r\n"))
		return bad(t, "something follows where the line should end");
	skip_lines(t);
	return 0;
}

/* ---- strings ---- */

static int put_utf8(struct buf *out, uint32_t c)
{
	char b[4];

	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || c == 0)
		return -EINVAL;
	if (c < 0x80) {
		b[0] = (char)c;
		buf_add(out, b, 1);
	} else if (c < 0x800) {
		b[0] = (char)(0xc0 | c >> 6), b[1] = (char)(0x80 | (c & 63));
		buf_add(out, b, 2);
	} else if (c < 0x10000) {
		b[0] = (char)(0xe0 | c >> 12), b[1] = (char)(0x80 | (c >> 6 & 63));
		b[2] = (char)(0x80 | (c & 63));
		buf_add(out, b, 3);
	} else {
		b[0] = (char)(0xf0 | c >> 18), b[1] = (char)(0x80 | (c >> 12 & 63));
		b[2] = (char)(0x80 | (c >> 6 & 63)), b[3] = (char)(0x80 | (c & 63));
		buf_add(out, b, 4);
	}
	return 0;
}

static int read_escape(struct toml *t, struct buf *out)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	char c = peek(t);
	const char *found = c ? strchr(from, c) : NULL;
	int digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
	uint32_t code = 0;

	if (found) {
		buf_add(out, &to[found - from], 1);
		t->p++;
		return 0;
	}
	if (!digits || t->end - t->p <= digits)
		return bad(t, "an escape that TOML does not have");
	for (t->p++; digits; digits--, t->p++) {
		if (!isxdigit((unsigned char)*t->p))
			return bad(t, "an escape that TOML does not have");
		code = code << 4 |
		       (uint32_t)(isdigit((unsigned char)*t->p) ? *t->p - '0'
								: (*t->p | 32) - 'a' + 10);
	}
	return put_utf8(out, code) < 0 ? bad(t, "an escape of no character") : 0;
}

/* "\" at a line's end: the white space that follows is not there. */
static bool skip_line_end(struct toml *t)
{
	const char *p = t->p;

	while (p < t->end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	if (p == t->end || *p != '\n')
		return false;
	for (; p < t->end && isspace((unsigned char)*p); p++)
		t->line += *p == '\n';
	t->p = p;
	return true;
}

static int read_string(struct toml *t, struct buf *out)
{
	char quote = *t->p;
	const char triple[] = {quote, quote, quote, '\0'};
	bool multi = starts(t, triple);

	t->p += multi ? 3 : 1;
	if (multi && starts(t, "\r\n"))
		t->p++;
	if (multi && peek(t) == '\n')
		t->p++, t->line++;
	while (t->p < t->end) {
		char c = *t->p;

		if (multi ? starts(t, triple) : c == quote) {
			t->p += multi ? 3 : 1;
			buf_add(out, "", 0);
			return out->failed ? err_sys(t->err, -ENOMEM, "%s", t->name) : 0;
		}
		if (c == '\n' && !multi)
			break;
		if (c == '\0')
			return bad(t, "a NUL in a string");
		t->line += c == '\n';
		t->p++;
		if (c == '\\' && quote == '"') {
			if (multi && skip_line_end(t))
				continue;
			if (read_escape(t, out) < 0)
				return -EINVAL;
		} else {
			buf_add(out, &c, 1);
		}
	}
	return bad(t, "a string has no end");
}

/* ---- keys ---- */

static bool is_bare(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static int read_key(struct toml *t, struct buf *out)
{
	skip_blanks(t);
	if (peek(t) == '"' || peek(t) == '\'')
		return read_string(t, out);
	if (!is_bare(peek(t)))
		return bad(t, "a key is missing");
	while (is_bare(peek(t)))
		buf_add(out, t->p++, 1);
	return out->failed ? err_sys(t->err, -ENOMEM, "%s", t->name) : 0;
}

/* The table KEY of TABLE, made when missing; of an array of tables, the last one. */
static int enter(struct toml *t, json_t **table, const char *key)
{
	json_t *next = json_object_get(*table, key);

	if (!next) {
		next = json_object();
		if (json_object_set_new(*table, key, next))
			return err_sys(t->err, -ENOMEM, "%s", t->name);
	}
	if (json_is_array(next))
		next = json_array_get(next, json_array_size(next) - 1);
	if (!json_is_object(next))
		return bad(t, "a key is a value and a table at once");
	*table = next;
	return 0;
}

/* a.b.c: into the tables a and b; c is left in OUT. */
static int read_path(struct toml *t, json_t **table, struct buf *out)
{
	for (;;) {
		int r = read_key(t, out);

		if (r < 0)
			return r;
		skip_blanks(t);
		if (peek(t) != '.')
			return 0;
		t->p++;
		r = enter(t, table, buf_str(out));
		if (r < 0)
			return r;
		out->len = 0;
	}
}

/* ---- values ---- */

static int read_value(struct toml *t, json_t **ret);

static int read_pair(struct toml *t, json_t *table)
{
	autobuf struct buf key = {};
	autojson json_t *value = NULL;
	int r = read_path(t, &table, &key);

	if (r < 0)
		return r;
	if (peek(t) != '=')
		return bad(t, "\"=\" is missing");
	t->p++;
	skip_blanks(t);
	r = read_value(t, &value);
	if (r < 0)
		return r;
	if (json_object_get(table, buf_str(&key)))
		return bad(t, "a key stands twice");
	return json_object_set(table, buf_str(&key), value)
		       ? err_set(t->err, -EINVAL, "%s:%d: a string is not UTF-8", t->name, t->line)
		       : 0;
}

static int read_array(struct toml *t, json_t **ret)
{
	autojson json_t *array = json_array();

	t->p++;
	for (;;) {
		autojson json_t *value = NULL;
		int r;

		skip_lines(t);
		if (peek(t) == ']')
			break;
		r = read_value(t, &value);
		if (r < 0)
			return r;
		if (json_array_append(array, value))
			return err_sys(t->err, -ENOMEM, "%s", t->name);
		skip_lines(t);
		if (peek(t) == ',')
			t->p++;
		else if (peek(t) != ']')
			return bad(t, "an array has no end");
	}
	t->p++;
	*ret = take_ptr(array);
	return 0;
}

static int read_inline_table(struct toml *t, json_t **ret)
{
	autojson json_t *table = json_object();

	t->p++;
	skip_blanks(t);
	while (peek(t) != '}') {
		int r = read_pair(t, table);

		if (r < 0)
			return r;
		skip_blanks(t);
		if (peek(t) == ',')
			t->p++;
		else if (peek(t) != '}')
			return bad(t, "an inline table has no end");
	}
	t->p++;
	*ret = take_ptr(table);
	return 0;
}

static int read_number(struct toml *t, json_t **ret)
{
	char digits[24];
	size_t n = 0;
	char *end;
	long long value;

	while (t->p < t->end && (isalnum((unsigned char)*t->p) || strchr("+-_.:", *t->p))) {
		if (n == sizeof(digits) - 1)
			return bad(t, "a number is too long");
		if (*t->p != '_')
			digits[n++] = *t->p;
		t->p++;
	}
	digits[n] = '\0';
	errno = 0;
	value = strtoll(digits, &end, 10);
	if (!n || *end || errno)
		return bad(t, "a value that is no string, integer, boolean, array or table");
	*ret = json_integer(value);
	return 0;
}

static int read_value(struct toml *t, json_t **ret)
{
	autobuf struct buf text = {};
	int r = 0;

	if (t->depth == DEPTH_MAX)
		return bad(t, "nested too deep");
	t->depth++;
	if (peek(t) == '"' || peek(t) == '\'') {
		r = read_string(t, &text);
		*ret = r < 0 ? NULL : json_string(buf_str(&text));
		if (r == 0 && !*ret)
			r = bad(t, "a string is not UTF-8");
	} else if (peek(t) == '[') {
		r = read_array(t, ret);
	} else if (peek(t) == '{') {
		r = read_inline_table(t, ret);
	} else if (starts(t, "true") && !is_bare(t->p[4 < t->end - t->p ? 4 : 3])) {
		t->p += 4;
		*ret = json_true();
	} else if (starts(t, "false") && !is_bare(t->p[5 < t->end - t->p ? 5 : 4])) {
		t->p += 5;
		*ret = json_false();
	} else {
		r = read_number(t, ret);
	}
	t->depth--;
	return r;
}

/* [a.b] or [[a.b]]: the table that the following pairs belong to. */
static int read_header(struct toml *t, json_t *root, json_t **ret)
{
	autobuf struct buf key = {};
	bool array = starts(t, "[[");
	json_t *table = root, *list;
	int r;

	t->p += array ? 2 : 1;
	r = read_path(t, &table, &key);
	if (r < 0)
		return r;
	if (!starts(t, array ? "]]" : "]"))
		return bad(t, "a table's name has no end");
	t->p += array ? 2 : 1;
	if (!array) {
		r = enter(t, &table, buf_str(&key));
		*ret = table;
		return r;
	}
	list = json_object_get(table, buf_str(&key));
	if (!list) {
		list = json_array();
		if (json_object_set_new(table, buf_str(&key), list))
			return err_sys(t->err, -ENOMEM, "%s", t->name);
	}
	if (!json_is_array(list))
		return bad(t, "a key is a value and a table at once");
	*ret = json_object();
	return json_array_append_new(list, *ret) ? err_sys(t->err, -ENOMEM, "%s", t->name) : 0;
}

int toml_parse(const char *name, const char *text, size_t len, json_t **ret, struct err *err)
{
	struct toml t = {.name = name, .p = text, .end = text + len, .line = 1, .err = err};
	autojson json_t *root = json_object();
	json_t *table = root;

	if (!root)
		return err_sys(err, -ENOMEM, "%s", name);
	skip_lines(&t);
	while (t.p < t.end) {
		int r = *t.p == '[' ? read_header(&t, root, &table) : read_pair(&t, table);

		if (r == 0)
			r = end_line(&t);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(root);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <string.h>

enum { WIDTH = 80, INDENT = 2, COLUMN_MAX = 30, GAP = 2 };

static void add_spaces(struct buf *buf, size_t count)
{
	buf_printf(buf, "%*s", (int)count, "");
}

/* Columns, for UTF-8 without wide characters. */
static size_t text_width(const char *text, size_t len)
{
	size_t width = 0;

	for (size_t i = 0; i < len; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}

void options_wrap(struct buf *ret, const char *text, size_t indent, size_t column)
{
	bool first = true;

	while (*text) {
		size_t len = strcspn(text, " \n"), width = text_width(text, len);

		if (!first && column + 1 + width > WIDTH) {
			buf_puts(ret, "\n");
			add_spaces(ret, indent);
			column = indent;
		} else if (!first) {
			buf_puts(ret, " ");
			column++;
		}
		buf_add(ret, text, len);
		column += width;
		first = false;
		text += len;
		if (*text == '\n') {
			buf_puts(ret, "\n");
			add_spaces(ret, text[1] && text[1] != '\n' ? indent : 0);
			column = indent;
			first = true;
		}
		text += *text != '\0';
	}
	buf_puts(ret, "\n");
}

void options_entry(struct buf *ret, const char *label, const char *help, size_t column)
{
	size_t width = INDENT + text_width(label, strlen(label));

	add_spaces(ret, INDENT);
	buf_puts(ret, label);
	if (!help || !*help) {
		buf_puts(ret, "\n");
		return;
	}
	if (width + GAP > column) {
		buf_puts(ret, "\n");
		width = 0;
	}
	add_spaces(ret, column - width);
	options_wrap(ret, help, column, column);
}

size_t options_column(size_t widest_label)
{
	size_t column = INDENT + widest_label + GAP;

	return column > COLUMN_MAX ? COLUMN_MAX : column;
}

static void option_label(const struct option *o, struct buf *ret)
{
	if (o->letter)
		buf_printf(ret, "-%c, --%s", o->letter, o->name);
	else
		buf_printf(ret, "    --%s", o->name);
	if (option_has_argument(o))
		buf_printf(ret, o->implied ? "[=%s]" : " %s", option_argument(o));
}

static void option_text(const struct option *o, struct buf *ret)
{
	if (o->help)
		buf_puts(ret, o->help);
	if (o->kind == OPTION_NAME) {
		buf_puts(ret, o->help ? ": " : "");
		for (const struct json_name *n = o->names; n->name; n++)
			buf_printf(ret, "%s%s",
				n == o->names ? ""
				: n[1].name   ? ", "
					      : " or ",
				n->name);
	}
	if (o->kind == OPTION_TEXTS)
		buf_puts(ret, o->help ? " (repeatable)" : "(repeatable)");
}

void options_help(const struct option *table, struct buf *ret)
{
	size_t widest = 0, column;

	for (const struct option *o = table; o && o->name; o++) {
		autobuf struct buf label = {};

		if (o->hidden)
			continue;
		option_label(o, &label);
		if (label.len > widest && options_column(label.len) < COLUMN_MAX)
			widest = label.len;
	}
	column = options_column(widest);
	for (const struct option *o = table; o && o->name; o++) {
		autobuf struct buf label = {}, text = {};

		if (o->hidden)
			continue;
		option_label(o, &label);
		option_text(o, &text);
		options_entry(ret, buf_str(&label), buf_str(&text), column);
		if (label.failed || text.failed)
			ret->failed = true;
	}
}

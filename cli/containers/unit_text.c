/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/unit_text.h"

#include "cli/containers/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- files ---- */

static char *trim(char *text)
{
	size_t n;

	text += strspn(text, " \t\r");
	n = strlen(text);
	while (n && strchr(" \t\r", text[n - 1]))
		text[--n] = '\0';
	return text;
}

struct parsing {
	const char *name;
	struct arena *arena;
	char *rest;
	unsigned int number;
	const char *section;
	struct unit_file file;
	size_t room;
	struct err *err;
};

static char *next_line(struct parsing *p)
{
	char *line = p->rest, *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	p->rest = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	p->number++;
	return trim(line);
}

static bool is_comment(const char *line)
{
	return *line == '#' || *line == ';';
}

/* With the lines that it goes on in; comments may stand between them. */
static char *join(struct parsing *p, char *line)
{
	size_t n = strlen(line);

	while (line && n && line[n - 1] == '\\') {
		char *more = next_line(p);

		while (more && is_comment(more))
			more = next_line(p);
		line[n - 1] = '\0';
		line = arena_printf(p->arena, "%s %s", line, more ? more : "");
		n = line ? strlen(line) : 0;
	}
	return line;
}

static int add_line(struct parsing *p, const struct unit_line *line)
{
	struct unit_file *f = &p->file;

	if (f->count == p->room) {
		size_t room = p->room ? 2 * p->room : 32;
		struct unit_line *lines = arena_array(p->arena, room, struct unit_line);

		if (!lines)
			return err_sys(p->err, -ENOMEM, "%s", p->name);
		if (f->count)
			memcpy(lines, f->lines, f->count * sizeof(*lines));
		f->lines = lines;
		p->room = room;
	}
	f->lines[f->count++] = *line;
	return 0;
}

static int parse_line(struct parsing *p, char *line)
{
	struct unit_line assignment = {.number = p->number};
	size_t n = strlen(line);
	char *equals;

	if (*line == '[') {
		if (n < 3 || line[n - 1] != ']')
			return err_set(p->err, -EINVAL, "%s:%u: \"%.100s\" is no section", p->name,
				p->number, line);
		line[n - 1] = '\0';
		p->section = line + 1;
		return 0;
	}
	line = join(p, line);
	if (!line)
		return err_sys(p->err, -ENOMEM, "%s", p->name);
	equals = strchr(line, '=');
	if (!equals || equals == line)
		return err_set(p->err, -EINVAL, "%s:%u: \"%.100s\" is not KEY=VALUE", p->name,
			assignment.number, line);
	if (!p->section)
		return err_set(
			p->err, -EINVAL, "%s:%u: stands in no section", p->name, assignment.number);
	*equals = '\0';
	assignment.section = p->section;
	assignment.key = trim(line);
	assignment.value = trim(equals + 1);
	return add_line(p, &assignment);
}

int unit_parse(
	const char *name, char *text, struct arena *arena, struct unit_file *ret, struct err *err)
{
	struct parsing p = {.name = name, .arena = arena, .rest = text, .err = err};
	char *line;
	int r = 0;

	while (r == 0 && (line = next_line(&p)))
		if (*line && !is_comment(line))
			r = parse_line(&p, line);
	if (r == 0)
		*ret = p.file;
	return r;
}

/* ---- words ---- */

/* What stands behind a backslash; P is moved over it. */
static int unescape(const char **p, struct buf *word)
{
	static const char names[] = "abfnrtv\\\"'s", values[] = "\a\b\f\n\r\t\v\\\"' ";
	const char *known = **p ? strchr(names, **p) : NULL;
	unsigned int byte;
	int used = 0;

	if (known) {
		buf_add(word, &values[known - names], 1);
		(*p)++;
		return 0;
	}
	if (**p == 'x' && isxdigit((unsigned char)(*p)[1]) && isxdigit((unsigned char)(*p)[2]) &&
		sscanf(*p + 1, "%2x%n", &byte, &used) == 1 && byte) {
		buf_add(word, &(char){(char)byte}, 1);
		*p += 3;
		return 0;
	}
	return -EINVAL;
}

static int take_word(const char **p, struct buf *word)
{
	char quote = 0;
	int r = 0;

	for (; **p && r == 0;) {
		char c = *(*p)++;

		if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? 0 : c;
		else if (c == '\\')
			r = unescape(p, word);
		else if (!quote && strchr(" \t\n", c))
			break;
		else
			buf_add(word, &c, 1);
	}
	return r < 0 || quote ? -EINVAL : word->failed ? -ENOMEM : 0;
}

int unit_split(const char *value, struct arena *arena, struct strings *ret)
{
	int r = 0;

	for (value += strspn(value, " \t\n"); *value && r == 0; value += strspn(value, " \t\n")) {
		autobuf struct buf word = {};
		const char *copy;

		r = take_word(&value, &word);
		if (r < 0)
			break;
		copy = arena_strdup(arena, buf_str(&word));
		r = copy ? strings_add(ret, copy, arena) : -ENOMEM;
	}
	return r;
}

void unit_add_word(struct buf *out, const char *word, bool literal)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_-+=./:@,";
	bool plain = *word && strspn(word, safe) == strlen(word);

	buf_puts(out, plain ? " " : " \"");
	for (; *word; word++) {
		if (*word == '\n') {
			buf_puts(out, "\\n");
			continue;
		}
		if (strchr("\"\\", *word))
			buf_puts(out, "\\");
		else if (literal && (*word == '%' || *word == '$'))
			buf_add(out, word, 1);
		buf_add(out, word, 1);
	}
	buf_puts(out, plain ? "" : "\"");
}

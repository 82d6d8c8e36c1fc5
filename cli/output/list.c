/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/list.h"

#include "base/json.h"
#include "base/parse.h"
#include "cli/output/table.h"
#include "cli/output/template.h"

#include <string.h>

/* Shells pass "\t" and "\n" on as they are. */
static void unescape(const char *text, struct buf *ret)
{
	for (; *text; text++) {
		if (text[0] == '\\' && (text[1] == 't' || text[1] == 'n')) {
			buf_puts(ret, text[1] == 't' ? "\t" : "\n");
			text++;
		} else {
			buf_add(ret, text, 1);
		}
	}
}

static int parse_template(const char *text, struct template **ret, struct err *err)
{
	autobuf struct buf plain = {};

	unescape(text, &plain);
	if (plain.failed)
		return err_set(err, -ENOMEM, "out of memory");
	return template_parse(buf_str(&plain), ret, err);
}

static int print_each(
	const struct template *template, json_t *rows, struct buf *ret, struct err *err)
{
	json_t *row;
	size_t i;
	int r;

	json_array_foreach (rows, i, row) {
		r = template_execute(template, row, ret, err);
		if (r < 0)
			return err_add(err, "--format");
		buf_puts(ret, "\n");
	}
	return ret->failed ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* The line of titles: the template of the rows, over an object of titles. */
static int print_titles(const struct list_field *fields, const struct template *template,
	struct buf *ret, struct err *err)
{
	autojson json_t *titles = json_object();
	size_t start = ret->len;

	for (; fields->name; fields++)
		if (json_object_set_new(titles, fields->name,
			    fields->title ? json_string(fields->title) : json_object()) < 0)
			return err_set(err, -ENOMEM, "out of memory");
	/* A template that works with more than texts has no sensible titles. */
	if (template_execute(template, titles, ret, err) < 0) {
		err_clear(err);
		ret->len = start;
		return 0;
	}
	buf_puts(ret, "\n");
	return 0;
}

static int print_table(const struct list_options *o, const char *text, json_t *rows,
	struct buf *ret, struct err *err)
{
	autotemplate struct template *template = NULL;
	autobuf struct buf lines = {};
	int r = parse_template(text, &template, err);

	if (r < 0)
		return err_add(err, "--format");
	if (!o->no_heading)
		r = print_titles(o->fields, template, &lines, err);
	if (r == 0)
		r = print_each(template, rows, &lines, err);
	if (r < 0)
		return r;
	table_align(buf_str(&lines), lines.len, ret);
	return ret->failed ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int print_json(
	const struct list_field *fields, json_t *rows, struct buf *ret, struct err *err)
{
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		autojson json_t *shown = json_copy(row);

		for (const struct list_field *f = fields; shown && f->name; f++)
			if (!f->title)
				json_object_del(shown, f->name);
		if (!shown || json_write(shown, JSON_COMPACT, ret) < 0)
			return err_set(err, -ENOMEM, "out of memory");
		buf_puts(ret, "\n");
	}
	return ret->failed ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int print_template(const char *text, json_t *rows, struct buf *ret, struct err *err)
{
	autotemplate struct template *template = NULL;
	int r = parse_template(text, &template, err);

	return r < 0 ? err_add(err, "--format") : print_each(template, rows, ret, err);
}

const char *list_own_template(const struct list_options *o)
{
	if (!o->format && o->is_quiet)
		return o->quiet;
	return !o->format || strcmp(o->format, "table") == 0 ? o->columns : NULL;
}

int list_print(const struct list_options *o, json_t *rows, struct buf *ret, struct err *err)
{
	const char *own = list_own_template(o), *rest;

	if (own && own == o->quiet)
		return print_template(own, rows, ret, err);
	if (own)
		return print_table(o, own, rows, ret, err);
	if (strcmp(o->format, "json") == 0)
		return print_json(o->fields, rows, ret, err);
	if (parse_has_prefix(o->format, "table ", &rest))
		return print_table(o, rest + strspn(rest, " "), rows, ret, err);
	return print_template(o->format, rows, ret, err);
}

static int print_document(json_t *value, bool compact, struct buf *ret, struct err *err)
{
	if (json_write(value, compact ? JSON_COMPACT : JSON_INDENT(4), ret) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	buf_puts(ret, "\n");
	return 0;
}

int list_print_values(const char *format, json_t *values, struct buf *ret, struct err *err)
{
	if (!format || strcmp(format, "json") == 0)
		return print_document(values, format != NULL, ret, err);
	return print_template(format, values, ret, err);
}

int list_print_value(const char *format, json_t *value, struct buf *ret, struct err *err)
{
	autojson json_t *values = json_array();

	if (!format || strcmp(format, "json") == 0)
		return print_document(value, format != NULL, ret, err);
	if (json_array_append(values, value) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return print_template(format, values, ret, err);
}

void list_set(json_t *object, const char *name, json_t *value, bool *failed)
{
	*failed |= json_object_set_new(object, name, value) < 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a verb that lists things prints: rows as JSON objects, in the form that --format asks for.
 *
 *   (nothing), table        the verb's own columns under their titles
 *   table TEMPLATE          the columns of the template (separated by \t) under their titles
 *   json                    one JSON object a line
 *   TEMPLATE                the template once for each row
 *
 * A verb describes its fields once (struct list_field) and makes one JSON object for each row with
 * all of them. Also list_print_values() for the verbs that inspect. Pure functions; any process.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

struct list_field {
	const char *name;  /* in templates and in JSON */
	const char *title; /* of its column; NULL: it has none, like the object behind {{.Label
			    * "x"}}, and is left out of --format json */
};

struct list_options {
	const struct list_field *fields; /* ends with a NULL name */
	const char *columns;             /* template of the default table, "{{.ID}}\t{{.Names}}" */
	const char *quiet;               /* template of a row with -q */
	const char *format;              /* --format, NULL: none */
	bool is_quiet;                   /* -q; an explicit format counts more */
	bool no_heading;
};

/* The verb's own template when that is what is printed: rows need no other fields than are in it.
 * NULL: any may be asked for. */
const char *list_own_template(const struct list_options *options);

/* Appends ROWS (an array of objects) to RET. −EINVAL for a bad format. */
int list_print(const struct list_options *options, json_t *rows, struct buf *ret, struct err *err);

/* Inspect: VALUES (an array) as one indented JSON array when FORMAT is NULL or "json" (then without
 * indentation), or the template once for each. */
int list_print_values(const char *format, json_t *values, struct buf *ret, struct err *err);
/* One value (info, version): JSON with indentation without a format. */
int list_print_value(const char *format, json_t *value, struct buf *ret, struct err *err);

/* Sets NAME in OBJECT to VALUE, and notes in FAILED when memory ran out. Takes VALUE over. */
void list_set(json_t *object, const char *name, json_t *value, bool *failed);

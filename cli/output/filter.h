/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --filter KEY=VALUE (repeatable; KEY!=VALUE for what must not be), as docker and podman read it:
 * of several values of one key one has to fit, labels have to fit all, and every key counts. Pure
 * functions; any process.
 *
 * filters_parse() once, then for each thing filter_accepts() of each key.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

#include <jansson.h>
#include <stdbool.h>

struct filter {
	const char *key, *value;
	bool negated;
};

struct filters {
	struct filter *items;
	size_t count;
};

/* KEYS: what may be filtered by, ends with NULL. −EINVAL names them, and the one probably meant. */
int filters_parse(const struct strings *texts, const char *const *keys, struct arena *arena,
	struct filters *ret, struct err *err);
/* True when there is a filter of KEY. */
bool filters_have(const struct filters *filters, const char *key);
/* The last value of KEY, NULL when there is none. */
const char *filters_value(const struct filters *filters, const char *key);

/* True when one of the values of KEY fits and none that is negated does, or when there is none.
 * FITS decides about one value. */
bool filters_accept(const struct filters *filters, const char *key,
	bool (*fits)(const char *value, const void *context), const void *context);
/* The same for a text that must be equal, begin with the value, have it in it, or match the pattern
 * (fnmatch(3)). */
bool filters_accept_equal(const struct filters *filters, const char *key, const char *text);
bool filters_accept_prefix(const struct filters *filters, const char *key, const char *text);
bool filters_accept_part(const struct filters *filters, const char *key, const char *text);
bool filters_accept_pattern(const struct filters *filters, const char *key, const char *text);
/* "true", "false", "1", "0". */
bool filters_accept_bool(const struct filters *filters, const char *key, bool value);
/* All of "KEY=NAME" and "KEY=NAME=VALUE" have to be in LABELS (an object of strings, or NULL). */
bool filters_accept_labels(const struct filters *filters, const char *key, const json_t *labels);
/* −EINVAL when a value of KEY is not a boolean. */
int filters_check_bool(const struct filters *filters, const char *key, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/filter.h"

#include "base/buf.h"
#include "cli/options.h"

#include <fnmatch.h>
#include <string.h>
#include <strings.h>

static int check_key(const char *key, const char *const *keys, struct err *err)
{
	struct options_nearest nearest = {};
	autobuf struct buf known = {};

	for (size_t i = 0; keys[i]; i++) {
		if (strcmp(keys[i], key) == 0)
			return 0;
		options_consider(&nearest, key, keys[i]);
		buf_printf(&known, "%s%s", i ? ", " : "", keys[i]);
	}
	if (nearest.name)
		return err_set(err, -EINVAL, "--filter: there is no \"%s\", did you mean \"%s\"?",
			key, nearest.name);
	return err_set(err, -EINVAL, "--filter: there is no \"%s\", only %s", key, buf_str(&known));
}

static int parse_one(const char *text, const char *const *keys, struct arena *arena,
	struct filter *ret, struct err *err)
{
	const char *equals = strchr(text, '=');
	char *key;

	if (!equals || equals == text)
		return err_set(err, -EINVAL, "--filter: \"%s\" is not KEY=VALUE", text);
	ret->negated = equals[-1] == '!';
	ret->value = equals + 1;
	key = arena_printf(arena, "%.*s", (int)(equals - text) - ret->negated, text);
	if (!key)
		return err_set(err, -ENOMEM, "out of memory");
	ret->key = key;
	return check_key(key, keys, err);
}

int filters_parse(const struct strings *texts, const char *const *keys, struct arena *arena,
	struct filters *ret, struct err *err)
{
	struct filters filters = {.items = arena_array(arena, texts->count + 1, struct filter)};
	int r;

	if (!filters.items)
		return err_set(err, -ENOMEM, "out of memory");
	for (; filters.count < texts->count; filters.count++) {
		r = parse_one(texts->items[filters.count], keys, arena,
			&filters.items[filters.count], err);
		if (r < 0)
			return r;
	}
	*ret = filters;
	return 0;
}

const char *filters_value(const struct filters *filters, const char *key)
{
	for (size_t i = filters->count; i > 0; i--)
		if (strcmp(filters->items[i - 1].key, key) == 0)
			return filters->items[i - 1].value;
	return NULL;
}

bool filters_have(const struct filters *filters, const char *key)
{
	return filters_value(filters, key) != NULL;
}

bool filters_accept(const struct filters *filters, const char *key,
	bool (*fits)(const char *value, const void *context), const void *context)
{
	bool wanted = false, found = false;

	for (size_t i = 0; i < filters->count; i++) {
		const struct filter *f = &filters->items[i];

		if (strcmp(f->key, key) != 0)
			continue;
		if (f->negated && fits(f->value, context))
			return false;
		wanted |= !f->negated;
		found |= !f->negated && fits(f->value, context);
	}
	return found || !wanted;
}

static bool is_equal(const char *value, const void *text)
{
	return strcmp(value, text) == 0;
}

static bool is_prefix(const char *value, const void *text)
{
	return strncmp(text, value, strlen(value)) == 0;
}

static bool is_part(const char *value, const void *text)
{
	return strstr(text, value) != NULL;
}

static bool is_match(const char *value, const void *text)
{
	return fnmatch(value, text, 0) == 0;
}

/* 1, 0, or −EINVAL. */
static int boolean(const char *value)
{
	if (strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0)
		return 1;
	return strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0 ? 0 : -EINVAL;
}

static bool is_bool(const char *value, const void *wanted)
{
	return boolean(value) == *(const bool *)wanted;
}

bool filters_accept_equal(const struct filters *filters, const char *key, const char *text)
{
	return filters_accept(filters, key, is_equal, text);
}

bool filters_accept_prefix(const struct filters *filters, const char *key, const char *text)
{
	return filters_accept(filters, key, is_prefix, text);
}

bool filters_accept_part(const struct filters *filters, const char *key, const char *text)
{
	return filters_accept(filters, key, is_part, text);
}

bool filters_accept_pattern(const struct filters *filters, const char *key, const char *text)
{
	return filters_accept(filters, key, is_match, text);
}

bool filters_accept_bool(const struct filters *filters, const char *key, bool value)
{
	return filters_accept(filters, key, is_bool, &value);
}

static bool has_label(const json_t *labels, const char *text)
{
	const char *equals = strchr(text, '=');
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)labels, key, value) {
		size_t len = equals ? (size_t)(equals - text) : strlen(text);

		if (strlen(key) == len && strncmp(key, text, len) == 0)
			return !equals || (json_is_string(value) && strcmp(json_string_value(value),
									    equals + 1) == 0);
	}
	return false;
}

bool filters_accept_labels(const struct filters *filters, const char *key, const json_t *labels)
{
	for (size_t i = 0; i < filters->count; i++) {
		const struct filter *f = &filters->items[i];

		if (strcmp(f->key, key) == 0 && has_label(labels, f->value) == f->negated)
			return false;
	}
	return true;
}

int filters_check_bool(const struct filters *filters, const char *key, struct err *err)
{
	for (size_t i = 0; i < filters->count; i++)
		if (strcmp(filters->items[i].key, key) == 0 && boolean(filters->items[i].value) < 0)
			return err_set(err, -EINVAL,
				"--filter: %s must be true or false, not \"%s\"", key,
				filters->items[i].value);
	return 0;
}

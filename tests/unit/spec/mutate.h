/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of small changes to a configuration that is fine (tests/data/spec/full.json), each with
 * the words that must be in the error, or NULL when the change must be accepted.
 */
#pragma once

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "spec/config.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef TEST_DATA
#define TEST_DATA "tests/data" /* from the root of the sources; the build gives the whole path */
#endif

struct mutation {
	const char *where; /* keys and indices, with spaces between */
	const char *value; /* JSON, or NULL to remove the member */
	const char *words; /* in the error, or NULL: accepted */
};

static inline void read_data(const char *name, struct buf *ret)
{
	char path[1024];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", TEST_DATA, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("cannot open %s", path);
	assert_int_equal(fd_read_all(fd, 1 << 20, ret), 0);
	close(fd);
}

static inline int parse_json(const json_t *json, struct spec_config **ret, struct err *err)
{
	autobuf struct buf text = {};

	assert_int_equal(json_write(json, JSON_COMPACT, &text), 0);
	return spec_config_parse("config.json", text.data, text.len, ret, err);
}

/* A configuration of tests/data/spec, which must be fine. */
static inline struct spec_config *parse_data(const char *name)
{
	struct spec_config *config = NULL;
	autobuf struct buf text = {};
	struct err err = {};

	read_data(name, &text);
	if (spec_config_parse(name, text.data, text.len, &config, &err) < 0)
		fail_msg("%s", err.text);
	return config;
}

/* jansson reads no integers above 2^63−1, which the file has: they are made smaller. */
static inline json_t *load_data(const char *name)
{
	autobuf struct buf text = {};
	json_error_t error;
	json_t *json;
	char *p;

	read_data(name, &text);
	while ((p = strstr(text.data, "18446744073709551615")))
		memcpy(p, " 9223372036854775807", 20);
	json = json_loadb(text.data, text.len, 0, &error);
	assert_non_null(json);
	return json;
}

static inline void change(json_t *json, const char *where, const char *value)
{
	char keys[256], *saved = NULL, *key, *next;
	json_t *new = value ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;

	if (value && !new)
		fail_msg("bad JSON in the test: %s", value);
	snprintf(keys, sizeof(keys), "%s", where);
	key = strtok_r(keys, " ", &saved);
	while ((next = strtok_r(NULL, " ", &saved))) {
		json = json_is_array(json) ? json_array_get(json, (size_t)atoi(key))
					   : json_object_get(json, key);
		if (!json)
			fail_msg("nothing at %s in %s", key, where);
		key = next;
	}
	if (json_is_array(json)) {
		size_t i = (size_t)atoi(key);

		assert_int_equal(i == json_array_size(json) ? json_array_append_new(json, new)
							    : json_array_set_new(json, i, new),
			0);
	} else if (new) {
		assert_int_equal(json_object_set_new(json, key, new), 0);
	} else {
		assert_int_equal(json_object_del(json, key), 0);
	}
}

static inline void check_mutation(const json_t *good, const struct mutation *m)
{
	struct spec_config *config = NULL;
	json_t *json = json_deep_copy(good);
	struct err err = {};
	int r;

	change(json, m->where, m->value);
	r = parse_json(json, &config, &err);
	if (!m->words && r < 0)
		fail_msg("%s = %s: %s", m->where, m->value, err.text);
	if (m->words && (r != -EINVAL || !strstr(err.text, m->words)))
		fail_msg("%s = %s: %d \"%s\"", m->where, m->value, r, err.text);
	if (m->words) {
		assert_null(config);
		assert_int_equal(strncmp(err.text, "config.json: ", 13), 0);
	}
	spec_config_free(config);
	json_decref(json);
}

static inline void check_mutations(const struct mutation *mutations, size_t count)
{
	json_t *good = load_data("spec/full.json");

	for (size_t i = 0; i < count; i++)
		check_mutation(good, &mutations[i]);
	json_decref(good);
}

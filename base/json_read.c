/* SPDX-License-Identifier: Apache-2.0 */
/* Pure. jansson takes and stores every byte by a call; here a text is looked at where it lies. */
#include "base/json_read.h"

#include "base/json.h"

#include <ctype.h>
#include <string.h>

/* 18 digits always fit into jansson's integers. */
enum { DEPTH_MAX = 32, DIGITS_MAX = 18 };

struct reader {
	const char *at, *end;
};

static json_t *read_value(struct reader *r, unsigned int depth);

static void skip_spaces(struct reader *r)
{
	while (r->at < r->end &&
		(*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
		r->at++;
}

/* Takes WORD when it is what comes next. */
static bool take(struct reader *r, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
		return false;
	r->at += len;
	return true;
}

/* A string as it stands between its quotes; false for one that needs more than to be copied. */
static bool read_text(struct reader *r, const char **ret, size_t *ret_len)
{
	if (!take(r, "\""))
		return false;
	*ret = r->at;
	while (r->at < r->end && *r->at >= ' ' && *r->at < 0x7f && *r->at != '"' && *r->at != '\\')
		r->at++;
	*ret_len = (size_t)(r->at - *ret);
	return take(r, "\"");
}

static json_t *read_string(struct reader *r)
{
	const char *text;
	size_t len;

	return read_text(r, &text, &len) ? json_stringn_nocheck(text, len) : NULL;
}

static json_t *read_integer(struct reader *r)
{
	bool negative = take(r, "-");
	const char *first = r->at;
	json_int_t value = 0;

	while (r->at < r->end && isdigit((unsigned char)*r->at) && r->at - first < DIGITS_MAX)
		value = value * 10 + (*r->at++ - '0');
	/* A fraction, an exponent or one more digit is left over, and then stands where a comma
	 * should. */
	if (r->at == first || (*first == '0' && r->at - first > 1))
		return NULL;
	return json_integer(negative ? -value : value);
}

static json_t *read_array(struct reader *r, unsigned int depth)
{
	autojson json_t *array = json_array();

	skip_spaces(r);
	if (array && take(r, "]"))
		return take_ptr(array);
	for (;;) {
		/* The array owns it, and refuses none at all. */
		if (json_array_append_new(array, read_value(r, depth)) < 0)
			return NULL;
		if (take(r, "]"))
			return take_ptr(array);
		if (!take(r, ","))
			return NULL;
	}
}

static bool read_member(struct reader *r, json_t *object, unsigned int depth)
{
	size_t count = json_object_size(object), len;
	const char *key;

	skip_spaces(r);
	if (!read_text(r, &key, &len))
		return false;
	skip_spaces(r);
	return take(r, ":") &&
	       json_object_setn_new_nocheck(object, key, len, read_value(r, depth)) == 0 &&
	       json_object_size(object) > count; /* else the key was there already */
}

static json_t *read_object(struct reader *r, unsigned int depth)
{
	autojson json_t *object = json_object();

	skip_spaces(r);
	if (object && take(r, "}"))
		return take_ptr(object);
	for (;;) {
		if (!read_member(r, object, depth))
			return NULL;
		if (take(r, "}"))
			return take_ptr(object);
		if (!take(r, ","))
			return NULL;
	}
}

static json_t *read_any(struct reader *r, unsigned int depth)
{
	if (r->at == r->end || depth > DEPTH_MAX)
		return NULL;
	switch (*r->at) {
	case '"':
		return read_string(r);
	case '{':
		r->at++;
		return read_object(r, depth + 1);
	case '[':
		r->at++;
		return read_array(r, depth + 1);
	case 't':
		return take(r, "true") ? json_true() : NULL;
	case 'f':
		return take(r, "false") ? json_false() : NULL;
	case 'n':
		return take(r, "null") ? json_null() : NULL;
	default:
		return read_integer(r);
	}
}

/* A value, and the spaces around it. */
static json_t *read_value(struct reader *r, unsigned int depth)
{
	json_t *value;

	skip_spaces(r);
	value = read_any(r, depth);
	skip_spaces(r);
	return value;
}

json_t *json_read_plain(const char *text, size_t len)
{
	struct reader r = {.at = text, .end = text + len};
	autojson json_t *value = read_value(&r, 0);

	return r.at == r.end && (json_is_object(value) || json_is_array(value)) ? take_ptr(value)
										: NULL;
}

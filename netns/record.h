/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structs as JSON files: one table says how one is read and how it is written. Any process.
 *
 * Of base/json.h's kinds these tables use JSON_BOOL, JSON_U32, JSON_U64, JSON_NAME, JSON_STRUCTS,
 * JSON_PART and JSON_PARSE with the functions below, which copy into the arena: what is read needs
 * no json_t to live on. What is zero is not written.
 */
#pragma once

#include "base/json.h"
#include "netns/address.h"

int record_text(const json_t *value, void *out, const struct json_context *ctx); /* const char * */
int record_texts(
	const json_t *value, void *out, const struct json_context *ctx); /* struct strings */
int record_pairs(const json_t *value, void *out, const struct json_context *ctx); /* struct pairs */
/* struct address: "10.0.0.1", or with a prefix "10.0.0.1/24". */
int record_address(const json_t *value, void *out, const struct json_context *ctx);
int record_port(const json_t *value, void *out, const struct json_context *ctx); /* uint16_t */

#define RECORD_TEXT(name, struct_, member)                                       \
	{                                                                        \
		name, JSON_PARSE, JSON_AT(struct_, member), .parse = record_text \
	}
#define RECORD_OF(name, function, struct_, member)                            \
	{                                                                     \
		name, JSON_PARSE, JSON_AT(struct_, member), .parse = function \
	}

enum { RECORD_MAX = 4 << 20 };

/* The file NAME of DIRFD. −ENOENT has no sentence. */
int record_read(int dirfd, const char *name, const struct json_table *table, struct arena *arena,
	void *ret, struct err *err);
/* Replaces it whole. */
int record_write(int dirfd, const char *name, const struct json_table *table, const void *data,
	struct err *err);
/* A new object, the caller's; NULL without memory. */
json_t *record_encode(const struct json_table *table, const void *data);

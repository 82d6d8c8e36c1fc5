/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON into plain structs, by table.
 *
 * A json_table describes one object: which key, what kind, where in the struct. json_decode()
 * fills a zeroed struct from it; what is absent or null stays zero, unknown keys are ignored (the
 * OCI specifications ask for that), and anything of the wrong kind or out of range is an error
 * that names the place ("linux.resources.pids.limit: must be an integer").
 *
 * Ownership: strings are borrowed from the json_t, arrays and nested structs are from the arena;
 * both must outlive the struct.
 *
 * Integers from 2^63 to 2^64−1 do not fit jansson's type and yet are common (an unlimited rlimit);
 * json_parse() carries them through, and only JSON_U64 members take them.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What members may be declared as, by kind. */
struct opt_bool {
	bool set, value;
};
struct opt_i64 {
	bool set;
	int64_t value;
};
struct opt_u64 {
	bool set;
	uint64_t value;
};
struct opt_u32 {
	bool set;
	uint32_t value;
};
struct strings {
	const char **items;
	size_t count;
};
struct pair {
	const char *key, *value;
};
struct pairs {
	struct pair *items;
	size_t count;
};

enum json_kind {
	JSON_BOOL,       /* bool */
	JSON_OPT_BOOL,   /* struct opt_bool */
	JSON_I32,        /* int32_t */
	JSON_I64,        /* int64_t */
	JSON_U32,        /* uint32_t */
	JSON_U64,        /* uint64_t */
	JSON_OPT_I64,    /* struct opt_i64 */
	JSON_OPT_U64,    /* struct opt_u64 */
	JSON_OPT_U32,    /* struct opt_u32 */
	JSON_TEXT,       /* const char * */
	JSON_TEXTS,      /* struct strings */
	JSON_PAIRS,      /* struct pairs: an object of strings, in the file's order */
	JSON_STRUCT,     /* T *: an object of .table, NULL when absent */
	JSON_STRUCTS,    /* {T *items; size_t count;}: an array of objects of .table */
	JSON_STRUCT_MAP, /* {T *items; size_t count;}: an object of objects of .table; each T begins
			  * with a const char * that gets the key */
	JSON_NAME,       /* int: one of .names, by default 0 */
	JSON_NAMES,      /* {int *items; size_t count;}: an array of .names */
	JSON_FLAGS,      /* uint64_t: an array of .names, or-ed */
	JSON_U32S,       /* {uint32_t *items; size_t count;} */
	JSON_PART,       /* T: an object of .table, in place; with the rules' offsets from an outer
			  * struct and offset 0, an object whose members lie in that struct */
	JSON_PARSE,      /* anything: .parse fills it */
};

/* A name and what it stands for; tables of these end with a NULL name. */
struct json_name {
	const char *name;
	int64_t value;
};

struct json_table;
struct json_place;

/* What the functions of a table get: where the value lies, and where results and errors go. */
struct json_context {
	struct arena *arena;
	struct err *err;
	const struct json_place *place;
};

struct json_rule {
	const char *key;
	enum json_kind kind;
	bool required;
	size_t offset;
	const struct json_table *table;
	const struct json_name *names;
	const char *what; /* what .names are, for errors: "a capability" */
	/* Turns VALUE, which is neither absent nor null, into what lies at OUT. */
	int (*parse)(const json_t *value, void *out, const struct json_context *ctx);
	json_t *(*encode)(const void *in); /* and back; NULL: a table with it cannot be encoded */
};

struct json_table {
	size_t size;                   /* of the struct */
	const struct json_rule *rules; /* ends with a NULL key */
	const void *defaults;          /* a struct of SIZE to start from, NULL: all zero */
	/* Checks or completes one decoded object, inner objects first. */
	int (*finish)(void *out, const struct json_context *ctx);
};

/* The kind and place of MEMBER in STRUCT_, for a rule. */
#define JSON_AT(struct_, member) .offset = offsetof(struct struct_, member)

/*
 * Parses one JSON text of LEN bytes. NAME stands in front of errors, which give line and column.
 * Duplicate keys are errors, since readers disagree about which one counts. The caller owns
 * *RET and ends it with json_decref(). −EINVAL for what is not JSON.
 */
int json_parse(const char *name, const char *text, size_t len, json_t **ret, struct err *err);

/*
 * Fills OUT (of table->size, zeroed by the caller) from the object VALUE. −EINVAL names the place.
 * What OUT holds after a failure is of no use.
 */
int json_decode(const json_t *value, const struct json_table *table, struct arena *arena, void *out,
	struct err *err);

/*
 * For the functions of a table: the error "PLACE.KEY: FMT" (KEY may be NULL, and may be several
 * keys, "a[2].b"). Returns −EINVAL.
 */
int json_fail(const struct json_context *ctx, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The way back: an object that json_decode() with the same TABLE turns into what IN is. The caller
 * owns it; NULL without memory, or for a table with lists of names or a .parse that has no .encode.
 */
json_t *json_encode(const void *in, const struct json_table *table);

/* The value of NAME in NAMES; false when it is not there. */
bool json_name_find(const struct json_name *names, const char *name, int64_t *ret);
/* The name of VALUE in NAMES, or NULL. */
const char *json_name_of(const struct json_name *names, int64_t value);

/* VALUE as json_parse() would give it: of any size. The caller owns it; NULL without memory. */
json_t *json_u64(uint64_t value);

/* The text of OBJECT's member KEY, borrowed; NULL when there is none, also when it is such a value.
 */
const char *json_text_of(const json_t *object, const char *key);

/* Appends VALUE as text: FLAGS of json_dumps(3); integers of any size come out as such. −ENOMEM or
 * 0. */
int json_write(const json_t *value, size_t flags, struct buf *ret);

static inline void json_release(json_t **value)
{
	json_decref(*value);
	*value = NULL;
}

CLEANUP_DEFINE(json, json_t *, json_release)
#define autojson __attribute__((cleanup(cleanup_json)))

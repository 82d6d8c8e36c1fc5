/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options by table.
 *
 * A table of struct option says name, kind, and where in a plain struct the value goes; the parser,
 * the help text, the manual's fragments and the shells' completions all read that one table. To
 * use: zero the struct (or fill in defaults), call options_parse(), then look at the struct.
 *
 * Accepted: --name=VALUE, --name VALUE, -n VALUE, -nVALUE, -n=VALUE, clustered flags (-it),
 * --flag=false, "--" before operands that begin with a dash; with OPTIONS_SINGLE_DASH also -name.
 * Names are never abbreviated, because an abbreviation breaks when an option is added. A value is
 * checked in full; the last one given counts, except for lists. On failure the struct holds the
 * options before the wrong one.
 *
 * Any process; pure functions.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
	OPTION_FLAG,     /* bool; --name or --name=BOOL */
	OPTION_OPT_FLAG, /* struct opt_bool */
	OPTION_TEXT,     /* const char * */
	OPTION_TEXTS,    /* struct strings: may be repeated, in order */
	OPTION_U32,      /* uint32_t */
	OPTION_OPT_U32,  /* struct opt_u32 */
	OPTION_OPT_U64,  /* struct opt_u64 */
	OPTION_OPT_I64,  /* struct opt_i64 */
	OPTION_SIZE,     /* struct opt_u64: bytes, parse_size() */
	OPTION_LIMIT,    /* struct opt_i64: bytes as parse_size(), or −1 for no limit */
	OPTION_SIGNAL,   /* int: parse_signal() */
	OPTION_NAME,     /* int: one of .names */
	OPTION_CUSTOM,   /* what .parse stores */
};

struct option {
	const char *name; /* without dashes; NULL ends a table */
	char letter;      /* 0: no short form */
	enum option_kind kind;
	bool hidden; /* accepted for compatibility: not in help, manual, completion */
	size_t offset;
	const char *argument; /* "FILE", "DIR", …: what help calls the value; NULL: by kind */
	const char *help;     /* one phrase, lower case, no full stop */
	const struct json_name *names;
	const char *implied; /* the value of a bare --name; a value then needs '=' */
	/* Stores VALUE at DEST; may be called repeatedly. The parser puts the option's name in
	 * front of the error. */
	int (*parse)(const char *value, struct arena *arena, void *dest, struct err *err);
};

/* Where MEMBER of STRUCT_ is, for an option. */
#define OPTION_AT(struct_, member) .offset = offsetof(struct struct_, member)

enum options_flags {
	OPTIONS_STOP_AT_OPERAND = 1 << 0, /* what follows the first operand is not ours */
	OPTIONS_SINGLE_DASH = 1 << 1,     /* -name is --name when the table has it */
	OPTIONS_VERSION = 1 << 2,         /* --version and -v, unless the table has them */
};

struct options_result {
	char **args; /* the operands, ends with NULL; from the arena, strings from argv */
	size_t arg_count;
	size_t used;  /* how many of argv were looked at: argc, or up to the first operand with
		       * OPTIONS_STOP_AT_OPERAND */
	bool help;    /* --help was there, or -h when no option has that letter */
	bool version; /* with OPTIONS_VERSION */
	const char *unknown; /* set on failure only: the argument that is no option of the table */
};

/*
 * Parses ARGV (ARGC strings, without the program's or command's name) by TABLE (may be NULL) into
 * DEST. FLAGS is of enum options_flags. −EINVAL with a sentence that names the option, and the
 * one probably meant; −ENOMEM. --help and --version end
 * the parse.
 */
int options_parse(const struct option *table, int argc, char *const *argv, unsigned int flags,
	struct arena *arena, void *dest, struct options_result *ret, struct err *err);

/* The option NAME (not ended, LEN bytes) of TABLE, or NULL. */
const struct option *options_find(const struct option *table, const char *name, size_t len);
/* Whether OPTION takes a value, and what that is called. */
bool option_has_argument(const struct option *option);
const char *option_argument(const struct option *option);

/* Appends one entry per option that is not hidden, wrapped at 80 columns. */
void options_help(const struct option *table, struct buf *ret);

/* The pieces of help, for lists of other things (commands). LABEL begins at the second column, HELP
 * is wrapped from COLUMN on. options_column() chooses COLUMN for the widest label. */
size_t options_column(size_t widest_label);
void options_entry(struct buf *ret, const char *label, const char *help, size_t column);
/* Appends TEXT, wrapped, when COLUMN columns of the line are used already; further lines begin with
 * INDENT spaces. A newline in TEXT is kept. Ends with a newline. */
void options_wrap(struct buf *ret, const char *text, size_t indent, size_t column);

/*
 * For "did you mean": keeps in *BEST the candidate nearest to WORD by edit distance. Start with
 * BEST = {}; best.name is NULL when nothing was near enough.
 */
struct options_nearest {
	const char *name;
	unsigned int distance;
};
void options_consider(struct options_nearest *best, const char *word, const char *candidate);

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the template engine share; not for anyone else. */
#pragma once

#include "base/arena.h"
#include "cli/output/template.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	TEMPLATE_NESTING_MAX = 64,    /* of blocks and parentheses */
	TEMPLATE_STEPS_MAX = 4 << 20, /* nodes and calls in one execution */
	TEMPLATE_OUTPUT_MAX = 256 << 20,
	TEMPLATE_WIDTH_MAX = 4096, /* of printf and pad */
};

/* A syntax tree; everything belongs to the template's arena. */
enum operand_kind {
	OPERAND_DOT,      /* . or .A.B */
	OPERAND_VARIABLE, /* $, $x, $x.A */
	OPERAND_LITERAL,
	OPERAND_PIPE, /* (…) or (…).A */
	OPERAND_FUNCTION,
};

struct operand {
	enum operand_kind kind;
	const char **fields; /* ends with NULL; NULL: none */
	const char *name;    /* of the variable (without $) or function */
	json_t *literal;
	struct pipe *pipe;
	struct operand *next;
};

struct call {
	struct operand *operands; /* the first is called with the rest */
	struct call *next;        /* gets the result as its last argument */
};

struct pipe {
	const char *variables[2]; /* declared or set; NULL: none */
	bool assign;              /* "=" instead of ":=" */
	size_t offset;            /* in the template, for errors */
	struct call *calls;
};

enum node_kind { NODE_TEXT, NODE_PRINT, NODE_IF, NODE_RANGE, NODE_WITH, NODE_BREAK, NODE_CONTINUE };

struct node {
	enum node_kind kind;
	const char *text;
	size_t len;
	struct pipe *pipe;
	struct node *body, *otherwise, *next;
};

struct literal { /* to be released */
	json_t *value;
	struct literal *next;
};

struct template
{
	struct arena arena;
	struct literal *literals;
	struct node *nodes;
};

/* template_parse.c: a function's name is known. */
bool template_function_exists(const char *name);

/* template_call.c */

/* Calls the function NAME with COUNT values, which stay the caller's; but for "and" and "or", which
 * do not evaluate all of theirs. *RET is a new reference. */
int template_call(
	const char *name, json_t *const *args, size_t count, json_t **ret, struct err *err);
/* Whether VALUE counts as true: not null, false, 0 or empty. */
bool template_truth(const json_t *value);

/* template_print.c */

/* VALUE as Go's %v prints it. */
void template_print_value(const json_t *value, struct buf *ret);
/* printf, with args[0] as the format. */
int template_printf(json_t *const *args, size_t count, struct buf *ret, struct err *err);
/* The keys of OBJECT, sorted; an arena's. NULL without memory. */
const char **template_sorted_keys(const json_t *object, struct arena *arena);
/* "a string", "an object", … */
const char *template_type(const json_t *value);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verbs that take several names: what can be done for one is done whatever becomes of the others,
 * each failure is a line of its own on standard error, and the verb then ends with 1. The process
 * of a command.
 */
#pragma once

#include "cli/brig/brig.h"

#include <jansson.h>

/* Says WHY one of them failed. CODE, the verb's exit code, becomes 1. */
void several_failed(int *code, const struct err *why);

/* What is known of NAME, the caller's; the verb's values are B's invocation's. −ENOENT. */
typedef int (*several_find)(struct brig *b, const char *name, json_t **ret, struct err *err);
/* `inspect`: prints what FIND gives for each argument of B's invocation, all as one JSON array, or
 * FORMAT (may be NULL) for each. The exit code, or an error when nothing can be printed. */
int several_inspect(struct brig *b, const char *format, several_find find, struct err *err);

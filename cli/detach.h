/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys by which somebody leaves a terminal while the program in it goes on: "ctrl-p,ctrl-q".
 * Pure.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { DETACH_KEYS_MAX = 16 };

struct detach_keys {
	unsigned char keys[DETACH_KEYS_MAX];
	size_t count, matched; /* count 0: there are none */
};

/* "ctrl-p,ctrl-q", "a,ctrl-]"; NULL: the first of these, "": none. −EINVAL. */
int detach_parse(const char *text, struct detach_keys *ret, struct err *err);

/* Takes the keys out of what was typed: OUT has room for LEN + DETACH_KEYS_MAX bytes. True when
 * they were all there: what came before them is in OUT. Keys that turn out to be no such sequence
 * are sent after all. */
bool detach_filter(
	struct detach_keys *keys, const char *data, size_t len, char *out, size_t *ret_len);

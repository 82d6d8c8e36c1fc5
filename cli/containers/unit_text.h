/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's text files: systemd.syntax(7), and the command lines of systemd.service(5). Pure. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

/* One assignment. The same section may begin several times. */
struct unit_line {
	const char *section, *key, *value; /* the value without the space around it */
	unsigned int number;               /* of the file's line, from 1 */
};

struct unit_file {
	struct unit_line *lines;
	size_t count;
};

/* Comments are left out, lines that end in a backslash joined. −EINVAL names the file as NAME, and
 * the line. TEXT is changed and has to stay; the rest is ARENA's. */
int unit_parse(
	const char *name, char *text, struct arena *arena, struct unit_file *ret, struct err *err);

/* Appends the words of VALUE, with quotes and escapes taken off. −EINVAL: a quote that does not
 * end, an escape that is none. */
int unit_split(const char *value, struct arena *arena, struct strings *ret);

/* A space, and WORD as one of ExecStart=. LITERAL: also '%' and '$', which else are systemd's to
 * expand. */
void unit_add_word(struct buf *out, const char *word, bool literal);

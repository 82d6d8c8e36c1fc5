/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is for a person who looks: colours and a line of progress. Both only when the stream is a
 * terminal that can (TERM is set and not "dumb"), colours not with NO_COLOR.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* True for a terminal that can move its cursor. */
bool terminal_is(int fd);
/* Columns; 80 when unknown. */
unsigned int terminal_width(int fd);

enum terminal_style { TERMINAL_BOLD, TERMINAL_DIM, TERMINAL_RED, TERMINAL_GREEN, TERMINAL_YELLOW };
/* True when text that goes to FD may be coloured. */
bool terminal_has_colour(int fd);
/* Appends TEXT, in STYLE when COLOUR. */
void terminal_style(struct buf *ret, bool colour, enum terminal_style style, const char *text);

/*
 * One line that is written over and over: progress_begin(), progress_show() as often as one likes,
 * progress_end(), which takes the line away. Does nothing when the descriptor is no terminal.
 */
struct progress {
	int fd; /* −1: not shown */
	int64_t began_ms, shown_ms;
};
struct progress_state {
	const char *what; /* "pulling alpine", harmless text */
	uint64_t done, total;
	const char *note; /* behind the numbers, "3/7 layers"; may be NULL */
};
void progress_begin(struct progress *p, int fd);
void progress_show(struct progress *p, const struct progress_state *state);
void progress_end(struct progress *p);

/* The line for a terminal of WIDTH columns after ELAPSED_MS, without the end of a line. Pure. */
void progress_line(const struct progress_state *state, unsigned int width, int64_t elapsed_ms,
	struct buf *ret);

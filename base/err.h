/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: one sentence for a person, one code for a program.
 *
 * A function that can fail returns 0 (or a useful non-negative value) or a negative errno, and
 * takes a trailing struct err that then holds the sentence. Whoever detects the failure calls
 * err_set() or err_sys(); a caller that knows more (which file, which field) puts that in front
 * with err_add() and passes the code on. Nothing below a command's entry file prints.
 *
 * Invariants: the text is never longer than the buffer (it is cut, not lost), no allocation is
 * made and errno is left alone. A struct err starts as {} and is never NULL.
 */
#pragma once

#include <errno.h>
#include <stdarg.h>

enum { ERR_TEXT_MAX = 1024 };

struct err {
	int code;                /* a negative errno, 0 when nothing failed */
	char text[ERR_TEXT_MAX]; /* "context: …: what is wrong", no full stop, no newline */
};

/* The sentence is FMT alone. CODE is a negative errno; returns it. Any process. */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), nonnull));

/* The sentence is FMT, then ": " and the meaning of CODE (strerror(3)). Returns CODE. */
int err_sys(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), nonnull));

/* Puts FMT and ": " in front of the sentence that is there. Returns the error's code. */
int err_add(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), nonnull));

/* Forgets an error that was dealt with. */
void err_clear(struct err *err);

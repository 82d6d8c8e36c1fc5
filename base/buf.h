/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer whose content is always NUL-terminated.
 *
 * Start from {}, append, then look at buf.failed once: after a failed allocation every further
 * append does nothing, so only the last result needs a check. End with buf_free() or autobuf.
 * Any process.
 */
#pragma once

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL while nothing was appended */
	size_t len, cap;
	bool failed; /* memory ran out at some append */
};

void buf_add(struct buf *buf, const void *data, size_t len);
void buf_puts(struct buf *buf, const char *s);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
/* Makes room for LEN more bytes and returns where they go (buf.len is the caller's to raise), or
 * NULL. */
char *buf_reserve(struct buf *buf, size_t len);
/* The content as a string, never NULL: "" while empty. */
const char *buf_str(const struct buf *buf);
void buf_free(struct buf *buf);

CLEANUP_DEFINE(buf, struct buf, buf_free)
#define autobuf __attribute__((cleanup(cleanup_buf)))

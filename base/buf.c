/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

char *buf_reserve(struct buf *buf, size_t len)
{
	size_t need, cap = buf->cap ? buf->cap : 256;
	char *data;

	if (buf->failed)
		return NULL;
	if (__builtin_add_overflow(buf->len, len, &need) || need > SIZE_MAX / 2 - 1)
		goto fail;
	need++;
	if (need > buf->cap) {
		while (cap < need)
			cap *= 2;
		data = realloc(buf->data, cap);
		if (!data)
			goto fail;
		buf->data = data;
		buf->cap = cap;
	}
	buf->data[buf->len] = '\0';
	return buf->data + buf->len;
fail:
	buf->failed = true;
	return NULL;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
	char *p = buf_reserve(buf, len);

	if (!p)
		return;
	if (len)
		memcpy(p, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_puts(struct buf *buf, const char *s)
{
	buf_add(buf, s, strlen(s));
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list ap)
{
	va_list again;
	char *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0) {
		buf->failed = true;
		return;
	}
	p = buf_reserve(buf, (size_t)n);
	if (!p)
		return;
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	buf->len += (size_t)n;
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(buf, fmt, ap);
	va_end(ap);
}

const char *buf_str(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){};
}

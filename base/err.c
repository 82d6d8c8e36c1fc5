/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void put(
	struct err *err, int code, const char *fmt, va_list ap)
{
	err->code = code;
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	put(err, code, fmt, ap);
	va_end(ap);
	errno = saved;
	return code;
}

int err_sys(struct err *err, int code, const char *fmt, ...)
{
	int saved = errno;
	size_t used;
	va_list ap;

	va_start(ap, fmt);
	put(err, code, fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(-code));
	errno = saved;
	return code;
}

int err_add(struct err *err, const char *fmt, ...)
{
	char tail[ERR_TEXT_MAX];
	int saved = errno;
	size_t used;
	va_list ap;

	memcpy(tail, err->text, sizeof(tail));
	va_start(ap, fmt);
	put(err, err->code, fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", tail);
	errno = saved;
	return err->code;
}

void err_clear(struct err *err)
{
	err->code = 0;
	err->text[0] = '\0';
}

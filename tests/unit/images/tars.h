/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives made of parts for tests, right ones and wrong ones. */
#pragma once

#include "base/buf.h"
#include "images/unpack/tar.h"
#include "images/unpack/tar_private.h"

#include <stdio.h>
#include <string.h>

static inline void tars_seal(struct tar_header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned int sum = 0;

	memset(h->checksum, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += p[i];
	snprintf(h->checksum, 8, "%06o", sum);
}

/* A header as it is written by everybody; SIZE octal, no content. */
static inline void tars_header(
	struct buf *b, char type, const char *name, const char *target, unsigned long long size)
{
	struct tar_header h = {};

	for (size_t i = 0; i < 100 && name[i]; i++)
		h.name[i] = name[i];
	for (size_t i = 0; i < 100 && target[i]; i++)
		h.target[i] = target[i];
	memcpy(h.mode, "0000755", 8);
	memcpy(h.uid, "0000000", 8);
	memcpy(h.gid, "0000000", 8);
	snprintf(h.size, 12, "%011llo", size);
	memcpy(h.mtime, "00000000001", 12);
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	memcpy(h.major, "0000001", 8);
	memcpy(h.minor, "0000003", 8);
	h.type = type;
	tars_seal(&h);
	buf_add(b, &h, sizeof(h));
}

static inline void tars_content(struct buf *b, const void *data, size_t len)
{
	static const char zeros[512];

	buf_add(b, data, len);
	buf_add(b, zeros, (512 - len % 512) % 512);
}

static inline void tars_file(struct buf *b, const char *name, const char *text)
{
	tars_header(b, '0', name, "", strlen(text));
	tars_content(b, text, strlen(text));
}

/* RECORDS: "key=value" one after the other, ended by NULL. */
static inline void tars_pax(struct buf *b, const char *const *records)
{
	autobuf struct buf pax = {};

	for (; *records; records++) {
		size_t rest = strlen(*records) + 2, n = rest + 1;
		char digits[16];

		while (rest + (size_t)snprintf(digits, sizeof(digits), "%zu", n) != n)
			n = rest + strlen(digits);
		buf_printf(&pax, "%zu %s\n", n, *records);
	}
	tars_header(b, 'x', "PaxHeaders/x", "", pax.len);
	tars_content(b, pax.data, pax.len);
}

static inline void tars_end(struct buf *b)
{
	static const char zeros[1024];

	buf_add(b, zeros, sizeof(zeros));
}

struct tars_input {
	const char *data;
	size_t len, at, step; /* STEP bytes at a time; 0: all */
};

static inline ssize_t tars_read(void *context, void *buf, size_t len)
{
	struct tars_input *in = context;
	size_t n = in->len - in->at;

	if (n > len)
		n = len;
	if (in->step && n > in->step)
		n = in->step;
	memcpy(buf, in->data + in->at, n);
	in->at += n;
	return (ssize_t)n;
}

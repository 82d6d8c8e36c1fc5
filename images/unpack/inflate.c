/* SPDX-License-Identifier: Apache-2.0 */
#include "images/unpack/inflate.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "images/unpack/jail.h"

#include <isa-l.h>
#include <string.h>
#include <zstd.h>

JAIL_NEEDS(UNPACK_INFLATE, SYS_read);
JAIL_NEEDS(UNPACK_INFLATE, SYS_write);

enum {
	IN_SIZE = 256 << 10,
	OUT_SIZE = 512 << 10,
	WINDOW_LOG_MAX = 27,   /* 128 MiB, what zstd itself takes without being asked */
	FREE_BYTES = 64 << 20, /* before the ratio counts: small files of zeros are honest */
};

struct stream {
	int in, out;
	const struct unpack_limits *limits;
	uint8_t *input, *output;
	size_t have; /* bytes in input */
	uint64_t read, written;
};

static int more_input(struct stream *s, struct err *err)
{
	ssize_t n = sys_read(s->in, s->input, IN_SIZE);

	if (n < 0)
		return err_sys(err, (int)n, "inflate: read");
	s->have = (size_t)n;
	s->read += (uint64_t)n;
	return n > 0;
}

static int put(struct stream *s, const void *data, size_t len, struct err *err)
{
	int r;

	s->written += len;
	if (s->written > s->limits->bytes)
		return err_set(err, -EFBIG, "inflate: more than %llu bytes come out",
			(unsigned long long)s->limits->bytes);
	if (s->written > FREE_BYTES && s->written / s->limits->ratio > s->read)
		return err_set(err, -EFBIG,
			"inflate: more than %llu bytes come out for each that went in",
			(unsigned long long)s->limits->ratio);
	r = fd_write_all(s->out, data, len);
	return r < 0 ? err_sys(err, r, "inflate: write") : 0;
}

static int copy_plain(struct stream *s, struct err *err)
{
	int r = 1;

	while (r > 0) {
		r = put(s, s->input, s->have, err);
		if (r == 0)
			r = more_input(s, err);
	}
	return r;
}

/* One pass over what is in the input; 1 when a member ended. */
static int inflate_some(struct stream *s, struct inflate_state *state, struct err *err)
{
	do {
		int r;

		state->next_out = s->output;
		state->avail_out = OUT_SIZE;
		r = isal_inflate(state);
		if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT)
			return err_set(err, -EINVAL, "inflate: broken gzip data (%d)", r);
		r = put(s, s->output, OUT_SIZE - state->avail_out, err);
		if (r < 0)
			return r;
		if (state->block_state == ISAL_BLOCK_FINISH)
			return 1;
	} while (state->avail_in || state->avail_out == 0);
	return 0;
}

/* Members follow one another; zeros at the end are padding, as gzip(1) takes them. */
static int gunzip(struct stream *s, struct err *err)
{
	autofree struct inflate_state *state = malloc(sizeof(*state));
	bool inside = false;
	int r = 1;

	if (!state)
		return err_sys(err, -ENOMEM, "inflate");
	isal_inflate_init(state);
	while (r > 0) {
		state->next_in = s->input;
		state->avail_in = (uint32_t)s->have;
		while (state->avail_in) {
			if (!inside) {
				uint8_t *next = state->next_in;
				uint32_t left = state->avail_in;

				if (*next == 0) {
					state->next_in++;
					state->avail_in--;
					continue;
				}
				isal_inflate_reset(state);
				state->crc_flag = ISAL_GZIP;
				state->next_in = next;
				state->avail_in = left;
			}
			r = inflate_some(s, state, err);
			if (r < 0)
				return r;
			inside = r == 0;
		}
		r = more_input(s, err);
	}
	if (r == 0 && inside)
		return err_set(err, -EINVAL, "inflate: the gzip data is cut off");
	return r;
}

static int unzstd(struct stream *s, struct err *err)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	size_t hint = 1;
	int r = context ? 1 : err_sys(err, -ENOMEM, "inflate");

	if (context)
		ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	while (r > 0) {
		ZSTD_inBuffer in = {s->input, s->have, 0};
		ZSTD_outBuffer out = {s->output, OUT_SIZE, 0};

		do {
			out.pos = 0;
			hint = ZSTD_decompressStream(context, &out, &in);
			if (ZSTD_isError(hint))
				r = err_set(err, -EINVAL, "inflate: broken zstd data: %s",
					ZSTD_getErrorName(hint));
			else
				r = put(s, s->output, out.pos, err);
		} while (r == 0 && (in.pos < in.size || out.pos == out.size));
		if (r == 0)
			r = more_input(s, err);
	}
	ZSTD_freeDCtx(context);
	if (r == 0 && hint != 0)
		return err_set(err, -EINVAL, "inflate: the zstd data is cut off");
	return r;
}

static bool is_zstd(const uint8_t *p, size_t len)
{
	/* A frame, or a skippable one: RFC 8878, 3.1. */
	return len >= 4 &&
	       (memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0 ||
		       ((p[0] & 0xf0) == 0x50 && memcmp(p + 1, "\x2a\x4d\x18", 3) == 0));
}

/* The first bytes may come one at a time; four tell what it is. */
static int first_input(struct stream *s, struct err *err)
{
	while (s->have < 4) {
		ssize_t n = sys_read(s->in, s->input + s->have, IN_SIZE - s->have);

		if (n < 0)
			return err_sys(err, (int)n, "inflate: read");
		if (n == 0)
			break;
		s->have += (size_t)n;
	}
	s->read = s->have;
	return 0;
}

int inflate_run(int in, int out, const struct unpack_limits *limits, struct err *err)
{
	autofree uint8_t *input = malloc(IN_SIZE);
	autofree uint8_t *output = malloc(OUT_SIZE);
	struct stream s = {
		.in = in, .out = out, .limits = limits, .input = input, .output = output};
	int r;

	if (!input || !output)
		return err_sys(err, -ENOMEM, "inflate");
	r = first_input(&s, err);
	if (r < 0)
		return r;
	if (s.have >= 2 && input[0] == 0x1f && input[1] == 0x8b)
		return gunzip(&s, err);
	if (is_zstd(input, s.have))
		return unzstd(&s, err);
	return copy_plain(&s, err);
}

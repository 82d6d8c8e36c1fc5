/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content digests: "sha256:…" and "sha512:…" over bytes as they pass.
 *
 * digest_begin(), digest_add() any number of times, then digest_end() for the text or
 * digest_verify() against the one that was promised. Any process; one struct per thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

#include <stddef.h>

enum { DIGEST_TEXT_MAX = 7 + 128 };

struct digest {
	char text[DIGEST_TEXT_MAX + 1];
};

struct digest_state {
	void *context; /* NULL when not begun */
};

/* LIKE is a digest whose algorithm is to be used; NULL: sha256. −EINVAL, −ENOMEM. */
int digest_begin(struct digest_state *state, const char *like);
void digest_add(struct digest_state *state, const void *data, size_t len);
/* Ends the computation and releases STATE. */
int digest_end(struct digest_state *state, struct digest *ret);
/* Ends it; −EBADMSG, with both digests in ERR, unless the result is WANT. */
int digest_verify(struct digest_state *state, const char *want, struct err *err);
void digest_free(struct digest_state *state);

/* The digest of LEN bytes at once; LIKE as above. */
int digest_of(const void *data, size_t len, const char *like, struct digest *ret);

/* The hexadecimal part of a valid digest. */
const char *digest_hex(const char *digest);

/*
 * The chain id of a layer on top of PARENT (a chain id; NULL for the lowest layer): the DiffID
 * itself, or sha256("PARENT DIFF_ID"); image-spec, config.md.
 */
int digest_chain(const char *parent, const char *diff_id, struct digest *ret);

CLEANUP_DEFINE(digest_state, struct digest_state, digest_free)
#define autodigest __attribute__((cleanup(cleanup_digest_state)))

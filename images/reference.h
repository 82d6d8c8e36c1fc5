/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References to images: [registry[:port]/]repository[:tag][@digest].
 *
 * Order of use: reference_parse() what a person wrote; when .registry is empty it is a short name,
 * which images/registries.h turns into candidates with a registry; reference_normalise() then gives
 * the one spelling under which the store knows it ("docker.io/library/alpine:latest").
 *
 * The grammar is that of the distribution specification and nothing more, since every part ends in
 * a URL. Pure functions; any process. A struct reference owns no memory and may be copied.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

enum {
	REFERENCE_NAME_MAX = 255, /* registry and repository together */
	REFERENCE_TAG_MAX = 128,
	REFERENCE_DIGEST_MAX = 7 + 128,
};

struct reference {
	char registry[REFERENCE_NAME_MAX + 1];   /* "host[:port]"; "": a short name */
	char repository[REFERENCE_NAME_MAX + 1]; /* "a/b/c" */
	char tag[REFERENCE_TAG_MAX + 1];         /* "": none */
	char digest[REFERENCE_DIGEST_MAX + 1];   /* "sha256:…"; "": none */
};

/* −EINVAL with a sentence that says which part is wrong. *RET is untouched on failure. */
int reference_parse(const char *text, struct reference *ret, struct err *err);

/*
 * The canonical form: index.docker.io is docker.io, a one-component repository there is in
 * library/, and with neither tag nor digest the tag is "latest". A short name is left short but for
 * the tag. −ENAMETOOLONG.
 */
int reference_normalise(struct reference *reference, struct err *err);

/* Appends the reference as text, as reference_parse() takes it. */
void reference_format(const struct reference *reference, struct buf *ret);

/* "registry/repository", the name of a repository without tag and digest. */
void reference_format_name(const struct reference *reference, struct buf *ret);

/* True for a string that can be a tag: [A-Za-z0-9_][A-Za-z0-9._-]{0,127}. */
bool reference_is_tag(const char *text);

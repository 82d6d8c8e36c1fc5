/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registries.conf (version 2): where images come from. Mirrors, blocked and insecure registries,
 * locations, and what short names stand for; see containers-registries.conf(5).
 *
 * registries_load() once, then for a reference registries_candidates() when it is a short name, and
 * registries_endpoints() for each candidate: the places to ask, in order. Loading reads files; the
 * rest are pure functions. Any process.
 */
#pragma once

#include "base/err.h"
#include "images/pull.h"
#include "images/reference.h"

#include <stdbool.h>

struct registries;

/*
 * Reads FILE and then the *.conf files of DIRECTORY in the order of their names, later ones
 * replacing entries of the same prefix. NULL for both: ~/.config/containers/registries.conf or
 * /etc/containers/registries.conf, and the .d directories. Missing files are no error, anything
 * that brig does not understand is.
 */
int registries_load(
	const char *file, const char *directory, struct registries **ret, struct err *err);
/* One file's text; for tests and fuzzers. */
int registries_parse(
	const char *name, const char *text, size_t len, struct registries *into, struct err *err);
struct registries *registries_new(void);
void registries_free(struct registries *registries);

struct registries_candidates {
	struct reference *items;
	size_t count;
};

/*
 * What the short name REFERENCE may stand for, in the order to try: its alias alone when there is
 * one, else each of unqualified-search-registries, docker.io when none are configured. With
 * short-name-mode "enforcing" and several, −EINVAL names them: guessing would let the first
 * registry with such a name decide. Ended with free(items).
 */
int registries_candidates(const struct registries *registries, const struct reference *reference,
	struct registries_candidates *ret, struct err *err);

struct registries_endpoints {
	struct pull_endpoint *items;
	size_t count;
};

/*
 * Where to get REFERENCE (with a registry): its mirrors, then its location. −EACCES when the
 * registry is blocked. Ended with free(items).
 */
int registries_endpoints(const struct registries *registries, const struct reference *reference,
	struct registries_endpoints *ret, struct err *err);

static inline void registries_release(struct registries **registries)
{
	registries_free(*registries);
	*registries = NULL;
}
CLEANUP_DEFINE(registries, struct registries *, registries_release)
#define autoregistries __attribute__((cleanup(cleanup_registries)))

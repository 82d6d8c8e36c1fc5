/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials for registries: auth.json, docker's config.json and credential helpers.
 *
 * Looked up for one repository at a time: the longest entry that is a prefix of
 * "registry/repository" counts, a credential helper for the registry before a stored secret, the
 * first file that has something before the next. Helpers are programs named
 * docker-credential-NAME that are run with "get", the server on standard input.
 *
 * Single-threaded processes only, since helpers are run.
 */
#pragma once

#include "base/err.h"
#include "images/reference.h"

#include <stdbool.h>
#include <stddef.h>

struct auth_credentials {
	bool set;
	char username[256];
	char secret[8192];
	bool identity_token; /* the secret is a refresh token, not a password */
};

struct auth_options {
	/* Files in the order in which they are asked, ends with NULL; NULL: $REGISTRY_AUTH_FILE
	 * alone when it is set, else $XDG_RUNTIME_DIR/containers/auth.json,
	 * ~/.config/containers/auth.json and ~/.docker/config.json. */
	const char *const *files;
	const char *helper_path; /* directories of helpers, as $PATH, which NULL stands for */
};

/*
 * Finds what is known for REFERENCE; RET->set is false when that is nothing. A missing file is no
 * error; a broken one is −EINVAL, a helper that fails −EIO.
 */
int auth_find(const struct auth_options *options, const struct reference *reference,
	struct auth_credentials *ret, struct err *err);

/* Stores credentials for the registry of REFERENCE (login), or removes them when CREDENTIALS is
 * NULL (logout), in FILE. Written whole or not at all, mode 0600. */
int auth_store(const char *file, const struct reference *reference,
	const struct auth_credentials *credentials, struct err *err);

/* "Basic …", RFC 7617; and its decoding, −EINVAL. */
int auth_basic(const struct auth_credentials *credentials, struct buf *ret);
int auth_decode_basic(const char *base64, struct auth_credentials *ret);

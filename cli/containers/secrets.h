/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets: small texts that containers get as files, and that are never shown.
 *
 *   DATA/secrets/NAME/data          the bytes, mode 0600
 *   DATA/secrets/NAME/secret.json   id, name, when it was made, labels
 *
 * A secret appears and goes by rename(2). A container that has one got a copy of the bytes when it
 * was started (cli/containers/start.h). The process of a command.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

enum { SECRET_MAX = 512000 }; /* bytes; what docker and podman take */

struct secret {
	const char *id, *name, *created; /* 24 hexadecimal digits; RFC 3339 */
	struct pairs labels;

	json_t *json;
	struct arena arena;
};

/* The folder of secrets below DATA, made when it is missing. */
int secrets_open(int data, struct err *err);
/* Makes NAME with LEN bytes; REPLACE: also when there is one. RET_ID: 25 bytes. −EEXIST, −EINVAL
 * for a name that cannot be, −EFBIG. */
int secret_create(int secrets, const char *name, const void *data, size_t len,
	const struct pairs *labels, bool replace, char ret_id[25], struct err *err);
/* Finds TEXT, a name or the beginning of an id. −ENOENT "no such secret: TEXT". */
int secret_load(int secrets, const char *text, struct secret *ret, struct err *err);
/* The bytes of the secret NAME. The caller wipes them. */
int secret_read(int secrets, const char *name, struct buf *ret, struct err *err);
void secret_free(struct secret *secret);
int secret_remove(int secrets, const char *name, struct err *err);
/* Calls FN for every secret, in no order; stops at a result that is not 0 and returns it. */
int secrets_each(
	int secrets, int (*fn)(const struct secret *secret, void *arg), void *arg, struct err *err);

CLEANUP_DEFINE(secret, struct secret, secret_free)
#define autosecret __attribute__((cleanup(cleanup_secret)))

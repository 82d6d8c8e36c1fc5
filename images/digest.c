/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The low-level functions of libcrypto: they need no provider to be loaded, so that a statically
 * linked program neither carries nor initialises the rest of it.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "images/digest.h"

#include "spec/image.h"

#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct context {
	bool is_512;
	union {
		SHA256_CTX sha256;
		SHA512_CTX sha512;
	};
};

const char *digest_hex(const char *digest)
{
	return strchr(digest, ':') + 1;
}

int digest_begin(struct digest_state *state, const char *like)
{
	bool is_512 = like && strncmp(like, "sha512:", 7) == 0;
	struct context *context;

	if (like && !is_512 && strncmp(like, "sha256:", 7) != 0)
		return -EINVAL;
	context = malloc(sizeof(*context));
	if (!context)
		return -ENOMEM;
	context->is_512 = is_512;
	if (is_512)
		SHA512_Init(&context->sha512);
	else
		SHA256_Init(&context->sha256);
	digest_free(state);
	state->context = context;
	return 0;
}

void digest_add(struct digest_state *state, const void *data, size_t len)
{
	struct context *context = state->context;

	if (context->is_512)
		SHA512_Update(&context->sha512, data, len);
	else
		SHA256_Update(&context->sha256, data, len);
}

int digest_end(struct digest_state *state, struct digest *ret)
{
	struct context *context = state->context;
	unsigned int len = context->is_512 ? SHA512_DIGEST_LENGTH : SHA256_DIGEST_LENGTH;
	unsigned char bytes[SHA512_DIGEST_LENGTH];
	char *p = ret->text;

	if (context->is_512)
		SHA512_Final(bytes, &context->sha512);
	else
		SHA256_Final(bytes, &context->sha256);
	p += sprintf(p, "%s:", context->is_512 ? "sha512" : "sha256");
	for (unsigned int i = 0; i < len; i++)
		p += sprintf(p, "%02x", bytes[i]);
	digest_free(state);
	return 0;
}

int digest_verify(struct digest_state *state, const char *want, struct err *err)
{
	struct digest have;
	int r = digest_end(state, &have);

	if (r < 0)
		return err_sys(err, r, "compute a digest");
	if (strcmp(have.text, want) != 0)
		return err_set(err, -EBADMSG, "the content is %s, not %s", have.text, want);
	return 0;
}

void digest_free(struct digest_state *state)
{
	free(state->context);
	state->context = NULL;
}

int digest_of(const void *data, size_t len, const char *like, struct digest *ret)
{
	autodigest struct digest_state state = {};
	int r = digest_begin(&state, like);

	if (r < 0)
		return r;
	digest_add(&state, data, len);
	return digest_end(&state, ret);
}

int digest_chain(const char *parent, const char *diff_id, struct digest *ret)
{
	char both[2 * DIGEST_TEXT_MAX + 2];

	if (!spec_digest_is_valid(diff_id) || (parent && !spec_digest_is_valid(parent)))
		return -EINVAL;
	if (!parent) {
		memcpy(ret->text, diff_id, strlen(diff_id) + 1);
		return 0;
	}
	snprintf(both, sizeof(both), "%s %s", parent, diff_id);
	return digest_of(both, strlen(both), NULL, ret);
}

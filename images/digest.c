/* SPDX-License-Identifier: Apache-2.0 */
#include "images/digest.h"

#include "spec/image.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

const char *digest_hex(const char *digest)
{
	return strchr(digest, ':') + 1;
}

int digest_begin(struct digest_state *state, const char *like)
{
	const EVP_MD *md = EVP_sha256();
	EVP_MD_CTX *context;

	if (like && strncmp(like, "sha512:", 7) == 0)
		md = EVP_sha512();
	else if (like && strncmp(like, "sha256:", 7) != 0)
		return -EINVAL;
	context = EVP_MD_CTX_new();
	if (!context)
		return -ENOMEM;
	if (EVP_DigestInit_ex(context, md, NULL) != 1) {
		EVP_MD_CTX_free(context);
		return -ENOMEM;
	}
	digest_free(state);
	state->context = context;
	return 0;
}

void digest_add(struct digest_state *state, const void *data, size_t len)
{
	EVP_DigestUpdate(state->context, data, len);
}

int digest_end(struct digest_state *state, struct digest *ret)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned int len;
	char *p = ret->text;

	if (EVP_DigestFinal_ex(state->context, bytes, &len) != 1)
		return -EIO;
	p += sprintf(p, "%s:", len == 64 ? "sha512" : "sha256");
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
	EVP_MD_CTX_free(state->context);
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

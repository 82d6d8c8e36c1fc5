/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushing an image: blobs that the registry lacks, then the manifest. Or a list of images.
 *
 * A blob that another repository of the same registry has (of an image that was pulled from there)
 * is mounted instead of sent. Single-threaded.
 */
#pragma once

#include "base/err.h"
#include "images/pull.h"
#include "images/store.h"

struct push_options {
	const char *image;           /* image_open()'s, or the digest of an image or a list */
	bool all;                    /* of a list the images, too, as far as they are here */
	struct pull_endpoint target; /* with a tag */
	const struct auth_options *auth;
	struct http_options http;
};

struct push_result {
	char digest[DIGEST_TEXT_MAX + 1];
	uint32_t sent, mounted, present; /* blobs */
	uint64_t bytes;
};

/* Of a list first its images, by their digests. −ENOENT when a blob is not in the store (its layer
 * came with another image): pull it again. */
int push_image(struct store *store, const struct push_options *options, struct push_result *ret,
	struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that are in the store: looking at them, naming and removing them.
 *
 * image_open() finds one by name, or by the (unambiguous beginning of the) hexadecimal digest of
 * its config, which is its id, or of its manifest. It holds the parsed documents.
 */
#pragma once

#include "base/err.h"
#include "images/store.h"
#include "spec/image.h"

struct image {
	char manifest_digest[DIGEST_TEXT_MAX + 1];
	struct spec_image_document *manifest;
	struct spec_image_config *config;
	struct digest *chains;  /* lowest first, as many as layers */
	struct buf config_text; /* as it is in the store, for `inspect` */
};

/* The name in the store that TEXT, as a person writes it, means: a short name finds "localhost/…",
 * else "docker.io/library/…", else any registry's repository of that name when there is one only;
 * an id finds any name of its image. −ENOENT, −EINVAL when it is ambiguous. */
int image_find(struct store *store, const char *text, struct store_name *ret, struct err *err);
/* The image that TEXT means, as image_find(). */
int image_open(struct store *store, const char *text, struct image *ret, struct err *err);
/* The image of the manifest DIGEST. */
int image_open_digest(struct store *store, const char *digest, struct image *ret, struct err *err);
void image_free(struct image *image);
/* The list of images (an index, of OCI or Docker) DIGEST; −EINVAL when it is none. */
int image_open_list(
	struct store *store, const char *digest, struct spec_image_document **ret, struct err *err);
/* Puts JSON into the store as a blob. */
int image_put_json(struct store *store, const json_t *json, struct digest *ret, size_t *ret_len,
	struct err *err);
/* The name that TEXT means where one is given: of "localhost" unless it says a registry. −EINVAL
 * for one with a digest. */
int image_new_name(const char *text, struct reference *ret, struct err *err);
/* "sha256:…" of the config: what `images -q` shows. */
const char *image_id(const struct image *image);
/* Bytes of all compressed layers. */
uint64_t image_size(const struct image *image);

/* Gives the image TEXT the further name TARGET. */
int image_tag(struct store *store, const char *text, const char *target, struct err *err);
/* Takes a name away; by id, all names of the image (−EBUSY for several unless FORCE). Blobs and
 * layers go with store_collect(). −EBUSY when a container stands on it, unless FORCE. */
int image_remove(struct store *store, const char *text, bool force, struct err *err);

/*
 * Makes a manifest and a config of one more layer (or of the first, when BASE is NULL), and sets
 * NAME for it. The blob is in the store. HISTORY tells where it came from; PATCH is merged over the
 * config's settings ("config" of the image config) when not NULL.
 */
struct image_layer {
	const char *blob, *diff_id, *media_type; /* digests */
	uint64_t size;
	const char *created_by, *comment;
};
int image_append(struct store *store, const struct image *base, const struct image_layer *layer,
	const json_t *patch, const struct reference *name, struct digest *ret_manifest,
	struct err *err);

CLEANUP_DEFINE(image, struct image, image_free)
#define autoimage __attribute__((cleanup(cleanup_image)))

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI image documents (image-spec 1.1) and their Docker schema 2 twins as plain structs.
 *
 * Order of use: spec_image_document_parse() for what a registry or a layout calls a manifest or an
 * index, spec_image_select() to choose one manifest of an index, spec_image_config_parse() for the
 * blob that a manifest's config names. Everything is read-only once parsed; strings live as long
 * as the struct that holds them.
 *
 * Nothing here trusts its input: a document that could be read as a manifest by one reader and as
 * an index by another is refused, digests must follow the grammar to the letter (they become file
 * names), and the number of layers is bounded. Pure functions; any process.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

#define SPEC_MEDIA_OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define SPEC_MEDIA_OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define SPEC_MEDIA_OCI_CONFIG      "application/vnd.oci.image.config.v1+json"
#define SPEC_MEDIA_OCI_LAYER       "application/vnd.oci.image.layer.v1.tar"
#define SPEC_MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define SPEC_MEDIA_DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define SPEC_MEDIA_DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"
#define SPEC_MEDIA_DOCKER_LAYER    "application/vnd.docker.image.rootfs.diff.tar"

enum {
	SPEC_DOCUMENT_MAX = 4 << 20, /* bytes of a manifest, index or config */
	SPEC_LAYERS_MAX = 500,       /* what overlay takes */
};

struct spec_platform {
	const char *architecture, *os, *variant, *os_version;
	struct strings os_features;
};

struct spec_descriptor {
	const char *media_type, *digest, *artifact_type;
	uint64_t size; /* bytes */
	struct strings urls;
	struct spec_platform *platform; /* NULL: any */
	struct pairs annotations;
};

struct spec_descriptors {
	struct spec_descriptor *items;
	size_t count;
};

enum spec_document_kind { SPEC_DOCUMENT_MANIFEST = 1, SPEC_DOCUMENT_INDEX };

/* A manifest (config, layers) or an index (manifests). */
struct spec_image_document {
	enum spec_document_kind kind;
	bool docker; /* Docker's media types, not OCI's */
	uint32_t schema_version;
	const char *media_type; /* never NULL: what the document says, else what its shape says */
	const char *artifact_type;
	struct spec_descriptor *config, *subject;
	struct spec_descriptors layers, manifests;
	struct pairs annotations;

	json_t *json;
	struct arena arena;
};

struct spec_health_check {
	struct strings test; /* NONE, CMD or CMD-SHELL, then arguments */
	struct opt_i64 interval, timeout, start_period, start_interval; /* nanoseconds */
	uint32_t retries;
};

struct spec_image_settings {
	const char *user, *working_dir, *stop_signal;
	struct strings env, entrypoint, cmd, shell, on_build;
	struct strings exposed_ports, volumes; /* the keys of the objects, in the file's order */
	struct pairs labels;
	struct spec_health_check *health_check;
};

struct spec_image_history {
	const char *created, *created_by, *author, *comment;
	bool empty_layer;
};

struct spec_image_config {
	const char *created, *author, *architecture, *os, *variant, *os_version;
	struct spec_image_settings config;
	struct strings diff_ids; /* digests of the uncompressed layers, lowest first */
	struct {
		struct spec_image_history *items;
		size_t count;
	} history;

	json_t *json;
	struct arena arena;
};

/* "sha256:" and 64, or "sha512:" and 128 lower-case hexadecimal digits, and nothing else. */
bool spec_digest_is_valid(const char *text);

/*
 * Parses the LEN bytes of TEXT as a manifest or index. CONTENT_TYPE is what the transport said
 * (parameters such as charset allowed) and must agree with the document; NULL when it said nothing.
 * NAME stands in front of errors. −EINVAL for anything malformed or ambiguous, −EOPNOTSUPP for
 * Docker schema 1. *RET is ended with spec_image_document_free().
 */
int spec_image_document_parse(const char *name, const char *content_type, const char *text,
	size_t len, struct spec_image_document **ret, struct err *err);
void spec_image_document_free(struct spec_image_document *document);

/* Parses an image's config. A missing architecture or os is an error; −EINVAL. */
int spec_image_config_parse(const char *name, const char *text, size_t len,
	struct spec_image_config **ret, struct err *err);
void spec_image_config_free(struct spec_image_config *config);

/*
 * "os/arch[/variant]", "arch" alone or NULL (this machine) into RET; names are normalised as
 * registries use them (x86_64 → amd64, aarch64 → arm64 v8, armhf → arm v7). Strings belong to
 * ARENA. −EINVAL, −ENOMEM.
 */
int spec_platform_parse(
	const char *text, struct arena *arena, struct spec_platform *ret, struct err *err);

/*
 * The first manifest in INDEX for PLATFORM: operating system and architecture must be equal; an
 * entry whose variant is equal is better than one without, and for arm an older variant is taken
 * when nothing else is there. −ENOENT names what the index has.
 */
int spec_image_select(const struct spec_image_document *index, const struct spec_platform *platform,
	const struct spec_descriptor **ret, struct err *err);

/* True for every layer type of tar, tar+gzip and tar+zstd, non-distributable ones included. */
bool spec_media_is_layer(const char *media_type);
bool spec_media_is_index(const char *media_type);
bool spec_media_is_manifest(const char *media_type);

static inline void spec_image_document_release(struct spec_image_document **document)
{
	spec_image_document_free(*document);
	*document = NULL;
}
CLEANUP_DEFINE(spec_image_document, struct spec_image_document *, spec_image_document_release)
#define autodocument __attribute__((cleanup(cleanup_spec_image_document)))

static inline void spec_image_config_release(struct spec_image_config **config)
{
	spec_image_config_free(*config);
	*config = NULL;
}
CLEANUP_DEFINE(spec_image_config, struct spec_image_config *, spec_image_config_release)
#define autoimageconfig __attribute__((cleanup(cleanup_spec_image_config)))

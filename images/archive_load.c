/* SPDX-License-Identifier: Apache-2.0 */
/* Loading: OCI layouts and docker-archives, from a directory or a file. */
#include "images/archive.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/ingest.h"
#include "images/layer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const char ref_name[] = "org.opencontainers.image.ref.name";
static const char full_name[] = "io.containerd.image.name";

enum { INDEX_DEPTH_MAX = 3 };
#define BLOB_MAX (256ULL << 30)

struct load {
	struct store *store;
	const struct archive_load_options *options;
	int dir;
};

/* A regular file of the archive, wherever the archive's own links lead inside of it. */
static int open_file(struct load *l, const char *path, struct err *err)
{
	autoclose int fd = path_open(l->dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r = fd < 0 ? fd : sys_fstat(fd, &st);

	if (r < 0)
		return err_sys(err, r, "archive: %.200s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "archive: %.200s is no file", path);
	return take_fd(&fd);
}

static int read_file(struct load *l, const char *path, struct buf *ret, struct err *err)
{
	autoclose int fd = open_file(l, path, err);
	int r = fd < 0 ? fd : fd_read_all(fd, SPEC_DOCUMENT_MAX, ret);

	return r < 0 && !err->code ? err_sys(err, r, "archive: %.200s", path) : r < 0 ? r : 0;
}

static int load_blob(
	struct load *l, const char *digest, uint64_t size, uint64_t max, struct err *err)
{
	autoclose int fd = -1;
	char path[200];
	uint64_t have;
	int r;

	if (store_blob_exists(l->store, digest))
		return 0;
	store_blob_path(digest, path);
	fd = open_file(l, path, err);
	if (fd < 0)
		return fd;
	r = ingest_blob(l->store, fd, digest, max, NULL, &have, NULL, err);
	if (r == 0 && size != UINT64_MAX && have != size)
		r = err_set(err, -EBADMSG, "it has %llu bytes, not %llu", (unsigned long long)have,
			(unsigned long long)size);
	return r < 0 ? err_add(err, "archive: %.30s…", path) : 0;
}

/* ---- names ---- */

static int set_name(
	struct load *l, const char *text, const char *manifest, const char *index, struct err *err)
{
	autobuf struct buf shown = {};
	struct store_name name = {};
	int r = reference_parse(text, &name.reference, err);

	if (r == 0)
		r = reference_normalise(&name.reference, err);
	if (r < 0)
		return err_add(err, "archive");
	if (!*name.reference.registry) {
		strcpy(name.reference.registry, "docker.io");
		r = reference_normalise(&name.reference, err);
		if (r < 0)
			return r;
	}
	strcpy(name.digest, manifest);
	strcpy(name.index, index ? index : "");
	reference_format(&name.reference, &shown);
	r = store_name_set(l->store, &name, err);
	if (r == 0 && l->options->loaded)
		l->options->loaded(l->options->context, buf_str(&shown));
	return r;
}

/* A layout may name an image by tag alone, or not at all: then it is known by its digest. */
static int name_manifest(struct load *l, const struct spec_descriptor *d, const char *manifest,
	const char *index, struct err *err)
{
	const char *name = NULL;
	char fallback[128];

	for (size_t i = 0; i < d->annotations.count; i++) {
		const struct pair *a = &d->annotations.items[i];

		if (strcmp(a->key, full_name) == 0 || (!name && strcmp(a->key, ref_name) == 0))
			name = a->value;
	}
	if (name && reference_is_tag(name) && !strchr(name, ':') && !strchr(name, '/'))
		snprintf(fallback, sizeof(fallback), "localhost/layout:%.100s", name);
	else if (!name)
		snprintf(
			fallback, sizeof(fallback), "localhost/layout:%.12s", digest_hex(manifest));
	else
		return set_name(l, name, manifest, index, err);
	return set_name(l, fallback, manifest, index, err);
}

/* ---- OCI layouts ---- */

/* What is not there yet, all at once: see store_defer(). */
static int defer_blobs(struct load *l, const struct spec_image_document *m, struct err *err)
{
	autofree const char **blobs = calloc(m->layers.count + 1, sizeof(*blobs));
	struct store_deferral what = {.blobs = blobs};

	if (!blobs)
		return err_sys(err, -ENOMEM, "archive");
	for (size_t i = 0; i <= m->layers.count; i++) {
		const char *digest =
			i < m->layers.count ? m->layers.items[i].digest : m->config->digest;

		if (!store_blob_exists(l->store, digest))
			blobs[what.blob_count++] = digest;
	}
	return store_defer_more(l->store, &what, err);
}

static int load_manifest(
	struct load *l, const struct spec_image_document *m, const char *digest, struct err *err)
{
	autoimage struct image image = {};
	int r = defer_blobs(l, m, err);

	if (r == 0)
		r = load_blob(l, m->config->digest, m->config->size, SPEC_DOCUMENT_MAX, err);

	for (size_t i = 0; i < m->layers.count && r == 0; i++) {
		const struct spec_descriptor *d = &m->layers.items[i];

		if (!spec_media_is_layer(d->media_type))
			return err_set(err, -EOPNOTSUPP, "layer %zu is a %.100s, no file system",
				i + 1, d->media_type);
		r = load_blob(l, d->digest, d->size, BLOB_MAX, err);
	}
	if (r == 0)
		r = image_open_digest(l->store, digest, &image, err);
	return r < 0 ? r : ingest_layers(l->store, &image, err);
}

static int load_descriptor(struct load *l, const struct spec_descriptor *top, struct err *err)
{
	autoarena struct arena arena = {};
	char digest[DIGEST_TEXT_MAX + 1], index[DIGEST_TEXT_MAX + 1] = "";
	struct spec_platform platform;
	uint64_t size = top->size;
	int r = spec_platform_parse(l->options->platform, &arena, &platform, err);

	strcpy(digest, top->digest);
	for (int depth = 0; r == 0 && depth <= INDEX_DEPTH_MAX; depth++) {
		autodocument struct spec_image_document *document = NULL;
		autobuf struct buf text = {};
		const struct spec_descriptor *next;

		r = load_blob(l, digest, size, SPEC_DOCUMENT_MAX, err);
		if (r == 0)
			r = store_blob_read(l->store, digest, SPEC_DOCUMENT_MAX, &text, err);
		if (r == 0)
			r = spec_image_document_parse(
				"archive", NULL, buf_str(&text), text.len, &document, err);
		if (r < 0)
			return r;
		if (document->kind == SPEC_DOCUMENT_MANIFEST) {
			r = load_manifest(l, document, digest, err);
			return r < 0 ? r : name_manifest(l, top, digest, index, err);
		}
		if (!*index)
			strcpy(index, digest);
		r = spec_image_select(document, &platform, &next, err);
		if (r < 0)
			return r;
		strcpy(digest, next->digest);
		size = next->size;
	}
	return r < 0 ? r : err_set(err, -ELOOP, "archive: an index in an index, too often");
}

static int load_layout(struct load *l, struct err *err)
{
	autodocument struct spec_image_document *index = NULL;
	autobuf struct buf text = {};
	int r = read_file(l, "index.json", &text, err);

	if (r == 0)
		r = spec_image_document_parse(
			"index.json", NULL, buf_str(&text), text.len, &index, err);
	if (r == 0 && index->kind != SPEC_DOCUMENT_INDEX)
		r = err_set(err, -EINVAL, "index.json: is no index");
	for (size_t i = 0; r == 0 && i < index->manifests.count; i++)
		r = load_descriptor(l, &index->manifests.items[i], err);
	return r;
}

/* ---- docker-archives ---- */

struct docker_image {
	const char *config;
	struct strings tags, layers;
};
static const struct json_rule docker_rules[] = {
	{"Config", JSON_TEXT, true, JSON_AT(docker_image, config)},
	{"RepoTags", JSON_TEXTS, false, JSON_AT(docker_image, tags)},
	{"Layers", JSON_TEXTS, true, JSON_AT(docker_image, layers)},
	{},
};
static const struct json_table docker_table = {sizeof(struct docker_image), docker_rules};

static int add_layer(struct load *l, const char *path, json_t *layers, struct err *err)
{
	autoclose int fd = open_file(l, path, err);
	struct digest digest;
	const char *type;
	uint64_t size;
	int r = fd < 0 ? fd : ingest_blob(l->store, fd, NULL, BLOB_MAX, &digest, &size, &type, err);

	if (r < 0)
		return r;
	return json_array_append_new(
		       layers, json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest",
				       digest.text, "size", (json_int_t)size))
		       ? err_sys(err, -ENOMEM, "archive")
		       : 0;
}

/* The format has no manifest of its own: one is made, which is what a push then sends. */
static int make_manifest(
	struct load *l, const struct docker_image *d, struct digest *ret, struct err *err)
{
	autojson json_t *manifest = NULL;
	autoclose int config = open_file(l, d->config, err);
	autobuf struct buf text = {};
	struct digest digest;
	uint64_t size;
	int r = config < 0 ? config
			   : ingest_blob(l->store, config, NULL, SPEC_DOCUMENT_MAX, &digest, &size,
				     NULL, err);

	if (r < 0)
		return r;
	manifest = json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:[]}", "schemaVersion", 2, "mediaType",
		SPEC_MEDIA_OCI_MANIFEST, "config", "mediaType", SPEC_MEDIA_OCI_CONFIG, "digest",
		digest.text, "size", (json_int_t)size, "layers");
	if (!manifest)
		return err_sys(err, -ENOMEM, "archive");
	for (size_t i = 0; i < d->layers.count && r == 0; i++)
		r = add_layer(l, d->layers.items[i], json_object_get(manifest, "layers"), err);
	if (r < 0)
		return r;
	r = json_write(manifest, JSON_COMPACT, &text);
	if (r == 0)
		r = digest_of(text.data, text.len, NULL, ret);
	if (r < 0)
		return err_sys(err, r, "archive");
	return store_blob_put(l->store, ret->text, text.data, text.len, err);
}

static int load_docker_image(struct load *l, const struct docker_image *d, struct err *err)
{
	autoimage struct image image = {};
	char fallback[128];
	struct digest manifest;
	int r = make_manifest(l, d, &manifest, err);

	if (r == 0)
		r = image_open_digest(l->store, manifest.text, &image, err);
	if (r == 0)
		r = ingest_layers(l->store, &image, err);
	for (size_t i = 0; r == 0 && i < d->tags.count; i++)
		r = set_name(l, d->tags.items[i], manifest.text, NULL, err);
	if (r == 0 && !d->tags.count) {
		snprintf(fallback, sizeof(fallback), "localhost/archive:%.12s",
			digest_hex(image_id(&image)));
		r = set_name(l, fallback, manifest.text, NULL, err);
	}
	return r;
}

static int load_docker(struct load *l, struct err *err)
{
	autoarena struct arena arena = {};
	autojson json_t *json = NULL;
	autobuf struct buf text = {};
	int r = read_file(l, "manifest.json", &text, err);

	if (r == 0)
		r = json_parse("manifest.json", buf_str(&text), text.len, &json, err);
	if (r == 0 && !json_array_size(json))
		r = err_set(err, -EINVAL, "manifest.json: has no images");
	for (size_t i = 0; r == 0 && i < json_array_size(json); i++) {
		struct docker_image d = {};

		r = json_decode(json_array_get(json, i), &docker_table, &arena, &d, err);
		if (r == 0 && d.layers.count > SPEC_LAYERS_MAX)
			r = err_set(err, -EINVAL, "more than %d layers", SPEC_LAYERS_MAX);
		if (r < 0)
			return err_add(err, "manifest.json");
		r = load_docker_image(l, &d, err);
	}
	return r;
}

/* ---- the whole ---- */

static bool has_file(struct load *l, const char *name)
{
	struct stat st;

	return sys_fstatat(l->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static int load_directory(struct load *l, struct err *err)
{
	if (has_file(l, "oci-layout") && has_file(l, "index.json"))
		return load_layout(l, err);
	if (has_file(l, "manifest.json"))
		return load_docker(l, err);
	return err_set(err, -EINVAL,
		"is neither an OCI layout nor a docker-archive: there is no index.json and no "
		"manifest.json in it");
}

static int load_archive(struct load *l, int input, struct err *err)
{
	autoclose int trash =
		sys_openat(store_root(l->store), "trash", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	struct err second = {};
	char name[64];
	int r;

	/* In the trash from the start: what a crash leaves is collected from there. */
	snprintf(name, sizeof(name), "load-%d-%d", getpid(), gettid());
	r = trash < 0 ? trash : sys_mkdirat(trash, name, 0700);
	if (r == 0) {
		l->dir = sys_openat(trash, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		r = l->dir < 0 ? l->dir : 0;
	}
	if (r < 0)
		return err_sys(err, r, "store: load");
	r = ingest_extract(l->store, input, l->dir, err);
	if (r == 0)
		r = load_directory(l, err);
	cleanup_close(&l->dir);
	if (layer_remove_tree(l->store, trash, name, &second) < 0 && r == 0)
		*err = second;
	return r == 0 ? second.code : r;
}

int archive_load(
	struct store *store, int input, const struct archive_load_options *options, struct err *err)
{
	struct load l = {.store = store, .options = options, .dir = -1};
	autoclose int hold = store_hold(store, err);
	struct stat st;
	int r = hold < 0 ? hold : sys_fstat(input, &st);

	if (r == 0)
		r = store_defer(store, NULL, err);
	if (r < 0)
		return err->code ? r : err_sys(err, r, "load");
	if (!S_ISDIR(st.st_mode))
		return load_archive(&l, input, err);
	l.dir = input;
	return load_directory(&l, err);
}

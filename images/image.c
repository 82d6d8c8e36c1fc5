/* SPDX-License-Identifier: Apache-2.0 */
#include "images/image.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/snapshot.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- opening ---- */

static int compute_chains(struct image *image, struct err *err)
{
	const struct strings *ids = &image->config->diff_ids;
	int r = 0;

	image->chains = calloc(ids->count + 1, sizeof(*image->chains));
	if (!image->chains)
		return err_sys(err, -ENOMEM, "image");
	for (size_t i = 0; i < ids->count && r == 0; i++)
		r = digest_chain(
			i ? image->chains[i - 1].text : NULL, ids->items[i], &image->chains[i]);
	return r < 0 ? err_sys(err, r, "image") : 0;
}

int image_open_digest(struct store *s, const char *digest, struct image *ret, struct err *err)
{
	autoimage struct image image = {};
	autobuf struct buf text = {};
	int r = store_blob_read(s, digest, SPEC_DOCUMENT_MAX, &text, err);

	if (r == 0)
		r = spec_image_document_parse(
			"manifest", NULL, buf_str(&text), text.len, &image.manifest, err);
	if (r == 0 && image.manifest->kind != SPEC_DOCUMENT_MANIFEST)
		r = err_set(err, -EINVAL, "%s is an index and no image", digest);
	if (r == 0)
		r = store_blob_read(s, image.manifest->config->digest, SPEC_DOCUMENT_MAX,
			&image.config_text, err);
	if (r == 0)
		r = spec_image_config_parse("image config", buf_str(&image.config_text),
			image.config_text.len, &image.config, err);
	if (r == 0 && image.config->diff_ids.count != image.manifest->layers.count)
		r = err_set(err, -EINVAL, "the config and the manifest differ in layers");
	if (r == 0)
		r = compute_chains(&image, err);
	if (r < 0)
		return err_add(err, "image %.19s…", digest);
	snprintf(image.manifest_digest, sizeof(image.manifest_digest), "%s", digest);
	*ret = image;
	image = (struct image){};
	return 0;
}

int image_open_list(
	struct store *s, const char *digest, struct spec_image_document **ret, struct err *err)
{
	autodocument struct spec_image_document *list = NULL;
	autobuf struct buf text = {};
	int r = store_blob_read(s, digest, SPEC_DOCUMENT_MAX, &text, err);

	if (r == 0)
		r = spec_image_document_parse("index", NULL, buf_str(&text), text.len, &list, err);
	if (r == 0 && list->kind != SPEC_DOCUMENT_INDEX)
		r = err_set(err, -EINVAL, "%.19s… is an image and no list", digest);
	if (r == 0)
		*ret = take_ptr(list);
	return r;
}

void image_free(struct image *image)
{
	spec_image_document_free(image->manifest);
	spec_image_config_free(image->config);
	buf_free(&image->config_text);
	free(image->chains);
	*image = (struct image){};
}

const char *image_id(const struct image *image)
{
	return image->manifest->config->digest;
}

uint64_t image_size(const struct image *image)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < image->manifest->layers.count; i++)
		sum += image->manifest->layers.items[i].size;
	return sum;
}

/* ---- finding ---- */

static bool is_hex_id(const char *text)
{
	size_t n = strlen(text);

	return n >= 4 && n <= 64 && strspn(text, "0123456789abcdef") == n;
}

/* The config's digest of a manifest, without all the rest; false when it cannot be read. */
static bool id_begins(struct store *s, const char *manifest, const char *hex)
{
	autoimage struct image image = {};
	struct err ignored = {};

	if (strncmp(digest_hex(manifest), hex, strlen(hex)) == 0)
		return true;
	return image_open_digest(s, manifest, &image, &ignored) == 0 &&
	       strncmp(digest_hex(image_id(&image)), hex, strlen(hex)) == 0;
}

typedef bool name_match(struct store *s, const struct store_name *name, const void *what);

static bool match_id(struct store *s, const struct store_name *name, const void *what)
{
	return id_begins(s, name->digest, what);
}

static bool match_short(struct store *s, const struct store_name *name, const void *what)
{
	const struct reference *want = what, *have = &name->reference;
	const char *repository = have->repository;

	(void)s;
	if (strcmp(have->registry, "docker.io") == 0 && strncmp(repository, "library/", 8) == 0)
		repository += 8;
	return strcmp(repository, want->repository) == 0 && strcmp(have->tag, want->tag) == 0 &&
	       (!*want->digest || strcmp(name->digest, want->digest) == 0);
}

/* The one name that matches; several are one when they stand for the same image. */
static int find_match(struct store *s, const char *text, name_match *match, const void *what,
	struct store_name *ret, struct err *err)
{
	autonames struct store_names names = {};
	const struct store_name *found = NULL;
	int r = store_names_list(s, &names, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < names.count; i++) {
		const struct store_name *n = &names.items[i];

		if (!match(s, n, what))
			continue;
		if (found && strcmp(found->digest, n->digest) != 0)
			return err_set(err, -EINVAL,
				"%.200s: stands for more than one image here; write the registry, "
				"or more digits",
				text);
		found = n;
	}
	if (!found)
		return err_set(err, -ENOENT, "%.200s: no such image here", text);
	*ret = *found;
	return 0;
}

/* What was made here, and Docker's own registry, come first among equals. Looked up and not
 * searched for, so that it does not matter how many images there are. */
static int find_short(struct store *s, const char *text, const struct reference *ref,
	struct store_name *ret, struct err *err)
{
	static const char *const first[] = {"localhost", "docker.io"};
	int r;

	for (size_t i = 0; i < ARRAY_LEN(first); i++) {
		struct reference whole = *ref;

		strcpy(whole.registry, first[i]);
		r = reference_normalise(&whole, err);
		if (r == 0)
			r = store_name_get(s, &whole, ret, err);
		if (r != -ENOENT)
			return r;
		err_clear(err);
	}
	return find_match(s, text, match_short, ref, ret, err);
}

int image_find(struct store *s, const char *text, struct store_name *ret, struct err *err)
{
	const char *hex = strncmp(text, "sha256:", 7) == 0 ? text + 7 : text;
	struct reference ref;
	int r;

	if (is_hex_id(hex)) {
		r = find_match(s, text, match_id, hex, ret, err);
		if (r != -ENOENT || hex != text)
			return r;
		err_clear(err);
	}
	r = reference_parse(text, &ref, err);
	if (r == 0)
		r = reference_normalise(&ref, err);
	if (r < 0)
		return r;
	return *ref.registry ? store_name_get(s, &ref, ret, err)
			     : find_short(s, text, &ref, ret, err);
}

int image_open(struct store *s, const char *text, struct image *ret, struct err *err)
{
	struct store_name name;
	int r = image_find(s, text, &name, err);

	return r < 0 ? r : image_open_digest(s, name.digest, ret, err);
}

/* ---- names ---- */

int image_new_name(const char *text, struct reference *ret, struct err *err)
{
	int r = reference_parse(text, ret, err);

	if (r == 0)
		r = reference_normalise(ret, err);
	if (r == 0 && *ret->digest)
		r = err_set(err, -EINVAL, "%.200s: a name with a digest cannot be given", text);
	if (r == 0 && !*ret->registry)
		strcpy(ret->registry, "localhost");
	return r;
}

int image_tag(struct store *s, const char *text, const char *target, struct err *err)
{
	autoclose int hold = store_hold(s, err);
	struct reference reference;
	struct store_name name;
	int r;

	if (hold < 0)
		return hold;
	r = image_find(s, text, &name, err);
	if (r == 0)
		r = image_new_name(target, &reference, err);
	if (r < 0)
		return r;
	name.reference = reference;
	*name.created = '\0';
	return store_name_set(s, &name, err);
}

/* A container that stands on the image; its id in RET. */
static int find_user(struct store *s, const char *manifest, char ret[256], struct err *err)
{
	int fd = sys_openat(store_root(s), "containers", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool found = false;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return err_sys(err, fd < 0 ? fd : -ENOMEM, "store: containers");
	}
	while (!found && (entry = readdir(dir))) {
		autosnapshot struct snapshot snapshot = {};
		struct err ignored = {};

		if (entry->d_name[0] == '.' ||
			snapshot_load(s, entry->d_name, &snapshot, &ignored) < 0)
			continue;
		found = strcmp(snapshot.image, manifest) == 0;
		if (found)
			snprintf(ret, 256, "%s", entry->d_name);
	}
	closedir(dir);
	return found;
}

static int remove_all(
	struct store *s, const struct store_names *names, const char *digest, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < names->count && r == 0; i++)
		if (strcmp(names->items[i].digest, digest) == 0)
			r = store_name_remove(s, &names->items[i].reference, err);
	return r;
}

int image_remove(struct store *s, const char *text, bool force, struct err *err)
{
	autoclose int hold = store_hold(s, err);
	autonames struct store_names names = {};
	struct store_name name;
	char user[256];
	size_t count = 0;
	bool by_id = is_hex_id(strncmp(text, "sha256:", 7) == 0 ? text + 7 : text);
	int r;

	if (hold < 0)
		return hold;
	r = image_find(s, text, &name, err);
	if (r == 0)
		r = store_names_list(s, &names, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.count; i++)
		count += strcmp(names.items[i].digest, name.digest) == 0;
	if (count > 1 && !by_id)
		return store_name_remove(s, &name.reference, err);
	if (count > 1 && !force)
		return err_set(
			err, -EBUSY, "%s: has %zu names; say which, or force it", text, count);
	r = force ? 0 : find_user(s, name.digest, user, err);
	if (r > 0)
		return err_set(err, -EBUSY, "%s: the container %s stands on it", text, user);
	return r < 0 ? r : remove_all(s, &names, name.digest, err);
}

/* ---- making ---- */

static void now_text(char ret[32])
{
	time_t t = time(NULL);
	struct tm tm;

	strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
}

/* A config for a first layer: this machine's platform, and nothing else. */
static json_t *empty_config(struct err *err)
{
	autoarena struct arena arena = {};
	struct spec_platform platform;

	if (spec_platform_parse(NULL, &arena, &platform, err) < 0)
		return NULL;
	return json_pack("{s:s, s:s, s:{}, s:{s:s, s:[]}, s:[]}", "architecture",
		platform.architecture, "os", platform.os, "config", "rootfs", "type", "layers",
		"diff_ids", "history");
}

static int make_config(const struct image *base, const struct image_layer *layer,
	const json_t *patch, json_t **ret, struct err *err)
{
	autojson json_t *config = base ? json_deep_copy(base->config->json) : empty_config(err);
	json_t *history;
	char now[32];

	if (!config)
		return err->code ? err->code : err_sys(err, -ENOMEM, "image config");
	now_text(now);
	if (!json_object_get(config, "history"))
		json_object_set_new(config, "history", json_array());
	if (!json_is_object(json_object_get(config, "config")))
		json_object_set_new(config, "config", json_object());
	history = json_object_get(config, "history");
	if (json_object_set_new(config, "created", json_string(now)) ||
		json_array_append_new(
			json_object_get(json_object_get(config, "rootfs"), "diff_ids"),
			json_string(layer->diff_id)) ||
		json_array_append_new(
			history, json_pack("{s:s, s:s, s:s}", "created", now, "created_by",
					 layer->created_by ? layer->created_by : "", "comment",
					 layer->comment ? layer->comment : "")) ||
		(patch && json_object_update(json_object_get(config, "config"), (json_t *)patch)))
		return err_sys(err, -ENOMEM, "image config");
	*ret = take_ptr(config);
	return 0;
}

int image_put_json(
	struct store *s, const json_t *json, struct digest *ret, size_t *ret_len, struct err *err)
{
	autobuf struct buf text = {};
	int r = json_write(json, JSON_COMPACT, &text);

	if (r == 0)
		r = digest_of(text.data, text.len, NULL, ret);
	if (r < 0)
		return err_sys(err, r, "image");
	*ret_len = text.len;
	return store_blob_put(s, ret->text, text.data, text.len, err);
}

/* Docker's manifests become OCI's: layer types of both may stand in one. */
static json_t *make_manifest(const struct image *base, const struct image_layer *layer,
	const struct digest *config, size_t config_len)
{
	json_t *layers = json_array(), *old;

	old = base ? json_object_get(base->manifest->json, "layers") : NULL;
	for (size_t i = 0; i < json_array_size(old); i++)
		json_array_append_new(layers, json_deep_copy(json_array_get(old, i)));
	json_array_append_new(
		layers, json_pack("{s:s, s:s, s:I}", "mediaType", layer->media_type, "digest",
				layer->blob, "size", (json_int_t)layer->size));
	return json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:o}", "schemaVersion", 2, "mediaType",
		SPEC_MEDIA_OCI_MANIFEST, "config", "mediaType", SPEC_MEDIA_OCI_CONFIG, "digest",
		config->text, "size", (json_int_t)config_len, "layers", layers);
}

int image_append(struct store *s, const struct image *base, const struct image_layer *layer,
	const json_t *patch, const struct reference *reference, struct digest *ret, struct err *err)
{
	autojson json_t *config = NULL, *manifest = NULL;
	struct store_name name = {};
	struct digest digest;
	size_t len = 0;
	int r = make_config(base, layer, patch, &config, err);

	if (r == 0)
		r = image_put_json(s, config, &digest, &len, err);
	if (r < 0)
		return r;
	manifest = make_manifest(base, layer, &digest, len);
	if (!manifest)
		return err_sys(err, -ENOMEM, "image");
	r = image_put_json(s, manifest, ret, &len, err);
	if (r < 0)
		return r;
	name.reference = *reference;
	strcpy(name.digest, ret->text);
	return store_name_set(s, &name, err);
}

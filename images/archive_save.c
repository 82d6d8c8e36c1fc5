/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and exporting, and images made from what is here: import, commit. */
#include "images/archive.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/helper.h"
#include "images/ingest.h"
#include "images/layer.h"
#include "images/snapshot.h"
#include "images/unpack/tar_write.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 1 << 20 };

struct save {
	struct store *store;
	struct tar_writer tar;
	int dir; /* −1: into the tar */
	char *buffer;
	void *written; /* names, as a set; tsearch(3) */
	json_t *manifests, *docker;
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* ---- one file, into the tar or the directory ---- */

static int put_file_fd(struct save *s, const char *path, int fd, uint64_t size, struct err *err)
{
	const struct tar_entry e = {
		.type = TAR_FILE, .path = path, .target = "", .mode = 0644, .size = size};
	autoclose int out = -1, parent = -1;
	const char *name;
	ssize_t n = 0;
	int r = 0;

	if (s->dir < 0) {
		r = tar_write_entry(&s->tar, &e, err);
	} else {
		parent = path_open_parent(s->dir, path, true, &name);
		out = parent < 0 ? parent
				 : sys_openat(parent, name,
					   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
		if (out < 0)
			return err_sys(err, out, "save %s", path);
	}
	while (r == 0 && size) {
		n = sys_read(fd, s->buffer, size < CHUNK ? (size_t)size : CHUNK);
		if (n <= 0)
			return err_sys(err, n < 0 ? (int)n : -EIO, "save %s", path);
		size -= (uint64_t)n;
		if (s->dir < 0) {
			r = tar_write_data(&s->tar, s->buffer, (size_t)n, err);
		} else {
			r = fd_write_all(out, s->buffer, (size_t)n);
			if (r < 0)
				err_sys(err, r, "save %s", path);
		}
	}
	return r;
}

static int put_text(struct save *s, const char *path, const void *data, size_t len, struct err *err)
{
	autoclose int fd = sys_memfd_create("save", 0);
	int r = fd < 0 ? fd : fd_write_all(fd, data, len);

	if (r < 0)
		return err_sys(err, r, "save %s", path);
	lseek(fd, 0, SEEK_SET);
	return put_file_fd(s, path, fd, len, err);
}

static int put_json(struct save *s, const char *path, const json_t *json, struct err *err)
{
	autobuf struct buf text = {};
	int r = json_write(json, JSON_COMPACT, &text);

	return r < 0 ? err_sys(err, r, "save %s", path)
		     : put_text(s, path, text.data, text.len, err);
}

/* A blob under its path in the layout, once. */
static int put_blob(struct save *s, const char *digest, struct err *err)
{
	autoclose int fd = -1;
	char path[200], *copy, **found;
	uint64_t size;

	store_blob_path(digest, path);
	copy = strdup(path);
	found = copy ? tsearch(copy, &s->written, compare) : NULL;
	if (!found || *found != copy) {
		free(copy);
		return found ? 0 : err_sys(err, -ENOMEM, "save");
	}
	fd = store_blob_open(s->store, digest, &size);
	if (fd < 0)
		return err_sys(err, fd, "blob %.19s… is not here: pull the image again", digest);
	return put_file_fd(s, path, fd, size, err);
}

/* ---- one image ---- */

static int list_image(
	struct save *s, const struct image *image, const char *name, size_t size, struct err *err)
{
	autojson json_t *layers = json_array();
	char path[200];

	for (size_t i = 0; i < image->manifest->layers.count; i++) {
		store_blob_path(image->manifest->layers.items[i].digest, path);
		json_array_append_new(layers, json_string(path));
	}
	store_blob_path(image_id(image), path);
	if (json_array_append_new(s->manifests,
		    json_pack("{s:s, s:s, s:I, s:{s:s, s:s}}", "mediaType",
			    image->manifest->media_type, "digest", image->manifest_digest, "size",
			    (json_int_t)size, "annotations", "io.containerd.image.name", name,
			    "org.opencontainers.image.ref.name", name)) ||
		json_array_append_new(s->docker, json_pack("{s:s, s:[s], s:O}", "Config", path,
							 "RepoTags", name, "Layers", layers)))
		return err_sys(err, -ENOMEM, "save");
	return 0;
}

static int save_image(struct save *s, const char *text, struct err *err)
{
	autoimage struct image image = {};
	autobuf struct buf reference = {}, manifest = {};
	struct store_name name;
	int r = image_find(s->store, text, &name, err);

	if (r == 0)
		r = image_open_digest(s->store, name.digest, &image, err);
	if (r < 0)
		return r;
	reference_format(&name.reference, &reference);
	r = store_blob_read(s->store, image.manifest_digest, SPEC_DOCUMENT_MAX, &manifest, err);
	if (r == 0)
		r = put_blob(s, image.manifest_digest, err);
	if (r == 0)
		r = put_blob(s, image_id(&image), err);
	for (size_t i = 0; r == 0 && i < image.manifest->layers.count; i++)
		r = put_blob(s, image.manifest->layers.items[i].digest, err);
	return r < 0 ? r : list_image(s, &image, buf_str(&reference), manifest.len, err);
}

static int save_lists(struct save *s, struct err *err)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	autojson json_t *index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
		SPEC_MEDIA_OCI_INDEX, "manifests", s->manifests);
	int r = index ? put_text(s, "oci-layout", layout, sizeof(layout) - 1, err)
		      : err_sys(err, -ENOMEM, "save");

	if (r == 0)
		r = put_json(s, "index.json", index, err);
	if (r == 0)
		r = put_json(s, "manifest.json", s->docker, err);
	if (r == 0 && s->dir < 0)
		r = tar_write_end(&s->tar, err);
	return r;
}

int archive_save(
	struct store *store, const char *const *names, size_t count, int out, struct err *err)
{
	autoclose int hold = store_hold(store, err);
	autofree char *buffer = malloc(CHUNK);
	autojson json_t *manifests = json_array(), *docker = json_array();
	struct save s = {.store = store,
		.dir = -1,
		.buffer = buffer,
		.manifests = manifests,
		.docker = docker};
	struct stat st;
	int r = hold < 0 ? hold : sys_fstat(out, &st);

	if (r < 0)
		return err->code ? r : err_sys(err, r, "save");
	if (!buffer || !manifests || !docker)
		return err_sys(err, -ENOMEM, "save");
	if (S_ISDIR(st.st_mode))
		s.dir = out;
	s.tar.fd = out;
	for (size_t i = 0; i < count && r == 0; i++)
		r = save_image(&s, names[i], err);
	if (r == 0)
		r = save_lists(&s, err);
	tar_write_free(&s.tar);
	tdestroy(s.written, free);
	return r;
}

/* ---- import, export, commit ---- */

static int append_and_unpack(struct store *store, const struct image *base,
	const struct image_layer *layer, const json_t *patch, const struct reference *name,
	struct digest *ret, struct err *err)
{
	autoimage struct image image = {};
	int r = image_append(store, base, layer, patch, name, ret, err);

	if (r == 0)
		r = image_open_digest(store, ret->text, &image, err);
	return r < 0 ? r : ingest_layers(store, &image, err);
}

int archive_import(struct store *store, int input, const struct reference *name,
	const json_t *patch, const char *comment, struct digest *ret, struct err *err)
{
	autoclose int hold = store_hold(store, err);
	struct image_layer layer = {.created_by = "brig import", .comment = comment};
	struct digest blob, diff_id;
	int r = hold < 0 ? hold : helper_prepare(store, err);

	if (r == 0)
		r = store_defer(store, NULL, err);
	if (r == 0)
		r = ingest_blob(store, input, NULL, helper_default_limits.bytes, &blob, &layer.size,
			&layer.media_type, err);
	if (r == 0)
		r = layer_diff_id(store, blob.text, &diff_id, err);
	if (r < 0)
		return r;
	layer.blob = blob.text;
	layer.diff_id = diff_id.text;
	return append_and_unpack(store, NULL, &layer, patch, name, ret, err);
}

int archive_export(struct store *store, int rootfd, int out, struct err *err)
{
	const struct unpack_request request = {
		.role = UNPACK_PACK, .format = UNPACK_PLAIN, .limits = helper_default_limits};
	autohelper struct helper helper = HELPER_NONE;
	struct unpack_reply reply;
	int r = helper_prepare(store, err);

	if (r == 0)
		r = helper_start(store, &request, rootfd, -1, out, &helper, err);
	return r < 0 ? r : helper_wait(&helper, &reply, err);
}

/* What the container wrote, with the ids that it knows. */
static int open_written(struct store *store, const char *id, int userns, struct err *err)
{
	autoclose int upper = snapshot_open_upper(store, id), tree = -1;
	int r = upper;

	if (r >= 0 && userns >= 0) {
		r = tree = sys_open_tree(upper, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
		if (r >= 0)
			r = sys_mount_setattr(
				tree, "", AT_EMPTY_PATH, MOUNT_ATTR_IDMAP, 0, 0, userns);
	}
	if (r < 0)
		return err_sys(err, r, "container %s", id);
	return userns >= 0 ? take_fd(&tree) : take_fd(&upper);
}

int archive_commit(struct store *store, const char *id, int userns, const struct reference *name,
	const json_t *patch, const char *comment, struct digest *ret, struct err *err)
{
	autoclose int hold = store_hold(store, err), upper = -1;
	autosnapshot struct snapshot snapshot = {};
	autoimage struct image base = {};
	struct image_layer layer = {.media_type = SPEC_MEDIA_OCI_LAYER "+gzip",
		.created_by = "brig commit",
		.comment = comment};
	struct digest blob, diff_id;
	int r = hold < 0 ? hold : snapshot_load(store, id, &snapshot, err);

	if (r == 0)
		r = image_open_digest(store, snapshot.image, &base, err);
	if (r < 0)
		return r;
	upper = open_written(store, id, userns, err);
	if (upper < 0)
		return upper;
	r = store_defer(store, NULL, err);
	if (r == 0)
		r = ingest_pack(store, upper, &blob, &diff_id, &layer.size, err);
	if (r < 0)
		return r;
	layer.blob = blob.text;
	layer.diff_id = diff_id.text;
	return append_and_unpack(store, &base, &layer, patch, name, ret, err);
}

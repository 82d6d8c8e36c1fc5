/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collection of what no name and no container needs. It runs alone in the store, so what is in
 * parts, staging and trash then is of the dead.
 */
#include "images/store_private.h"

#include "base/path.h"
#include "base/sys.h"
#include "images/helper.h"
#include "images/image.h"
#include "images/layer.h"
#include "images/snapshot.h"

#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

enum { PART_KEPT_SECONDS = 24 * 3600 };

/* Digests that are needed, as a set of a search tree; tsearch(3). */
struct live {
	void *blobs, *layers;
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int mark(void **set, const char *hex)
{
	char *copy = strdup(hex);
	char **found = copy ? tsearch(copy, set, compare) : NULL;

	if (!found) {
		free(copy);
		return -ENOMEM;
	}
	if (*found != copy)
		free(copy);
	return 0;
}

static void free_live(struct live *live)
{
	tdestroy(live->blobs, free);
	tdestroy(live->layers, free);
}

/*
 * Everything that MANIFEST needs. An image that cannot be read is an error and no reason to remove
 * what it may need.
 */
static int mark_image(struct store *s, struct live *live, const char *manifest, struct err *err)
{
	autoimage struct image image = {};
	int r = image_open_digest(s, manifest, &image, err);

	if (r < 0)
		return r;
	r = mark(&live->blobs, digest_hex(manifest));
	if (r == 0)
		r = mark(&live->blobs, digest_hex(image_id(&image)));
	for (size_t i = 0; r == 0 && i < image.manifest->layers.count; i++) {
		r = mark(&live->blobs, digest_hex(image.manifest->layers.items[i].digest));
		if (r == 0)
			r = mark(&live->layers, digest_hex(image.chains[i].text));
	}
	return r < 0 ? err_sys(err, r, "collect") : 0;
}

static int mark_names(struct store *s, struct live *live, struct err *err)
{
	autonames struct store_names names = {};
	int r = store_names_list(s, &names, err);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		r = mark_image(s, live, names.items[i].digest, err);
		if (r == 0 && *names.items[i].index)
			r = mark(&live->blobs, digest_hex(names.items[i].index));
	}
	return r;
}

/* Of an image in a list what is here: a list may name what is only elsewhere. */
static int mark_member(struct store *s, struct live *live, const char *digest, struct err *err)
{
	int r = mark_image(s, live, digest, err);

	if (r == -ENOENT) {
		err_clear(err);
		r = mark(&live->blobs, digest_hex(digest));
	}
	return r < 0 && !err->code ? err_sys(err, r, "collect") : r;
}

static int mark_lists(struct store *s, struct live *live, struct err *err)
{
	autonames struct store_names names = {};
	int r = store_lists_list(s, &names, err);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autodocument struct spec_image_document *list = NULL;

		r = image_open_list(s, names.items[i].digest, &list, err);
		if (r == 0 && (r = mark(&live->blobs, digest_hex(names.items[i].digest))) < 0)
			err_sys(err, r, "collect");
		for (size_t k = 0; r == 0 && k < list->manifests.count; k++)
			r = mark_member(s, live, list->manifests.items[k].digest, err);
	}
	return r;
}

struct visit {
	struct store *store;
	bool hidden;
	int (*each)(struct store *s, int dir, const char *name, void *context, struct err *err);
	void *context;
	struct err *err;
};

static int visit_name(void *context, int dir, const char *name)
{
	const struct visit *v = context;

	return v->hidden || *name != '.' ? v->each(v->store, dir, name, v->context, v->err) : 0;
}

/* Calls EACH for every name in FOLDER, with those that are HIDDEN or without. */
static int each_name(struct store *s, const char *folder, bool hidden,
	int (*each)(struct store *s, int dir, const char *name, void *context, struct err *err),
	void *context, struct err *err)
{
	autoclose int fd = sys_openat(s->root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int r = fd < 0 ? fd
		       : path_each(fd, visit_name, &(struct visit){s, hidden, each, context, err});

	return r < 0 && !err->code ? err_sys(err, r, "store: %s", folder) : r;
}

/* A container keeps its layers, and its image when that is still there, for commit. */
static int mark_container(struct store *s, int dir, const char *id, void *context, struct err *err)
{
	autosnapshot struct snapshot snapshot = {};
	struct live *live = context;
	struct err ignored = {};
	int r = snapshot_load(s, id, &snapshot, err);

	(void)dir;
	for (size_t i = 0; r == 0 && i < snapshot.count; i++)
		r = mark(&live->layers, digest_hex(snapshot.chains[i].text));
	if (r == 0 && mark_image(s, live, snapshot.image, &ignored) == -ENOMEM)
		r = -ENOMEM;
	return r < 0 && !err->code ? err_sys(err, r, "collect") : r;
}

struct sweep {
	void *const *live;
	struct store_collected *count;
	bool layers;
};

static int sweep_one(struct store *s, int dir, const char *name, void *context, struct err *err)
{
	struct sweep *sweep = context;
	struct stat st;
	int r;

	if (tfind(name, sweep->live, compare))
		return 0;
	if (!sweep->layers) {
		if (sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			sweep->count->bytes += (uint64_t)st.st_size;
		r = sys_unlinkat(dir, name, 0);
		sweep->count->blobs++;
		return r < 0 && r != -ENOENT ? err_sys(err, r, "remove blob %s", name) : 0;
	}
	/* By way of the trash: a layer is never half there. */
	{
		autoclose int trash = sys_openat(s->root, "trash", O_RDONLY | O_DIRECTORY, 0);

		r = trash < 0 ? trash : sys_renameat2(dir, name, trash, name, 0);
		sweep->count->layers++;
		return r < 0 ? err_sys(err, r, "remove layer %s", name) : 0;
	}
}

static int remove_one(struct store *s, int dir, const char *name, void *context, struct err *err)
{
	int r = sys_unlinkat(dir, name, 0);

	(void)context;
	if (r == -EISDIR || r == -EPERM)
		return layer_remove_tree(s, dir, name, err);
	return r < 0 && r != -ENOENT ? err_sys(err, r, "remove %s", name) : 0;
}

/* A download that was interrupted lately may go on: only older ones are of no use. */
static int remove_stale(struct store *s, int dir, const char *name, void *context, struct err *err)
{
	struct stat st;

	/* A hidden one never goes on: its writer is dead. */
	if (*name != '.' && sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_mtime > time(NULL) - PART_KEPT_SECONDS)
		return 0;
	return remove_one(s, dir, name, context, err);
}

/* What an interrupted snapshot_create() or store_defer() left. */
static int remove_hidden(struct store *s, int dir, const char *name, void *context, struct err *err)
{
	return *name == '.' ? remove_one(s, dir, name, context, err) : 0;
}

static int sweep_all(
	struct store *s, const struct live *live, struct store_collected *count, struct err *err)
{
	static const char *const leftovers[] = {"staging", "trash"};
	struct sweep blobs = {&live->blobs, count, false}, layers = {&live->layers, count, true};
	int r = each_name(s, "layers", true, sweep_one, &layers, err);

	if (r == 0)
		r = each_name(s, "blobs/sha256", true, sweep_one, &blobs, err);
	if (r == 0)
		r = each_name(s, "blobs/sha512", true, sweep_one, &blobs, err);
	if (r == 0)
		r = each_name(s, "containers", true, remove_hidden, NULL, err);
	if (r == 0)
		r = each_name(s, "deferred", true, remove_hidden, NULL, err);
	if (r == 0)
		r = each_name(s, "parts", true, remove_stale, NULL, err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(leftovers); i++)
		r = each_name(s, leftovers[i], true, remove_one, NULL, err);
	return r;
}

int store_collect(struct store *s, bool wait, struct store_collected *ret, struct err *err)
{
	autoclose int lock = store_lock(s, LOCK_EX | (wait ? 0 : LOCK_NB), err);
	struct store_collected count = {};
	struct live live = {};
	int r;

	if (lock < 0)
		return lock;
	r = helper_prepare(s, err);
	if (r == 0)
		r = mark_names(s, &live, err);
	if (r == 0)
		r = mark_lists(s, &live, err);
	if (r == 0)
		r = each_name(s, "containers", false, mark_container, &live, err);
	if (r == 0)
		r = sweep_all(s, &live, &count, err);
	free_live(&live);
	if (r == 0)
		*ret = count;
	return r;
}

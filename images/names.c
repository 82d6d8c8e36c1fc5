/* SPDX-License-Identifier: Apache-2.0 */
/* The store's names, and its lists: one small JSON file for each, so that readers see one whole or
 * none. */
#include "images/store_private.h"

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/sys.h"
#include "spec/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { NAME_FILE_MAX = 64 << 10 };

struct name_file {
	const char *name, *digest, *index, *created;
};
static const struct json_rule name_rules[] = {
	{"name", JSON_TEXT, true, JSON_AT(name_file, name)},
	{"digest", JSON_TEXT, true, JSON_AT(name_file, digest)},
	{"index", JSON_TEXT, false, JSON_AT(name_file, index)},
	{"created", JSON_TEXT, true, JSON_AT(name_file, created)},
	{},
};
static const struct json_table name_table = {sizeof(struct name_file), name_rules};

/* A reference can be longer than a file's name: the file is called by the reference's hash. */
static int name_path(const struct reference *reference, char ret[80], struct err *err)
{
	autobuf struct buf text = {};
	struct digest digest;
	int r;

	reference_format(reference, &text);
	r = text.failed ? -ENOMEM : digest_of(buf_str(&text), text.len, NULL, &digest);
	if (r < 0)
		return err_sys(err, r, "image name");
	snprintf(ret, 80, "%s", digest_hex(digest.text));
	return 0;
}

static int open_folder(struct store *s, const char *folder, struct err *err)
{
	int dir = sys_openat(s->root, folder, O_RDONLY | O_DIRECTORY, 0);

	return dir < 0 ? err_sys(err, dir, "store: %s", folder) : dir;
}

static int set_in(
	struct store *s, const char *folder, const struct store_name *name, struct err *err)
{
	autoclose int dir = open_folder(s, folder, err);
	autoclose int lock = store_lock_small(s, err);
	autobuf struct buf text = {}, reference = {};
	autojson json_t *json = NULL;
	char file[80], now[32];
	time_t t = time(NULL);
	struct tm tm;
	int r;

	if (lock < 0 || dir < 0)
		return lock < 0 ? lock : dir;
	r = name_path(&name->reference, file, err);
	if (r < 0)
		return r;
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	reference_format(&name->reference, &reference);
	json = json_pack("{s:s, s:s, s:s*, s:s}", "name", buf_str(&reference), "digest",
		name->digest, "index", *name->index ? name->index : NULL, "created",
		*name->created ? name->created : now);
	r = json ? json_write(json, JSON_COMPACT, &text) : -ENOMEM;
	if (r == 0)
		r = fd_replace_file(dir, file, text.data, text.len, 0600);
	if (r == 0)
		r = store_sync_folder(s, folder);
	return r < 0 ? err_sys(err, r, "store: name %s", buf_str(&reference)) : 0;
}

int store_name_set(struct store *s, const struct store_name *name, struct err *err)
{
	return set_in(s, "names", name, err);
}

int store_list_set(struct store *s, const struct store_name *name, struct err *err)
{
	return set_in(s, "lists", name, err);
}

static int read_name(int dir, const char *file, struct store_name *ret, struct err *err)
{
	autoarena struct arena arena = {};
	autobuf struct buf text = {};
	autojson json_t *json = NULL;
	struct name_file f = {};
	struct store_name name = {};
	int r = fd_read_file(dir, file, NAME_FILE_MAX, &text);

	if (r < 0)
		return err_sys(err, r, "store: names/%s", file);
	r = json_parse(file, buf_str(&text), text.len, &json, err);
	if (r == 0)
		r = json_decode(json, &name_table, &arena, &f, err);
	if (r == 0)
		r = reference_parse(f.name, &name.reference, err);
	if (r == 0 &&
		(!spec_digest_is_valid(f.digest) || (f.index && !spec_digest_is_valid(f.index))))
		r = err_set(err, -EINVAL, "digest: is not a digest");
	if (r < 0)
		return err_add(err, "store: names/%s", file);
	snprintf(name.digest, sizeof(name.digest), "%s", f.digest);
	snprintf(name.index, sizeof(name.index), "%s", f.index ? f.index : "");
	snprintf(name.created, sizeof(name.created), "%s", f.created);
	*ret = name;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct reference *x = &((const struct store_name *)a)->reference;
	const struct reference *y = &((const struct store_name *)b)->reference;
	int n = strcmp(x->registry, y->registry);

	if (n == 0)
		n = strcmp(x->repository, y->repository);
	if (n == 0)
		n = strcmp(x->tag, y->tag);
	return n ? n : strcmp(x->digest, y->digest);
}

struct listing {
	struct store_names *list;
	struct err *err;
};

static int add_name(void *context, int dir, const char *file)
{
	const struct listing *listing = context;
	struct store_names *list = listing->list;
	struct store_name *items;
	int r;

	if (*file == '.')
		return 0;
	items = reallocarray(list->items, list->count + 1, sizeof(*list->items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	r = read_name(dir, file, &items[list->count], listing->err);
	if (r == -ENOENT) { /* removed between readdir and open */
		err_clear(listing->err);
		return 0;
	}
	if (r == 0)
		list->count++;
	return r;
}

static int list_in(struct store *s, const char *folder, struct store_names *ret, struct err *err)
{
	autoclose int dir = open_folder(s, folder, err);
	autonames struct store_names list = {};
	int r = dir < 0 ? dir : path_each(dir, add_name, &(struct listing){&list, err});

	if (r < 0)
		return err->code ? r : err_sys(err, r, "store: %s", folder);
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), by_name);
	*ret = list;
	list = (struct store_names){};
	return 0;
}

int store_names_list(struct store *s, struct store_names *ret, struct err *err)
{
	return list_in(s, "names", ret, err);
}

int store_lists_list(struct store *s, struct store_names *ret, struct err *err)
{
	return list_in(s, "lists", ret, err);
}

void store_names_free(struct store_names *names)
{
	free(names->items);
	*names = (struct store_names){};
}

/* A reference by digest: whatever name of that repository stands for it. */
static int find_by_digest(
	struct store *s, const struct reference *reference, struct store_name *ret, struct err *err)
{
	autonames struct store_names list = {};
	int r = store_names_list(s, &list, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < list.count; i++) {
		const struct store_name *n = &list.items[i];

		if (strcmp(n->reference.registry, reference->registry) == 0 &&
			strcmp(n->reference.repository, reference->repository) == 0 &&
			(strcmp(n->digest, reference->digest) == 0 ||
				strcmp(n->index, reference->digest) == 0)) {
			*ret = *n;
			return 0;
		}
	}
	return -ENOENT;
}

static int get_in(struct store *s, const char *folder, const struct reference *reference,
	struct store_name *ret, struct err *err)
{
	autoclose int dir = open_folder(s, folder, err);
	char file[80];
	int r = dir < 0 ? dir : name_path(reference, file, err);

	return r < 0 ? r : read_name(dir, file, ret, err);
}

static int not_here(const struct reference *reference, const char *what, struct err *err)
{
	autobuf struct buf text = {};

	reference_format(reference, &text);
	return err_set(err, -ENOENT, "%s: no such %s here", buf_str(&text), what);
}

int store_name_get(
	struct store *s, const struct reference *reference, struct store_name *ret, struct err *err)
{
	int r = get_in(s, "names", reference, ret, err);

	if (r == -ENOENT && *reference->digest)
		r = find_by_digest(s, reference, ret, err);
	return r == -ENOENT ? not_here(reference, "image", err) : r;
}

int store_list_get(
	struct store *s, const struct reference *reference, struct store_name *ret, struct err *err)
{
	int r = get_in(s, "lists", reference, ret, err);

	return r == -ENOENT ? not_here(reference, "list", err) : r;
}

static int remove_in(struct store *s, const char *folder, const struct reference *reference,
	const char *what, struct err *err)
{
	autoclose int dir = open_folder(s, folder, err);
	autobuf struct buf text = {};
	char file[80];
	int r = dir < 0 ? dir : name_path(reference, file, err);

	if (r < 0)
		return r;
	r = sys_unlinkat(dir, file, 0);
	if (r == -ENOENT)
		return not_here(reference, what, err);
	if (r == 0)
		r = sys_fsync(dir);
	reference_format(reference, &text);
	return r < 0 ? err_sys(err, r, "store: remove the name %s", buf_str(&text)) : 0;
}

int store_name_remove(struct store *s, const struct reference *reference, struct err *err)
{
	return remove_in(s, "names", reference, "image", err);
}

int store_list_remove(struct store *s, const struct reference *reference, struct err *err)
{
	return remove_in(s, "lists", reference, "list", err);
}

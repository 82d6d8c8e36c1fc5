/* SPDX-License-Identifier: Apache-2.0 */
/* image inspect, tag, untag, rmi, image prune, image exists. */
#include "base/json.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "cli/brig/several.h"
#include "cli/containers/events.h"
#include "cli/output/filter.h"
#include "cli/output/human.h"
#include "images/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* ---- inspect ---- */

struct inspect_values {
	const char *format;
};

const struct option image_inspect_options[] = {
	{"format", 'f', OPTION_TEXT, OPTION_AT(inspect_values, format), .argument = "FORMAT",
		.help = "json, or a template"},
	{NULL},
};
VALUES_FIT(struct inspect_values);

/* Names and digests under which the image is here. */
static int add_names(struct store *store, const struct image *image, json_t *ret, struct err *err)
{
	autonames struct store_names names = {};
	json_t *tags = json_array(), *digests = json_array();
	int r = store_names_list(store, &names, err);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		const struct store_name *n = &names.items[i];
		autobuf struct buf tag = {}, digest = {};

		if (strcmp(n->digest, image->manifest_digest) != 0)
			continue;
		images_short_name(&n->reference, true, &tag);
		images_short_name(&n->reference, false, &digest);
		buf_printf(&digest, "@%s", *n->index ? n->index : n->digest);
		if (*n->reference.tag)
			json_array_append_new(tags, json_string(buf_str(&tag)));
		json_array_append_new(digests, json_string(buf_str(&digest)));
	}
	if (json_object_set_new(ret, "RepoTags", tags) ||
		json_object_set_new(ret, "RepoDigests", digests))
		return err_sys(err, -ENOMEM, "inspect");
	return r;
}

static int last_text(const struct image *image, json_t *ret, struct err *err)
{
	const struct spec_image_config *c = image->config;
	const char *comment = c->history.count && c->history.items[c->history.count - 1].comment
				      ? c->history.items[c->history.count - 1].comment
				      : "";

	if (json_object_set_new(ret, "Parent", json_string("")) ||
		json_object_set_new(ret, "Comment", json_string(comment)) ||
		json_object_set_new(ret, "Created", json_string(c->created ? c->created : "")) ||
		json_object_set_new(ret, "Author", json_string(c->author ? c->author : "")) ||
		json_object_set_new(ret, "Architecture", json_string(c->architecture)) ||
		json_object_set_new(ret, "Os", json_string(c->os)))
		return err_sys(err, -ENOMEM, "inspect");
	if (c->variant && json_object_set_new(ret, "Variant", json_string(c->variant)))
		return err_sys(err, -ENOMEM, "inspect");
	return 0;
}

json_t *image_inspect_json(struct store *store, const struct image *image, struct err *err)
{
	autojson json_t *ret =
		json_pack("{s:s, s:s}", "Id", image_id(image), "Digest", image->manifest_digest);
	json_t *config = json_object_get(image->config->json, "config"), *layers = json_array();
	uint64_t size = images_disk_size(store, image);

	if (!ret || add_names(store, image, ret, err) < 0 || last_text(image, ret, err) < 0)
		return NULL;
	for (size_t i = 0; i < image->config->diff_ids.count; i++)
		json_array_append_new(layers, json_string(image->config->diff_ids.items[i]));
	if (json_object_set(ret, "Config", json_is_object(config) ? config : json_object()) ||
		json_object_set_new(ret, "Size", json_integer((json_int_t)size)) ||
		json_object_set_new(ret, "VirtualSize", json_integer((json_int_t)size)) ||
		json_object_set_new(ret, "RootFS",
			json_pack("{s:s, s:o}", "Type", "layers", "Layers", layers)) ||
		json_object_set_new(
			ret, "GraphDriver", json_pack("{s:s, s:{}}", "Name", "overlay", "Data")) ||
		json_object_set_new(
			ret, "ManifestType", json_string(image->manifest->media_type)) ||
		json_object_set_new(ret, "History",
			json_deep_copy(json_object_get(image->config->json, "history")
					       ? json_object_get(image->config->json, "history")
					       : json_array()))) {
		err_sys(err, -ENOMEM, "inspect");
		return NULL;
	}
	return take_ptr(ret);
}

static int inspect_image(struct brig *b, const char *name, json_t **ret, struct err *err)
{
	autoimage struct image image = {};
	struct store *store;
	int r = brig_store(b, &store, err);

	if (r == 0)
		r = image_open(store, name, &image, err);
	if (r < 0)
		return r;
	*ret = image_inspect_json(store, &image, err);
	return *ret ? 0 : err->code;
}

int image_inspect_run(const struct invocation *inv, struct err *err)
{
	const struct inspect_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	int r = brig_open(inv, &b, err);

	return r < 0 ? r : several_inspect(&b, v->format, inspect_image, err);
}

int inspect_other(struct brig *b, const char *name, int type, json_t **ret, struct err *err)
{
	static int (*const looks[])(
		struct brig * b, const char *name, json_t **ret, struct err *err) = {
		[INSPECT_IMAGE] = inspect_image,
		[INSPECT_VOLUME] = volume_inspect_json,
		[INSPECT_SECRET] = secret_inspect_json,
	};
	int r = -ENOENT;

	for (int i = INSPECT_IMAGE; i <= INSPECT_SECRET && r == -ENOENT; i++) {
		if (type != INSPECT_ALL && type != i)
			continue;
		err_clear(err);
		r = looks[i](b, name, ret, err);
		/* What cannot be an image's name may be a volume's. */
		if (r == -EINVAL && type == INSPECT_ALL)
			r = -ENOENT;
	}
	if (r == -ENOENT && type == INSPECT_ALL)
		return err_set(err, r, "no such object: %s", name);
	return r;
}

int image_exists_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autoimage struct image image = {};
	struct store *store = NULL;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	if (r < 0)
		return r;
	r = image_open(store, inv->args[0], &image, err);
	return r == -ENOENT ? 1 : r;
}

/* ---- tag, untag ---- */

int image_tag_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	struct store *store = NULL;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	for (size_t i = 1; r == 0 && i < inv->arg_count; i++) {
		r = image_tag(store, inv->args[0], inv->args[i], err);
		if (r == 0)
			events_note(b.runfd, "image", "tag", inv->args[i], NULL);
	}
	return r;
}

int image_untag_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autonames struct store_names names = {};
	autoimage struct image image = {};
	struct store *store = NULL;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	if (r == 0)
		r = image_open(store, inv->args[0], &image, err);
	for (size_t i = 1; r == 0 && i < inv->arg_count; i++) {
		struct reference ref;

		r = reference_parse(inv->args[i], &ref, err);
		if (r == 0)
			r = reference_normalise(&ref, err);
		if (r == 0 && !*ref.registry)
			strcpy(ref.registry, "localhost");
		if (r == 0)
			r = store_name_remove(store, &ref, err);
	}
	if (r < 0 || inv->arg_count > 1)
		return r;
	r = store_names_list(store, &names, err);
	for (size_t i = 0; r == 0 && i < names.count; i++)
		if (strcmp(names.items[i].digest, image.manifest_digest) == 0)
			r = store_name_remove(store, &names.items[i].reference, err);
	return r;
}

/* ---- rmi ---- */

struct remove_values {
	bool all, force, ignore, no_prune;
};

const struct option image_remove_options[] = {
	{"all", 'a', OPTION_FLAG, OPTION_AT(remove_values, all), .help = "remove every image"},
	{"force", 'f', OPTION_FLAG, OPTION_AT(remove_values, force),
		.help = "remove all names of an image, also when a container stands on it"},
	{"ignore", 'i', OPTION_FLAG, OPTION_AT(remove_values, ignore),
		.help = "it is no error when an image is not there"},
	{"no-prune", 0, OPTION_FLAG, OPTION_AT(remove_values, no_prune),
		.help = "leave the layers for a later image prune"},
	{NULL},
};
VALUES_FIT(struct remove_values);

/* Names that are gone since BEFORE, and the image when none is left. */
static int report_removed(struct brig *b, struct store *store, const struct store_names *before,
	const char *manifest, const char *id, struct err *err)
{
	autonames struct store_names now = {};
	bool left = false;
	int r = store_names_list(store, &now, err);

	for (size_t i = 0; r == 0 && i < before->count; i++) {
		autobuf struct buf name = {}, kept = {};
		bool gone = true;

		if (strcmp(before->items[i].digest, manifest) != 0)
			continue;
		reference_format(&before->items[i].reference, &name);
		for (size_t k = 0; k < now.count && gone; k++) {
			kept.len = 0;
			reference_format(&now.items[k].reference, &kept);
			gone = strcmp(buf_str(&kept), buf_str(&name)) != 0;
		}
		left |= !gone;
		if (gone) {
			printf("Untagged: %s\n", buf_str(&name));
			events_note(b->runfd, "image", "untag", buf_str(&name), NULL);
		}
	}
	if (r == 0 && !left) {
		printf("Deleted: %s\n", id);
		events_note(b->runfd, "image", "delete", id, NULL);
	}
	return r;
}

static int remove_one(
	struct brig *b, struct store *store, const char *text, bool force, struct err *err)
{
	autonames struct store_names before = {};
	autoimage struct image image = {};
	char id[DIGEST_TEXT_MAX + 1];
	int r = image_open(store, text, &image, err);

	if (r == 0)
		r = store_names_list(store, &before, err);
	if (r == 0)
		r = image_remove(store, text, force, err);
	if (r < 0)
		return r;
	images_id_text(image_id(&image), true, id);
	return report_removed(b, store, &before, image.manifest_digest, id, err);
}

static int remove_each(struct brig *b, struct store *store, const struct remove_values *v,
	char *const *names, size_t count)
{
	int code = 0;

	for (size_t i = 0; i < count; i++) {
		struct err one = {};
		int n = remove_one(b, store, names[i], v->force, &one);

		if (n < 0 && (n != -ENOENT || !v->ignore))
			several_failed(&code, &one);
	}
	return code;
}

static int collect(struct store *store, struct store_collected *ret, struct err *err)
{
	int r = store_collect(store, false, ret, err);

	/* Somebody pulls: the next one to remove something takes what is left. */
	if (r == -EBUSY) {
		err_clear(err);
		return 0;
	}
	return r;
}

static char **all_names(struct brig *b, struct store *store, size_t *ret_count, struct err *err)
{
	autonames struct store_names names = {};
	char **list;

	if (store_names_list(store, &names, err) < 0)
		return NULL;
	list = arena_array(b->arena, names.count + 1, char *);
	for (size_t i = 0; list && i < names.count; i++) {
		autobuf struct buf name = {};

		reference_format(&names.items[i].reference, &name);
		list[i] = arena_strdup(b->arena, buf_str(&name));
		if (!list[i])
			list = NULL;
	}
	if (!list)
		err_sys(err, -ENOMEM, "rmi");
	*ret_count = names.count;
	return list;
}

int image_remove_run(const struct invocation *inv, struct err *err)
{
	const struct remove_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	struct store_collected freed = {};
	struct err collecting = {};
	struct store *store = NULL;
	char **names = inv->args;
	size_t count = inv->arg_count;
	int r = brig_open(inv, &b, err);

	if (r == 0 && !count && !v->all)
		r = err_set(err, -EINVAL, "rmi: which image?");
	if (r == 0)
		r = brig_store(&b, &store, err);
	if (r == 0 && v->all) {
		names = all_names(&b, store, &count, err);
		r = names ? 0 : err->code;
	}
	if (r < 0)
		return r;
	r = remove_each(&b, store, v, names, count);
	if (!v->no_prune && collect(store, &freed, &collecting) < 0)
		several_failed(&r, &collecting);
	return r;
}

/* ---- prune ---- */

struct prune_values {
	struct strings filters;
	bool all, force;
};

const struct option image_prune_options[] = {
	{"all", 'a', OPTION_FLAG, OPTION_AT(prune_values, all),
		.help = "remove every image that no container stands on"},
	{"filter", 0, OPTION_TEXTS, OPTION_AT(prune_values, filters), .argument = "KEY=VALUE",
		.help = "remove only images that fit: label, until"},
	{"force", 'f', OPTION_FLAG, OPTION_AT(prune_values, force), .help = "do not ask"},
	{NULL},
};
VALUES_FIT(struct prune_values);

static const char *const prune_keys[] = {"label", "until", NULL};

static bool may_prune(const struct filters *filters, const struct image *image, int64_t until)
{
	json_t *config = json_object_get(image->config->json, "config");
	int64_t created = 0;

	if (image->config->created)
		(void)human_parse_time(image->config->created, &created, NULL);
	return filters_accept_labels(filters, "label", json_object_get(config, "Labels")) &&
	       (!filters_have(filters, "until") || created < until);
}

static int prune_images(struct brig *b, struct store *store, const struct filters *filters,
	int64_t until, struct err *err)
{
	autonames struct store_names names = {};
	int r = store_names_list(store, &names, err);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autoimage struct image image = {};
		autobuf struct buf name = {};
		struct err in_use = {};

		reference_format(&names.items[i].reference, &name);
		r = image_open_digest(store, names.items[i].digest, &image, err);
		if (r < 0 || !may_prune(filters, &image, until))
			continue;
		/* One that a container stands on stays. */
		(void)remove_one(b, store, buf_str(&name), false, &in_use);
	}
	return r;
}

/* Of what collection takes. Notes are not: whoever writes to the disk removes them when it is done,
 * at any time. Nor what containers write and remove meanwhile. */
static uint64_t collectable_size(int root)
{
	static const char *const folders[] = {"blobs", "layers", "parts", "staging", "trash"};
	uint64_t size = 0;

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		autoclose int fd =
			sys_openat(root, folders[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

		size += fd < 0 ? 0 : images_tree_size(fd);
	}
	return size;
}

int images_prune(
	struct brig *b, bool all, const struct strings *texts, uint64_t *ret_bytes, struct err *err)
{
	struct store_collected freed = {};
	struct filters filters = {};
	struct store *store = NULL;
	autoclose int layers = -1;
	uint64_t before;
	int64_t until = 0;
	int r = filters_parse(texts, prune_keys, b->arena, &filters, err);

	if (r == 0 && filters_have(&filters, "until"))
		r = human_parse_moment(filters_value(&filters, "until"), human_now(), &until, err);
	if (r == 0)
		r = brig_store(b, &store, err);
	if (r < 0)
		return r;
	before = collectable_size(store_root(store));
	if (all)
		r = prune_images(b, store, &filters, until, err);
	if (r == 0)
		r = store_collect(store, false, &freed, err);
	if (r == 0) {
		uint64_t after = collectable_size(store_root(store));

		*ret_bytes += before > after ? before - after : 0;
	}
	return r;
}

int image_prune_run(const struct invocation *inv, struct err *err)
{
	const struct prune_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	uint64_t bytes = 0;
	int r;

	if (!images_confirm(v->force, v->all ? "Remove every image that no container stands on?"
					     : "Remove layers that no image needs?"))
		return 0;
	r = brig_open(inv, &b, err);
	if (r == 0)
		r = images_prune(&b, v->all, &v->filters, &bytes, err);
	if (r == 0)
		images_print_reclaimed(bytes);
	return r;
}

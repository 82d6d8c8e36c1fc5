/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest: lists of images of several platforms (OCI indexes), which registries give each machine
 * its own image of.
 *
 * A list is a document in the store with a name of its own (store_list_set()); each change makes a
 * new document, and what no name stands for any more goes with the next collection.
 */
#include "base/json.h"
#include "base/parse.h"
#include "cli/brig/images.h"

#include <stdio.h>
#include <string.h>

struct manifest_values {
	struct remote_flags remote;
	const char *os, *arch, *variant, *os_version, *digest_file;
	struct strings os_features, annotations;
	struct opt_bool all_images;
	bool all, amend, index, quiet, remove;
};
VALUES_FIT(struct manifest_values);

#define MV(member) OPTION_AT(manifest_values, member)
/* What is said of an image in a list. */
#define PLATFORM_OPTIONS                                                                    \
	{"annotation", 0, OPTION_TEXTS, MV(annotations), .argument = "KEY=VALUE",           \
		.help = "note KEY=VALUE; without a value: take it away"},                   \
		{"arch", 0, OPTION_TEXT, MV(arch), .argument = "ARCH",                      \
			.help = "say that it is for this architecture"},                    \
		{"os", 0, OPTION_TEXT, MV(os), .argument = "OS",                            \
			.help = "say that it is for this operating system"},                \
		{"os-features", 0, OPTION_TEXTS, MV(os_features), .argument = "FEATURE",    \
			.help = "say that it needs this of the operating system"},          \
		{"os-version", 0, OPTION_TEXT, MV(os_version), .argument = "VERSION",       \
			.help = "say that it is for this version of the operating system"}, \
	{                                                                                   \
		"variant", 0, OPTION_TEXT, MV(variant),                                     \
			.argument = "VARIANT",                                              \
			.help = "say that it is for this variant of the architecture"       \
	}

const struct option manifest_create_options[] = {
	{"all", 0, OPTION_FLAG, MV(all), .help = "of an IMAGE that is a list, take all its images"},
	{"amend", 'a', OPTION_FLAG, MV(amend), .help = "add to the list if there is one"},
	{"annotation", 0, OPTION_TEXTS, MV(annotations), .argument = "KEY=VALUE",
		.help = "note KEY=VALUE of the list"},
	REMOTE_OPTIONS(manifest_values),
	{NULL},
};

const struct option manifest_add_options[] = {
	{"all", 0, OPTION_FLAG, MV(all), .help = "of an IMAGE that is a list, take all its images"},
	PLATFORM_OPTIONS,
	REMOTE_OPTIONS(manifest_values),
	{NULL},
};

const struct option manifest_annotate_options[] = {
	{"index", 0, OPTION_FLAG, MV(index), .help = "note it of the list, not of an image"},
	PLATFORM_OPTIONS,
	{NULL},
};

const struct option manifest_push_options[] = {
	{"all", 0, OPTION_OPT_FLAG, MV(all_images),
		.help = "push the images too, which is the default; =false: the list alone"},
	{"digestfile", 0, OPTION_TEXT, MV(digest_file), .argument = "FILE",
		.help = "write the digest of the list to FILE"},
	{"quiet", 'q', OPTION_FLAG, MV(quiet), .help = "print only the name, and show no progress"},
	{"rm", 0, OPTION_FLAG, MV(remove), .help = "remove the list here when it is pushed"},
	{"purge", 'p', OPTION_FLAG, MV(remove), .hidden = true},
	REMOTE_OPTIONS(manifest_values),
	{NULL},
};

/* ---- a list that is being changed ---- */

struct list {
	struct store *store;
	int hold;               /* nothing that it names is collected meanwhile */
	struct store_name name; /* .digest "": it is new */
	json_t *json;           /* of the index */
};

static void close_list(struct list *list)
{
	json_release(&list->json);
	cleanup_close(&list->hold);
}
#define autolist __attribute__((cleanup(close_list)))
#define LIST_NONE           \
	{                   \
		.hold = -1, \
	}

static json_t *members_of(const struct list *list)
{
	return json_object_get(list->json, "manifests");
}

static int find_list(struct store *store, const char *text, struct store_name *ret, struct err *err)
{
	struct reference reference;
	int r = image_new_name(text, &reference, err);

	return r < 0 ? r : store_list_get(store, &reference, ret, err);
}

static int load_list(struct list *list, const char *text, struct err *err)
{
	autodocument struct spec_image_document *document = NULL;
	int r = find_list(list->store, text, &list->name, err);

	if (r == 0)
		r = image_open_list(list->store, list->name.digest, &document, err);
	if (r == 0)
		list->json = json_incref(document->json);
	return r;
}

static int open_list(struct brig *b, const char *text, struct list *ret, struct err *err)
{
	int r = brig_store(b, &ret->store, err);

	if (r == 0)
		r = ret->hold = store_hold(ret->store, err);
	return r < 0 ? r : load_list(ret, text, err);
}

static int save_list(struct list *list, bool print, struct err *err)
{
	struct digest digest;
	size_t size;
	int r = image_put_json(list->store, list->json, &digest, &size, err);

	if (r < 0)
		return r;
	strcpy(list->name.digest, digest.text);
	r = store_list_set(list->store, &list->name, err);
	if (r == 0 && print)
		printf("%s\n", digest.text);
	return r;
}

/* ---- what is said of images and lists ---- */

static int set_annotations(json_t *object, const struct strings *annotations, struct err *err)
{
	json_t *all = json_object_get(object, "annotations");

	if (annotations->count && !all) {
		all = json_object();
		json_object_set_new(object, "annotations", all);
	}
	for (size_t i = 0; i < annotations->count; i++) {
		const char *item = annotations->items[i], *equal = strchr(item, '=');
		size_t n = equal ? (size_t)(equal - item) : strlen(item);
		json_t *value = equal ? json_string(equal + 1) : NULL;

		if (!n || (equal && !value))
			return err_set(err, -EINVAL, "--annotation: \"%s\" is not KEY=VALUE", item);
		if (!equal)
			json_object_deln(all, item, n);
		else if (json_object_setn_new(all, item, n, value) < 0)
			return err_set(err, -EINVAL, "--annotation: \"%s\" is no text", item);
	}
	if (all && !json_object_size(all))
		json_object_del(object, "annotations");
	return 0;
}

static int set_text(json_t *object, const char *key, const char *value, struct err *err)
{
	return value && json_object_set_new(object, key, json_string(value)) < 0
		       ? err_set(err, -EINVAL, "%s: is no text", key)
		       : 0;
}

static int set_platform(json_t *member, const struct manifest_values *v, struct err *err)
{
	json_t *platform = json_object_get(member, "platform"), *features;
	int r;

	if (!platform) {
		platform = json_object();
		json_object_set_new(member, "platform", platform);
	}
	r = set_text(platform, "architecture", v->arch, err);
	if (r == 0)
		r = set_text(platform, "os", v->os, err);
	if (r == 0)
		r = set_text(platform, "variant", v->variant, err);
	if (r == 0)
		r = set_text(platform, "os.version", v->os_version, err);
	if (r < 0 || !v->os_features.count)
		return r;
	features = json_array();
	for (size_t i = 0; i < v->os_features.count && r == 0; i++)
		r = json_array_append_new(features, json_string(v->os_features.items[i]));
	return json_object_set_new(platform, "os.features", features) < 0 || r < 0
		       ? err_set(err, -EINVAL, "--os-features: is no text")
		       : 0;
}

static int describe(json_t *member, const struct manifest_values *v, struct err *err)
{
	int r = set_platform(member, v, err);

	return r < 0 ? r : set_annotations(member, &v->annotations, err);
}

/* ---- images of a list ---- */

/* Where the image of DIGEST is in the list; its size when it is in none. */
static size_t find_member(const struct list *list, const char *digest)
{
	const json_t *member;
	size_t i;

	json_array_foreach (members_of(list), i, member) {
		const char *text = json_string_value(json_object_get(member, "digest"));

		if (text && strcmp(text, digest) == 0)
			break;
	}
	return i;
}

/* MEMBER is taken over; one of the same digest goes. */
static int put_member(struct list *list, json_t *member, struct err *err)
{
	const char *digest = json_string_value(json_object_get(member, "digest"));
	size_t i = digest ? find_member(list, digest) : 0;
	int r = i < json_array_size(members_of(list))
			? json_array_set_new(members_of(list), i, member)
			: json_array_append_new(members_of(list), member);

	return r < 0 ? err_sys(err, -ENOMEM, "manifest") : 0;
}

/* The descriptor of an image as its own documents have it. */
static json_t *member_of(struct store *store, const struct image *image, struct err *err)
{
	const struct spec_image_config *config = image->config;
	uint64_t size = 0;
	int fd = store_blob_open(store, image->manifest_digest, &size);
	json_t *member;

	if (fd < 0) {
		err_sys(err, fd, "%.19s…", image->manifest_digest);
		return NULL;
	}
	cleanup_close(&fd);
	member = json_pack("{s:s, s:s, s:I, s:{s:s, s:s, s:s*, s:s*}}", "mediaType",
		image->manifest->media_type, "digest", image->manifest_digest, "size",
		(json_int_t)size, "platform", "architecture", config->architecture, "os",
		config->os, "variant", config->variant, "os.version", config->os_version);
	if (!member)
		err_sys(err, -ENOMEM, "manifest");
	return member;
}

static int add_image(struct list *list, const struct image *image, const struct manifest_values *v,
	struct err *err)
{
	json_t *member = member_of(list->store, image, err);
	int r = member ? describe(member, v, err) : err->code;

	if (r < 0)
		json_decref(member);
	return r < 0 ? r : put_member(list, member, err);
}

/* --all: what the list DIGEST, which is here, names. */
static int add_list(struct list *list, const char *digest, struct err *err)
{
	autodocument struct spec_image_document *other = NULL;
	json_t *member;
	size_t i;
	int r = image_open_list(list->store, digest, &other, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(other->json, "manifests"), i, member) {
		r = put_member(list, json_deep_copy(member), err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* An image that is not here is pulled, under its own name. */
static int find_image(struct brig *b, const char *text, const struct manifest_values *v,
	struct store_name *ret, struct err *err)
{
	struct pull_flags flags = {
		.remote = v->remote, .os = v->os, .arch = v->arch, .variant = v->variant};
	const char *plain = text;
	struct pulled pulled;
	struct store *store;
	int r = brig_store(b, &store, err);

	if (r == 0 && !parse_has_prefix(text, "docker://", &plain)) {
		r = image_find(store, text, ret, err);
		if (r != -ENOENT)
			return r;
		err_clear(err);
	}
	/* Half a platform is one of the machine that is meant: said, and not asked for. */
	if (!flags.arch)
		flags.os = flags.variant = NULL;
	r = images_pull(b, plain, &flags, &pulled, err);
	if (r == 0)
		*ret = pulled.name;
	return r;
}

static int add(struct brig *b, struct list *list, const char *text, const struct manifest_values *v,
	struct err *err)
{
	autoimage struct image image = {};
	struct store_name name;
	int r = v->all ? find_list(list->store, text, &name, err) : -ENOENT;

	if (r == 0)
		return add_list(list, name.digest, err);
	if (r != -ENOENT)
		return r;
	err_clear(err);
	r = find_image(b, text, v, &name, err);
	if (r == 0 && v->all && *name.index)
		return add_list(list, name.index, err);
	if (r == 0)
		r = image_open_digest(list->store, name.digest, &image, err);
	return r < 0 ? r : add_image(list, &image, v, err);
}

/* The image TEXT of the list: by its digest, or by the name of an image that is here. */
static int pick_member(const struct list *list, const char *text, size_t *ret, struct err *err)
{
	struct store_name name;
	int r = 0;

	if (spec_digest_is_valid(text)) {
		*ret = find_member(list, text);
	} else {
		r = image_find(list->store, text, &name, err);
		if (r < 0)
			return r;
		*ret = find_member(list, name.digest);
	}
	return *ret < json_array_size(members_of(list))
		       ? 0
		       : err_set(err, -ENOENT, "%s: is not in the list", text);
}

/* ---- verbs ---- */

static int create(struct brig *b, const struct invocation *inv, struct err *err)
{
	const struct manifest_values *v = inv->options;
	autolist struct list list = LIST_NONE;
	struct reference reference;
	int r = image_new_name(inv->args[0], &reference, err);

	if (r == 0)
		r = open_list(b, inv->args[0], &list, err);
	if (r == 0 && !v->amend)
		return err_set(err, -EEXIST, "%s: there is such a list; add to it with --amend",
			inv->args[0]);
	if (r < 0 && r != -ENOENT)
		return r;
	err_clear(err);
	if (r == -ENOENT) {
		list.name.reference = reference;
		list.json = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
			SPEC_MEDIA_OCI_INDEX, "manifests");
		if (!list.json)
			return err_sys(err, -ENOMEM, "manifest");
	}
	r = set_annotations(list.json, &v->annotations, err);
	for (size_t i = 1; i < inv->arg_count && r == 0; i++) {
		/* Annotations are the list's here. */
		const struct manifest_values of_image = {.remote = v->remote, .all = v->all};

		r = add(b, &list, inv->args[i], &of_image, err);
	}
	return r < 0 ? r : save_list(&list, true, err);
}

int manifest_create_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	int r = brig_open(inv, &b, err);

	return r < 0 ? r : create(&b, inv, err);
}

int manifest_add_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autolist struct list list = LIST_NONE;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = open_list(&b, inv->args[0], &list, err);
	for (size_t i = 1; i < inv->arg_count && r == 0; i++)
		r = add(&b, &list, inv->args[i], inv->options, err);
	return r < 0 ? r : save_list(&list, true, err);
}

int manifest_annotate_run(const struct invocation *inv, struct err *err)
{
	const struct manifest_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autolist struct list list = LIST_NONE;
	size_t i;
	int r = brig_open(inv, &b, err);

	if (r == 0 && v->index == (inv->arg_count > 1))
		r = err_set(err, -EINVAL, "manifest annotate: name an image, or say --index");
	if (r == 0)
		r = open_list(&b, inv->args[0], &list, err);
	if (r == 0 && v->index) {
		r = set_annotations(list.json, &v->annotations, err);
	} else if (r == 0) {
		r = pick_member(&list, inv->args[1], &i, err);
		if (r == 0)
			r = describe(json_array_get(members_of(&list), i), v, err);
	}
	return r < 0 ? r : save_list(&list, true, err);
}

int manifest_remove_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autolist struct list list = LIST_NONE;
	size_t i;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = open_list(&b, inv->args[0], &list, err);
	if (r == 0)
		r = pick_member(&list, inv->args[1], &i, err);
	if (r == 0 && json_array_remove(members_of(&list), i) < 0)
		r = err_sys(err, -ENOMEM, "manifest");
	return r < 0 ? r : save_list(&list, true, err);
}

/* An image that came from a list has it, too. */
static int find_index(
	struct store *store, const char *text, char ret[DIGEST_TEXT_MAX + 1], struct err *err)
{
	struct store_name name;
	int r = find_list(store, text, &name, err);

	if (r == 0) {
		strcpy(ret, name.digest);
		return 0;
	}
	if (r != -ENOENT && r != -EINVAL)
		return r;
	err_clear(err);
	r = image_find(store, text, &name, err);
	if (r == 0 && !*name.index)
		r = err_set(err, -ENOENT, "%s: is an image, and came from no list", text);
	if (r == 0)
		strcpy(ret, name.index);
	return r;
}

int manifest_inspect_run(const struct invocation *inv, struct err *err)
{
	autodocument struct spec_image_document *list = NULL;
	autobrig struct brig b = BRIG_NONE;
	autobuf struct buf out = {};
	char digest[DIGEST_TEXT_MAX + 1];
	struct store *store;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	if (r == 0)
		r = find_index(store, inv->args[0], digest, err);
	if (r == 0)
		r = image_open_list(store, digest, &list, err);
	if (r == 0 && (r = json_write(list->json, JSON_INDENT(4), &out)) < 0)
		err_sys(err, r, "manifest");
	buf_puts(&out, "\n");
	return r < 0 ? r : print_buf(&out, err);
}

static int push(struct brig *b, const struct invocation *inv, struct err *err)
{
	const struct manifest_values *v = inv->options;
	struct reference target;
	struct pushing pushing = {
		.all = !v->all_images.set || v->all_images.value,
		.target = &target,
		.remote = &v->remote,
		.quiet = v->quiet,
		.note = "",
		.digest_file = v->digest_file,
	};
	struct store_name list;
	struct store *store;
	int r = brig_store(b, &store, err);

	if (r == 0)
		r = find_list(store, inv->args[0], &list, err);
	if (r == 0)
		r = images_push_target(b, inv->args[inv->arg_count - 1], &target, err);
	if (r < 0)
		return r;
	pushing.digest = list.digest;
	r = images_push(b, &pushing, err);
	return r == 0 && v->remove ? store_list_remove(store, &list.reference, err) : r;
}

int manifest_push_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	int r = brig_open(inv, &b, err);

	return r < 0 ? r : push(&b, inv, err);
}

static int remove_list(struct store *store, const char *text, struct err *err)
{
	struct store_name name;
	int r = find_list(store, text, &name, err);

	if (r == 0)
		r = store_list_remove(store, &name.reference, err);
	if (r == 0)
		printf("%s\n", text);
	return r;
}

/* What only the lists had goes with them. */
int manifest_rm_run(const struct invocation *inv, struct err *err)
{
	struct store_collected collected;
	autobrig struct brig b = BRIG_NONE;
	struct err busy = {};
	struct store *store;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	for (size_t i = 0; i < inv->arg_count && r == 0; i++)
		r = remove_list(store, inv->args[i], err);
	if (r == 0 && (r = store_collect(store, false, &collected, &busy)) < 0 && r != -EBUSY)
		*err = busy;
	return r == -EBUSY ? 0 : r;
}

int manifest_ls_run(const struct invocation *inv, struct err *err)
{
	autonames struct store_names names = {};
	autobrig struct brig b = BRIG_NONE;
	autobuf struct buf out = {};
	struct store *store;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	if (r == 0)
		r = store_lists_list(store, &names, err);
	for (size_t i = 0; i < names.count; i++) {
		reference_format(&names.items[i].reference, &out);
		buf_puts(&out, "\n");
	}
	return r < 0 ? r : print_buf(&out, err);
}

int manifest_exists_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	struct store_name name;
	struct store *store;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	return r < 0 ? r : find_list(store, inv->args[0], &name, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* system df, system prune. */
#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "cli/containers/volumes.h"
#include "cli/output/filter.h"
#include "cli/output/human.h"
#include "images/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* ---- df ---- */

struct df_values {
	const char *format;
	bool verbose;
};

const struct option system_df_options[] = {
	{"format", 0, OPTION_TEXT, OPTION_AT(df_values, format), .argument = "FORMAT",
		.help = "json, table TEMPLATE, or a template"},
	{"verbose", 'v', OPTION_FLAG, OPTION_AT(df_values, verbose),
		.help = "show each image, container and volume"},
	{NULL},
};
VALUES_FIT(struct df_values);

static const struct list_field df_fields[] = {{"Type", "TYPE"}, {"TotalCount", "TOTAL"},
	{"Active", "ACTIVE"}, {"Size", "SIZE"}, {"Reclaimable", "RECLAIMABLE"}, {NULL}};
static const struct list_field image_fields[] = {{"Repository", "REPOSITORY"}, {"Tag", "TAG"},
	{"ID", "IMAGE ID"}, {"CreatedSince", "CREATED"}, {"Size", "SIZE"},
	{"Containers", "CONTAINERS"}, {NULL}};
static const struct list_field container_fields[] = {{"ID", "CONTAINER ID"}, {"Image", "IMAGE"},
	{"Size", "SIZE"}, {"Status", "STATUS"}, {"Names", "NAMES"}, {NULL}};
static const struct list_field volume_fields[] = {
	{"Name", "VOLUME NAME"}, {"Links", "LINKS"}, {"Size", "SIZE"}, {NULL}};

struct kind {
	uint64_t total, active, size, reclaimable;
};

struct usage {
	struct brig *b;
	struct store *store;
	int volumes;
	struct kind images, containers, local_volumes;
	json_t *image_rows, *container_rows, *volume_rows;
	json_t *image_uses, *volume_uses; /* name → how many containers have it */
	bool failed;
	struct err *err;
};

static void count_use(json_t *uses, const char *name)
{
	json_object_set_new(
		uses, name, json_integer(json_integer_value(json_object_get(uses, name)) + 1));
}

static json_int_t uses_of(const json_t *uses, const char *name)
{
	return json_integer_value(json_object_get(uses, name));
}

static int count_container(struct box *box, void *arg)
{
	struct usage *u = arg;
	autoclose int upper = snapshot_open_upper(u->store, box->id);
	uint64_t size = upper < 0 ? 0 : images_tree_size(upper);
	enum box_state state = box_state(box);
	bool active = state == BOX_RUNNING || state == BOX_PAUSED || state == BOX_RESTARTING;
	char text[HUMAN_TEXT_MAX];

	human_size(size, 3, text);
	u->containers.total++;
	u->containers.active += active;
	u->containers.size += size;
	u->containers.reclaimable += active ? 0 : size;
	count_use(u->image_uses, box->record.manifest);
	for (size_t i = 0; i < box->record.mounts.count; i++)
		if (box->record.mounts.items[i].volume)
			count_use(u->volume_uses, box->record.mounts.items[i].volume);
	u->failed |=
		json_array_append_new(u->container_rows,
			json_pack("{s:s%, s:s, s:s, s:s, s:s}", "ID", box->id, (size_t)RECORD_SHORT,
				"Image", box->record.image, "Size", text, "Status",
				box_state_name(state), "Names", box->record.name)) < 0;
	return 0;
}

static int count_volume(const struct volume *volume, void *arg)
{
	struct usage *u = arg;
	char path[RECORD_NAME_MAX + 8];
	autoclose int dir = -1;
	uint64_t size;
	json_int_t links = uses_of(u->volume_uses, volume->name);
	char text[HUMAN_TEXT_MAX];

	snprintf(path, sizeof(path), "%s/_data", volume->name);
	dir = sys_openat(u->volumes, path, O_RDONLY | O_DIRECTORY, 0);
	size = dir < 0 ? 0 : images_tree_size(dir);
	human_size(size, 3, text);
	u->local_volumes.total++;
	u->local_volumes.active += links > 0;
	u->local_volumes.size += size;
	u->local_volumes.reclaimable += links ? 0 : size;
	u->failed |= json_array_append_new(
			     u->volume_rows, json_pack("{s:s, s:I, s:s}", "Name", volume->name,
						     "Links", links, "Size", text)) < 0;
	return 0;
}

/* Layers are shared: each counts once, and as needed when one image that has it is. */
static int count_layers(struct usage *u, const struct image *image, json_t *seen, bool active)
{
	for (size_t i = 0; i < image->config->diff_ids.count; i++) {
		const char *chain = image->chains[i].text;
		json_t *entry = json_object_get(seen, chain);

		if (!entry) {
			entry = json_pack("{s:I, s:b}", "size",
				(json_int_t)images_layer_size(u->store, chain), "active", 0);
			if (json_object_set_new(seen, chain, entry) < 0)
				return -ENOMEM;
		}
		if (active)
			json_object_set_new(entry, "active", json_true());
	}
	return 0;
}

static int count_image(struct usage *u, const struct store_name *name, const struct image *image,
	json_t *seen, json_t *ids)
{
	json_int_t links = uses_of(u->image_uses, image->manifest_digest);
	char id[DIGEST_TEXT_MAX + 1], size[HUMAN_TEXT_MAX], age[HUMAN_TEXT_MAX];
	autobuf struct buf repository = {};
	int64_t created = 0;

	images_id_text(image_id(image), false, id);
	if (!json_object_get(ids, id)) { /* one image may have several names */
		u->images.total++;
		u->images.active += links > 0;
		json_object_set_new(ids, id, json_true());
	}
	if (image->config->created)
		(void)human_parse_time(image->config->created, &created, NULL);
	human_age(created, human_now(), age);
	human_size(images_disk_size(u->store, image), 3, size);
	images_short_name(&name->reference, false, &repository);
	if (json_array_append_new(u->image_rows,
		    json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "Repository", buf_str(&repository),
			    "Tag", name->reference.tag, "ID", id, "CreatedSince", age, "Size", size,
			    "Containers", links)) < 0)
		return -ENOMEM;
	return count_layers(u, image, seen, links > 0);
}

static int count_images(struct usage *u, struct err *err)
{
	autojson json_t *seen = json_object(), *ids = json_object();
	autonames struct store_names names = {};
	int r = store_names_list(u->store, &names, err);
	const char *chain;
	json_t *entry;

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autoimage struct image image = {};

		r = image_open_digest(u->store, names.items[i].digest, &image, err);
		if (r == 0 && count_image(u, &names.items[i], &image, seen, ids) < 0)
			r = err_sys(err, -ENOMEM, "df");
	}
	json_object_foreach (seen, chain, entry) {
		uint64_t size = (uint64_t)json_integer_value(json_object_get(entry, "size"));

		u->images.size += size;
		if (!json_is_true(json_object_get(entry, "active")))
			u->images.reclaimable += size;
	}
	return r;
}

static json_t *kind_row(const char *type, const struct kind *k)
{
	char size[HUMAN_TEXT_MAX], free_size[HUMAN_TEXT_MAX], reclaimable[HUMAN_TEXT_MAX + 16];

	human_size(k->size, 4, size);
	human_size(k->reclaimable, 4, free_size);
	snprintf(reclaimable, sizeof(reclaimable), k->size ? "%s (%d%%)" : "%s", free_size,
		k->size ? (int)((double)k->reclaimable * 100 / (double)k->size) : 0);
	return json_pack("{s:s, s:I, s:I, s:s, s:s}", "Type", type, "TotalCount",
		(json_int_t)k->total, "Active", (json_int_t)k->active, "Size", size, "Reclaimable",
		reclaimable);
}

static int print_verbose(const struct usage *u, struct buf *out, struct err *err)
{
	const struct {
		const char *title, *columns;
		const struct list_field *fields;
		json_t *rows;
	} parts[] = {
		{"Images space usage:",
			"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t"
			"{{.Containers}}",
			image_fields, u->image_rows},
		{"Containers space usage:",
			"{{.ID}}\t{{.Image}}\t{{.Size}}\t{{.Status}}\t{{.Names}}", container_fields,
			u->container_rows},
		{"Local Volumes space usage:", "{{.Name}}\t{{.Links}}\t{{.Size}}", volume_fields,
			u->volume_rows},
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct list_options options = {
			.fields = parts[i].fields, .columns = parts[i].columns};
		int r;

		buf_printf(out, "%s%s\n\n", i ? "\n" : "", parts[i].title);
		r = list_print(&options, parts[i].rows, out, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int print_usage(
	const struct usage *u, const struct df_values *v, struct buf *out, struct err *err)
{
	const struct list_options options = {.fields = df_fields,
		.columns = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
		.format = v->format};
	autojson json_t *rows = json_array();

	if (v->verbose)
		return print_verbose(u, out, err);
	if (json_array_append_new(rows, kind_row("Images", &u->images)) ||
		json_array_append_new(rows, kind_row("Containers", &u->containers)) ||
		json_array_append_new(rows, kind_row("Local Volumes", &u->local_volumes)))
		return err_sys(err, -ENOMEM, "df");
	return list_print(&options, rows, out, err);
}

int system_df_run(const struct invocation *inv, struct err *err)
{
	const struct df_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	struct usage u = {.b = &b,
		.volumes = -1,
		.image_rows = json_array(),
		.container_rows = json_array(),
		.volume_rows = json_array(),
		.image_uses = json_object(),
		.volume_uses = json_object()};
	const struct boxes *boxes;
	autobuf struct buf out = {};
	int r = v->verbose && v->format
			? err_set(err, -EINVAL, "--verbose and --format exclude each other")
			: brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &u.store, err);
	if (r == 0)
		r = brig_boxes(&b, &boxes, err);
	if (r == 0)
		r = u.volumes = volumes_open(b.datafd, err);
	if (r >= 0)
		r = boxes_each(boxes, count_container, &u, err);
	if (r == 0)
		r = volumes_each(u.volumes, count_volume, &u, err);
	if (r == 0)
		r = count_images(&u, err);
	if (r == 0 && u.failed)
		r = err_sys(err, -ENOMEM, "df");
	if (r == 0)
		r = print_usage(&u, v, &out, err);
	cleanup_close(&u.volumes);
	json_decref(u.image_rows);
	json_decref(u.container_rows);
	json_decref(u.volume_rows);
	json_decref(u.image_uses);
	json_decref(u.volume_uses);
	return r < 0 ? r : print_buf(&out, err);
}

/* ---- prune ---- */

struct system_prune_values {
	struct strings filters;
	bool all, volumes, force;
};

const struct option system_prune_options[] = {
	{"all", 'a', OPTION_FLAG, OPTION_AT(system_prune_values, all),
		.help = "remove every image that no container stands on"},
	{"filter", 0, OPTION_TEXTS, OPTION_AT(system_prune_values, filters),
		.argument = "KEY=VALUE", .help = "remove only what fits: label, until"},
	{"force", 'f', OPTION_FLAG, OPTION_AT(system_prune_values, force), .help = "do not ask"},
	{"volumes", 0, OPTION_FLAG, OPTION_AT(system_prune_values, volumes),
		.help = "remove volumes without a name that no container has, too"},
	{NULL},
};
VALUES_FIT(struct system_prune_values);

struct stopped {
	struct strings ids;
	struct arena *arena;
	const struct filters *filters;
	int64_t until;
	bool failed;
};

static int add_stopped(struct box *box, void *arg)
{
	struct stopped *s = arg;
	autojson json_t *labels = json_object();
	enum box_state state = box_state(box);
	int64_t created = 0;
	char *copy;

	for (size_t i = 0; i < box->record.labels.count; i++)
		json_object_set_new(labels, box->record.labels.items[i].key,
			json_string(box->record.labels.items[i].value));
	(void)human_parse_time(box->record.created, &created, NULL);
	if ((state != BOX_EXITED && state != BOX_CREATED) ||
		!filters_accept_labels(s->filters, "label", labels) ||
		(filters_have(s->filters, "until") && created >= s->until))
		return 0;
	copy = arena_strdup(s->arena, box->id);
	s->failed |= !copy || strings_add(&s->ids, copy, s->arena) < 0;
	return 0;
}

static int prune_containers(
	struct brig *b, const struct strings *texts, uint64_t *ret_bytes, struct err *err)
{
	static const char *const keys[] = {"label", "until", NULL};
	struct filters filters = {};
	struct stopped s = {.arena = b->arena, .filters = &filters};
	const struct boxes *boxes;
	struct store *store;
	int r = filters_parse(texts, keys, b->arena, &filters, err);

	if (r == 0 && filters_have(&filters, "until"))
		r = human_parse_moment(
			filters_value(&filters, "until"), human_now(), &s.until, err);
	if (r == 0)
		r = brig_boxes(b, &boxes, err);
	if (r == 0)
		r = brig_store(b, &store, err);
	if (r == 0)
		r = boxes_sweep(boxes, err);
	if (r == 0)
		r = boxes_each(boxes, add_stopped, &s, err);
	if (r == 0 && s.failed)
		r = err_sys(err, -ENOMEM, "prune");
	if (r == 0 && s.ids.count)
		printf("Deleted Containers:\n");
	for (size_t i = 0; r == 0 && i < s.ids.count; i++) {
		autoclose int upper = snapshot_open_upper(store, s.ids.items[i]);
		uint64_t size = upper < 0 ? 0 : images_tree_size(upper);

		r = brig_remove_box(b, s.ids.items[i], false, false, err);
		if (r < 0)
			break;
		printf("%s\n", s.ids.items[i]);
		*ret_bytes += size;
	}
	if (r == 0 && s.ids.count)
		printf("\n");
	return r;
}

int system_prune_run(const struct invocation *inv, struct err *err)
{
	const struct system_prune_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	uint64_t bytes = 0;
	int r;

	if (!images_confirm(v->force,
		    v->all ? "Remove all containers that do not run and every image without one?"
			   : "Remove all containers that do not run and layers without an image?"))
		return 0;
	r = brig_open(inv, &b, err);
	if (r == 0)
		r = prune_containers(&b, &v->filters, &bytes, err);
	if (r == 0 && v->volumes)
		r = volumes_prune(&b, false, &v->filters, &bytes, err);
	if (r == 0)
		r = images_prune(&b, v->all, &v->filters, &bytes, err);
	if (r == 0)
		images_print_reclaimed(bytes);
	return r;
}

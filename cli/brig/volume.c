/* SPDX-License-Identifier: Apache-2.0 */
/* volume create, ls, inspect, rm, prune, exists. */
#include "cli/containers/volumes.h"

#include "base/sys.h"
#include "cli/brig/images.h"
#include "cli/brig/several.h"
#include "cli/containers/events.h"
#include "cli/output/filter.h"
#include "cli/output/human.h"

#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

/* ---- who uses which ---- */

struct uses {
	void *names; /* of volumes that containers have; tsearch(3) */
	bool failed;
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int note_uses(struct box *box, void *arg)
{
	struct uses *uses = arg;

	for (size_t i = 0; i < box->record.mounts.count; i++) {
		const char *name = box->record.mounts.items[i].volume;
		char *copy = name ? strdup(name) : NULL;
		char **found = copy ? tsearch(copy, &uses->names, compare) : NULL;

		uses->failed |= name && !found;
		if (!found || *found != copy)
			free(copy);
	}
	return 0;
}

static void uses_free(struct uses *uses)
{
	tdestroy(uses->names, free);
}
CLEANUP_DEFINE(uses, struct uses, uses_free)
#define autouses __attribute__((cleanup(cleanup_uses)))

static int find_uses(struct brig *b, struct uses *ret, struct err *err)
{
	const struct boxes *boxes;
	int r = brig_boxes(b, &boxes, err);

	if (r == 0)
		r = boxes_each(boxes, note_uses, ret, err);
	if (r == 0 && ret->failed)
		r = err_sys(err, -ENOMEM, "volumes");
	return r;
}

static bool is_used(const struct uses *uses, const char *name)
{
	return tfind(name, &uses->names, compare) != NULL;
}

static int open_volumes(const struct invocation *inv, struct brig *b, int *ret, struct err *err)
{
	int r = brig_open(inv, b, err);

	if (r < 0)
		return r;
	*ret = volumes_open(b->datafd, err);
	return *ret < 0 ? *ret : 0;
}

/* ---- create ---- */

struct volume_values {
	struct strings labels, options, filters;
	const char *format, *driver;
	bool quiet, force, all, ignore, no_heading;
};

const struct option volume_create_options[] = {
	{"label", 'l', OPTION_TEXTS, OPTION_AT(volume_values, labels), .argument = "NAME=VALUE",
		.help = "note a label"},
	{"driver", 'd', OPTION_TEXT, OPTION_AT(volume_values, driver), .argument = "local",
		.help = "there is one driver, local"},
	{"opt", 'o', OPTION_TEXTS, OPTION_AT(volume_values, options), .argument = "NAME=VALUE",
		.help = "no option is known yet: refused"},
	{"ignore", 0, OPTION_FLAG, OPTION_AT(volume_values, ignore),
		.help = "it is no error when the volume exists"},
	{NULL},
};
VALUES_FIT(struct volume_values);

int pairs_from_texts(
	const struct strings *texts, struct arena *arena, struct pairs *ret, struct err *err)
{
	struct pair *items = arena_array(arena, texts->count + 1, struct pair);

	for (size_t i = 0; items && i < texts->count; i++) {
		const char *equals = strchr(texts->items[i], '=');
		size_t len = equals ? (size_t)(equals - texts->items[i]) : strlen(texts->items[i]);

		if (len == 0)
			return err_set(err, -EINVAL, "\"%s\" is not NAME=VALUE", texts->items[i]);
		items[i].key = arena_printf(arena, "%.*s", (int)len, texts->items[i]);
		items[i].value = equals ? equals + 1 : "";
		if (!items[i].key)
			return err_sys(err, -ENOMEM, "labels");
	}
	if (!items)
		return err_sys(err, -ENOMEM, "labels");
	*ret = (struct pairs){items, texts->count};
	return 0;
}

int volume_create_run(const struct invocation *inv, struct err *err)
{
	const struct volume_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	struct pairs labels = {}, options = {};
	char id[RECORD_ID_SIZE];
	const char *name = inv->arg_count ? inv->args[0] : id;
	autoclose int volumes = -1;
	int r = open_volumes(inv, &b, &volumes, err);

	if (r == 0 && v->driver && strcmp(v->driver, "local") != 0)
		r = err_set(
			err, -EINVAL, "there is no volume driver \"%s\", only local", v->driver);
	if (r == 0 && v->options.count)
		r = err_set(err, -EINVAL, "--opt: the local driver has no option \"%s\"",
			v->options.items[0]);
	if (r == 0)
		r = pairs_from_texts(&v->labels, inv->arena, &labels, err);
	if (r == 0 && !inv->arg_count && record_make_id(id) < 0)
		r = err_sys(err, -EIO, "volume");
	if (r == 0)
		r = volume_create(volumes, name, &labels, &options, !inv->arg_count, err);
	if (r == -EEXIST && v->ignore) {
		err_clear(err);
		r = 0;
	} else if (r == 0) {
		events_note(b.runfd, "volume", "create", name, NULL);
	}
	if (r == 0)
		printf("%s\n", name);
	return r;
}

/* ---- ls ---- */

const struct option volume_list_options[] = {
	{"filter", 'f', OPTION_TEXTS, OPTION_AT(volume_values, filters), .argument = "KEY=VALUE",
		.help = "show only volumes that fit: name, label, dangling, driver, anonymous"},
	{"format", 0, OPTION_TEXT, OPTION_AT(volume_values, format), .argument = "FORMAT",
		.help = "json, table TEMPLATE, or a template"},
	{"noheading", 'n', OPTION_FLAG, OPTION_AT(volume_values, no_heading),
		.help = "leave the titles out"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(volume_values, quiet), .help = "show only names"},
	{NULL},
};
VALUES_FIT(struct volume_values);

static const char *const list_keys[] = {"name", "label", "dangling", "driver", "anonymous", NULL};

static const struct list_field list_fields[] = {{"Driver", "DRIVER"}, {"Name", "VOLUME NAME"},
	{"Scope", "SCOPE"}, {"Mountpoint", "MOUNTPOINT"}, {"Labels", "LABELS"},
	{"CreatedAt", "CREATED AT"}, {"Label", NULL}, {NULL}};

struct gathering {
	struct brig *b;
	struct filters filters;
	struct uses uses;
	json_t *rows;
	bool failed;
};

static json_t *pairs_json(const struct pairs *pairs)
{
	json_t *object = json_object();

	for (size_t i = 0; i < pairs->count; i++)
		json_object_set_new(
			object, pairs->items[i].key, json_string(pairs->items[i].value));
	return object;
}

static json_t *volume_json(const struct brig *b, const struct volume *volume)
{
	return json_pack("{s:s, s:s, s:s+++, s:s, s:o, s:o, s:s, s:b}", "Name", volume->name,
		"Driver", "local", "Mountpoint", b->dirs.data, "/volumes/", volume->name, "/_data",
		"CreatedAt", volume->created, "Labels", pairs_json(&volume->labels), "Options",
		pairs_json(&volume->options), "Scope", "local", "Anonymous", volume->anonymous);
}

static bool accepts(const struct gathering *g, const struct volume *volume, const json_t *labels)
{
	return filters_accept_part(&g->filters, "name", volume->name) &&
	       filters_accept_labels(&g->filters, "label", labels) &&
	       filters_accept_bool(&g->filters, "dangling", !is_used(&g->uses, volume->name)) &&
	       filters_accept_bool(&g->filters, "anonymous", volume->anonymous) &&
	       filters_accept_equal(&g->filters, "driver", "local");
}

static int add_row(const struct volume *volume, void *arg)
{
	struct gathering *g = arg;
	autojson json_t *json = volume_json(g->b, volume);
	json_t *labels = json_object_get(json, "Labels"), *value;
	autobuf struct buf joined = {};
	const char *key;

	if (!json || !accepts(g, volume, labels)) {
		g->failed |= !json;
		return 0;
	}
	json_object_foreach (labels, key, value)
		buf_printf(
			&joined, "%s%s=%s", joined.len ? "," : "", key, json_string_value(value));
	json_object_set(json, "Label", labels);
	json_object_set_new(json, "Labels", json_string(buf_str(&joined)));
	g->failed |= json_array_append(g->rows, json) < 0;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;

	return strcmp(json_string_value(json_object_get(*x, "Name")),
		json_string_value(json_object_get(*y, "Name")));
}

int json_sort_by_name(json_t **rows)
{
	size_t count = json_array_size(*rows);
	autofree json_t **items = calloc(count + 1, sizeof(*items));
	json_t *sorted = json_array();

	if (!items || !sorted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		items[i] = json_array_get(*rows, i);
	qsort(items, count, sizeof(*items), by_name);
	for (size_t i = 0; i < count; i++)
		json_array_append(sorted, items[i]);
	json_decref(*rows);
	*rows = sorted;
	return 0;
}

int volume_list_run(const struct invocation *inv, struct err *err)
{
	const struct volume_values *v = inv->options;
	const struct list_options options = {.fields = list_fields,
		.columns = "{{.Driver}}\t{{.Name}}",
		.quiet = "{{.Name}}",
		.format = v->format,
		.is_quiet = v->quiet,
		.no_heading = v->no_heading};
	autobrig struct brig b = BRIG_NONE;
	struct gathering g = {.b = &b, .rows = json_array()};
	autobuf struct buf out = {};
	autoclose int volumes = -1;
	int r = filters_parse(&v->filters, list_keys, inv->arena, &g.filters, err);

	if (r == 0)
		r = filters_check_bool(&g.filters, "dangling", err);
	if (r == 0)
		r = open_volumes(inv, &b, &volumes, err);
	if (r == 0 && filters_have(&g.filters, "dangling"))
		r = find_uses(&b, &g.uses, err);
	if (r == 0)
		r = volumes_each(volumes, add_row, &g, err);
	if (r == 0 && (g.failed || json_sort_by_name(&g.rows) < 0))
		r = err_sys(err, -ENOMEM, "volumes");
	if (r == 0)
		r = list_print(&options, g.rows, &out, err);
	uses_free(&g.uses);
	json_decref(g.rows);
	return r < 0 ? r : print_buf(&out, err);
}

/* ---- inspect, exists ---- */

const struct option volume_inspect_options[] = {
	{"format", 'f', OPTION_TEXT, OPTION_AT(volume_values, format), .argument = "FORMAT",
		.help = "json, or a template"},
	{NULL},
};
VALUES_FIT(struct volume_values);

int volume_inspect_json(struct brig *b, const char *name, json_t **ret, struct err *err)
{
	autovolume struct volume volume = {};
	autoclose int volumes = volumes_open(b->datafd, err);
	int r = volumes < 0 ? volumes : volume_load(volumes, name, &volume, err);

	if (r < 0)
		return r;
	*ret = volume_json(b, &volume);
	return *ret ? 0 : err_sys(err, -ENOMEM, "%s", name);
}

int volume_inspect_run(const struct invocation *inv, struct err *err)
{
	const struct volume_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	int r = brig_open(inv, &b, err);

	return r < 0 ? r : several_inspect(&b, v->format, volume_inspect_json, err);
}

int volume_exists_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autovolume struct volume volume = {};
	autoclose int volumes = -1;
	int r = open_volumes(inv, &b, &volumes, err);

	if (r < 0)
		return r;
	r = volume_load(volumes, inv->args[0], &volume, err);
	return r == -ENOENT ? 1 : r;
}

/* ---- rm, prune ---- */

const struct option volume_remove_options[] = {
	{"all", 'a', OPTION_FLAG, OPTION_AT(volume_values, all), .help = "remove every volume"},
	{"force", 'f', OPTION_FLAG, OPTION_AT(volume_values, force),
		.help = "it is no error when a volume is not there"},
	{NULL},
};
VALUES_FIT(struct volume_values);

struct collecting {
	struct strings names;
	const struct filters *filters;
	const struct uses *uses; /* NULL: also those in use */
	bool all, unused_only;
	int64_t until;
	struct arena *arena;
	bool failed;
};

static int collect_name(const struct volume *volume, void *arg)
{
	struct collecting *c = arg;
	autojson json_t *labels = pairs_json(&volume->labels);
	int64_t created = 0;
	char *copy;

	(void)human_parse_time(volume->created, &created, NULL);
	if (c->uses && is_used(c->uses, volume->name))
		return 0;
	if (c->unused_only && !c->all && !volume->anonymous)
		return 0;
	if (c->filters && (!filters_accept_labels(c->filters, "label", labels) ||
				  (filters_have(c->filters, "until") && created >= c->until)))
		return 0;
	copy = arena_strdup(c->arena, volume->name);
	c->failed |= !copy || strings_add(&c->names, copy, c->arena) < 0;
	return 0;
}

int volume_remove_run(const struct invocation *inv, struct err *err)
{
	const struct volume_values *v = inv->options;
	struct collecting c = {.arena = inv->arena};
	autobrig struct brig b = BRIG_NONE;
	autouses struct uses uses = {};
	autoclose int volumes = -1;
	struct store *store = NULL;
	int code = 0, r = open_volumes(inv, &b, &volumes, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	if (r == 0 && !inv->arg_count && !v->all)
		r = err_set(err, -EINVAL, "volume rm: which volume?");
	if (r == 0)
		r = find_uses(&b, &uses, err);
	for (size_t i = 0; r == 0 && i < inv->arg_count; i++)
		c.failed |= strings_add(&c.names, inv->args[i], inv->arena) < 0;
	if (r == 0 && v->all)
		r = volumes_each(volumes, collect_name, &c, err);
	if (r == 0 && c.failed)
		r = err_sys(err, -ENOMEM, "volume rm");
	for (size_t i = 0; r == 0 && i < c.names.count; i++) {
		const char *name = c.names.items[i];
		struct err one = {};
		int n = is_used(&uses, name)
				? err_set(&one, -EBUSY, "volume %s: a container has it", name)
				: volume_remove(store, volumes, name, &one);

		if (n == 0) {
			printf("%s\n", name);
			events_note(b.runfd, "volume", "remove", name, NULL);
		} else if (n != -ENOENT || !v->force) {
			several_failed(&code, &one);
		}
	}
	return r < 0 ? r : code;
}

const struct option volume_prune_options[] = {
	{"all", 'a', OPTION_FLAG, OPTION_AT(volume_values, all),
		.help = "remove volumes with a name too"},
	{"filter", 0, OPTION_TEXTS, OPTION_AT(volume_values, filters), .argument = "KEY=VALUE",
		.help = "remove only volumes that fit: label, until"},
	{"force", 'f', OPTION_FLAG, OPTION_AT(volume_values, force), .help = "do not ask"},
	{NULL},
};
VALUES_FIT(struct volume_values);

int volumes_prune(
	struct brig *b, bool all, const struct strings *texts, uint64_t *ret_bytes, struct err *err)
{
	static const char *const keys[] = {"label", "until", NULL};
	struct filters filters = {};
	autouses struct uses uses = {};
	struct collecting c = {.filters = &filters,
		.uses = &uses,
		.all = all,
		.unused_only = true,
		.arena = b->arena};
	autoclose int volumes = volumes_open(b->datafd, err);
	struct store *store = NULL;
	int r = volumes < 0 ? volumes : filters_parse(texts, keys, b->arena, &filters, err);

	if (r == 0)
		r = brig_store(b, &store, err);
	if (r == 0 && filters_have(&filters, "until"))
		r = human_parse_moment(
			filters_value(&filters, "until"), human_now(), &c.until, err);
	if (r == 0)
		r = find_uses(b, &uses, err);
	if (r == 0)
		r = volumes_each(volumes, collect_name, &c, err);
	if (r == 0 && c.failed)
		r = err_sys(err, -ENOMEM, "volume prune");
	if (r == 0 && c.names.count)
		printf("Deleted Volumes:\n");
	for (size_t i = 0; r == 0 && i < c.names.count; i++) {
		char path[RECORD_NAME_MAX + 8];
		autoclose int dir = -1;
		uint64_t size;

		snprintf(path, sizeof(path), "%s/_data", c.names.items[i]);
		dir = sys_openat(volumes, path, O_RDONLY | O_DIRECTORY, 0);
		size = dir < 0 ? 0 : images_tree_size(dir);

		r = volume_remove(store, volumes, c.names.items[i], err);
		if (r < 0)
			break;
		printf("%s\n", c.names.items[i]);
		events_note(b->runfd, "volume", "remove", c.names.items[i], NULL);
		*ret_bytes += size;
	}
	if (r == 0 && c.names.count)
		printf("\n");
	return r;
}

int volume_prune_run(const struct invocation *inv, struct err *err)
{
	const struct volume_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	uint64_t bytes = 0;
	int r;

	if (!images_confirm(
		    v->force, v->all ? "Remove every volume that no container has?"
				     : "Remove every volume without a name that no container has?"))
		return 0;
	r = brig_open(inv, &b, err);
	if (r == 0)
		r = volumes_prune(&b, v->all, &v->filters, &bytes, err);
	if (r == 0)
		images_print_reclaimed(bytes);
	return r;
}

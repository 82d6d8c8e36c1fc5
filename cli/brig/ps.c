/* SPDX-License-Identifier: Apache-2.0 */
/* ps. */
#include "cli/brig/brig.h"
#include "cli/brig/show.h"
#include "cli/containers/isolation.h"
#include "cli/output/filter.h"
#include "cli/output/human.h"
#include "cli/output/list.h"

#include "base/fd.h"
#include "base/json.h"
#include "base/parse.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PS(member) OPTION_AT(brig_ps_values, member)

const struct brig_ps_values brig_ps_defaults = {.last = {.value = -1}};

const struct option brig_ps_options[] = {
	{"all", 'a', OPTION_FLAG, PS(all), .help = "also those that do not run"},
	{"filter", 'f', OPTION_TEXTS, PS(filter), .argument = "KEY=VALUE",
		.help = "only those: id, name, label, status, exited, ancestor, before, since, "
			"volume, network, health, isolation"},
	{"format", 0, OPTION_TEXT, PS(format), .argument = "FORMAT",
		.help = "table, json, or a template"},
	{"last", 'n', OPTION_OPT_I64, PS(last), .argument = "N", .help = "the last N made"},
	{"latest", 'l', OPTION_FLAG, PS(latest), .help = "the last one made"},
	{"no-trunc", 0, OPTION_FLAG, PS(no_trunc), .help = "show everything whole"},
	{"quiet", 'q', OPTION_FLAG, PS(quiet), .help = "print only ids"},
	{"size", 's', OPTION_FLAG, PS(size), .help = "show how much they have written"},
	{NULL},
};

static const struct list_field fields[] = {
	{"ID", "CONTAINER ID"},
	{"Image", "IMAGE"},
	{"Command", "COMMAND"},
	{"CreatedAt", "CREATED AT"},
	{"RunningFor", "CREATED"},
	{"Ports", "PORTS"},
	{"State", "STATE"},
	{"Status", "STATUS"},
	{"Size", "SIZE"},
	{"Names", "NAMES"},
	{"Labels", "LABELS"},
	{"Mounts", "MOUNTS"},
	{"Networks", "NETWORKS"},
	{"LocalVolumes", "LOCAL VOLUMES"},
	{"Isolation", "ISOLATION"},
	{"Label", NULL},
	{NULL},
};

static const char *const keys[] = {"id", "name", "label", "status", "exited", "ancestor", "before",
	"since", "volume", "network", "health", "isolation", NULL};

struct ps {
	struct brig *b;
	const struct brig_ps_values *values;
	const struct boxes *boxes;
	struct filters filters;
	const char *before_time, *since_time;
	int64_t now;
	const char *shown; /* list_own_template() */
	json_t *rows;
	bool failed;
};

/* ---- which ---- */

/* "abc", "repo" or "repo:tag", or the beginning of an id. */
static bool is_ancestor(const char *value, const void *context)
{
	const struct record *r = context;
	size_t n = strlen(value);
	const char *image = r->image, *slash;

	if (strcmp(image, value) == 0 || strncmp(r->image_id + 7, value, n) == 0)
		return true;
	slash = strrchr(image, '/');
	image = slash ? slash + 1 : image;
	return strncmp(image, value, n) == 0 && (!image[n] || image[n] == ':');
}

static bool has_volume(const char *value, const void *context)
{
	const struct record *r = context;

	for (size_t i = 0; i < r->mounts.count; i++)
		if (strcmp(r->mounts.items[i].target, value) == 0 ||
			(r->mounts.items[i].volume &&
				strcmp(r->mounts.items[i].volume, value) == 0))
			return true;
	return false;
}

static bool has_network(const char *value, const void *context)
{
	const struct record *r = context;

	return r->options.network.count ? strings_have(&r->options.network, value)
					: strcmp(value, "bridge") == 0;
}

static bool has_exited(const char *value, const void *context)
{
	const struct box *box = context;
	int64_t code;

	return parse_i64(value, &code) == 0 && strcmp(box->status.state, "exited") == 0 &&
	       box->status.exit_code == code;
}

/* By its record alone: what does not fit so needs no look at its processes. */
static bool record_fits(const struct ps *ps, const struct record *r)
{
	const struct filters *f = &ps->filters;

	if (ps->before_time && strcmp(r->created, ps->before_time) >= 0)
		return false;
	if (ps->since_time && strcmp(r->created, ps->since_time) <= 0)
		return false;
	return filters_accept_prefix(f, "id", r->id) && filters_accept_part(f, "name", r->name) &&
	       filters_accept_labels(f, "label", json_object_get(r->json, "labels")) &&
	       filters_accept_equal(f, "isolation", isolation_name(r)) &&
	       filters_accept(f, "ancestor", is_ancestor, r) &&
	       filters_accept(f, "volume", has_volume, r) &&
	       filters_accept(f, "network", has_network, r);
}

static bool state_fits(const struct ps *ps, const struct box *box, enum box_state state)
{
	const struct filters *f = &ps->filters;
	const char *health = box->status.health ? box->status.health : "none";
	bool by_state = filters_have(f, "status") || filters_have(f, "exited");

	if (!ps->values->all && !by_state && !ps->values->latest && !ps->values->last.set &&
		state != BOX_RUNNING && state != BOX_PAUSED && state != BOX_RESTARTING)
		return false;
	return filters_accept_equal(f, "status", box_state_name(state)) &&
	       filters_accept_equal(f, "health", health) &&
	       filters_accept(f, "exited", has_exited, box);
}

/* ---- how ---- */

void show_status(
	const struct box *box, enum box_state state, int64_t now, char ret[SHOW_STATUS_MAX])
{
	const struct box_status *s = &box->status;
	char age[HUMAN_TEXT_MAX] = "";
	const char *since =
		state == BOX_EXITED || state == BOX_RESTARTING ? s->finished : s->started;
	int64_t then;

	if (since && human_parse_time(since, &then, NULL) == 0)
		human_duration(now - then, age);
	switch (state) {
	case BOX_CREATED:
		snprintf(ret, SHOW_STATUS_MAX, "Created");
		break;
	case BOX_RUNNING:
	case BOX_PAUSED:
		snprintf(ret, SHOW_STATUS_MAX, "Up %s%s%s%s%s", age,
			state == BOX_PAUSED ? " (Paused)" : "", s->health && *s->health ? " (" : "",
			s->health ? (strcmp(s->health, "starting") == 0 ? "health: starting"
									: s->health)
				  : "",
			s->health && *s->health ? ")" : "");
		break;
	case BOX_RESTARTING:
		snprintf(ret, SHOW_STATUS_MAX, "Restarting (%d) %s ago", s->exit_code, age);
		break;
	case BOX_EXITED:
		if (strcmp(s->state, "exited") != 0 || s->exit_code < 0)
			snprintf(ret, SHOW_STATUS_MAX, "Exited (unknown)");
		else
			snprintf(ret, SHOW_STATUS_MAX, "Exited (%d) %s ago", s->exit_code, age);
		break;
	}
}

static json_t *command_json(const struct record *r, bool whole)
{
	autobuf struct buf text = {};

	for (size_t i = 0; i < r->args.count; i++)
		buf_printf(&text, "%s%s", i ? " " : "", r->args.items[i]);
	if (whole || text.len <= 20)
		return json_sprintf("\"%s\"", buf_str(&text));
	/* Not within a character. */
	while ((text.data[19] & 0xc0) == 0x80 && text.len > 19)
		memmove(text.data + 19, text.data + 20, text.len-- - 20);
	return json_sprintf("\"%.19s…\"", buf_str(&text));
}

static json_t *join_labels(const struct record *r)
{
	autobuf struct buf text = {};

	for (size_t i = 0; i < r->labels.count; i++)
		buf_printf(&text, "%s%s=%s", i ? "," : "", r->labels.items[i].key,
			r->labels.items[i].value);
	return json_string(buf_str(&text));
}

static json_t *join_mounts(const struct record *r, bool whole)
{
	autobuf struct buf text = {};

	for (size_t i = 0; i < r->mounts.count; i++) {
		const struct record_mount *m = &r->mounts.items[i];
		const char *name = m->volume ? m->volume : m->source ? m->source : m->target;

		buf_printf(&text, "%s%.*s%s", text.len ? "," : "",
			whole || strlen(name) <= 15 ? 4096 : 14, name,
			whole || strlen(name) <= 15 ? "" : "…");
	}
	return json_string(buf_str(&text));
}

/* Whether FIELD is printed: most of a row is not, and takes longer to make than to find. */
static bool shows(const struct ps *ps, const char *field)
{
	char word[32];

	if (!ps->shown)
		return true;
	snprintf(word, sizeof(word), "{{.%s}}", field);
	return strstr(ps->shown, word) != NULL;
}

static void set_text(struct ps *ps, json_t *row, const char *field, const char *text)
{
	if (shows(ps, field))
		list_set(row, field, json_string(text), &ps->failed);
}

static void set_status(struct ps *ps, json_t *row, const struct box *box, enum box_state state)
{
	char text[SHOW_STATUS_MAX];

	if (!shows(ps, "Status"))
		return;
	show_status(box, state, ps->now, text);
	list_set(row, "Status", json_string(text), &ps->failed);
}

static void set_age(struct ps *ps, json_t *row, const struct record *r)
{
	char text[HUMAN_TEXT_MAX] = "";
	int64_t created;

	if (!shows(ps, "RunningFor"))
		return;
	if (human_parse_time(r->created, &created, NULL) == 0)
		human_age(created, ps->now, text);
	list_set(row, "RunningFor", json_string(text), &ps->failed);
}

/* What only --format asks for. */
static void set_rest(struct ps *ps, json_t *row, const struct box *box)
{
	const struct record *r = &box->record;
	size_t volumes = 0;

	for (size_t i = 0; i < r->mounts.count; i++)
		volumes += r->mounts.items[i].volume != NULL;
	list_set(row, "Labels", join_labels(r), &ps->failed);
	list_set(row, "Mounts", join_mounts(r, ps->values->no_trunc), &ps->failed);
	list_set(row, "Networks", show_networks(r), &ps->failed);
	list_set(row, "LocalVolumes", json_integer((json_int_t)volumes), &ps->failed);
	list_set(row, "Isolation", json_string(isolation_name(r)), &ps->failed);
	list_set(row, "Label", json_incref(json_object_get(r->json, "labels")), &ps->failed);
}

static int add_row(struct box *box, void *arg)
{
	struct ps *ps = arg;
	const struct record *r = &box->record;
	enum box_state state;
	char size[2 * HUMAN_TEXT_MAX] = "";
	bool whole = ps->values->no_trunc;
	json_t *row;

	if (!record_fits(ps, r))
		return 0;
	state = box_state(box);
	if (!state_fits(ps, box, state))
		return 0;
	row = json_object();
	if (shows(ps, "ID"))
		list_set(row, "ID", json_stringn(r->id, whole ? RECORD_ID_SIZE - 1 : RECORD_SHORT),
			&ps->failed);
	set_text(ps, row, "Image", r->image);
	if (shows(ps, "Command"))
		list_set(row, "Command", command_json(r, whole), &ps->failed);
	list_set(
		row, "CreatedAt", json_string(r->created), &ps->failed); /* they are sorted by it */
	set_age(ps, row, r);
	if (shows(ps, "Ports"))
		list_set(row, "Ports", show_ports(ps->b, box), &ps->failed);
	set_text(ps, row, "State", box_state_name(state));
	set_status(ps, row, box, state);
	if (ps->values->size)
		show_size(ps->b, box, size, sizeof(size));
	set_text(ps, row, "Size", size);
	set_text(ps, row, "Names", r->name);
	if (!ps->shown)
		set_rest(ps, row, box);
	if (json_array_append_new(ps->rows, row) < 0)
		ps->failed = true;
	return 0;
}

struct aged {
	const char *created;
	json_t *row;
};

static int by_age(const void *a, const void *b)
{
	return strcmp(((const struct aged *)b)->created, ((const struct aged *)a)->created);
}

/* The newest first, and of those as many as were asked for. */
static json_t *sort_rows(const struct ps *ps)
{
	size_t count = json_array_size(ps->rows), limit = count;
	autofree struct aged *rows = calloc(count + 1, sizeof(*rows));
	json_t *sorted = json_array();

	if (ps->values->latest)
		limit = 1;
	else if (ps->values->last.set && ps->values->last.value >= 0)
		limit = (size_t)ps->values->last.value;
	for (size_t i = 0; rows && i < count; i++) {
		rows[i].row = json_array_get(ps->rows, i);
		rows[i].created = json_text_of(rows[i].row, "CreatedAt");
	}
	if (rows && count)
		qsort(rows, count, sizeof(*rows), by_age);
	for (size_t i = 0; rows && i < count && i < limit; i++)
		json_array_append(sorted, rows[i].row);
	return sorted;
}

static int find_time(struct ps *ps, const char *key, const char **ret, struct err *err)
{
	const char *name = filters_value(&ps->filters, key);
	autobox struct box box = {.dirfd = -1};
	int r;

	if (!name)
		return 0;
	r = box_open(ps->boxes, name, false, &box, err);
	if (r == 0)
		*ret = arena_strdup(ps->b->arena, box.record.created);
	return r < 0 ? err_add(err, "--filter %s", key) : 0;
}

static int collect(struct ps *ps, struct err *err)
{
	int r = brig_boxes(ps->b, &ps->boxes, err);

	if (r == 0)
		r = filters_parse(&ps->values->filter, keys, ps->b->arena, &ps->filters, err);
	if (r == 0)
		r = find_time(ps, "before", &ps->before_time, err);
	if (r == 0)
		r = find_time(ps, "since", &ps->since_time, err);
	if (r == 0)
		r = boxes_each(ps->boxes, add_row, ps, err);
	return r == 0 && ps->failed ? err_sys(err, -ENOMEM, "ps") : r;
}

int brig_ps(const struct invocation *inv, struct err *err)
{
	const struct brig_ps_values *values = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autojson json_t *rows = json_array(), *sorted = NULL;
	struct ps ps = {.b = &b, .values = values, .now = human_now(), .rows = rows};
	autobuf struct buf text = {};
	const struct list_options list = {
		.fields = fields,
		.columns = values->size ? "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t"
					  "{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}"
					: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t"
					  "{{.Status}}\t{{.Ports}}\t{{.Names}}",
		.quiet = "{{.ID}}",
		.format = values->format,
		.is_quiet = values->quiet,
	};
	int r = brig_open(inv, &b, err);

	ps.shown = list_own_template(&list);
	if (r == 0)
		r = collect(&ps, err);
	if (r < 0)
		return r;
	sorted = sort_rows(&ps);
	r = sorted ? list_print(&list, sorted, &text, err) : err_sys(err, -ENOMEM, "ps");
	if (r == 0)
		fwrite(buf_str(&text), 1, text.len, stdout);
	return r;
}

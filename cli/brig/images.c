/* SPDX-License-Identifier: Apache-2.0 */
/* images, history; and how the verbs about images show names, ids and sizes. */
#include "cli/brig/images.h"

#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/output/filter.h"
#include "cli/output/human.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SHORT_ID = 12, CUT = 45 };

/* ---- shared ---- */

void images_short_name(const struct reference *reference, bool tag, struct buf *ret)
{
	const char *repository = reference->repository;
	bool docker = strcmp(reference->registry, "docker.io") == 0;

	if (docker && strncmp(repository, "library/", 8) == 0)
		repository += 8;
	if (!docker && *reference->registry)
		buf_printf(ret, "%s/", reference->registry);
	buf_puts(ret, repository);
	if (tag && *reference->tag)
		buf_printf(ret, ":%s", reference->tag);
	if (tag && *reference->digest)
		buf_printf(ret, "@%s", reference->digest);
}

void images_id_text(const char *digest, bool whole, char ret[DIGEST_TEXT_MAX + 1])
{
	if (whole)
		snprintf(ret, DIGEST_TEXT_MAX + 1, "%s", digest);
	else
		snprintf(ret, DIGEST_TEXT_MAX + 1, "%.*s", SHORT_ID, digest_hex(digest));
}

int print_buf(const struct buf *buf, struct err *err)
{
	if (buf->failed)
		return err_sys(err, -ENOMEM, "output");
	fwrite(buf_str(buf), 1, buf->len, stdout);
	return 0;
}

bool images_confirm(bool force, const char *question)
{
	char answer[8] = "";

	if (force || !isatty(STDIN_FILENO))
		return true;
	fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

void images_print_reclaimed(uint64_t bytes)
{
	char size[HUMAN_TEXT_MAX];

	human_size(bytes, 4, size);
	printf("Total reclaimed space: %s\n", size);
}

/* ---- sizes ---- */

struct links {
	void *seen; /* of struct link: files with several names */
	uint64_t bytes;
};

struct link {
	dev_t dev;
	ino_t ino;
};

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static void count_file(struct links *links, const struct stat *st)
{
	struct link *link;
	struct link **found;

	if (st->st_nlink > 1 && !S_ISDIR(st->st_mode)) {
		link = malloc(sizeof(*link));
		if (!link)
			return;
		*link = (struct link){st->st_dev, st->st_ino};
		found = tsearch(link, &links->seen, compare_links);
		if (!found || *found != link) {
			free(link);
			return;
		}
	}
	if (S_ISREG(st->st_mode))
		links->bytes += (uint64_t)st->st_size;
}

/* Takes FD over. */
static void count_tree(struct links *links, int fd, int depth)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (depth < 512 && (entry = readdir(dir))) {
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			sys_fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		count_file(links, &st);
		if (S_ISDIR(st.st_mode))
			count_tree(links,
				sys_openat(dirfd(dir), entry->d_name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0),
				depth + 1);
	}
	closedir(dir);
}

uint64_t images_tree_size(int fd)
{
	struct links links = {};

	count_tree(&links, sys_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0), 0);
	tdestroy(links.seen, free);
	return links.bytes;
}

/* Counting the files of a large layer takes a while, and it never changes: counted once. */
uint64_t images_layer_size(struct store *store, const char *chain)
{
	autoclose int files = store_layer_open(store, chain);
	uint64_t size;

	if (files < 0 || store_layer_size(store, chain, &size) == 0)
		return files < 0 ? 0 : size;
	size = images_tree_size(files);
	store_layer_set_size(store, chain, size);
	return size;
}

uint64_t images_disk_size(struct store *store, const struct image *image)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < image->config->diff_ids.count; i++)
		sum += images_layer_size(store, image->chains[i].text);
	return sum;
}

/* ---- images ---- */

struct list_values {
	const char *format;
	struct strings filters;
	bool all, digests, no_trunc, quiet, no_heading;
};

const struct option image_list_options[] = {
	{"all", 'a', OPTION_FLAG, OPTION_AT(list_values, all),
		.help = "show all images (there are no hidden ones)"},
	{"digests", 0, OPTION_FLAG, OPTION_AT(list_values, digests), .help = "show digests"},
	{"filter", 'f', OPTION_TEXTS, OPTION_AT(list_values, filters), .argument = "KEY=VALUE",
		.help = "show only images that fit: reference, label, before, since, until, "
			"dangling, id"},
	{"format", 0, OPTION_TEXT, OPTION_AT(list_values, format), .argument = "FORMAT",
		.help = "json, table TEMPLATE, or a template"},
	{"no-trunc", 0, OPTION_FLAG, OPTION_AT(list_values, no_trunc), .help = "show whole ids"},
	{"noheading", 'n', OPTION_FLAG, OPTION_AT(list_values, no_heading),
		.help = "leave the titles out"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(list_values, quiet), .help = "show only ids"},
	{NULL},
};
VALUES_FIT(struct list_values);

static const char *const list_keys[] = {
	"reference", "label", "before", "since", "until", "dangling", "id", NULL};

static const struct list_field list_fields[] = {{"ID", "IMAGE ID"}, {"Repository", "REPOSITORY"},
	{"Tag", "TAG"}, {"Digest", "DIGEST"}, {"CreatedSince", "CREATED"},
	{"CreatedAt", "CREATED AT"}, {"Size", "SIZE"}, {"VirtualSize", "SIZE"},
	{"Containers", "CONTAINERS"}, {"SharedSize", "SHARED SIZE"}, {"UniqueSize", "UNIQUE SIZE"},
	{"Platform", "PLATFORM"}, {"Labels", "LABELS"}, {"Label", NULL}, {NULL}};

struct listing {
	struct store *store;
	const struct list_values *values;
	struct filters filters;
	int64_t before, since, until, now;
	struct list_row *rows;
	size_t count;
};

struct list_row {
	json_t *json;
	int64_t created;
};

static int64_t created_at(const struct image *image)
{
	int64_t t = 0;

	if (image->config->created)
		(void)human_parse_time(image->config->created, &t, NULL);
	return t;
}

/* "2026-01-31 12:00:00 +0000 UTC", as docker writes it. */
static void time_text(int64_t t, char ret[64])
{
	time_t seconds = t;
	struct tm tm;

	strftime(ret, 64, "%Y-%m-%d %H:%M:%S +0000 UTC", gmtime_r(&seconds, &tm));
}

static json_t *labels_of(const struct image *image)
{
	json_t *labels = json_object();

	for (size_t i = 0; i < image->config->config.labels.count; i++)
		json_object_set_new(labels, image->config->config.labels.items[i].key,
			json_string(image->config->config.labels.items[i].value));
	return labels;
}

static void join_labels(const json_t *labels, struct buf *ret)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)labels, key, value)
		buf_printf(ret, "%s%s=%s", ret->len ? "," : "", key, json_string_value(value));
}

/* "alpine", "alpine:3*", "docker.io/library/alpine:latest" */
static bool fits_reference(const char *pattern, const void *context)
{
	const struct reference *reference = context;
	autobuf struct buf whole = {}, name = {}, shown = {}, shown_name = {};

	reference_format(reference, &whole);
	reference_format_name(reference, &name);
	images_short_name(reference, true, &shown);
	images_short_name(reference, false, &shown_name);
	return fnmatch(pattern, buf_str(&whole), 0) == 0 ||
	       fnmatch(pattern, buf_str(&name), 0) == 0 ||
	       fnmatch(pattern, buf_str(&shown), 0) == 0 ||
	       fnmatch(pattern, buf_str(&shown_name), 0) == 0;
}

static bool fits_id(const char *value, const void *context)
{
	const char *hex = strncmp(value, "sha256:", 7) == 0 ? value + 7 : value;

	return strncmp(digest_hex(context), hex, strlen(hex)) == 0;
}

static bool accepts(const struct listing *l, const struct store_name *name,
	const struct image *image, const json_t *labels)
{
	int64_t created = created_at(image);

	return filters_accept(&l->filters, "reference", fits_reference, &name->reference) &&
	       filters_accept(&l->filters, "id", fits_id, image_id(image)) &&
	       filters_accept_labels(&l->filters, "label", labels) &&
	       filters_accept_bool(&l->filters, "dangling", false) &&
	       (!l->before || created < l->before) && (!l->since || created > l->since) &&
	       (!l->until || created < l->until);
}

static int make_row(struct listing *l, const struct store_name *name, const struct image *image,
	json_t *labels, json_t **ret, struct err *err)
{
	char id[DIGEST_TEXT_MAX + 1], size[HUMAN_TEXT_MAX], age[HUMAN_TEXT_MAX], at[64];
	autobuf struct buf repository = {}, joined = {}, platform = {};

	images_id_text(image_id(image), l->values->no_trunc, id);
	images_short_name(&name->reference, false, &repository);
	join_labels(labels, &joined);
	human_size(images_disk_size(l->store, image), 3, size);
	human_age(created_at(image), l->now, age);
	time_text(created_at(image), at);
	buf_printf(&platform, "%s/%s", image->config->os, image->config->architecture);
	*ret = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:O}",
		"ID", id, "Repository", buf_str(&repository), "Tag",
		*name->reference.tag ? name->reference.tag : "<none>", "Digest",
		*name->index ? name->index : name->digest, "CreatedSince",
		image->config->created ? age : "N/A", "CreatedAt", at, "Size", size, "VirtualSize",
		size, "Containers", "N/A", "SharedSize", "N/A", "UniqueSize", "N/A", "Platform",
		buf_str(&platform), "Labels", buf_str(&joined), "Label", labels);
	return *ret ? 0 : err_set(err, -EINVAL, "%s: has a name or label that is no text", id);
}

/* With -q an image with several names is shown once. */
static bool is_repeated(const struct listing *l, const char *id)
{
	for (size_t i = 0; l->values->quiet && !l->values->format && i < l->count; i++)
		if (strcmp(json_string_value(json_object_get(l->rows[i].json, "ID")), id) == 0)
			return true;
	return false;
}

static int add_row(struct listing *l, const struct store_name *name, struct err *err)
{
	autoimage struct image image = {};
	autojson json_t *labels = NULL, *row = NULL;
	int r = image_open_digest(l->store, name->digest, &image, err);

	if (r == -ENOENT) { /* removed meanwhile */
		err_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	labels = labels_of(&image);
	if (!accepts(l, name, &image, labels))
		return 0;
	r = make_row(l, name, &image, labels, &row, err);
	if (r < 0 || is_repeated(l, json_string_value(json_object_get(row, "ID"))))
		return r;
	l->rows[l->count++] = (struct list_row){take_ptr(row), created_at(&image)};
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct list_row *x = a, *y = b;

	if (x->created != y->created)
		return x->created < y->created ? 1 : -1;
	return strcmp(json_string_value(json_object_get(x->json, "Repository")),
		json_string_value(json_object_get(y->json, "Repository")));
}

/* When the image that before= or since= names was made. */
static int image_moment(struct listing *l, const char *key, int64_t *ret, struct err *err)
{
	const char *text = filters_value(&l->filters, key);
	autoimage struct image image = {};
	int r;

	if (!text)
		return 0;
	r = image_open(l->store, text, &image, err);
	if (r == 0)
		*ret = created_at(&image);
	return r;
}

static int prepare(struct listing *l, const struct invocation *inv, struct err *err)
{
	int r = filters_parse(&l->values->filters, list_keys, inv->arena, &l->filters, err);

	if (r == 0)
		r = filters_check_bool(&l->filters, "dangling", err);
	if (r == 0)
		r = image_moment(l, "before", &l->before, err);
	if (r == 0)
		r = image_moment(l, "since", &l->since, err);
	if (r == 0 && filters_have(&l->filters, "until"))
		r = human_parse_moment(filters_value(&l->filters, "until"), l->now, &l->until, err);
	return r;
}

static int fill(struct listing *l, const char *pattern, struct err *err)
{
	autonames struct store_names names = {};
	int r = store_names_list(l->store, &names, err);

	l->rows = calloc(names.count + 1, sizeof(*l->rows));
	if (r == 0 && !l->rows)
		r = err_sys(err, -ENOMEM, "images");
	for (size_t i = 0; r == 0 && i < names.count; i++)
		if (!pattern || fits_reference(pattern, &names.items[i].reference))
			r = add_row(l, &names.items[i], err);
	if (r == 0)
		qsort(l->rows, l->count, sizeof(*l->rows), newest_first);
	return r;
}

static int print_rows(struct listing *l, struct err *err)
{
	const struct list_options options = {.fields = list_fields,
		.columns = l->values->digests ? "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t"
						"{{.CreatedSince}}\t{{.Size}}"
					      : "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{."
						"CreatedSince}}\t{{.Size}}",
		.quiet = "{{.ID}}",
		.format = l->values->format,
		.is_quiet = l->values->quiet,
		.no_heading = l->values->no_heading};
	autojson json_t *rows = json_array();
	autobuf struct buf out = {};
	int r;

	for (size_t i = 0; i < l->count; i++)
		if (json_array_append(rows, l->rows[i].json) < 0)
			return err_sys(err, -ENOMEM, "images");
	r = list_print(&options, rows, &out, err);
	return r < 0 ? r : print_buf(&out, err);
}

int image_list_run(const struct invocation *inv, struct err *err)
{
	struct listing l = {.values = inv->options, .now = human_now()};
	autobrig struct brig b = BRIG_NONE;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &l.store, err);
	if (r == 0)
		r = prepare(&l, inv, err);
	if (r == 0)
		r = fill(&l, inv->arg_count ? inv->args[0] : NULL, err);
	if (r == 0)
		r = print_rows(&l, err);
	for (size_t i = 0; i < l.count; i++)
		json_decref(l.rows[i].json);
	free(l.rows);
	return r;
}

/* ---- history ---- */

struct history_values {
	const char *format;
	struct opt_bool human;
	bool no_trunc, quiet;
};

const struct option image_history_options[] = {
	{"format", 0, OPTION_TEXT, OPTION_AT(history_values, format), .argument = "FORMAT",
		.help = "json, table TEMPLATE, or a template"},
	{"human", 'H', OPTION_OPT_FLAG, OPTION_AT(history_values, human),
		.help = "show sizes and ages for people [true]"},
	{"no-trunc", 0, OPTION_FLAG, OPTION_AT(history_values, no_trunc),
		.help = "show whole ids and commands"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(history_values, quiet), .help = "show only ids"},
	{NULL},
};
VALUES_FIT(struct history_values);

static const struct list_field history_fields[] = {{"ID", "IMAGE"}, {"CreatedSince", "CREATED"},
	{"CreatedAt", "CREATED AT"}, {"CreatedBy", "CREATED BY"}, {"Size", "SIZE"},
	{"Comment", "COMMENT"}, {NULL}};

static json_t *history_row(const struct spec_image_history *h, const char *id, uint64_t size,
	const struct history_values *v, int64_t now)
{
	bool human = !v->human.set || v->human.value;
	char age[HUMAN_TEXT_MAX], size_text[HUMAN_TEXT_MAX];
	const char *by = h->created_by ? h->created_by : "";
	autobuf struct buf command = {};
	int64_t t = 0;

	if (h->created)
		(void)human_parse_time(h->created, &t, NULL);
	human_age(t, now, age);
	if (human)
		human_size(size, 3, size_text);
	else
		snprintf(size_text, sizeof(size_text), "%llu", (unsigned long long)size);
	human_text(by, strlen(by), &command);
	if (!v->no_trunc && human_width(buf_str(&command), command.len) > CUT) {
		size_t at = 0;

		for (size_t n = 0; n < CUT; at++)
			n += ((unsigned char)command.data[at + 1] & 0xc0) != 0x80;
		command.len = at;
		command.data[at] = '\0';
		buf_puts(&command, "…");
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "ID", id, "CreatedSince",
		!h->created ? "N/A"
		: human     ? age
			    : h->created,
		"CreatedAt", h->created ? h->created : "", "CreatedBy", buf_str(&command), "Size",
		size_text, "Comment", h->comment ? h->comment : "");
}

static int history_rows(struct store *store, const struct image *image,
	const struct history_values *v, json_t *rows, struct err *err)
{
	size_t layer = image->config->diff_ids.count;
	char id[DIGEST_TEXT_MAX + 1];

	images_id_text(image_id(image), v->no_trunc, id);
	for (size_t i = image->config->history.count; i > 0; i--) {
		const struct spec_image_history *h = &image->config->history.items[i - 1];
		uint64_t size = 0;

		if (!h->empty_layer && layer > 0)
			size = images_layer_size(store, image->chains[--layer].text);
		if (json_array_append_new(rows,
			    history_row(h, i == image->config->history.count ? id : "<missing>",
				    size, v, human_now())) < 0)
			return err_set(err, -EINVAL, "the history is no text");
	}
	return 0;
}

int image_history_run(const struct invocation *inv, struct err *err)
{
	const struct history_values *v = inv->options;
	const struct list_options options = {.fields = history_fields,
		.columns = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
		.quiet = "{{.ID}}",
		.format = v->format,
		.is_quiet = v->quiet};
	autobrig struct brig b = BRIG_NONE;
	autojson json_t *rows = json_array();
	autoimage struct image image = {};
	autobuf struct buf out = {};
	struct store *store = NULL;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	if (r == 0)
		r = image_open(store, inv->args[0], &image, err);
	if (r == 0)
		r = history_rows(store, &image, v, rows, err);
	if (r == 0)
		r = list_print(&options, rows, &out, err);
	return r < 0 ? r : print_buf(&out, err);
}

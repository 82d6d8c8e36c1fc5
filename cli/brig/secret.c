/* SPDX-License-Identifier: Apache-2.0 */
/* secret create, ls, inspect, rm, exists. */
#include "cli/containers/secrets.h"

#include "base/fd.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "cli/brig/several.h"
#include "cli/output/filter.h"
#include "cli/output/human.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct secret_values {
	struct strings labels, filters;
	const char *format, *driver;
	bool env, replace, quiet, all, ignore, show, no_heading;
};

static int open_secrets(const struct invocation *inv, struct brig *b, int *ret, struct err *err)
{
	int r = brig_open(inv, b, err);

	if (r < 0)
		return r;
	*ret = secrets_open(b->datafd, err);
	return *ret < 0 ? *ret : 0;
}

/* ---- create ---- */

const struct option secret_create_options[] = {
	{"label", 'l', OPTION_TEXTS, OPTION_AT(secret_values, labels), .argument = "NAME=VALUE",
		.help = "note a label"},
	{"env", 0, OPTION_FLAG, OPTION_AT(secret_values, env),
		.help = "the second argument is an environment variable that has the secret"},
	{"replace", 0, OPTION_FLAG, OPTION_AT(secret_values, replace),
		.help = "take the place of a secret of that name"},
	{"driver", 'd', OPTION_TEXT, OPTION_AT(secret_values, driver), .argument = "file",
		.help = "there is one driver, file"},
	{NULL},
};
VALUES_FIT(struct secret_values);

static int read_source(const char *source, bool env, struct buf *ret, struct err *err)
{
	autoclose int fd = -1;
	int r;

	if (env) {
		const char *value = getenv(source);

		if (!value)
			return err_set(err, -ENOENT, "the environment has no %s", source);
		buf_puts(ret, value);
		return ret->failed ? err_sys(err, -ENOMEM, "secret") : 0;
	}
	fd = strcmp(source, "-") == 0 ? sys_dup(STDIN_FILENO)
				      : sys_openat(AT_FDCWD, source, O_RDONLY | O_NOCTTY, 0);
	r = fd < 0 ? fd : fd_read_all(fd, SECRET_MAX, ret);
	if (r == -EFBIG)
		return err_set(err, r, "%s: a secret has at most %d bytes", source, SECRET_MAX);
	return r < 0 ? err_sys(err, r, "%s", source) : 0;
}

int secret_create_run(const struct invocation *inv, struct err *err)
{
	const struct secret_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autobuf struct buf data = {};
	struct pairs labels;
	autoclose int secrets = -1;
	char id[25];
	int r = open_secrets(inv, &b, &secrets, err);

	if (r == 0 && v->driver && strcmp(v->driver, "file") != 0)
		r = err_set(err, -EINVAL, "there is no secret driver \"%s\", only file", v->driver);
	if (r == 0)
		r = pairs_from_texts(&v->labels, inv->arena, &labels, err);
	if (r == 0)
		r = read_source(inv->args[1], v->env, &data, err);
	if (r == 0)
		r = secret_create(secrets, inv->args[0], buf_str(&data), data.len, &labels,
			v->replace, id, err);
	if (data.data)
		explicit_bzero(data.data, data.len);
	if (r == 0)
		printf("%s\n", id);
	return r;
}

/* ---- ls ---- */

const struct option secret_list_options[] = {
	{"filter", 'f', OPTION_TEXTS, OPTION_AT(secret_values, filters), .argument = "KEY=VALUE",
		.help = "show only secrets that fit: name, id, label"},
	{"format", 0, OPTION_TEXT, OPTION_AT(secret_values, format), .argument = "FORMAT",
		.help = "json, table TEMPLATE, or a template"},
	{"noheading", 'n', OPTION_FLAG, OPTION_AT(secret_values, no_heading),
		.help = "leave the titles out"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(secret_values, quiet), .help = "show only ids"},
	{NULL},
};
VALUES_FIT(struct secret_values);

static const struct list_field list_fields[] = {{"ID", "ID"}, {"Name", "NAME"},
	{"Driver", "DRIVER"}, {"CreatedAt", "CREATED"}, {"UpdatedAt", "UPDATED"},
	{"Labels", "LABELS"}, {"Label", NULL}, {NULL}};

struct gathering {
	struct filters filters;
	json_t *rows;
	bool failed;
};

static json_t *labels_json(const struct secret *secret)
{
	json_t *object = json_object();

	for (size_t i = 0; i < secret->labels.count; i++)
		json_object_set_new(object, secret->labels.items[i].key,
			json_string(secret->labels.items[i].value));
	return object;
}

static int add_row(const struct secret *secret, void *arg)
{
	struct gathering *g = arg;
	autojson json_t *labels = labels_json(secret);
	autobuf struct buf joined = {};
	char age[HUMAN_TEXT_MAX];
	int64_t created = 0;

	if (!filters_accept_part(&g->filters, "name", secret->name) ||
		!filters_accept_prefix(&g->filters, "id", secret->id) ||
		!filters_accept_labels(&g->filters, "label", labels))
		return 0;
	(void)human_parse_time(secret->created, &created, NULL);
	human_age(created, human_now(), age);
	for (size_t i = 0; i < secret->labels.count; i++)
		buf_printf(&joined, "%s%s=%s", i ? "," : "", secret->labels.items[i].key,
			secret->labels.items[i].value);
	g->failed |=
		json_array_append_new(g->rows,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:O}", "ID", secret->id, "Name",
				secret->name, "Driver", "file", "CreatedAt", age, "UpdatedAt", age,
				"Labels", buf_str(&joined), "Label", labels)) < 0;
	return 0;
}

int secret_list_run(const struct invocation *inv, struct err *err)
{
	static const char *const keys[] = {"name", "id", "label", NULL};
	const struct secret_values *v = inv->options;
	const struct list_options options = {.fields = list_fields,
		.columns = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.CreatedAt}}\t{{.UpdatedAt}}",
		.quiet = "{{.ID}}",
		.format = v->format,
		.is_quiet = v->quiet,
		.no_heading = v->no_heading};
	struct gathering g = {.rows = json_array()};
	autobrig struct brig b = BRIG_NONE;
	autobuf struct buf out = {};
	autoclose int secrets = -1;
	int r = filters_parse(&v->filters, keys, inv->arena, &g.filters, err);

	if (r == 0)
		r = open_secrets(inv, &b, &secrets, err);
	if (r == 0)
		r = secrets_each(secrets, add_row, &g, err);
	if (r == 0 && (g.failed || json_sort_by_name(&g.rows) < 0))
		r = err_sys(err, -ENOMEM, "secrets");
	if (r == 0)
		r = list_print(&options, g.rows, &out, err);
	json_decref(g.rows);
	return r < 0 ? r : print_buf(&out, err);
}

/* ---- inspect, exists ---- */

const struct option secret_inspect_options[] = {
	{"format", 'f', OPTION_TEXT, OPTION_AT(secret_values, format), .argument = "FORMAT",
		.help = "json, or a template"},
	{"showsecret", 0, OPTION_FLAG, OPTION_AT(secret_values, show),
		.help = "show the secret too, in SecretData"},
	{NULL},
};
VALUES_FIT(struct secret_values);

static int secret_json(int secrets, const char *text, bool show, json_t **ret, struct err *err)
{
	autosecret struct secret secret = {};
	autobuf struct buf data = {};
	int r = secret_load(secrets, text, &secret, err);

	if (r == 0 && show)
		r = secret_read(secrets, secret.name, &data, err);
	if (r < 0)
		return r;
	*ret = json_pack("{s:s, s:s, s:s, s:{s:s, s:{s:s, s:{}}, s:o}}", "ID", secret.id,
		"CreatedAt", secret.created, "UpdatedAt", secret.created, "Spec", "Name",
		secret.name, "Driver", "Name", "file", "Options", "Labels", labels_json(&secret));
	if (*ret && show &&
		json_object_set_new(*ret, "SecretData", json_stringn(buf_str(&data), data.len)) < 0)
		return err_set(err, -EINVAL, "%s: the secret is no text", text);
	return *ret ? 0 : err_sys(err, -ENOMEM, "%s", text);
}

static int look_at(struct brig *b, const char *name, bool show, json_t **ret, struct err *err)
{
	autoclose int secrets = secrets_open(b->datafd, err);

	return secrets < 0 ? secrets : secret_json(secrets, name, show, ret, err);
}

static int inspect_one(struct brig *b, const char *name, json_t **ret, struct err *err)
{
	const struct secret_values *v = b->inv->options;

	return look_at(b, name, v->show, ret, err);
}

int secret_inspect_json(struct brig *b, const char *name, json_t **ret, struct err *err)
{
	return look_at(b, name, false, ret, err);
}

int secret_inspect_run(const struct invocation *inv, struct err *err)
{
	const struct secret_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	int r = brig_open(inv, &b, err);

	return r < 0 ? r : several_inspect(&b, v->format, inspect_one, err);
}

int secret_exists_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autosecret struct secret secret = {};
	autoclose int secrets = -1;
	int r = open_secrets(inv, &b, &secrets, err);

	if (r < 0)
		return r;
	r = secret_load(secrets, inv->args[0], &secret, err);
	return r == -ENOENT ? 1 : r;
}

/* ---- rm ---- */

const struct option secret_remove_options[] = {
	{"all", 'a', OPTION_FLAG, OPTION_AT(secret_values, all), .help = "remove every secret"},
	{"ignore", 'i', OPTION_FLAG, OPTION_AT(secret_values, ignore),
		.help = "it is no error when a secret is not there"},
	{NULL},
};
VALUES_FIT(struct secret_values);

struct removal {
	struct strings names;
	struct arena *arena;
	bool failed;
};

static int add_name(const struct secret *secret, void *arg)
{
	struct removal *removal = arg;
	char *copy = arena_strdup(removal->arena, secret->name);

	removal->failed |= !copy || strings_add(&removal->names, copy, removal->arena) < 0;
	return 0;
}

int secret_remove_run(const struct invocation *inv, struct err *err)
{
	const struct secret_values *v = inv->options;
	struct removal removal = {.arena = inv->arena};
	autobrig struct brig b = BRIG_NONE;
	autoclose int secrets = -1;
	int code = 0, r = open_secrets(inv, &b, &secrets, err);

	if (r == 0 && !inv->arg_count && !v->all)
		r = err_set(err, -EINVAL, "secret rm: which secret?");
	for (size_t i = 0; r == 0 && i < inv->arg_count; i++)
		removal.failed |= strings_add(&removal.names, inv->args[i], inv->arena) < 0;
	if (r == 0 && v->all)
		r = secrets_each(secrets, add_name, &removal, err);
	if (r == 0 && removal.failed)
		r = err_sys(err, -ENOMEM, "secret rm");
	for (size_t i = 0; r == 0 && i < removal.names.count; i++) {
		autosecret struct secret secret = {};
		struct err one = {};
		int n = secret_load(secrets, removal.names.items[i], &secret, &one);

		if (n == 0)
			n = secret_remove(secrets, secret.name, &one);
		if (n == 0)
			printf("%s\n", secret.id);
		else if (n != -ENOENT || !v->ignore)
			several_failed(&code, &one);
	}
	return r < 0 ? r : code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/registries.h"

#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"
#include "images/toml.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 };

struct mirror {
	const char *location, *pull_from;
	bool insecure;
};

struct rule {
	const char *prefix, *location;
	bool insecure, blocked, by_digest_only;
	struct {
		struct mirror *items;
		size_t count;
	} mirrors;
};

/* One file, decoded. Kept as long as the whole, since strings are borrowed from it. */
struct file {
	struct file *next; /* read before this one */
	json_t *json;
	struct strings search;
	const char *mode;
	struct pairs aliases;
	struct {
		struct rule *items;
		size_t count;
	} rules;
};

struct registries {
	struct file *files; /* newest first */
	struct arena arena;
};

static const struct json_rule mirror_rules[] = {
	{"location", JSON_TEXT, true, JSON_AT(mirror, location)},
	{"insecure", JSON_BOOL, false, JSON_AT(mirror, insecure)},
	{"pull-from-mirror", JSON_TEXT, false, JSON_AT(mirror, pull_from)},
	{},
};
static const struct json_table mirror_table = {sizeof(struct mirror), mirror_rules};

static const struct json_rule rule_rules[] = {
	{"prefix", JSON_TEXT, false, JSON_AT(rule, prefix)},
	{"location", JSON_TEXT, false, JSON_AT(rule, location)},
	{"insecure", JSON_BOOL, false, JSON_AT(rule, insecure)},
	{"blocked", JSON_BOOL, false, JSON_AT(rule, blocked)},
	{"mirror-by-digest-only", JSON_BOOL, false, JSON_AT(rule, by_digest_only)},
	{"mirror", JSON_STRUCTS, false, JSON_AT(rule, mirrors), &mirror_table},
	{},
};
static const struct json_table rule_table = {sizeof(struct rule), rule_rules};

static const struct json_rule file_rules[] = {
	{"unqualified-search-registries", JSON_TEXTS, false, JSON_AT(file, search)},
	{"short-name-mode", JSON_TEXT, false, JSON_AT(file, mode)},
	{"aliases", JSON_PAIRS, false, JSON_AT(file, aliases)},
	{"registry", JSON_STRUCTS, false, JSON_AT(file, rules), &rule_table},
	{},
};
static const struct json_table file_table = {sizeof(struct file), file_rules};

/* A key that is there and not understood may be the one that forbids something. */
static int check_keys(const json_t *object, const struct json_table *table, struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value) {
		const struct json_rule *rule = table->rules;

		while (rule->key && strcmp(rule->key, key) != 0)
			rule++;
		/* Whom to ask for credentials is auth.json's business here; see auth.h. */
		if (!rule->key && strcmp(key, "credential-helpers") != 0)
			return err_set(err, -EINVAL, "unknown key \"%.100s\"", key);
		if (rule->key && rule->kind == JSON_STRUCTS) {
			for (size_t i = 0; i < json_array_size(value); i++) {
				int r = check_keys(json_array_get(value, i), rule->table, err);

				if (r < 0)
					return r;
			}
		}
	}
	return 0;
}

static int check_rule(const struct rule *rule, struct err *err)
{
	static const char *const from[] = {"all", "digest-only", "tag-only"};

	if (!rule->prefix && !rule->location)
		return err_set(err, -EINVAL, "a [[registry]] has neither prefix nor location");
	if (rule->prefix && strncmp(rule->prefix, "*.", 2) == 0 && strchr(rule->prefix, '/'))
		return err_set(err, -EINVAL, "prefix \"%.100s\": \"*.\" goes before a host alone",
			rule->prefix);
	for (size_t i = 0; i < rule->mirrors.count; i++) {
		const char *pull = rule->mirrors.items[i].pull_from;
		bool known = !pull;

		for (size_t k = 0; k < ARRAY_LEN(from) && !known; k++)
			known = strcmp(pull, from[k]) == 0;
		if (!known)
			return err_set(err, -EINVAL,
				"pull-from-mirror must be all, digest-only or tag-only");
	}
	return 0;
}

static int check_file(const struct file *f, struct err *err)
{
	struct reference ref;
	int r = 0;

	if (f->mode && strcmp(f->mode, "enforcing") != 0 && strcmp(f->mode, "permissive") != 0 &&
		strcmp(f->mode, "disabled") != 0)
		return err_set(
			err, -EINVAL, "short-name-mode must be enforcing, permissive or disabled");
	for (size_t i = 0; i < f->rules.count && r == 0; i++)
		r = check_rule(&f->rules.items[i], err);
	for (size_t i = 0; i < f->aliases.count && r == 0; i++) {
		if (!*f->aliases.items[i].value)
			continue; /* takes an earlier file's alias away */
		r = reference_parse(f->aliases.items[i].value, &ref, err);
		if (r == 0 && (!*ref.registry || *ref.tag || *ref.digest))
			r = err_set(err, -EINVAL,
				"the alias \"%.100s\" must be a registry and repository alone",
				f->aliases.items[i].key);
	}
	return r;
}

int registries_parse(
	const char *name, const char *text, size_t len, struct registries *g, struct err *err)
{
	struct file *f = arena_new(&g->arena, struct file);
	json_t *json;
	int r;

	if (!f)
		return err_sys(err, -ENOMEM, "%s", name);
	r = toml_parse(name, text, len, &json, err);
	if (r < 0)
		return r;
	f->json = json;
	f->next = g->files;
	g->files = f;
	if (json_object_get(json, "registries"))
		return err_set(err, -EINVAL,
			"%s: is in the old format (version 1); write [[registry]] tables", name);
	r = check_keys(json, &file_table, err);
	if (r == 0)
		r = json_decode(json, &file_table, &g->arena, f, err);
	if (r == 0)
		r = check_file(f, err);
	return r < 0 ? err_add(err, "%s", name) : 0;
}

struct registries *registries_new(void)
{
	return calloc(1, sizeof(struct registries));
}

void registries_free(struct registries *g)
{
	if (!g)
		return;
	for (struct file *f = g->files; f; f = f->next)
		json_decref(f->json);
	arena_free(&g->arena);
	free(g);
}

/* ---- files ---- */

static int load_file(struct registries *g, const char *path, struct err *err)
{
	autobuf struct buf text = {};
	autoclose int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	int r = fd < 0 ? fd : fd_read_all(fd, FILE_MAX, &text);

	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? -ENOENT : err_sys(err, r, "%s", path);
	return registries_parse(path, buf_str(&text), text.len, g, err);
}

static int is_conf(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static int load_directory(struct registries *g, const char *path, struct err *err)
{
	struct dirent **names;
	int count = scandir(path, &names, is_conf, alphasort), r = 0;

	if (count < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(err, -errno, "%s", path);
	for (int i = 0; i < count; i++) {
		char file[PATH_MAX];

		if (r == 0 && snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name) <
				      (int)sizeof(file))
			r = load_file(g, file, err);
		free(names[i]);
	}
	free(names);
	return r == -ENOENT ? 0 : r;
}

int registries_load(
	const char *file, const char *directory, struct registries **ret, struct err *err)
{
	autoregistries struct registries *g = registries_new();
	const char *home = getenv("HOME");
	char path[PATH_MAX];
	int r = 0;

	if (!g)
		return err_sys(err, -ENOMEM, "registries.conf");
	if (file || directory) {
		r = file ? load_file(g, file, err) : 0;
		if (r == 0 || r == -ENOENT)
			r = directory ? load_directory(g, directory, err) : 0;
	} else {
		snprintf(path, sizeof(path), "%s/.config/containers/registries.conf",
			home ? home : "");
		r = home && geteuid() != 0 ? load_file(g, path, err) : -ENOENT;
		if (r == -ENOENT)
			r = load_file(g, "/etc/containers/registries.conf", err);
		if (r == 0 || r == -ENOENT)
			r = load_directory(g, "/etc/containers/registries.conf.d", err);
		strcat(path, ".d");
		if (r == 0 && home && geteuid() != 0)
			r = load_directory(g, path, err);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	*ret = take_ptr(g);
	return 0;
}

/* ---- short names ---- */

static const char *find_alias(const struct registries *g, const char *name)
{
	for (const struct file *f = g->files; f; f = f->next)
		for (size_t i = 0; i < f->aliases.count; i++)
			if (strcmp(f->aliases.items[i].key, name) == 0)
				return *f->aliases.items[i].value ? f->aliases.items[i].value
								  : NULL;
	return NULL;
}

static const struct strings *search_list(const struct registries *g)
{
	for (const struct file *f = g->files; f; f = f->next)
		if (f->search.items && f->search.count)
			return &f->search;
	return NULL;
}

static const char *short_mode(const struct registries *g)
{
	for (const struct file *f = g->files; f; f = f->next)
		if (f->mode)
			return f->mode;
	return "permissive";
}

static int add_candidate(struct registries_candidates *c, const char *registry,
	const char *repository, const struct reference *like, struct err *err)
{
	autobuf struct buf text = {};
	struct reference ref;
	int r;

	buf_printf(&text, "%s/%s", registry, repository);
	r = reference_parse(buf_str(&text), &ref, err);
	if (r < 0)
		return err_add(err, "unqualified-search-registries");
	memcpy(ref.tag, like->tag, sizeof(ref.tag));
	memcpy(ref.digest, like->digest, sizeof(ref.digest));
	r = reference_normalise(&ref, err);
	if (r == 0)
		c->items[c->count++] = ref;
	return r;
}

int registries_candidates(const struct registries *g, const struct reference *reference,
	struct registries_candidates *ret, struct err *err)
{
	const char *alias = find_alias(g, reference->repository);
	const struct strings *search = search_list(g);
	size_t count = alias || !search ? 1 : search->count;
	struct registries_candidates c = {.items = calloc(count, sizeof(*c.items))};
	int r = 0;

	if (!c.items)
		return err_sys(err, -ENOMEM, "short name");
	if (alias) {
		const char *slash = strchr(alias, '/');
		char registry[REFERENCE_NAME_MAX + 1];

		snprintf(registry, sizeof(registry), "%.*s", (int)(slash - alias), alias);
		r = add_candidate(&c, registry, slash + 1, reference, err);
	} else if (!search) {
		r = add_candidate(&c, "docker.io", reference->repository, reference, err);
	} else {
		for (size_t i = 0; i < search->count && r == 0; i++)
			r = add_candidate(
				&c, search->items[i], reference->repository, reference, err);
	}
	if (r == 0 && count > 1 && strcmp(short_mode(g), "enforcing") == 0)
		r = err_set(err, -EINVAL,
			"\"%.100s\" is a short name and %zu registries are searched: write the "
			"registry, such as %s/%.100s",
			reference->repository, count, search->items[0], reference->repository);
	if (r < 0) {
		free(c.items);
		return r;
	}
	*ret = c;
	return 0;
}

/* ---- endpoints ---- */

static const char *prefix_of(const struct rule *rule)
{
	return rule->prefix ? rule->prefix : rule->location;
}

/* How many bytes of NAME the rule is about; 0: it is not. */
static size_t match(const struct rule *rule, const char *name)
{
	const char *prefix = prefix_of(rule);
	size_t n = strlen(prefix), host = strcspn(name, "/:");

	if (strncmp(prefix, "*.", 2) == 0) {
		n -= 1; /* the dot belongs to what must be there */
		return host > n && strncmp(name + host - n, prefix + 1, n) == 0 ? strcspn(name, "/")
										: 0;
	}
	if (strncmp(name, prefix, n) != 0)
		return 0;
	return name[n] == '\0' || name[n] == '/' || (name[n] == ':' && !memchr(prefix, '/', n)) ? n
												: 0;
}

/* The longest prefix counts, and of equal ones the newest file's. */
static const struct rule *find_rule(const struct registries *g, const char *name, size_t *ret_len)
{
	const struct rule *best = NULL;
	size_t best_len = 0;

	for (const struct file *f = g->files; f; f = f->next) {
		for (size_t i = 0; i < f->rules.count; i++) {
			size_t n = match(&f->rules.items[i], name);

			if (n && strlen(prefix_of(&f->rules.items[i])) > best_len) {
				best = &f->rules.items[i];
				best_len = strlen(prefix_of(best));
				*ret_len = n;
			}
		}
	}
	return best;
}

/* NAME with the first LEN bytes exchanged for LOCATION. */
static int relocate(const struct reference *ref, const char *location, const char *name, size_t len,
	struct pull_endpoint *ret, struct err *err)
{
	autobuf struct buf text = {};
	struct reference moved;
	int r;

	buf_printf(&text, "%s%s", location, name + len);
	r = reference_parse(buf_str(&text), &moved, err);
	if (r == 0 && !*moved.registry)
		r = err_set(err, -EINVAL, "\"%.200s\" has no registry", buf_str(&text));
	if (r < 0)
		return err_add(err, "registries.conf");
	memcpy(moved.tag, ref->tag, sizeof(moved.tag));
	memcpy(moved.digest, ref->digest, sizeof(moved.digest));
	ret->reference = moved;
	return 0;
}

static bool mirror_fits(const struct mirror *m, bool has_digest)
{
	if (!m->pull_from || strcmp(m->pull_from, "all") == 0)
		return true;
	return has_digest == (strcmp(m->pull_from, "digest-only") == 0);
}

int registries_endpoints(const struct registries *g, const struct reference *ref,
	struct registries_endpoints *ret, struct err *err)
{
	autobuf struct buf name = {};
	struct registries_endpoints e = {};
	const struct rule *rule;
	size_t len = 0;
	int r = 0;

	reference_format_name(ref, &name);
	if (name.failed)
		return err_sys(err, -ENOMEM, "registries.conf");
	rule = find_rule(g, name.data, &len);
	if (rule && rule->blocked)
		return err_set(err, -EACCES, "%s: the registry is blocked in registries.conf (%s)",
			name.data, prefix_of(rule));
	e.items = calloc((rule ? rule->mirrors.count : 0) + 1, sizeof(*e.items));
	if (!e.items)
		return err_sys(err, -ENOMEM, "registries.conf");
	for (size_t i = 0; rule && i < rule->mirrors.count && r == 0; i++) {
		const struct mirror *m = &rule->mirrors.items[i];

		if (!mirror_fits(m, *ref->digest != '\0'))
			continue;
		e.items[e.count].insecure = m->insecure;
		e.items[e.count].by_digest_only = rule->by_digest_only;
		r = relocate(ref, m->location, name.data, len, &e.items[e.count], err);
		e.count += r == 0;
	}
	if (r == 0) {
		e.items[e.count].insecure = rule && rule->insecure;
		e.items[e.count].reference = *ref;
		if (rule && rule->location)
			r = relocate(ref, rule->location, name.data, len, &e.items[e.count], err);
		e.count++;
	}
	if (r < 0) {
		free(e.items);
		return r;
	}
	*ret = e;
	return 0;
}

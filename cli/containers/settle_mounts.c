/* SPDX-License-Identifier: Apache-2.0 */
/* -v, --mount, --tmpfs, and the image's VOLUMEs. */
#include "cli/containers/settle.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>

struct mount_parser {
	const char *option, *text; /* for errors */
	const char *cwd;
	struct arena *arena;
	struct err *err;
	struct record_mount mount;
	bool read_only, no_copy, propagation;
};

struct record_mount *settle_find_mount(struct record *record, const char *target)
{
	for (size_t i = 0; i < record->mounts.count; i++)
		if (strcmp(record->mounts.items[i].target, target) == 0)
			return &record->mounts.items[i];
	return NULL;
}

int settle_add_mount(struct record *record, const struct record_mount *mount)
{
	struct record_mount *items;

	if (settle_find_mount(record, mount->target))
		return 0;
	items = arena_array(&record->arena, record->mounts.count + 1, struct record_mount);
	if (!items)
		return -ENOMEM;
	if (record->mounts.count)
		memcpy(items, record->mounts.items, record->mounts.count * sizeof(*items));
	items[record->mounts.count++] = *mount;
	record->mounts.items = items;
	return 0;
}

static int wrong(struct mount_parser *p, const char *why)
{
	return err_set(p->err, -EINVAL, "--%s %s: %s", p->option, p->text, why);
}

static int add_option(struct mount_parser *p, const char *word)
{
	return strings_add(&p->mount.options, word, p->arena) < 0
		       ? err_sys(p->err, -ENOMEM, "--%s", p->option)
		       : 0;
}

/* "/a//b/" → "/a/b": a target is compared with others. */
static const char *tidy(struct arena *arena, const char *path)
{
	char *copy = arena_strdup(arena, path), *to = copy;

	for (const char *from = copy; copy && *from; from++)
		if (*from != '/' || to == copy || to[-1] != '/')
			*to++ = *from;
	if (copy && to > copy + 1 && to[-1] == '/')
		to--;
	if (copy)
		*to = '\0';
	return copy;
}

static int set_target(struct mount_parser *p, const char *target)
{
	if (*target != '/')
		return wrong(p, "the path in the container has to begin with /");
	p->mount.target = tidy(p->arena, target);
	if (!p->mount.target)
		return err_sys(p->err, -ENOMEM, "--%s", p->option);
	return strcmp(p->mount.target, "/") == 0 ? wrong(p, "/ cannot be mounted over") : 0;
}

/* What a person writes as a source: a path, or a volume's name. */
static int set_source(struct mount_parser *p, const char *source)
{
	if (*source == '/')
		p->mount.source = tidy(p->arena, source);
	else if (*source == '.')
		p->mount.source = tidy(p->arena, arena_printf(p->arena, "%s/%s", p->cwd, source));
	else if (record_name_is_valid(source))
		p->mount.volume = source;
	else
		return wrong(p, "the source is neither a path nor a name that a volume can have");
	return p->mount.volume || p->mount.source ? 0 : err_sys(p->err, -ENOMEM, "--%s", p->option);
}

static bool is_propagation(const char *word)
{
	static const char *const all[] = {
		"shared", "rshared", "slave", "rslave", "private", "rprivate"};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strcmp(word, all[i]) == 0)
			return true;
	return false;
}

static bool is_plain_flag(const char *word)
{
	static const char *const all[] = {"exec", "noexec", "dev", "nodev", "suid", "nosuid",
		"bind", "rbind", "noatime", "relatime", "nosymfollow"};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strcmp(word, all[i]) == 0)
			return true;
	return strncmp(word, "idmap", 5) == 0 && (!word[5] || word[5] == '=');
}

/* An option word of -v. */
static int take_word(struct mount_parser *p, const char *word)
{
	/* SELinux labels: nothing to do where there is no SELinux, and the runtime's mount label
	 * serves where there is. The others are hints for other systems. */
	static const char *const ignored[] = {
		"z", "Z", "rw", "cached", "delegated", "consistent", "copy"};

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		if (strcmp(word, ignored[i]) == 0)
			return 0;
	if (strcmp(word, "ro") == 0)
		p->read_only = true;
	else if (strcmp(word, "nocopy") == 0)
		p->no_copy = true;
	else if (strcmp(word, "U") == 0)
		p->mount.chown = true;
	else if (is_propagation(word)) {
		p->propagation = true;
		return add_option(p, word);
	} else if (is_plain_flag(word)) {
		return add_option(p, word);
	} else {
		return err_set(p->err, -EINVAL, "--%s %s: unknown option \"%s\"", p->option,
			p->text, word);
	}
	return 0;
}

static int take_words(struct mount_parser *p, char *words)
{
	char *save;
	int r = 0;

	for (char *w = strtok_r(words, ",", &save); w && r == 0; w = strtok_r(NULL, ",", &save))
		r = take_word(p, w);
	return r;
}

/* What all binds have. */
static int finish_bind(struct mount_parser *p)
{
	int r = add_option(p, "rbind");

	if (r == 0 && !p->propagation)
		r = add_option(p, "rprivate");
	/* All of the tree: "ro" would leave what is mounted below it writable. */
	if (r == 0 && p->read_only)
		r = add_option(p, "rro");
	p->mount.type = p->mount.source ? RECORD_MOUNT_BIND : RECORD_MOUNT_VOLUME;
	p->mount.copy_up = p->mount.type == RECORD_MOUNT_VOLUME && !p->no_copy;
	p->mount.anonymous = p->mount.type == RECORD_MOUNT_VOLUME && !p->mount.volume;
	return r;
}

/* [SOURCE:]TARGET[:OPTIONS] */
static int parse_volume(struct mount_parser *p)
{
	char *copy = arena_strdup(p->arena, p->text), *parts[4] = {}, *save = copy;
	size_t count = 0;
	int r = 0;

	if (!copy)
		return err_sys(p->err, -ENOMEM, "--%s", p->option);
	while (save && count < 4)
		parts[count++] = strsep(&save, ":");
	if (count > 3 || !*parts[0] || (count > 1 && !*parts[1]))
		return wrong(p, "is not [SOURCE:]PATH[:OPTIONS]");
	if (count > 1)
		r = set_source(p, parts[0]);
	if (r == 0)
		r = set_target(p, count > 1 ? parts[1] : parts[0]);
	if (r == 0 && count > 2)
		r = take_words(p, parts[2]);
	return r < 0 ? r : finish_bind(p);
}

/* PATH[:OPTIONS] */
static int parse_tmpfs(struct mount_parser *p)
{
	char *copy = arena_strdup(p->arena, p->text), *words, *save, *word;
	int r;

	if (!copy)
		return err_sys(p->err, -ENOMEM, "--tmpfs");
	words = strchr(copy, ':');
	if (words)
		*words++ = '\0';
	p->mount.type = RECORD_MOUNT_TMPFS;
	r = set_target(p, copy);
	for (size_t i = 0; i < 3 && r == 0; i++)
		r = add_option(p, (const char *[]){"nosuid", "nodev", "noexec"}[i]);
	for (word = words ? strtok_r(words, ",", &save) : NULL; word && r == 0;
		word = strtok_r(NULL, ",", &save))
		r = add_option(p, word); /* what tmpfs does not know, the mount refuses */
	return r;
}

static bool is_one_of(const char *key, const char *a, const char *b, const char *c)
{
	return strcmp(key, a) == 0 || (b && strcmp(key, b) == 0) || (c && strcmp(key, c) == 0);
}

static bool is_true(const char *value)
{
	return !value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

/* One KEY[=VALUE] of --mount. */
static int take_pair(struct mount_parser *p, const char *key, const char *value, const char **type,
	const char **source)
{
	if (is_one_of(key, "type", NULL, NULL) && value)
		*type = value;
	else if (is_one_of(key, "source", "src", NULL) && value)
		*source = value;
	else if (is_one_of(key, "target", "dst", "destination") && value)
		return set_target(p, value);
	else if (is_one_of(key, "readonly", "ro", NULL))
		p->read_only = is_true(value);
	else if (is_one_of(key, "volume-nocopy", NULL, NULL))
		p->no_copy = is_true(value);
	else if (is_one_of(key, "U", "chown", NULL))
		p->mount.chown = is_true(value);
	else if (is_one_of(key, "z", "Z", "relabel") || is_one_of(key, "consistency", NULL, NULL))
		return 0;
	else if (is_one_of(key, "bind-propagation", NULL, NULL) && value && is_propagation(value)) {
		p->propagation = true;
		return add_option(p, value);
	} else if (is_one_of(key, "tmpfs-size", NULL, NULL) && value)
		return add_option(p, arena_printf(p->arena, "size=%s", value));
	else if (is_one_of(key, "tmpfs-mode", NULL, NULL) && value)
		return add_option(p, arena_printf(p->arena, "mode=%s", value));
	else if (!value && is_plain_flag(key))
		return add_option(p, key);
	else if (is_one_of(key, "idmap", NULL, NULL) && value)
		return add_option(p, arena_printf(p->arena, "idmap=%s", value));
	else
		return err_set(p->err, -EINVAL, "--mount %s: unknown key \"%s\"%s", p->text, key,
			value ? "" : ", or its value is missing");
	return 0;
}

static int finish_mount(struct mount_parser *p, const char *type, const char *source)
{
	int r = 0;

	if (!p->mount.target)
		return wrong(p, "target= is missing");
	if (strcmp(type, "tmpfs") == 0) {
		if (source)
			return wrong(p, "a tmpfs has no source");
		p->mount.type = RECORD_MOUNT_TMPFS;
		for (size_t i = 0; i < 2 && r == 0; i++)
			r = add_option(p, (const char *[]){"nosuid", "nodev"}[i]);
		return r == 0 && p->read_only ? add_option(p, "ro") : r;
	}
	if (strcmp(type, "bind") == 0) {
		if (!source || (*source != '/' && *source != '.'))
			return wrong(p, "type=bind needs source=PATH");
		r = set_source(p, source);
	} else if (strcmp(type, "volume") == 0) {
		if (source && !record_name_is_valid(source))
			return wrong(p, "the source is not a name that a volume can have");
		p->mount.volume = source;
	} else {
		return wrong(p, "type= is one of bind, volume and tmpfs");
	}
	return r < 0 ? r : finish_bind(p);
}

static int parse_mount(struct mount_parser *p)
{
	char *copy = arena_strdup(p->arena, p->text), *save;
	const char *type = "volume", *source = NULL;
	int r = copy ? 0 : err_sys(p->err, -ENOMEM, "--mount");

	for (char *w = copy ? strtok_r(copy, ",", &save) : NULL; w && r == 0;
		w = strtok_r(NULL, ",", &save)) {
		char *value = strchr(w, '=');

		if (value)
			*value++ = '\0';
		r = take_pair(p, w, value, &type, &source);
	}
	return r < 0 ? r : finish_mount(p, type, source);
}

static int parse_list(const char *option, const struct strings *list,
	int (*parse)(struct mount_parser *), const char *cwd, struct record *ret, struct err *err)
{
	for (size_t i = 0; i < list->count; i++) {
		struct mount_parser p = {
			.option = option,
			.text = list->items[i],
			.cwd = cwd,
			.arena = &ret->arena,
			.err = err,
		};
		int r = parse(&p);

		if (r < 0)
			return r;
		if (settle_find_mount(ret, p.mount.target))
			return err_set(err, -EINVAL, "--%s %s: something is mounted at %s already",
				option, p.text, p.mount.target);
		if (settle_add_mount(ret, &p.mount) < 0)
			return err_sys(err, -ENOMEM, "--%s", option);
	}
	return 0;
}

int settle_mounts(const struct run_options *options, const struct spec_image_config *image,
	const char *cwd, struct record *ret, struct err *err)
{
	int r = parse_list("volume", &options->volumes, parse_volume, cwd, ret, err);

	if (r == 0)
		r = parse_list("mount", &options->mounts, parse_mount, cwd, ret, err);
	if (r == 0)
		r = parse_list("tmpfs", &options->tmpfs, parse_tmpfs, cwd, ret, err);
	for (size_t i = 0; i < image->config.volumes.count && r == 0; i++) {
		struct mount_parser p = {
			.option = "volume",
			.text = image->config.volumes.items[i],
			.arena = &ret->arena,
			.err = err,
		};

		r = set_target(&p, p.text);
		if (r == 0)
			r = finish_bind(&p);
		if (r == 0 && settle_add_mount(ret, &p.mount) < 0)
			r = err_sys(err, -ENOMEM, "volumes");
	}
	return r;
}

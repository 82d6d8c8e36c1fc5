/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/quadlet.h"

#include "base/parse.h"
#include "cli/containers/options.h"
#include "cli/containers/unit_text.h"
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum take {
	TAKE_LAST,    /* the last value alone */
	TAKE_EACH,    /* every value */
	TAKE_WORDS,   /* every word of every value */
	TAKE_RAW,     /* the same, without an option before it */
	TAKE_FLAG,    /* a truth: --OPTION or --OPTION=false */
	TAKE_PRIVATE, /* for the translation itself */
};

struct key {
	const char *name;
	enum take take;
	const char *option; /* the value is put behind it */
};

/* In the order in which the options stand in the unit. */
static const struct key container_keys[] = {
	{"Image", TAKE_PRIVATE, NULL},
	{"Exec", TAKE_PRIVATE, NULL},
	{"ContainerName", TAKE_PRIVATE, NULL},
	{"User", TAKE_PRIVATE, NULL},
	{"Group", TAKE_PRIVATE, NULL},
	{"Volume", TAKE_PRIVATE, NULL},
	{"Network", TAKE_PRIVATE, NULL},
	{"StopTimeout", TAKE_LAST, "--stop-timeout="},
	{"AddCapability", TAKE_WORDS, "--cap-add="},
	{"AddDevice", TAKE_EACH, "--device="},
	{"AddHost", TAKE_EACH, "--add-host="},
	{"Annotation", TAKE_WORDS, "--annotation="},
	{"DNS", TAKE_EACH, "--dns="},
	{"DNSOption", TAKE_EACH, "--dns-option="},
	{"DNSSearch", TAKE_EACH, "--dns-search="},
	{"DropCapability", TAKE_WORDS, "--cap-drop="},
	{"Entrypoint", TAKE_LAST, "--entrypoint="},
	{"Environment", TAKE_WORDS, "--env="},
	{"EnvironmentFile", TAKE_EACH, "--env-file="},
	{"ExposeHostPort", TAKE_EACH, "--expose="},
	{"GIDMap", TAKE_EACH, "--gidmap="},
	{"GroupAdd", TAKE_EACH, "--group-add="},
	{"HealthCmd", TAKE_LAST, "--health-cmd="},
	{"HealthInterval", TAKE_LAST, "--health-interval="},
	{"HealthRetries", TAKE_LAST, "--health-retries="},
	{"HealthStartPeriod", TAKE_LAST, "--health-start-period="},
	{"HealthTimeout", TAKE_LAST, "--health-timeout="},
	{"HostName", TAKE_LAST, "--hostname="},
	{"IP", TAKE_LAST, "--ip="},
	{"IP6", TAKE_LAST, "--ip6="},
	{"Label", TAKE_WORDS, "--label="},
	{"LogDriver", TAKE_LAST, "--log-driver="},
	{"LogOpt", TAKE_EACH, "--log-opt="},
	{"Mask", TAKE_LAST, "--security-opt=mask="},
	{"Memory", TAKE_LAST, "--memory="},
	{"Mount", TAKE_EACH, "--mount="},
	{"NetworkAlias", TAKE_EACH, "--network-alias="},
	{"NoNewPrivileges", TAKE_FLAG, "--security-opt=no-new-privileges"},
	{"PidsLimit", TAKE_LAST, "--pids-limit="},
	{"PublishPort", TAKE_EACH, "--publish="},
	{"Pull", TAKE_LAST, "--pull="},
	{"ReadOnly", TAKE_FLAG, "--read-only"},
	{"RunInit", TAKE_FLAG, "--init"},
	{"SeccompProfile", TAKE_LAST, "--security-opt=seccomp="},
	{"Secret", TAKE_EACH, "--secret="},
	{"ShmSize", TAKE_LAST, "--shm-size="},
	{"StopSignal", TAKE_LAST, "--stop-signal="},
	{"SubGIDMap", TAKE_LAST, "--subgidname="},
	{"SubUIDMap", TAKE_LAST, "--subuidname="},
	{"Sysctl", TAKE_WORDS, "--sysctl="},
	{"Tmpfs", TAKE_EACH, "--tmpfs="},
	{"UIDMap", TAKE_EACH, "--uidmap="},
	{"Ulimit", TAKE_EACH, "--ulimit="},
	{"Unmask", TAKE_LAST, "--security-opt=unmask="},
	{"UserNS", TAKE_LAST, "--userns="},
	{"WorkingDir", TAKE_LAST, "--workdir="},
	{"PodmanArgs", TAKE_RAW, NULL},
	{},
};

static const struct key volume_keys[] = {
	{"VolumeName", TAKE_PRIVATE, NULL},
	{"Driver", TAKE_LAST, "--driver="},
	{"Label", TAKE_WORDS, "--label="},
	{"Options", TAKE_LAST, "--opt=o="},
	{"Device", TAKE_LAST, "--opt=device="},
	{"Type", TAKE_LAST, "--opt=type="},
	{"PodmanArgs", TAKE_RAW, NULL},
	{},
};

static const struct key network_keys[] = {
	{"NetworkName", TAKE_PRIVATE, NULL},
	{"DisableDNS", TAKE_FLAG, "--disable-dns"},
	{"DNS", TAKE_EACH, "--dns="},
	{"Driver", TAKE_LAST, "--driver="},
	{"Gateway", TAKE_EACH, "--gateway="},
	{"Internal", TAKE_FLAG, "--internal"},
	{"InterfaceName", TAKE_LAST, "--interface-name="},
	{"IPRange", TAKE_EACH, "--ip-range="},
	{"IPv6", TAKE_FLAG, "--ipv6"},
	{"Label", TAKE_WORDS, "--label="},
	{"Options", TAKE_EACH, "--opt="},
	{"Subnet", TAKE_EACH, "--subnet="},
	{"PodmanArgs", TAKE_RAW, NULL},
	{},
};

static const struct kind {
	const char *suffix, *section, *unit; /* of the file; its own section; of the unit */
	const char *verb, *name_key;
	const struct key *keys;
} kinds[] = {
	{".container", "Container", ".service", NULL, "ContainerName", container_keys},
	{".volume", "Volume", "-volume.service", "volume", "VolumeName", volume_keys},
	{".network", "Network", "-network.service", "network", "NetworkName", network_keys},
};

struct translation {
	const struct quadlet_request *request;
	const struct kind *kind;
	const char *file, *stem; /* "web.container", "web" */
	struct unit_file unit;
	struct arena *arena;
	struct buf options, needs; /* words of ExecStart=, lines of [Unit] */
	struct err *err;
};

static int wrong(const struct translation *t, const struct unit_line *line, const char *what)
{
	return err_set(
		t->err, -EINVAL, "%s:%u: %s: %s", t->request->path, line->number, line->key, what);
}

/* ---- what the file is, and what it may have ---- */

static const struct kind *kind_of(const char *file, size_t *ret_stem)
{
	size_t n = strlen(file);

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t k = strlen(kinds[i].suffix);

		*ret_stem = n - k;
		if (n > k && strcmp(file + n - k, kinds[i].suffix) == 0)
			return &kinds[i];
	}
	return NULL;
}

static bool is_handed_on(const char *section)
{
	return strcmp(section, "Unit") == 0 || strcmp(section, "Service") == 0 ||
	       strcmp(section, "Install") == 0;
}

static int check_key(const struct translation *t, const struct unit_line *line)
{
	struct options_nearest nearest = {};

	for (const struct key *k = t->kind->keys; k->name; k++) {
		if (strcmp(k->name, line->key) == 0)
			return 0;
		options_consider(&nearest, line->key, k->name);
	}
	if (nearest.name)
		return err_set(t->err, -EINVAL, "%s:%u: [%s] has no key \"%s\": did you mean %s?",
			t->request->path, line->number, line->section, line->key, nearest.name);
	return err_set(t->err, -EINVAL, "%s:%u: [%s] has no key \"%s\"", t->request->path,
		line->number, line->section, line->key);
}

static int check_lines(const struct translation *t)
{
	int r = 0;

	for (size_t i = 0; i < t->unit.count && r == 0; i++) {
		const struct unit_line *line = &t->unit.lines[i];

		if (is_handed_on(line->section) || strncmp(line->section, "X-", 2) == 0)
			continue;
		r = strcmp(line->section, t->kind->section) == 0
			    ? check_key(t, line)
			    : err_set(t->err, -EINVAL, "%s:%u: a %s file has no section [%s]",
				      t->request->path, line->number, t->kind->suffix,
				      line->section);
	}
	return r;
}

/* The next line of KEY from *I on; an empty value takes back all before it. */
static const struct unit_line *next(const struct translation *t, const char *key, size_t *i)
{
	const struct unit_file *u = &t->unit;

	for (size_t k = *i; k < u->count; k++) {
		const struct unit_line *line = &u->lines[k];

		if (strcmp(line->section, t->kind->section) == 0 && strcmp(line->key, key) == 0 &&
			!*line->value)
			*i = k + 1;
	}
	while (*i < u->count) {
		const struct unit_line *line = &u->lines[(*i)++];

		if (strcmp(line->section, t->kind->section) == 0 && strcmp(line->key, key) == 0)
			return line;
	}
	return NULL;
}

static const struct unit_line *last(const struct translation *t, const char *key)
{
	const struct unit_line *found = NULL, *line;

	for (size_t i = 0; (line = next(t, key, &i));)
		found = line;
	return found;
}

/* ---- options ---- */

static void add(struct translation *t, const char *option, const char *value)
{
	autobuf struct buf word = {};

	buf_puts(&word, option ? option : "");
	buf_puts(&word, value);
	unit_add_word(&t->options, buf_str(&word), false);
}

static int add_words(struct translation *t, const struct unit_line *line, const char *option)
{
	struct strings words = {};
	int r = unit_split(line->value, t->arena, &words);

	if (r == -ENOMEM)
		return err_sys(t->err, r, "%s", t->request->path);
	if (r < 0)
		return wrong(t, line, "has a quote or an escape that does not end");
	for (size_t i = 0; i < words.count; i++)
		add(t, option, words.items[i]);
	return 0;
}

static int add_flag(struct translation *t, const struct unit_line *line, const char *option)
{
	static const char *const yes[] = {"yes", "true", "on", "1"};
	static const char *const no[] = {"no", "false", "off", "0"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(line->value, yes[i]) == 0) {
			add(t, option, "");
			return 0;
		}
		if (strcasecmp(line->value, no[i]) == 0)
			return 0;
	}
	return wrong(t, line, "is neither yes nor no");
}

static int add_key(struct translation *t, const struct key *key)
{
	const struct unit_line *line;
	int r = 0;

	if (key->take == TAKE_PRIVATE)
		return 0;
	if (key->take == TAKE_LAST || key->take == TAKE_FLAG) {
		line = last(t, key->name);
		if (line && key->take == TAKE_LAST)
			add(t, key->option, line->value);
		return !line || key->take == TAKE_LAST ? 0 : add_flag(t, line, key->option);
	}
	for (size_t i = 0; r == 0 && (line = next(t, key->name, &i));) {
		if (key->take == TAKE_EACH)
			add(t, key->option, line->value);
		else
			r = add_words(t, line, key->option);
	}
	return r;
}

static int add_keys(struct translation *t)
{
	int r = 0;

	for (const struct key *k = t->kind->keys; k->name && r == 0; k++)
		r = add_key(t, k);
	return r;
}

/* ---- names ---- */

/* What a file without a name of its choice is called; of a template by its instance. */
static const char *default_name(const char *stem, struct arena *arena)
{
	const char *at = strchr(stem, '@');

	if (at && !at[1])
		return arena_printf(arena, "systemd-%.*s_%%i", (int)(at - stem), stem);
	return arena_printf(arena, "systemd-%s", stem);
}

static const char *own_name(const struct translation *t)
{
	const struct unit_line *line = last(t, t->kind->name_key);

	return line ? line->value : default_name(t->stem, t->arena);
}

/* The name of the volume or network of FILE, a file beside this one; the unit comes to need its. */
static int name_of_sibling(
	struct translation *t, const struct unit_line *line, const char *file, const char **ret)
{
	struct translation other = {.request = t->request, .arena = t->arena, .err = t->err};
	char *text;
	size_t n;
	int r = t->request->sibling(t->request->context, file, t->arena, &text);

	if (r == -ENOENT)
		return err_set(t->err, r, "%s:%u: %s: there is no %s beside it", t->request->path,
			line->number, line->key, file);
	if (r < 0)
		return err_sys(t->err, r, "%s", file);
	other.kind = kind_of(file, &n);
	other.stem = arena_printf(t->arena, "%.*s", (int)n, file);
	r = unit_parse(file, text, t->arena, &other.unit, t->err);
	if (r < 0)
		return r;
	*ret = other.stem ? own_name(&other) : NULL;
	if (!*ret)
		return err_sys(t->err, -ENOMEM, "%s", file);
	buf_printf(&t->needs, "Requires=%s%s\nAfter=%s%s\n", other.stem, other.kind->unit,
		other.stem, other.kind->unit);
	return 0;
}

/* "data.volume:/data", "ours.network:alias=a", or as run takes it. */
static int add_named(struct translation *t, const char *key, const char *suffix, const char *option)
{
	const struct unit_line *line;
	int r = 0;

	for (size_t i = 0; r == 0 && (line = next(t, key, &i));) {
		size_t n = strcspn(line->value, ":"), k = strlen(suffix);
		const char *file = arena_printf(t->arena, "%.*s", (int)n, line->value), *name;

		if (!file)
			return err_sys(t->err, -ENOMEM, "%s", t->request->path);
		if (n <= k || strcmp(file + n - k, suffix) != 0 || strchr(file, '/')) {
			add(t, option, line->value);
			continue;
		}
		r = name_of_sibling(t, line, file, &name);
		if (r == 0) {
			name = arena_printf(t->arena, "%s%s", name, line->value + n);
			add(t, option, name ? name : "");
		}
	}
	return r;
}

/* ---- the parts of the unit ---- */

static int add_user(struct translation *t)
{
	const struct unit_line *user = last(t, "User"), *group = last(t, "Group");

	if (group && !user)
		return wrong(t, group, "needs User");
	if (!user)
		return 0;
	add(t, "--user=",
		group ? arena_printf(t->arena, "%s:%s", user->value, group->value) : user->value);
	return 0;
}

static int add_container(struct translation *t, const char *name, struct buf *out)
{
	const struct unit_line *image = last(t, "Image"), *exec = last(t, "Exec");
	const struct unit_line *timeout = last(t, "StopTimeout");
	const char *brig = t->request->brig;
	uint32_t seconds = 10;
	int r = 0;

	if (!image)
		return err_set(t->err, -EINVAL, "%s: [Container] has no Image", t->request->path);
	if (timeout && parse_u32(timeout->value, &seconds) < 0)
		return wrong(t, timeout, "is no number of seconds");
	add(t, "--name=", name);
	r = add_user(t);
	if (r == 0)
		r = add_named(t, "Volume", ".volume", "--volume=");
	if (r == 0)
		r = add_named(t, "Network", ".network", "--network=");
	if (r == 0)
		r = add_keys(t);
	add(t, NULL, image->value);
	if (r == 0 && exec)
		r = add_words(t, exec, NULL);
	if (r < 0)
		return r;
	buf_printf(out,
		"Type=exec\nTimeoutStopSec=%u\nExecStart=%s run --rm --replace "
		"--sig-proxy=false%s\n",
		seconds + 60, brig, buf_str(&t->options));
	buf_printf(out, "ExecStop=%s stop --ignore --time %u", brig, seconds);
	unit_add_word(out, name, false);
	buf_printf(out, "\nExecStopPost=%s rm --force --ignore", brig);
	unit_add_word(out, name, false);
	buf_puts(out, "\n");
	return 0;
}

static int add_maker(struct translation *t, const char *name, struct buf *out)
{
	int r = add_keys(t);

	add(t, NULL, name);
	if (r == 0)
		buf_printf(out,
			"Type=oneshot\nRemainAfterExit=yes\nExecStart=%s %s create --ignore%s\n",
			t->request->brig, t->kind->verb, buf_str(&t->options));
	return r;
}

static void hand_on(const struct translation *t, const char *section, struct buf *out)
{
	for (size_t i = 0; i < t->unit.count; i++) {
		const struct unit_line *line = &t->unit.lines[i];

		if (strcmp(line->section, section) == 0)
			buf_printf(out, "%s=%s\n", line->key, line->value);
	}
}

static int collect_install(const struct translation *t, struct quadlet *ret)
{
	struct {
		const char *key;
		struct strings *list;
	} lists[] = {{"WantedBy", &ret->wanted_by}, {"RequiredBy", &ret->required_by},
		{"Alias", &ret->aliases}};
	int r = 0;

	for (size_t i = 0; i < t->unit.count && r == 0; i++) {
		const struct unit_line *line = &t->unit.lines[i];

		for (size_t k = 0; k < ARRAY_LEN(lists) && r == 0; k++)
			if (strcmp(line->section, "Install") == 0 &&
				strcmp(line->key, lists[k].key) == 0)
				r = unit_split(line->value, t->arena, lists[k].list);
		if (r < 0)
			wrong(t, line, "has a quote or an escape that does not end");
	}
	return r;
}

static int write_unit(struct translation *t, struct buf *out, struct quadlet *ret)
{
	const char *name = own_name(t);
	autobuf struct buf service = {};
	int r;

	ret->unit = arena_printf(t->arena, "%s%s", t->stem, t->kind->unit);
	if (!name || !ret->unit)
		return err_sys(t->err, -ENOMEM, "%s", t->request->path);
	r = t->kind->verb ? add_maker(t, name, &service) : add_container(t, name, &service);
	if (r == 0)
		r = collect_install(t, ret);
	if (r < 0)
		return r;
	buf_puts(out, "[Unit]\n");
	hand_on(t, "Unit", out);
	buf_printf(out,
		"SourcePath=%s\nWants=network-online.target\nAfter=network-online.target\n%s",
		t->request->path, buf_str(&t->needs));
	buf_printf(out, "\n[Service]\n%s", buf_str(&service));
	hand_on(t, "Service", out);
	buf_puts(out, "\n[Install]\n");
	hand_on(t, "Install", out);
	return out->failed || service.failed || t->options.failed || t->needs.failed
		       ? err_sys(t->err, -ENOMEM, "%s", t->request->path)
		       : 0;
}

int quadlet_translate(const struct quadlet_request *request, struct arena *arena, struct buf *out,
	struct quadlet *ret, struct err *err)
{
	const char *slash = strrchr(request->path, '/');
	struct translation t = {.request = request,
		.arena = arena,
		.file = slash ? slash + 1 : request->path,
		.err = err};
	size_t n;
	int r;

	*ret = (struct quadlet){};
	t.kind = kind_of(t.file, &n);
	if (!t.kind)
		return err_set(err, -EINVAL, "%s: is no .container, .volume or .network file",
			request->path);
	t.stem = arena_printf(arena, "%.*s", (int)n, t.file);
	if (!t.stem)
		return err_sys(err, -ENOMEM, "%s", request->path);
	r = unit_parse(request->path, request->text, arena, &t.unit, err);
	if (r == 0)
		r = check_lines(&t);
	if (r == 0)
		r = write_unit(&t, out, ret);
	buf_free(&t.options);
	buf_free(&t.needs);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/image.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

bool spec_digest_is_valid(const char *text)
{
	size_t want;

	if (strncmp(text, "sha256:", 7) == 0)
		want = 64;
	else if (strncmp(text, "sha512:", 7) == 0)
		want = 128;
	else
		return false;
	return strspn(text + 7, "0123456789abcdef") == want && text[7 + want] == '\0';
}

bool spec_media_is_index(const char *media_type)
{
	return strcmp(media_type, SPEC_MEDIA_OCI_INDEX) == 0 ||
	       strcmp(media_type, SPEC_MEDIA_DOCKER_LIST) == 0;
}

bool spec_media_is_manifest(const char *media_type)
{
	return strcmp(media_type, SPEC_MEDIA_OCI_MANIFEST) == 0 ||
	       strcmp(media_type, SPEC_MEDIA_DOCKER_MANIFEST) == 0;
}

bool spec_media_is_layer(const char *media_type)
{
	static const char *const types[] = {
		SPEC_MEDIA_OCI_LAYER,
		SPEC_MEDIA_OCI_LAYER "+gzip",
		SPEC_MEDIA_OCI_LAYER "+zstd",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
		SPEC_MEDIA_DOCKER_LAYER,
		SPEC_MEDIA_DOCKER_LAYER ".gzip",
		SPEC_MEDIA_DOCKER_LAYER ".zstd",
		"application/vnd.docker.image.rootfs.foreign.diff.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(media_type, types[i]) == 0)
			return true;
	return false;
}

/* ---- tables ---- */

static const struct json_rule platform_rules[] = {
	{"architecture", JSON_TEXT, true, JSON_AT(spec_platform, architecture)},
	{"os", JSON_TEXT, true, JSON_AT(spec_platform, os)},
	{"variant", JSON_TEXT, false, JSON_AT(spec_platform, variant)},
	{"os.version", JSON_TEXT, false, JSON_AT(spec_platform, os_version)},
	{"os.features", JSON_TEXTS, false, JSON_AT(spec_platform, os_features)},
	{},
};
static const struct json_table platform_table = {sizeof(struct spec_platform), platform_rules};

static const struct json_rule descriptor_rules[] = {
	{"mediaType", JSON_TEXT, true, JSON_AT(spec_descriptor, media_type)},
	{"digest", JSON_TEXT, true, JSON_AT(spec_descriptor, digest)},
	{"size", JSON_U64, true, JSON_AT(spec_descriptor, size)},
	{"artifactType", JSON_TEXT, false, JSON_AT(spec_descriptor, artifact_type)},
	{"urls", JSON_TEXTS, false, JSON_AT(spec_descriptor, urls)},
	{"platform", JSON_STRUCT, false, JSON_AT(spec_descriptor, platform), &platform_table},
	{"annotations", JSON_PAIRS, false, JSON_AT(spec_descriptor, annotations)},
	{},
};
static const struct json_table descriptor_table = {
	sizeof(struct spec_descriptor), descriptor_rules};

static const struct json_rule document_rules[] = {
	{"schemaVersion", JSON_U32, true, JSON_AT(spec_image_document, schema_version)},
	{"mediaType", JSON_TEXT, false, JSON_AT(spec_image_document, media_type)},
	{"artifactType", JSON_TEXT, false, JSON_AT(spec_image_document, artifact_type)},
	{"config", JSON_STRUCT, false, JSON_AT(spec_image_document, config), &descriptor_table},
	{"layers", JSON_STRUCTS, false, JSON_AT(spec_image_document, layers), &descriptor_table},
	{"manifests", JSON_STRUCTS, false, JSON_AT(spec_image_document, manifests),
		&descriptor_table},
	{"subject", JSON_STRUCT, false, JSON_AT(spec_image_document, subject), &descriptor_table},
	{"annotations", JSON_PAIRS, false, JSON_AT(spec_image_document, annotations)},
	{},
};
static const struct json_table document_table = {
	sizeof(struct spec_image_document), document_rules};

static const struct json_rule health_rules[] = {
	{"Test", JSON_TEXTS, false, JSON_AT(spec_health_check, test)},
	{"Interval", JSON_OPT_I64, false, JSON_AT(spec_health_check, interval)},
	{"Timeout", JSON_OPT_I64, false, JSON_AT(spec_health_check, timeout)},
	{"StartPeriod", JSON_OPT_I64, false, JSON_AT(spec_health_check, start_period)},
	{"StartInterval", JSON_OPT_I64, false, JSON_AT(spec_health_check, start_interval)},
	{"Retries", JSON_U32, false, JSON_AT(spec_health_check, retries)},
	{},
};
static const struct json_table health_table = {sizeof(struct spec_health_check), health_rules};

static const struct json_rule settings_rules[] = {
	{"User", JSON_TEXT, false, JSON_AT(spec_image_settings, user)},
	{"WorkingDir", JSON_TEXT, false, JSON_AT(spec_image_settings, working_dir)},
	{"StopSignal", JSON_TEXT, false, JSON_AT(spec_image_settings, stop_signal)},
	{"Env", JSON_TEXTS, false, JSON_AT(spec_image_settings, env)},
	{"Entrypoint", JSON_TEXTS, false, JSON_AT(spec_image_settings, entrypoint)},
	{"Cmd", JSON_TEXTS, false, JSON_AT(spec_image_settings, cmd)},
	{"Shell", JSON_TEXTS, false, JSON_AT(spec_image_settings, shell)},
	{"OnBuild", JSON_TEXTS, false, JSON_AT(spec_image_settings, on_build)},
	{"Labels", JSON_PAIRS, false, JSON_AT(spec_image_settings, labels)},
	{"Healthcheck", JSON_STRUCT, false, JSON_AT(spec_image_settings, health_check),
		&health_table},
	{},
};
static const struct json_table settings_table = {
	sizeof(struct spec_image_settings), settings_rules};

static const struct json_rule history_rules[] = {
	{"created", JSON_TEXT, false, JSON_AT(spec_image_history, created)},
	{"created_by", JSON_TEXT, false, JSON_AT(spec_image_history, created_by)},
	{"author", JSON_TEXT, false, JSON_AT(spec_image_history, author)},
	{"comment", JSON_TEXT, false, JSON_AT(spec_image_history, comment)},
	{"empty_layer", JSON_BOOL, false, JSON_AT(spec_image_history, empty_layer)},
	{},
};
static const struct json_table history_table = {sizeof(struct spec_image_history), history_rules};

struct rootfs {
	const char *type;
	struct strings diff_ids;
};
static const struct json_rule rootfs_rules[] = {
	{"type", JSON_TEXT, true, JSON_AT(rootfs, type)},
	{"diff_ids", JSON_TEXTS, true, JSON_AT(rootfs, diff_ids)},
	{},
};
static const struct json_table rootfs_table = {sizeof(struct rootfs), rootfs_rules};

static const struct json_rule config_rules[] = {
	{"created", JSON_TEXT, false, JSON_AT(spec_image_config, created)},
	{"author", JSON_TEXT, false, JSON_AT(spec_image_config, author)},
	{"architecture", JSON_TEXT, true, JSON_AT(spec_image_config, architecture)},
	{"os", JSON_TEXT, true, JSON_AT(spec_image_config, os)},
	{"variant", JSON_TEXT, false, JSON_AT(spec_image_config, variant)},
	{"os.version", JSON_TEXT, false, JSON_AT(spec_image_config, os_version)},
	{"history", JSON_STRUCTS, false, JSON_AT(spec_image_config, history), &history_table},
	{},
};
static const struct json_table config_table = {sizeof(struct spec_image_config), config_rules};

/* ---- manifests and indexes ---- */

static int check_descriptor(const char *what, const struct spec_descriptor *d, struct err *err)
{
	if (!spec_digest_is_valid(d->digest))
		return err_set(err, -EINVAL,
			"%s: digest \"%.80s\" is not sha256: or sha512: and lower-case "
			"hexadecimal digits",
			what, d->digest);
	if (d->size > INT64_MAX)
		return err_set(err, -EINVAL, "%s: size is out of range", what);
	return 0;
}

static int check_descriptors(const char *what, const struct spec_descriptors *all, struct err *err)
{
	for (size_t i = 0; i < all->count; i++) {
		int r = check_descriptor(what, &all->items[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* True when CONTENT_TYPE, less its parameters, is MEDIA_TYPE. */
static bool same_type(const char *content_type, const char *media_type)
{
	size_t n = strcspn(content_type, "; \t");

	return n == strlen(media_type) && strncmp(content_type, media_type, n) == 0;
}

/* Types that say nothing: what plain file servers send. */
static bool is_generic_type(const char *content_type)
{
	return same_type(content_type, "application/json") ||
	       same_type(content_type, "application/octet-stream") ||
	       same_type(content_type, "text/plain") || *content_type == '\0';
}

static int check_media_type(
	struct spec_image_document *d, const char *content_type, struct err *err)
{
	bool index = d->kind == SPEC_DOCUMENT_INDEX;

	if (content_type && is_generic_type(content_type))
		content_type = NULL;
	if (d->media_type && content_type && !same_type(content_type, d->media_type))
		return err_set(err, -EINVAL, "served as %.100s, but says that it is %.100s",
			content_type, d->media_type);
	if (!d->media_type && content_type &&
		!same_type(content_type, index ? SPEC_MEDIA_OCI_INDEX : SPEC_MEDIA_OCI_MANIFEST))
		return err_set(
			err, -EINVAL, "served as %.100s, which its shape is not", content_type);
	if (!d->media_type)
		d->media_type = index ? SPEC_MEDIA_OCI_INDEX : SPEC_MEDIA_OCI_MANIFEST;
	if (!(index ? spec_media_is_index(d->media_type) : spec_media_is_manifest(d->media_type)))
		return err_set(err, -EINVAL, "has the shape of an %s, but says that it is %.100s",
			index ? "index" : "image manifest", d->media_type);
	d->docker = strstr(d->media_type, "vnd.docker.") != NULL;
	return 0;
}

static int check_document(struct spec_image_document *d, const char *content_type, struct err *err)
{
	bool manifest = d->config || json_object_get(d->json, "layers");
	bool index = json_object_get(d->json, "manifests") != NULL;
	int r;

	if (d->schema_version == 1)
		return err_set(err, -EOPNOTSUPP,
			"is Docker schema 1, which carries no verifiable layers: push it again "
			"with a newer tool");
	if (d->schema_version != 2)
		return err_set(err, -EINVAL, "schemaVersion must be 2");
	if (manifest && (index || json_object_get(d->json, "fsLayers")))
		return err_set(err, -EINVAL, "is a manifest and an index at once");
	if (!manifest && !index)
		return err_set(err, -EINVAL, "is neither a manifest nor an index");
	d->kind = index ? SPEC_DOCUMENT_INDEX : SPEC_DOCUMENT_MANIFEST;
	if (manifest && !d->config)
		return err_set(err, -EINVAL, "config: is missing");
	if (d->layers.count > SPEC_LAYERS_MAX)
		return err_set(err, -EINVAL, "has %zu layers, more than %d", d->layers.count,
			SPEC_LAYERS_MAX);
	r = check_media_type(d, content_type, err);
	if (r == 0 && d->config)
		r = check_descriptor("config", d->config, err);
	if (r == 0 && d->subject)
		r = check_descriptor("subject", d->subject, err);
	if (r == 0)
		r = check_descriptors("layers", &d->layers, err);
	if (r == 0)
		r = check_descriptors("manifests", &d->manifests, err);
	return r;
}

int spec_image_document_parse(const char *name, const char *content_type, const char *text,
	size_t len, struct spec_image_document **ret, struct err *err)
{
	autodocument struct spec_image_document *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_sys(err, -ENOMEM, "%s", name);
	if (len > SPEC_DOCUMENT_MAX)
		return err_set(err, -EFBIG, "%s: is larger than %d bytes", name, SPEC_DOCUMENT_MAX);
	r = json_parse(name, text, len, &d->json, err);
	if (r < 0)
		return r;
	r = json_decode(d->json, &document_table, &d->arena, d, err);
	if (r == 0)
		r = check_document(d, content_type, err);
	if (r < 0)
		return err_add(err, "%s", name);
	*ret = take_ptr(d);
	return 0;
}

void spec_image_document_free(struct spec_image_document *d)
{
	if (!d)
		return;
	json_decref(d->json);
	arena_free(&d->arena);
	free(d);
}

/* ---- the config ---- */

/* ExposedPorts and Volumes are sets, written as objects of empty objects. */
static int read_keys(const json_t *object, const char *key, struct arena *arena,
	struct strings *ret, struct err *err)
{
	json_t *set = json_object_get(object, key), *item;
	const char *name;

	if (!set || json_is_null(set))
		return 0;
	if (!json_is_object(set))
		return err_set(err, -EINVAL, "config.%s: must be an object", key);
	ret->items = arena_array(arena, json_object_size(set), const char *);
	if (!ret->items)
		return err_sys(err, -ENOMEM, "config.%s", key);
	json_object_foreach (set, name, item)
		ret->items[ret->count++] = name;
	return 0;
}

static int read_settings(struct spec_image_config *c, struct err *err)
{
	const json_t *value = json_object_get(c->json, "config");
	int r;

	if (!value || json_is_null(value))
		return 0;
	r = json_decode(value, &settings_table, &c->arena, &c->config, err);
	if (r < 0)
		return err_add(err, "config");
	r = read_keys(value, "ExposedPorts", &c->arena, &c->config.exposed_ports, err);
	if (r == 0)
		r = read_keys(value, "Volumes", &c->arena, &c->config.volumes, err);
	return r;
}

static int read_rootfs(struct spec_image_config *c, struct err *err)
{
	const json_t *value = json_object_get(c->json, "rootfs");
	struct rootfs rootfs = {};
	int r;

	if (!value)
		return err_set(err, -EINVAL, "rootfs: is missing");
	r = json_decode(value, &rootfs_table, &c->arena, &rootfs, err);
	if (r < 0)
		return err_add(err, "rootfs");
	if (strcmp(rootfs.type, "layers") != 0)
		return err_set(err, -EINVAL, "rootfs.type: must be \"layers\"");
	if (rootfs.diff_ids.count > SPEC_LAYERS_MAX)
		return err_set(
			err, -EINVAL, "rootfs.diff_ids: more than %d layers", SPEC_LAYERS_MAX);
	for (size_t i = 0; i < rootfs.diff_ids.count; i++)
		if (!spec_digest_is_valid(rootfs.diff_ids.items[i]))
			return err_set(err, -EINVAL, "rootfs.diff_ids: \"%.80s\" is not a digest",
				rootfs.diff_ids.items[i]);
	c->diff_ids = rootfs.diff_ids;
	return 0;
}

int spec_image_config_parse(const char *name, const char *text, size_t len,
	struct spec_image_config **ret, struct err *err)
{
	autoimageconfig struct spec_image_config *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_sys(err, -ENOMEM, "%s", name);
	if (len > SPEC_DOCUMENT_MAX)
		return err_set(err, -EFBIG, "%s: is larger than %d bytes", name, SPEC_DOCUMENT_MAX);
	r = json_parse(name, text, len, &c->json, err);
	if (r < 0)
		return r;
	r = json_decode(c->json, &config_table, &c->arena, c, err);
	if (r == 0)
		r = read_settings(c, err);
	if (r == 0)
		r = read_rootfs(c, err);
	if (r < 0)
		return err_add(err, "%s", name);
	*ret = take_ptr(c);
	return 0;
}

void spec_image_config_free(struct spec_image_config *c)
{
	if (!c)
		return;
	json_decref(c->json);
	arena_free(&c->arena);
	free(c);
}

/* ---- platforms ---- */

/* What machines and people call an architecture, and what registries call it. */
static const struct {
	const char *name, *architecture, *variant;
} architectures[] = {
	{"x86_64", "amd64", NULL},
	{"x86-64", "amd64", NULL},
	{"aarch64", "arm64", "v8"},
	{"arm64", "arm64", "v8"},
	{"armhf", "arm", "v7"},
	{"arm", "arm", "v7"},
	{"armv7l", "arm", "v7"},
	{"armel", "arm", "v6"},
	{"armv6l", "arm", "v6"},
	{"i386", "386", NULL},
	{"i486", "386", NULL},
	{"i586", "386", NULL},
	{"i686", "386", NULL},
	{"loongarch64", "loong64", NULL},
	{"ppc64el", "ppc64le", NULL},
	{"mips64el", "mips64le", NULL},
};

static void normalise(struct spec_platform *p)
{
	for (size_t i = 0; i < ARRAY_LEN(architectures); i++) {
		if (strcmp(p->architecture, architectures[i].name) == 0) {
			p->architecture = architectures[i].architecture;
			if (!p->variant)
				p->variant = architectures[i].variant;
			return;
		}
	}
}

static bool is_platform_text(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-./") == strlen(text) && *text;
}

int spec_platform_parse(
	const char *text, struct arena *arena, struct spec_platform *ret, struct err *err)
{
	struct spec_platform p = {.os = "linux"};
	struct utsname host;
	char *copy, *part[3] = {};
	size_t count = 0;

	if (!text) {
		uname(&host);
		text = host.machine;
	}
	if (!is_platform_text(text))
		return err_set(err, -EINVAL,
			"platform \"%.60s\": must be os/architecture[/variant], such as "
			"linux/arm64/v8",
			text);
	copy = arena_strdup(arena, text);
	if (!copy)
		return err_sys(err, -ENOMEM, "platform");
	for (char *p_ = copy; p_ && count < 4; count++) {
		char *slash = strchr(p_, '/');

		if (slash)
			*slash = '\0';
		if (count < 3)
			part[count] = p_;
		if (!*p_)
			count = 4;
		p_ = slash ? slash + 1 : NULL;
	}
	if (count > 3)
		return err_set(err, -EINVAL,
			"platform \"%.60s\": must be os/architecture[/variant]", text);
	if (count > 1)
		p.os = part[0];
	p.architecture = count > 1 ? part[1] : part[0];
	p.variant = part[2];
	normalise(&p);
	*ret = p;
	return 0;
}

/*
 * How well ENTRY fits WANT: 0 not at all, higher is better. An entry without a platform fits, but
 * anything that says so fits better.
 */
static unsigned int fitness(const struct spec_platform *entry, const struct spec_platform *want)
{
	struct spec_platform have;

	if (!entry)
		return 1;
	have = *entry;
	normalise(&have);
	if (strcmp(have.os, want->os) != 0 || strcmp(have.architecture, want->architecture) != 0)
		return 0;
	if (!want->variant || !have.variant)
		return have.variant ? 90 : 100;
	if (strcmp(have.variant, want->variant) == 0)
		return 110;
	/* arm v5 < v6 < v7 < v8: older code runs on newer machines. amd64 v2…v4 likewise. */
	if (strlen(have.variant) == 2 && strlen(want->variant) == 2 && have.variant[0] == 'v' &&
		have.variant[1] < want->variant[1])
		return 2 + (unsigned int)(have.variant[1] - '0');
	return 0;
}

static int no_platform(
	const struct spec_image_document *index, const struct spec_platform *want, struct err *err)
{
	autobuf struct buf list = {};

	for (size_t i = 0; i < index->manifests.count && list.len < 400; i++) {
		const struct spec_platform *p = index->manifests.items[i].platform;

		if (p && strcmp(p->os, "unknown") != 0)
			buf_printf(&list, "%s%s/%s%s%s", list.len ? ", " : "", p->os,
				p->architecture, p->variant ? "/" : "",
				p->variant ? p->variant : "");
	}
	return err_set(err, -ENOENT, "has no image for %s/%s%s%s; it has: %s", want->os,
		want->architecture, want->variant ? "/" : "", want->variant ? want->variant : "",
		list.len ? buf_str(&list) : "none");
}

int spec_image_select(const struct spec_image_document *index, const struct spec_platform *want,
	const struct spec_descriptor **ret, struct err *err)
{
	const struct spec_descriptor *best = NULL;
	unsigned int best_fitness = 0;

	for (size_t i = 0; i < index->manifests.count; i++) {
		const struct spec_descriptor *d = &index->manifests.items[i];
		unsigned int n = fitness(d->platform, want);

		if (!spec_media_is_manifest(d->media_type) && !spec_media_is_index(d->media_type))
			continue;
		if (n > best_fitness) {
			best_fitness = n;
			best = d;
		}
	}
	if (!best)
		return no_platform(index, want, err);
	*ret = best;
	return 0;
}

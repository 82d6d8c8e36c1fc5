/* SPDX-License-Identifier: Apache-2.0 */
/* pull, push, search. */
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/brig/images.h"
#include "cli/output/filter.h"
#include "images/policy.h"
#include "images/registries.h"

#include <stdio.h>
#include <string.h>

/* ---- pull ---- */

const struct option image_pull_options[] = {
	{"all-tags", 'a', OPTION_FLAG, OPTION_AT(pull_flags, all_tags),
		.help = "pull every tag of the repository"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(pull_flags, quiet),
		.help = "print only the id, and show no progress"},
	{"platform", 0, OPTION_TEXT, OPTION_AT(pull_flags, platform),
		.argument = "OS/ARCH[/VARIANT]",
		.help = "choose the image for this platform, not for this machine"},
	{"os", 0, OPTION_TEXT, OPTION_AT(pull_flags, os), .argument = "OS",
		.help = "as --platform"},
	{"arch", 0, OPTION_TEXT, OPTION_AT(pull_flags, arch), .argument = "ARCH",
		.help = "as --platform"},
	{"variant", 0, OPTION_TEXT, OPTION_AT(pull_flags, variant), .argument = "VARIANT",
		.help = "as --platform"},
	{"signature-policy", 0, OPTION_TEXT, OPTION_AT(pull_flags, policy), .argument = "FILE",
		.help = "use this policy.json"},
	REMOTE_OPTIONS(pull_flags),
	{NULL},
};
VALUES_FIT(struct pull_flags);

static int pull_one(struct brig *b, const struct reference *reference,
	const struct pull_flags *flags, struct pulled *ret, struct err *err)
{
	autojson json_t *request = NULL, *result = NULL;
	autobuf struct buf name = {}, what = {};
	struct remote_events events = {};
	const char *platform = flags->platform;
	struct store *store;
	int r = policy_check(flags->policy, "docker", reference, err);

	if (r == 0)
		r = remote_request(b, "pull", reference, &flags->remote, true, &request, err);
	if (r == 0)
		r = remote_add_store(b, request, err);
	if (r == 0 && !platform && (flags->os || flags->arch || flags->variant)) {
		if (!flags->arch)
			return err_set(err, -EINVAL, "--os and --variant need --arch");
		platform = arena_printf(b->arena, "%s/%s%s%s", flags->os ? flags->os : "linux",
			flags->arch, flags->variant ? "/" : "",
			flags->variant ? flags->variant : "");
	}
	if (r == 0 && platform && json_object_set_new(request, "platform", json_string(platform)))
		r = err_sys(err, -ENOMEM, "pull");
	if (r < 0)
		return r;
	images_short_name(reference, true, &name);
	buf_printf(&what, "Pulling %s", buf_str(&name));
	events.what = flags->quiet ? NULL : buf_str(&what);
	r = remote_call(b, request, &events, &result, err);
	if (r == 0)
		r = brig_store(b, &store, err);
	if (r == 0)
		r = store_name_get(store, reference, &ret->name, err);
	if (r == 0)
		ret->changed = json_is_true(json_object_get(result, "changed"));
	return r;
}

/* A short name stands for several; the error that is shown is the last one's. */
static int expand(const char *text, struct registries_candidates *ret, struct err *err)
{
	autoregistries struct registries *registries = NULL;
	struct reference reference;
	int r = reference_parse(text, &reference, err);

	if (r == 0)
		r = reference_normalise(&reference, err);
	if (r < 0)
		return r;
	if (*reference.registry) {
		ret->items = malloc(sizeof(reference));
		if (!ret->items)
			return err_sys(err, -ENOMEM, "%s", text);
		ret->items[0] = reference;
		ret->count = 1;
		return 0;
	}
	r = registries_load(getenv("CONTAINERS_REGISTRIES_CONF"), NULL, &registries, err);
	return r < 0 ? r : registries_candidates(registries, &reference, ret, err);
}

int images_pull(struct brig *b, const char *name, const struct pull_flags *flags,
	struct pulled *ret, struct err *err)
{
	static const struct pull_flags none;
	struct registries_candidates candidates = {};
	int r = expand(name, &candidates, err);

	for (size_t i = 0; i < candidates.count; i++) {
		err_clear(err);
		r = pull_one(b, &candidates.items[i], flags ? flags : &none, ret, err);
		/* What is wrong here is not better elsewhere. */
		if (r == 0 || r == -EPERM || r == -EOPNOTSUPP || r == -ENOSPC)
			break;
	}
	free(candidates.items);
	return r;
}

static int report(struct brig *b, const struct pulled *p, bool quiet, struct err *err)
{
	autoimage struct image image = {};
	autobuf struct buf name = {};
	struct store *store;
	char id[DIGEST_TEXT_MAX + 1];
	int r = brig_store(b, &store, err);

	if (r == 0)
		r = image_open_digest(store, p->name.digest, &image, err);
	if (r < 0)
		return r;
	images_id_text(image_id(&image), true, id);
	reference_format(&p->name.reference, &name);
	if (!quiet)
		printf("Digest: %s\nStatus: %s %s\n%s\n",
			*p->name.index ? p->name.index : p->name.digest,
			p->changed ? "Downloaded newer image for" : "Image is up to date for",
			buf_str(&name), buf_str(&name));
	else
		printf("%s\n", id);
	fflush(stdout);
	return 0;
}

struct tags {
	struct strings list;
	struct arena *arena;
};

static int add_item(void *context, const char *item, struct err *err)
{
	struct tags *tags = context;
	const char **items = arena_array(tags->arena, tags->list.count + 1, const char *);
	char *copy = arena_strdup(tags->arena, item);

	if (!items || !copy)
		return err_sys(err, -ENOMEM, "list");
	if (tags->list.count)
		memcpy(items, tags->list.items, tags->list.count * sizeof(items[0]));
	items[tags->list.count++] = copy;
	tags->list.items = items;
	return 0;
}

static int list_remote(struct brig *b, const char *op, const struct reference *reference,
	const struct remote_flags *flags, struct strings *ret, struct err *err)
{
	struct tags tags = {.arena = b->arena};
	const struct remote_events events = {.item = add_item, .context = &tags};
	autojson json_t *request = NULL;
	int r = remote_request(b, op, reference, flags, false, &request, err);

	if (r == 0)
		r = remote_call(b, request, &events, NULL, err);
	if (r == 0)
		*ret = tags.list;
	return r;
}

static int pull_all_tags(
	struct brig *b, const char *text, const struct pull_flags *flags, struct err *err)
{
	struct reference reference;
	struct strings tags = {};
	int r = reference_parse(text, &reference, err);

	if (r == 0 && (*reference.tag || *reference.digest))
		r = err_set(
			err, -EINVAL, "%s: with --all-tags a name has no tag and no digest", text);
	if (r == 0)
		r = reference_normalise(&reference, err);
	if (r == 0 && !*reference.registry)
		r = err_set(err, -EINVAL, "%s: with --all-tags write the registry", text);
	if (r == 0)
		r = list_remote(b, "tags", &reference, &flags->remote, &tags, err);
	for (size_t i = 0; r == 0 && i < tags.count; i++) {
		struct pulled pulled;

		snprintf(reference.tag, sizeof(reference.tag), "%s", tags.items[i]);
		r = pull_one(b, &reference, flags, &pulled, err);
		if (r == 0)
			r = report(b, &pulled, flags->quiet, err);
	}
	return r;
}

int image_pull_run(const struct invocation *inv, struct err *err)
{
	const struct pull_flags *flags = inv->options;
	autobrig struct brig b = BRIG_NONE;
	int r = brig_open(inv, &b, err);

	for (size_t i = 0; r == 0 && i < inv->arg_count; i++) {
		struct pulled pulled;

		if (flags->all_tags) {
			r = pull_all_tags(&b, inv->args[i], flags, err);
			continue;
		}
		r = images_pull(&b, inv->args[i], flags, &pulled, err);
		if (r == 0)
			r = report(&b, &pulled, flags->quiet, err);
	}
	return r;
}

/* ---- push ---- */

struct push_flags {
	struct remote_flags remote;
	const char *digest_file;
	bool quiet, all_tags;
};

const struct option image_push_options[] = {
	{"all-tags", 'a', OPTION_FLAG, OPTION_AT(push_flags, all_tags),
		.help = "push every tag of the repository"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(push_flags, quiet),
		.help = "print only the name, and show no progress"},
	{"digestfile", 0, OPTION_TEXT, OPTION_AT(push_flags, digest_file), .argument = "FILE",
		.help = "write the digest of what was pushed to FILE"},
	REMOTE_OPTIONS(push_flags),
	{NULL},
};
VALUES_FIT(struct push_flags);

int images_push(struct brig *b, const struct pushing *p, struct err *err)
{
	autojson json_t *request = NULL, *result = NULL;
	autobuf struct buf name = {}, what = {};
	struct remote_events events = {};
	int r = remote_request(b, "push", p->target, p->remote, false, &request, err);

	if (r == 0)
		r = remote_add_store(b, request, err);
	if (r == 0 && (json_object_set_new(request, "image", json_string(p->digest)) < 0 ||
			      json_object_set_new(request, "all", json_boolean(p->all)) < 0))
		r = err_sys(err, -ENOMEM, "push");
	if (r < 0)
		return r;
	reference_format(p->target, &name);
	buf_printf(&what, "Pushing %s", buf_str(&name));
	events.what = p->quiet ? NULL : buf_str(&what);
	r = remote_call(b, request, &events, &result, err);
	if (r < 0)
		return r;
	if (p->quiet)
		printf("%s\n", buf_str(&name));
	else
		printf("%s: digest: %s%s\n", buf_str(&name), p->digest, p->note);
	if (p->digest_file)
		r = fd_replace_path(p->digest_file, p->digest, strlen(p->digest), 0644);
	return r < 0 ? err_sys(err, r, "%s", p->digest_file) : 0;
}

static int push_one(struct brig *b, const char *source, const struct reference *target,
	const struct push_flags *flags, struct err *err)
{
	autoimage struct image image = {};
	struct pushing pushing = {
		.target = target,
		.remote = &flags->remote,
		.quiet = flags->quiet,
		.digest_file = flags->digest_file,
	};
	struct store *store;
	char size[32];
	int r = brig_store(b, &store, err);

	if (r == 0)
		r = image_open(store, source, &image, err);
	if (r < 0)
		return r;
	snprintf(size, sizeof(size), " size: %llu", (unsigned long long)image_size(&image));
	pushing.digest = image.manifest_digest;
	pushing.note = size;
	return images_push(b, &pushing, err);
}

static int push_all_tags(struct brig *b, const struct reference *target,
	const struct push_flags *flags, struct err *err)
{
	autonames struct store_names names = {};
	struct store *store;
	size_t count = 0;
	int r = brig_store(b, &store, err);

	if (r == 0)
		r = store_names_list(store, &names, err);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		const struct reference *ref = &names.items[i].reference;
		autobuf struct buf name = {};

		if (strcmp(ref->registry, target->registry) != 0 ||
			strcmp(ref->repository, target->repository) != 0 || !*ref->tag)
			continue;
		reference_format(ref, &name);
		r = push_one(b, buf_str(&name), ref, flags, err);
		count++;
	}
	if (r == 0 && !count)
		return err_set(err, -ENOENT, "%s/%s: no such image here", target->registry,
			target->repository);
	return r;
}

int images_push_target(struct brig *b, const char *text, struct reference *ret, struct err *err)
{
	const char *plain = text;
	int r;

	parse_has_prefix(text, "docker://", &plain);
	r = reference_parse(plain, ret, err);
	if (r == 0)
		r = reference_normalise(ret, err);
	if (r == 0 && !*ret->registry) /* as docker does, there is one registry to push to */
		r = reference_parse(arena_printf(b->arena, "docker.io/%s", plain), ret, err);
	if (r == 0)
		r = reference_normalise(ret, err);
	if (r == 0 && strcmp(ret->registry, "localhost") == 0)
		r = err_set(err, -EINVAL,
			"%s: \"localhost\" is this machine's own store; tag it with the name of a "
			"registry, or write localhost:PORT/…",
			text);
	return r;
}

int image_push_run(const struct invocation *inv, struct err *err)
{
	const struct push_flags *flags = inv->options;
	autobrig struct brig b = BRIG_NONE;
	struct reference target;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = images_push_target(&b, inv->args[inv->arg_count - 1], &target, err);
	if (r < 0)
		return r;
	if (flags->all_tags)
		return push_all_tags(&b, &target, flags, err);
	return push_one(&b, inv->args[0], &target, flags, err);
}

/* ---- search ---- */

struct search_flags {
	struct remote_flags remote;
	const char *format;
	uint32_t limit;
	bool list_tags, no_trunc;
};

const struct option image_search_options[] = {
	{"format", 0, OPTION_TEXT, OPTION_AT(search_flags, format), .argument = "FORMAT",
		.help = "json, or a template"},
	{"limit", 0, OPTION_U32, OPTION_AT(search_flags, limit), .argument = "N",
		.help = "show at most N [25]"},
	{"list-tags", 0, OPTION_FLAG, OPTION_AT(search_flags, list_tags),
		.help = "list the tags of a repository"},
	{"no-trunc", 0, OPTION_FLAG, OPTION_AT(search_flags, no_trunc), .hidden = true},
	REMOTE_OPTIONS(search_flags),
	{NULL},
};
VALUES_FIT(struct search_flags);

static const struct list_field search_fields[] = {
	{"Name", "NAME"}, {"Tag", "TAG"}, {"Index", "INDEX"}, {NULL}};

/* "localhost:5000/term": the registry, and what to look for there. */
static int parse_term(
	const char *text, struct reference *ret, const char **ret_term, struct err *err)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : 0;
	bool host = len && (memchr(text, '.', len) || memchr(text, ':', len) ||
				   strncmp(text, "localhost", len) == 0);

	*ret = (struct reference){.repository = "search"};
	if (len >= sizeof(ret->registry))
		return err_set(err, -EINVAL, "%s: is no registry", text);
	snprintf(ret->registry, sizeof(ret->registry), "%.*s", host ? (int)len : 9,
		host ? text : "docker.io");
	*ret_term = host ? slash + 1 : text;
	return 0;
}

static int search(struct brig *b, const char *text, const struct search_flags *flags, json_t *rows,
	struct err *err)
{
	const char *term = "";
	struct reference reference;
	struct strings found = {};
	uint32_t shown = 0;
	int r;

	if (flags->list_tags) {
		r = reference_parse(text, &reference, err);
		if (r == 0)
			r = reference_normalise(&reference, err);
		if (r == 0 && !*reference.registry)
			strcpy(reference.registry, "docker.io");
		r = r < 0 ? r : reference_normalise(&reference, err);
		*reference.tag = '\0';
	} else {
		r = parse_term(text, &reference, &term, err);
	}
	if (r == 0)
		r = list_remote(b, flags->list_tags ? "tags" : "catalog", &reference,
			&flags->remote, &found, err);
	if ((r == -ENOENT || r == -EACCES) && !flags->list_tags)
		return err_add(err, "%s does not list its repositories", reference.registry);
	for (size_t i = 0; r == 0 && i < found.count && shown < flags->limit; i++) {
		const char *name = arena_printf(b->arena, "%s/%s", reference.registry,
			flags->list_tags ? reference.repository : found.items[i]);

		if (!flags->list_tags && !strstr(found.items[i], term))
			continue;
		shown++;
		if (!name || json_array_append_new(
				     rows, json_pack("{s:s, s:s, s:s}", "Name", name, "Tag",
						   flags->list_tags ? found.items[i] : "", "Index",
						   reference.registry)) < 0)
			r = err_sys(err, -ENOMEM, "search");
	}
	return r;
}

int image_search_run(const struct invocation *inv, struct err *err)
{
	struct search_flags flags = *(const struct search_flags *)inv->options;
	const struct list_options list = {.fields = search_fields,
		.columns = flags.list_tags ? "{{.Name}}\t{{.Tag}}" : "{{.Name}}",
		.format = flags.format};
	autobrig struct brig b = BRIG_NONE;
	autojson json_t *rows = json_array();
	autobuf struct buf out = {};
	int r = brig_open(inv, &b, err);

	if (!flags.limit)
		flags.limit = 25;
	if (r == 0)
		r = search(&b, inv->args[0], &flags, rows, err);
	if (r == 0)
		r = list_print(&list, rows, &out, err);
	return r < 0 ? r : print_buf(&out, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image library on a command line, one verb for each thing that the integration tests drive:
 *
 *   images-driver ROOT HELPER VERB ARGUMENTS…
 *
 * Exit 0, or 1 with one line on standard error.
 */
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/sys.h"
#include "images/archive.h"
#include "images/erofs.h"
#include "images/helper.h"
#include "images/pull.h"
#include "images/push.h"
#include "images/registries.h"
#include "images/registry.h"
#include "images/snapshot.h"
#include "images/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct driver {
	struct store *store;
	char **argv;
	int argc;
};

static const char *option(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static int number(const char *name)
{
	uint32_t n = 0;

	if (option(name))
		parse_u32(option(name), &n);
	return (int)n;
}

static struct http_options http_options(void)
{
	return (struct http_options){.files.ca = option("CA_FILE"),
		.connect_seconds = number("CONNECT_SECONDS"),
		.stall_seconds = number("STALL_SECONDS")};
}

static int parse(const char *text, struct reference *ret, struct err *err)
{
	int r = reference_parse(text, ret, err);

	return r < 0 ? r : reference_normalise(ret, err);
}

/* pull NAME [ENDPOINT…]: without endpoints the name's own registry */
/* $NO_FLUSH: as if the power were cut before. */
static int flush(struct driver *d, struct err *err)
{
	return number("NO_FLUSH") ? 0 : store_flush(d->store, err);
}

static int verb_pull(struct driver *d, struct err *err)
{
	struct pull_endpoint endpoints[8] = {};
	struct unpack_limits limits = helper_default_limits;
	struct pull_options o = {.endpoints = endpoints,
		.http = http_options(),
		.platform = option("PLATFORM"),
		.limits = &limits,
		.unpackers = number("UNPACKERS"),
		.connections = number("CONNECTIONS")};
	struct pull_result result;
	int r = parse(d->argv[0], &o.reference, err);

	if (number("LIMIT_BYTES"))
		limits.bytes = (uint64_t)number("LIMIT_BYTES");
	if (number("LIMIT_ENTRIES"))
		limits.entries = (uint64_t)number("LIMIT_ENTRIES");
	for (int i = 0; r == 0 && i < (d->argc > 1 ? d->argc - 1 : 1) && i < 8; i++) {
		r = parse(d->argv[d->argc > 1 ? i + 1 : 0], &endpoints[i].reference, err);
		endpoints[i].insecure = number("INSECURE") != 0;
		o.endpoint_count++;
	}
	if (r == 0)
		r = pull_image(d->store, &o, &result, err);
	if (r == 0)
		r = flush(d, err);
	if (r == 0)
		printf("%s %s %llu\n", result.name.digest, result.changed ? "changed" : "same",
			(unsigned long long)result.received);
	return r;
}

static int verb_names(struct driver *d, struct err *err)
{
	autonames struct store_names names = {};
	int r = store_names_list(d->store, &names, err);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autobuf struct buf text = {};

		reference_format(&names.items[i].reference, &text);
		printf("%s %s\n", buf_str(&text), names.items[i].digest);
	}
	return r;
}

/* resolve NAME: the endpoints that registries.conf (REGISTRIES_CONF) gives it */
static int verb_resolve(struct driver *d, struct err *err)
{
	autoregistries struct registries *g = NULL;
	struct registries_candidates c = {};
	struct reference ref;
	int r = registries_load(option("REGISTRIES_CONF"), NULL, &g, err);

	if (r == 0)
		r = parse(d->argv[0], &ref, err);
	if (r == 0 && !*ref.registry)
		r = registries_candidates(g, &ref, &c, err);
	for (size_t i = 0; r == 0 && i < (c.items ? c.count : 1); i++) {
		struct registries_endpoints e = {};

		r = registries_endpoints(g, c.items ? &c.items[i] : &ref, &e, err);
		for (size_t k = 0; r == 0 && k < e.count; k++) {
			autobuf struct buf text = {};

			reference_format(&e.items[k].reference, &text);
			printf("%s%s\n", buf_str(&text), e.items[k].insecure ? " insecure" : "");
		}
		free(e.items);
	}
	free(c.items);
	return r;
}

/* push IMAGE TARGET */
static int verb_push(struct driver *d, struct err *err)
{
	struct push_options o = {.image = d->argv[0], .http = http_options()};
	struct push_result result;
	int r = parse(d->argv[1], &o.target.reference, err);

	o.target.insecure = number("INSECURE") != 0;
	if (r == 0)
		r = push_image(d->store, &o, &result, err);
	if (r == 0)
		printf("%s sent %u mounted %u present %u\n", result.digest, result.sent,
			result.mounted, result.present);
	return r;
}

static int print_tag(void *context, const char *tag, struct err *err)
{
	(void)context;
	(void)err;
	puts(tag);
	return 0;
}

static int verb_tags(struct driver *d, struct err *err)
{
	autoregistry struct registry *g = NULL;
	autohttp struct http_client *client = NULL;
	struct reference ref;
	struct registry_options o = {.http = http_options()};
	int r = parse(d->argv[0], &ref, err);

	o.host = ref.registry;
	o.repository = ref.repository;
	if (r == 0)
		r = registry_open(&o, &g, err);
	if (r == 0)
		r = registry_client(g, &client, err);
	return r < 0 ? r : registry_list_tags(g, client, print_tag, NULL, err);
}

static void print_name(void *context, const char *name)
{
	(void)context;
	puts(name);
}

static int verb_load(struct driver *d, struct err *err)
{
	const struct archive_load_options o = {
		.platform = option("PLATFORM"), .loaded = print_name};
	autoclose int fd = sys_openat(AT_FDCWD, d->argv[0], O_RDONLY, 0);

	int r = fd < 0 ? err_sys(err, fd, "%s", d->argv[0]) : archive_load(d->store, fd, &o, err);

	return r < 0 ? r : flush(d, err);
}

/* save PATH IMAGE…: PATH a new file, or a directory that is there */
static int verb_save(struct driver *d, struct err *err)
{
	autoclose int dir = sys_openat(AT_FDCWD, d->argv[0], O_RDONLY | O_DIRECTORY, 0);
	autoclose int file =
		dir >= 0 ? -1
			 : sys_openat(AT_FDCWD, d->argv[0], O_WRONLY | O_CREAT | O_TRUNC, 0644);

	return archive_save(d->store, (const char *const *)d->argv + 1, (size_t)d->argc - 1,
		dir >= 0 ? dir : file, err);
}

static int verb_import(struct driver *d, struct err *err)
{
	autoclose int fd = sys_openat(AT_FDCWD, d->argv[0], O_RDONLY, 0);
	struct reference ref;
	struct digest digest;
	int r = parse(d->argv[1], &ref, err);

	if (r == 0)
		r = archive_import(d->store, fd, &ref, NULL, "a test", &digest, err);
	if (r == 0)
		r = flush(d, err);
	if (r == 0)
		puts(digest.text);
	return r;
}

static int verb_commit(struct driver *d, struct err *err)
{
	struct reference ref;
	struct digest digest;
	int r = parse(d->argv[1], &ref, err);

	if (r == 0)
		r = archive_commit(d->store, d->argv[0], -1, &ref, NULL, "a test", &digest, err);
	if (r == 0)
		r = flush(d, err);
	if (r == 0)
		puts(digest.text);
	return r;
}

/* inspect IMAGE: id, size, chain ids */
static int verb_inspect(struct driver *d, struct err *err)
{
	autoimage struct image image = {};
	int r = image_open(d->store, d->argv[0], &image, err);

	if (r < 0)
		return r;
	printf("id %s\nsize %llu\n", image_id(&image), (unsigned long long)image_size(&image));
	for (size_t i = 0; i < image.config->diff_ids.count; i++)
		printf("layer %s %s\n", image.config->diff_ids.items[i], image.chains[i].text);
	for (size_t i = 0; i < image.config->history.count; i++)
		printf("history %s\n", image.config->history.items[i].created_by
					       ? image.config->history.items[i].created_by
					       : "");
	return 0;
}

static int verb_tag(struct driver *d, struct err *err)
{
	return image_tag(d->store, d->argv[0], d->argv[1], err);
}

static int verb_remove(struct driver *d, struct err *err)
{
	return image_remove(d->store, d->argv[0], number("FORCE") != 0, err);
}

static int verb_collect(struct driver *d, struct err *err)
{
	struct store_collected c;
	int r = store_collect(d->store, false, &c, err);

	if (r == 0)
		printf("%llu blobs %llu layers\n", (unsigned long long)c.blobs,
			(unsigned long long)c.layers);
	return r;
}

/* erofs CHAIN: makes the layer's image */
static int verb_erofs(struct driver *d, struct err *err)
{
	autoclose int hold = store_hold(d->store, err);
	autoclose int fd = hold < 0 ? hold : erofs_open(d->store, d->argv[0], err);

	return fd < 0 ? fd : 0;
}

/* create ID IMAGE */
static int verb_create(struct driver *d, struct err *err)
{
	autoimage struct image image = {};
	int r = image_open(d->store, d->argv[1], &image, err);

	return r < 0 ? r : snapshot_create(d->store, d->argv[0], image.manifest_digest, err);
}

static int verb_delete(struct driver *d, struct err *err)
{
	int r = helper_prepare(d->store, err);

	return r < 0 ? r : snapshot_remove(d->store, d->argv[0], err);
}

static int get_mount(struct driver *d, struct err *err)
{
	struct snapshot_mount_options o = {.userns = -1, .read_only = number("READ_ONLY") != 0};
	autosnapshot struct snapshot snapshot = {};
	autoclose int userns =
		option("USERNS") ? sys_openat(AT_FDCWD, option("USERNS"), O_RDONLY, 0) : -1;
	int r = snapshot_load(d->store, d->argv[0], &snapshot, err);

	o.userns = userns;
	return r < 0 ? r : snapshot_mount(d->store, &snapshot, &o, err);
}

/* mount ID DIRECTORY, in the caller's (private) mount namespace */
static int verb_mount(struct driver *d, struct err *err)
{
	autoclose int fs = get_mount(d, err);
	int r = fs < 0 ? fs : sys_move_mount(fs, "", AT_FDCWD, d->argv[1], MOVE_MOUNT_F_EMPTY_PATH);

	return r < 0 && !err->code ? err_sys(err, r, "%s", d->argv[1]) : r;
}

static int verb_export(struct driver *d, struct err *err)
{
	autoclose int fs = get_mount(d, err);

	return fs < 0 ? fs : archive_export(d->store, fs, 1, err);
}

static const struct verb {
	const char *name;
	int arguments;
	int (*run)(struct driver *d, struct err *err);
} verbs[] = {
	{"pull", 1, verb_pull},
	{"names", 0, verb_names},
	{"resolve", 1, verb_resolve},
	{"push", 2, verb_push},
	{"tags", 1, verb_tags},
	{"load", 1, verb_load},
	{"save", 2, verb_save},
	{"import", 2, verb_import},
	{"commit", 2, verb_commit},
	{"inspect", 1, verb_inspect},
	{"tag", 2, verb_tag},
	{"remove", 1, verb_remove},
	{"collect", 0, verb_collect},
	{"erofs", 1, verb_erofs},
	{"create", 2, verb_create},
	{"delete", 1, verb_delete},
	{"mount", 2, verb_mount},
	{"export", 1, verb_export},
};

static int run(int argc, char **argv, struct err *err)
{
	struct store_options o = {.root = argv[1], .helper = argv[2]};
	autostore struct store *store = NULL;
	struct driver d = {.argv = argv + 4, .argc = argc - 4};
	int r;

	o.ids.single = number("SINGLE") != 0;
	r = store_open(&o, &store, err);
	d.store = store;
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, argv[3]) == 0 && d.argc >= verbs[i].arguments)
			return verbs[i].run(&d, err);
	return err_set(err, -EINVAL, "no such verb: %s", argv[3]);
}

int main(int argc, char **argv)
{
	struct err err = {};

	if (argc < 4) {
		fprintf(stderr, "usage: images-driver ROOT HELPER VERB ARGUMENTS…\n");
		return 2;
	}
	if (run(argc, argv, &err) < 0) {
		fprintf(stderr, "images-driver: %s\n", err.text);
		return 1;
	}
	return 0;
}

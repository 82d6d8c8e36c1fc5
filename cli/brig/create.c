/* SPDX-License-Identifier: Apache-2.0 */
/* create: from a command line to a container that is not started yet. */
#include "cli/brig/brig.h"
#include "cli/brig/images.h"
#include "cli/containers/assemble.h"
#include "cli/containers/events.h"
#include "cli/containers/foreign.h"
#include "cli/containers/isolation.h"
#include "cli/containers/logfile.h"
#include "cli/containers/options_rows.h"
#include "cli/containers/settle.h"
#include "cli/containers/start_network.h"
#include "cli/containers/userns.h"
#include "cli/containers/volumes.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/archive.h"
#include "images/image.h"
#include "images/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VALUES(member) OPTION_AT(brig_run_values, member)

static const struct json_name pulls[] = {
	{"missing", RUN_PULL_MISSING},
	{"always", RUN_PULL_ALWAYS},
	{"never", RUN_PULL_NEVER},
	{"newer", RUN_PULL_NEWER},
	{NULL, 0},
};

#define CREATE_ROWS                                                                       \
	RUN_OPTION_ROWS,                                                                  \
		{"cidfile", 0, OPTION_TEXT, VALUES(cidfile), .argument = "FILE",          \
			.help = "write its id to FILE"},                                  \
		{"pull", 0, OPTION_NAME, VALUES(pull), .names = pulls,                    \
			.help = "get the image from its registry"},                       \
		{"quiet", 'q', OPTION_FLAG, VALUES(quiet),                                \
			.help = "do not show the progress of a pull"},                    \
	{                                                                                 \
		"replace", 0, OPTION_FLAG, VALUES(replace),                               \
			.help = "remove the container that has the name, if there is one" \
	}

const struct option brig_create_options[] = {CREATE_ROWS, {NULL}};

const struct option brig_run_options[] = {
	CREATE_ROWS,
	{"attach", 'a', OPTION_TEXTS, VALUES(attach), .argument = "STREAM",
		.help = "show stdout or stderr only, or take stdin"},
	{"detach", 'd', OPTION_FLAG, VALUES(detach),
		.help = "let it run in the background and print its id"},
	{"detach-keys", 0, OPTION_TEXT, VALUES(detach_keys), .argument = "KEYS",
		.help = "leave it running by typing these [ctrl-p,ctrl-q]"},
	{"sig-proxy", 0, OPTION_OPT_FLAG, VALUES(sig_proxy),
		.help = "pass signals on to it [true]"},
	{NULL},
};

enum { LINES_MAX = 4 << 20 };

/* One creation on its way. */
struct creating {
	struct brig *b;
	const struct brig_run_values *values;
	char **args; /* the image, then the command */
	const struct boxes *boxes;
	struct store *store;
	struct image image;
	struct record record;
	char id[RECORD_ID_SIZE], created[CLOCK_TEXT_MAX], cwd[PATH_MAX];
	struct box
		*others; /* of --volumes-from: their strings are used until the record is written */
	size_t other_count;
};

/* ---- the image ---- */

static int pull(struct creating *c, const char *name, struct err *err)
{
	const struct pull_flags flags = {
		.platform = c->values->run.platform, .quiet = c->values->quiet};
	struct pulled pulled;

	return images_pull(c->b, name, &flags, &pulled, err);
}

/* localhost/busybox comes with brig: loaded when it is asked for and nothing else has the name. */
static int load_own(struct creating *c, const char *name, struct err *err)
{
	static const struct archive_load_options options = {};
	autoclose int archive = -1;
	struct reference reference;
	char path[PATH_MAX + 16];
	struct err ignored = {};
	int r;

	if (reference_parse(name, &reference, &ignored) < 0 ||
		strcmp(reference.repository, "busybox") != 0 ||
		(*reference.registry && strcmp(reference.registry, "localhost") != 0) ||
		(*reference.tag && strcmp(reference.tag, "latest") != 0) || *reference.digest)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/busybox.tar", c->b->dirs.share);
	archive = sys_openat(AT_FDCWD, path, O_RDONLY, 0);
	if (archive < 0)
		return -ENOENT;
	r = archive_load(c->store, archive, &options, err);
	store_flush_later(c->store);
	return r;
}

/* Whether the image that was found is for --platform. */
static bool fits_platform(const struct creating *c)
{
	const struct spec_image_config *config = c->image.config;
	struct spec_platform wanted;
	struct err ignored = {};

	return !c->values->run.platform ||
	       spec_platform_parse(c->values->run.platform, c->b->arena, &wanted, &ignored) < 0 ||
	       (strcmp(wanted.os, config->os) == 0 &&
		       strcmp(wanted.architecture, config->architecture) == 0);
}

static int open_here(struct creating *c, const char *name, struct err *err)
{
	int r = image_open(c->store, name, &c->image, err);

	if (r < 0 || fits_platform(c))
		return r;
	image_free(&c->image);
	c->image = (struct image){};
	return err_set(err, -ENOENT, "%s: what is here is for another platform than %s", name,
		c->values->run.platform);
}

static int find_image(struct creating *c, struct err *err)
{
	const char *name = c->args[0];
	int r = brig_store(c->b, &c->store, err);

	if (r == 0 && (c->values->pull == RUN_PULL_ALWAYS || c->values->pull == RUN_PULL_NEWER))
		r = pull(c, name, err);
	if (r == 0)
		r = open_here(c, name, err);
	if (r == -ENOENT) {
		r = load_own(c, name, err);
		if (r == 0)
			r = open_here(c, name, err);
	}
	if (r != -ENOENT || c->values->pull == RUN_PULL_NEVER)
		return r;
	err_clear(err);
	r = pull(c, name, err);
	return r < 0 ? r : image_open(c->store, name, &c->image, err);
}

/* ---- what the options point to ---- */

static int read_lines(const char *option, const struct strings *files, struct arena *arena,
	struct strings *ret, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < files->count && r == 0; i++) {
		autobuf struct buf text = {};
		autoclose int fd = sys_openat(AT_FDCWD, files->items[i], O_RDONLY | O_NOCTTY, 0);

		r = fd < 0 ? fd : fd_read_all(fd, LINES_MAX, &text);
		if (r < 0)
			return err_sys(err, r, "--%s: read %s", option, files->items[i]);
		r = run_options_read_lines(files->items[i], buf_str(&text), arena, ret, err);
	}
	return r;
}

int brig_check_restart(const struct run_options *o, struct err *err)
{
	static const char *const plain[] = {"no", "always", "unless-stopped", "on-failure", ""};
	const char *policy = o->restart;
	uint32_t max;

	if (!policy)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (strcmp(policy, plain[i]) == 0)
			return o->remove && i > 0 && i < 4
				       ? err_set(err, -EINVAL,
						 "--restart and --rm are not possible together")
				       : 0;
	if (strncmp(policy, "on-failure:", 11) == 0 && parse_u32(policy + 11, &max) == 0)
		return 0;
	return err_set(err, -EINVAL,
		"--restart: \"%s\" is not no, on-failure[:N], always or unless-stopped", policy);
}

/* What a start would find wrong is wrong now: assembled once, without what is not known yet. */
static int check_options(struct creating *c, struct err *err)
{
	const struct assemble_facts facts = {
		.rootfs = "/",
		.hostname = "check",
		.user = {.home = "/"},
	};
	autojson json_t *config = NULL;
	struct logfile_options log;
	struct network_wants wants;
	struct ports ports;
	int r = brig_check_restart(&c->record.options, err);

	if (r == 0)
		r = isolation_check(&c->record, c->b->rootless, err);
	if (r == 0)
		r = box_network_parse(&c->record, c->b->rootless, c->b->arena, &wants, &ports, err);

	if (r == 0)
		r = logfile_options_parse(&c->record.options, &log, err);
	return r < 0 ? r : assemble(&c->record, &facts, &config, err);
}

/* ---- mounts ---- */

/* --volumes-from: what another container has, unless something is mounted there already. */
static int take_mounts_from(struct creating *c, const char *text, struct err *err)
{
	struct box *box = reallocarray(c->others, c->other_count + 1, sizeof(*box));
	char *name = arena_strdup(&c->record.arena, text), *mode;
	int r;

	if (box)
		c->others = box;
	if (!box || !name)
		return err_sys(err, -ENOMEM, "--volumes-from");
	box = &c->others[c->other_count];
	mode = strchr(name, ':');
	if (mode)
		*mode++ = '\0';
	if (mode && strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0)
		return err_set(err, -EINVAL, "--volumes-from: \"%s\" is not NAME[:ro]", text);
	r = box_open(c->boxes, name, false, box, err);
	c->other_count += r == 0;
	for (size_t i = 0; r == 0 && i < box->record.mounts.count; i++) {
		struct record_mount mount = box->record.mounts.items[i];

		if (mount.type == RECORD_MOUNT_TMPFS)
			continue;
		mount.anonymous = false;
		if (mode && *mode == 'r' && mode[1] == 'o')
			r = strings_add(&mount.options, "rro", &c->record.arena);
		if (r == 0)
			r = settle_add_mount(&c->record, &mount);
	}
	return r < 0 ? err_add(err, "--volumes-from") : 0;
}

static int make_volume(struct creating *c, int volumes, struct record_mount *m, struct err *err)
{
	struct err exists = {};
	char name[RECORD_ID_SIZE];
	int r;

	if (!m->volume) {
		r = record_make_id(name);
		if (r < 0)
			return err_sys(err, r, "volume");
		m->volume = arena_strdup(&c->record.arena, name);
	}
	m->source =
		arena_printf(&c->record.arena, "%s/volumes/%s/_data", c->b->dirs.data, m->volume);
	if (!m->source)
		return err_sys(err, -ENOMEM, "volume");
	r = volume_create(volumes, m->volume, NULL, NULL, m->anonymous, &exists);
	if (r == -EEXIST)
		return 0;
	if (r < 0)
		*err = exists;
	else
		events_note(c->b->runfd, "volume", "create", m->volume, NULL);
	return r;
}

/* Of -v a missing source becomes a directory, as everywhere; --mount refuses it at the start. */
static int make_source(const struct record_mount *m, struct err *err)
{
	autoclose int top = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0), fd = -1;
	struct stat st;

	if (sys_fstatat(AT_FDCWD, m->source, &st, 0) == 0)
		return 0;
	fd = path_mkdir(top, m->source, 0755, (uid_t)-1, (gid_t)-1);
	return fd < 0 ? err_sys(err, fd, "--volume: make %s", m->source) : 0;
}

static bool is_of_mount_option(const struct creating *c, const struct record_mount *m)
{
	for (size_t i = 0; i < c->values->run.mounts.count; i++)
		if (strstr(c->values->run.mounts.items[i], m->target))
			return true;
	return false;
}

static int make_mounts(struct creating *c, struct err *err)
{
	autoclose int volumes = -1;
	int r = 0;

	for (size_t i = 0; i < c->values->run.volumes_from.count && r == 0; i++)
		r = take_mounts_from(c, c->values->run.volumes_from.items[i], err);
	for (size_t i = 0; i < c->record.mounts.count && r == 0; i++) {
		struct record_mount *m = &c->record.mounts.items[i];
		struct stat st;

		if (m->type == RECORD_MOUNT_VOLUME) {
			if (volumes < 0)
				volumes = volumes_open(c->b->datafd, err);
			r = volumes < 0 ? volumes : make_volume(c, volumes, m, err);
		} else if (m->type == RECORD_MOUNT_BIND && !is_of_mount_option(c, m)) {
			r = make_source(m, err);
		} else if (m->type == RECORD_MOUNT_BIND) {
			r = sys_fstatat(AT_FDCWD, m->source, &st, 0);
			if (r < 0)
				err_sys(err, r, "--mount: source %s", m->source);
		}
	}
	return r;
}

/* ---- all of it ---- */

static int settle_record(struct creating *c, struct err *err)
{
	struct arena *arena = &c->record.arena;
	struct strings command = {};
	struct settle_input input = {
		.options = &c->values->run,
		.command = &command,
		.image = c->image.config,
		.environment = environ,
		.cwd = c->cwd,
	};
	int r = sys_getcwd(c->cwd, sizeof(c->cwd));

	if (r < 0)
		return err_sys(err, r, "find the current directory");
	for (size_t i = 1; c->args[i] && r >= 0; i++)
		r = strings_add(&command, c->args[i], arena);
	if (r < 0)
		return err_sys(err, r, "command");
	r = read_lines("env-file", &c->values->run.env_file, arena, &input.file_env, err);
	if (r == 0)
		r = read_lines(
			"label-file", &c->values->run.label_file, arena, &input.file_labels, err);
	if (r == 0)
		r = settle(&input, &c->record, err);
	if (r < 0)
		return r;
	/* They are in the record as what they came to. */
	c->record.options.env_file = c->record.options.label_file = (struct strings){};
	c->record.name = c->values->run.name;
	c->record.image = c->args[0];
	c->record.image_id = image_id(&c->image);
	c->record.manifest = c->image.manifest_digest;
	r = record_make_id(c->id);
	if (r < 0)
		return err_sys(err, r, "container id");
	clock_now(c->created);
	c->record.id = c->id;
	c->record.created = c->created;
	return 0;
}

/* --replace: the one that has the name goes. */
static int replace(struct creating *c, struct err *err)
{
	struct err gone = {};
	char id[RECORD_ID_SIZE];
	int r;

	if (!c->values->replace)
		return 0;
	if (!c->record.name)
		return err_set(err, -EINVAL, "--replace: needs --name");
	if (boxes_find(c->boxes, c->record.name, id, &gone) < 0)
		return 0;
	r = brig_remove_box(c->b, id, true, false, err);
	return r < 0 ? err_add(err, "--replace") : 0;
}

static int write_cidfile(const struct creating *c, struct err *err)
{
	int r = fd_create_file(AT_FDCWD, c->values->cidfile, c->id, strlen(c->id), 0644);

	if (r == -EEXIST)
		return err_set(err, r, "--cidfile: %s exists already", c->values->cidfile);
	return r < 0 ? err_sys(err, r, "--cidfile: %s", c->values->cidfile) : 0;
}

static int store_box(struct creating *c, struct err *err)
{
	autobox struct box box = {.boxes = c->boxes, .dirfd = -1};
	struct err ignored = {};
	int r = box_create(c->boxes, &c->record, err);

	if (r < 0)
		return r;
	r = snapshot_create(c->store, c->id, c->record.manifest, err);
	if (r == 0 && !c->b->rootless)
		r = box_give_root(c->store, &c->record, err);
	if (r == 0 && c->values->cidfile)
		r = write_cidfile(c, err);
	if (r < 0) {
		snapshot_remove(c->store, c->id, &ignored);
		if (box_open(c->boxes, c->id, true, &box, &ignored) == 0)
			box_remove(&box, &ignored);
	}
	return r;
}

static int make(struct creating *c, struct err *err)
{
	autoclose int ids_lock = -1;
	int r = brig_boxes(c->b, &c->boxes, err);

	if (r == 0)
		r = find_image(c, err);
	if (r == 0)
		r = foreign_check(c->image.config->architecture, err);
	if (r == 0)
		r = settle_record(c, err);
	if (r == 0)
		r = check_options(c, err);
	if (r == 0)
		r = replace(c, err);
	if (r == 0)
		r = make_mounts(c, err);
	if (r == 0)
		r = box_settle_ids(c->boxes, c->store, c->b->dirs.config, c->b->rootless,
			&c->record, &ids_lock, err);
	if (r == 0)
		r = store_box(c, err);
	if (r == 0)
		events_note(c->b->runfd, "container", "create", c->id, "name", c->record.name,
			"image", c->record.image, NULL);
	return r;
}

int brig_make_container(struct brig *b, const struct brig_run_values *values, char **args,
	char ret_id[RECORD_ID_SIZE], struct err *err)
{
	struct creating c = {.b = b, .values = values, .args = args};
	int r = make(&c, err);

	if (r == 0)
		memcpy(ret_id, c.id, sizeof(c.id));
	while (c.other_count)
		box_close(&c.others[--c.other_count]);
	free(c.others);
	image_free(&c.image);
	box_record_free(&c.record);
	return r;
}

int brig_create(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	char id[RECORD_ID_SIZE];
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_make_container(&b, inv->options, inv->args, id, err);
	if (r == 0)
		printf("%s\n", id);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* save, load, import; image mount and unmount. */
#include "images/archive.h"

#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "base/sys.h"
#include "cli/brig/images.h"
#include "cli/containers/events.h"
#include "images/policy.h"
#include "images/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- save ---- */

enum save_format { SAVE_ARCHIVE, SAVE_DIRECTORY };

struct save_values {
	const char *output;
	int format; /* enum save_format */
	bool quiet, multi;
};

static const struct json_name save_formats[] = {
	{"docker-archive", SAVE_ARCHIVE},
	{"oci-archive", SAVE_ARCHIVE},
	{"oci-dir", SAVE_DIRECTORY},
	{},
};

const struct option image_save_options[] = {
	{"output", 'o', OPTION_TEXT, OPTION_AT(save_values, output), .argument = "FILE",
		.help = "write to FILE, not to standard output"},
	{"format", 0, OPTION_NAME, OPTION_AT(save_values, format), .names = save_formats,
		.help = "docker-archive, oci-archive (one file is both), or oci-dir"},
	{"multi-image-archive", 'm', OPTION_FLAG, OPTION_AT(save_values, multi), .hidden = true},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(save_values, quiet), .help = "show no progress"},
	{NULL},
};
VALUES_FIT(struct save_values);

static int open_output(const struct save_values *v, struct err *err)
{
	int fd;

	if (v->format == SAVE_DIRECTORY) {
		if (!v->output)
			return err_set(err, -EINVAL, "--format oci-dir needs --output DIR");
		fd = sys_mkdirat(AT_FDCWD, v->output, 0755);
		if (fd == 0 || fd == -EEXIST)
			fd = sys_openat(AT_FDCWD, v->output, O_RDONLY | O_DIRECTORY, 0);
	} else if (v->output) {
		fd = sys_openat(AT_FDCWD, v->output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	} else if (isatty(STDOUT_FILENO)) {
		return err_set(err, -EINVAL,
			"will not write an archive to a terminal: say --output FILE, or redirect");
	} else {
		fd = sys_dup(STDOUT_FILENO);
	}
	return fd < 0 ? err_sys(err, fd, "%s", v->output ? v->output : "standard output") : fd;
}

int image_save_run(const struct invocation *inv, struct err *err)
{
	const struct save_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	struct store *store = NULL;
	autoclose int out = -1;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	/* Before a file is made: a wrong name is the commonest slip. */
	for (size_t i = 0; r == 0 && i < inv->arg_count; i++) {
		autoimage struct image image = {};

		r = image_open(store, inv->args[i], &image, err);
	}
	if (r == 0)
		r = out = open_output(v, err);
	if (r < 0)
		return r;
	r = archive_save(store, (const char *const *)inv->args, inv->arg_count, out, err);
	if (r < 0 && v->output && v->format == SAVE_ARCHIVE)
		sys_unlinkat(AT_FDCWD, v->output, 0);
	return r;
}

/* ---- load ---- */

struct load_values {
	const char *input, *platform, *policy;
	bool quiet;
};

const struct option image_load_options[] = {
	{"input", 'i', OPTION_TEXT, OPTION_AT(load_values, input), .argument = "FILE",
		.help = "read from FILE or an OCI layout's directory, not from standard input"},
	{"platform", 0, OPTION_TEXT, OPTION_AT(load_values, platform),
		.argument = "OS/ARCH[/VARIANT]", .help = "choose from an index for this platform"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(load_values, quiet),
		.help = "print only what was loaded"},
	{"signature-policy", 0, OPTION_TEXT, OPTION_AT(load_values, policy), .argument = "FILE",
		.help = "use this policy.json"},
	{NULL},
};
VALUES_FIT(struct load_values);

static void show_loaded(void *context, const char *name)
{
	struct brig *b = context;

	printf(strncmp(name, "sha256:", 7) == 0 ? "Loaded image ID: %s\n" : "Loaded image: %s\n",
		name);
	events_note(b->runfd, "image", "load", name, NULL);
}

int image_load_run(const struct invocation *inv, struct err *err)
{
	const struct load_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	const struct archive_load_options options = {
		.platform = v->platform, .loaded = show_loaded, .context = &b};
	struct store *store = NULL;
	autoclose int fd = -1;
	int r = policy_check(v->policy, "oci-archive", NULL, err);

	if (r == 0)
		r = policy_check(v->policy, "docker-archive", NULL, err);
	if (r == 0 && !v->input && isatty(STDIN_FILENO))
		r = err_set(err, -EINVAL,
			"load: nothing to read: say --input FILE, or redirect standard input");
	if (r == 0)
		r = brig_open(inv, &b, err);
	if (r == 0)
		r = brig_store(&b, &store, err);
	if (r < 0)
		return r;
	fd = v->input ? sys_openat(AT_FDCWD, v->input, O_RDONLY, 0) : sys_dup(STDIN_FILENO);
	if (fd < 0)
		return err_sys(err, fd, "%s", v->input ? v->input : "standard input");
	r = archive_load(store, fd, &options, err);
	store_flush_later(store);
	return r < 0 ? err_add(err, "%s", v->input ? v->input : "standard input") : 0;
}

/* ---- import ---- */

struct import_values {
	struct strings changes;
	const char *message;
	bool quiet;
};

const struct option image_import_options[] = {
	{"change", 'c', OPTION_TEXTS, OPTION_AT(import_values, changes), .argument = "INSTRUCTION",
		.help = "set CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or "
			"WORKDIR as in a Dockerfile"},
	{"message", 'm', OPTION_TEXT, OPTION_AT(import_values, message), .argument = "TEXT",
		.help = "note TEXT in the history"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(import_values, quiet), .help = "show no progress"},
	{NULL},
};
VALUES_FIT(struct import_values);

/* Appends TEXT to the list KEY. */
static int add_text(json_t *patch, const char *key, const char *text)
{
	json_t *list = json_object_get(patch, key);

	if (!list) {
		list = json_array();
		if (json_object_set_new(patch, key, list) < 0)
			return -ENOMEM;
	}
	return json_array_append_new(list, json_string(text)) < 0 ? -ENOMEM : 0;
}

/* Sets NAME in the object KEY. */
static int add_member(json_t *patch, const char *key, const char *name, json_t *value)
{
	json_t *object = json_object_get(patch, key);

	if (!object) {
		object = json_object();
		if (json_object_set_new(patch, key, object) < 0) {
			json_decref(value);
			return -ENOMEM;
		}
	}
	return json_object_set_new(object, name, value) < 0 ? -ENOMEM : 0;
}

/* The exec form is JSON, the shell form is a text for /bin/sh. */
static int set_command(json_t *patch, const char *key, const char *text)
{
	json_t *list = *text == '[' ? json_loads(text, 0, NULL)
				    : json_pack("[s, s, s]", "/bin/sh", "-c", text);

	if (!list)
		return -EINVAL;
	return json_object_set_new(patch, key, list) < 0 ? -ENOMEM : 0;
}

/* NAME=VALUE, or the old form NAME VALUE. */
static int split_pair(char *text, char **ret_value)
{
	char *at = strpbrk(text, "= ");
	size_t len;

	if (!at)
		return -EINVAL;
	*at++ = '\0';
	len = strlen(at);
	if (len >= 2 && *at == '"' && at[len - 1] == '"') {
		at[len - 1] = '\0';
		at++;
	}
	*ret_value = at;
	return 0;
}

static int apply_change(json_t *patch, const char *word, char *rest)
{
	char *value;

	if (strcasecmp(word, "CMD") == 0)
		return set_command(patch, "Cmd", rest);
	if (strcasecmp(word, "ENTRYPOINT") == 0)
		return set_command(patch, "Entrypoint", rest);
	if (strcasecmp(word, "USER") == 0)
		return json_object_set_new(patch, "User", json_string(rest)) ? -ENOMEM : 0;
	if (strcasecmp(word, "WORKDIR") == 0)
		return json_object_set_new(patch, "WorkingDir", json_string(rest)) ? -ENOMEM : 0;
	if (strcasecmp(word, "STOPSIGNAL") == 0)
		return json_object_set_new(patch, "StopSignal", json_string(rest)) ? -ENOMEM : 0;
	if (strcasecmp(word, "EXPOSE") == 0 || strcasecmp(word, "VOLUME") == 0) {
		const char *key = strcasecmp(word, "VOLUME") == 0 ? "Volumes" : "ExposedPorts";
		char *saved = NULL;
		int r = 0;

		for (char *one = strtok_r(rest, " ", &saved); one && r == 0;
			one = strtok_r(NULL, " ", &saved)) {
			char port[64];

			snprintf(port, sizeof(port), "%s%s", one,
				*key == 'E' && !strchr(one, '/') ? "/tcp" : "");
			r = add_member(patch, key, *key == 'E' ? port : one, json_object());
		}
		return r;
	}
	if (strcasecmp(word, "LABEL") == 0)
		return split_pair(rest, &value) < 0
			       ? -EINVAL
			       : add_member(patch, "Labels", rest, json_string(value));
	if (strcasecmp(word, "ENV") == 0) {
		char line[4096];

		if (split_pair(rest, &value) < 0)
			return -EINVAL;
		snprintf(line, sizeof(line), "%s=%s", rest, value);
		return add_text(patch, "Env", line);
	}
	return -ENOTSUP;
}

int images_parse_changes(
	const struct strings *changes, struct arena *arena, json_t **ret, struct err *err)
{
	autojson json_t *patch = json_object();

	for (size_t i = 0; i < changes->count; i++) {
		char *text = arena_strdup(arena, changes->items[i]), *rest;
		int r = text && patch ? 0 : -ENOMEM;

		if (r == 0) {
			rest = text + strcspn(text, " =");
			if (*rest)
				*rest++ = '\0';
			rest += strspn(rest, " ");
			r = *rest ? apply_change(patch, text, rest) : -EINVAL;
		}
		if (r == -ENOTSUP)
			return err_set(
				err, -EINVAL, "--change: there is no instruction \"%s\"", text);
		if (r == -EINVAL)
			return err_set(
				err, r, "--change: \"%s\" is not understood", changes->items[i]);
		if (r < 0)
			return err_sys(err, r, "--change");
	}
	*ret = take_ptr(patch);
	return 0;
}

int images_local_reference(const char *text, struct reference *ret, struct err *err)
{
	int r = reference_parse(text, ret, err);

	if (r == 0)
		r = reference_normalise(ret, err);
	if (r == 0 && !*ret->registry)
		strcpy(ret->registry, "localhost");
	return r;
}

int image_import_run(const struct invocation *inv, struct err *err)
{
	const struct import_values *v = inv->options;
	const char *input = inv->args[0];
	autojson json_t *patch = NULL;
	autobrig struct brig b = BRIG_NONE;
	autoimage struct image image = {};
	autoclose int fd = -1;
	struct reference reference;
	struct store *store = NULL;
	struct digest manifest;
	int r = images_parse_changes(&v->changes, inv->arena, &patch, err);

	if (r == 0)
		r = images_local_reference(
			inv->arg_count > 1 ? inv->args[1] : "imported", &reference, err);
	if (r == 0)
		r = brig_open(inv, &b, err);
	if (r == 0)
		r = brig_store(&b, &store, err);
	if (r < 0)
		return r;
	if (strstr(input, "://"))
		return err_set(
			err, -EINVAL, "%s: brig fetches no URLs: curl it into a pipe", input);
	fd = strcmp(input, "-") == 0 ? sys_dup(STDIN_FILENO)
				     : sys_openat(AT_FDCWD, input, O_RDONLY, 0);
	if (fd < 0)
		return err_sys(err, fd, "%s", input);
	r = archive_import(
		store, fd, &reference, patch, v->message ? v->message : "", &manifest, err);
	store_flush_later(store);
	if (r == 0)
		r = image_open_digest(store, manifest.text, &image, err);
	if (r < 0)
		return err_add(err, "%s", input);
	printf("%s\n", image_id(&image));
	return 0;
}

/* ---- mount ---- */

const struct option image_mount_options[] = {{NULL}};

/* A snapshot of its own that only has the image's layers; its name says what it is. */
static void mount_id(const struct image *image, char ret[80])
{
	snprintf(ret, 80, "image-%.40s", digest_hex(image_id(image)));
}

static int mount_point(
	struct brig *b, const struct image *image, char ret[PATH_MAX], struct err *err)
{
	char id[80];
	int r;

	mount_id(image, id);
	if (snprintf(ret, PATH_MAX, "%s/mounts", b->dirs.run) >= PATH_MAX - 80)
		return err_sys(err, -ENAMETOOLONG, "%s", b->dirs.run);
	r = sys_mkdirat(AT_FDCWD, ret, 0700);
	strcat(strcat(ret, "/"), id);
	if (r == 0 || r == -EEXIST)
		r = sys_mkdirat(AT_FDCWD, ret, 0700);
	return r < 0 && r != -EEXIST ? err_sys(err, r, "%s", ret) : 0;
}

static bool is_mounted(const char *path)
{
	struct stat here, above;
	char up[PATH_MAX + 4];

	snprintf(up, sizeof(up), "%s/..", path);
	return sys_fstatat(AT_FDCWD, path, &here, 0) == 0 &&
	       sys_fstatat(AT_FDCWD, up, &above, 0) == 0 && here.st_dev != above.st_dev;
}

static int mount_image(struct brig *b, const char *text, char path[PATH_MAX], struct err *err)
{
	const struct snapshot_mount_options options = {.userns = -1, .read_only = true};
	autosnapshot struct snapshot snapshot = {};
	autoimage struct image image = {};
	autoclose int fs = -1;
	struct store *store;
	char id[80];
	int r = brig_store(b, &store, err);

	if (r == 0)
		r = image_open(store, text, &image, err);
	if (r == 0)
		r = mount_point(b, &image, path, err);
	if (r < 0 || is_mounted(path))
		return r;
	mount_id(&image, id);
	r = snapshot_create(store, id, image.manifest_digest, err);
	if (r == -EEXIST) { /* of before a reboot */
		err_clear(err);
		r = 0;
	}
	if (r == 0)
		r = snapshot_load(store, id, &snapshot, err);
	if (r == 0)
		r = fs = snapshot_mount(store, &snapshot, &options, err);
	if (r < 0)
		return r;
	r = sys_move_mount(fs, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
	return r < 0 ? err_sys(err, r, "mount on %s", path) : 0;
}

int image_mount_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	char path[PATH_MAX];
	int r = brig_open(inv, &b, err);

	if (r == 0 && b.rootless)
		r = err_set(err, -EPERM, "image mount: only root may mount on the host");
	for (size_t i = 0; r == 0 && i < inv->arg_count; i++) {
		r = mount_image(&b, inv->args[i], path, err);
		if (r == 0)
			printf("%s\n", path);
	}
	return r;
}

const struct option image_unmount_options[] = {{NULL}};

int image_unmount_run(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	struct store *store = NULL;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_store(&b, &store, err);
	for (size_t i = 0; r == 0 && i < inv->arg_count; i++) {
		autoimage struct image image = {};
		char path[PATH_MAX], id[80];

		r = image_open(store, inv->args[i], &image, err);
		if (r == 0)
			r = mount_point(&b, &image, path, err);
		if (r < 0)
			break;
		if (is_mounted(path))
			r = sys_umount2(path, 0);
		else
			r = -EINVAL;
		if (r == -EINVAL)
			return err_set(err, r, "%s: is not mounted", inv->args[i]);
		if (r < 0)
			return err_sys(err, r, "%s", path);
		sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
		mount_id(&image, id);
		r = snapshot_remove(store, id, err);
		if (r == 0)
			printf("%s\n", image_id(&image));
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a checkpoint keeps of the host's: decided from texts and tables alone. Pure. */
#include "runtime/checkpoint.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* ---- mountinfo ---- */

/* Takes the word at *TEXT, with "\040" and such as the bytes they stand for. */
static const char *take_word(const char **text, struct arena *arena)
{
	size_t len = strcspn(*text, " \n"), n = 0;
	char *word = arena_alloc(arena, len + 1, 1);

	if (!word)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		const char *p = *text + i;

		if (p[0] == '\\' && len - i >= 4 && strspn(p + 1, "01234567") >= 3) {
			word[n++] = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			i += 3;
		} else {
			word[n++] = *p;
		}
	}
	*text += len;
	*text += **text == ' ';
	return word;
}

static bool parse_line(const char *line, struct arena *arena, struct mountinfo *ret)
{
	enum { ID, PARENT, DEVICE, ROOT, MOUNTPOINT, OPTIONS };
	const char *words[OPTIONS + 1], *word;

	for (int i = 0; i <= OPTIONS; i++) {
		words[i] = take_word(&line, arena);
		if (!words[i] || !*words[i])
			return false;
	}
	do { /* optional fields, ended by a dash */
		word = take_word(&line, arena);
		if (!word || !*word)
			return false;
	} while (strcmp(word, "-") != 0);
	ret->root = words[ROOT];
	ret->mountpoint = words[MOUNTPOINT];
	ret->type = take_word(&line, arena);
	return sscanf(words[ID], "%d", &ret->id) == 1 && ret->type && *ret->type;
}

int checkpoint_parse_mountinfo(
	const char *text, struct arena *arena, struct mountinfo_list *ret, struct err *err)
{
	struct mountinfo_list list = {};
	size_t lines = 0;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	list.items = arena_array(arena, lines + 1, struct mountinfo);
	if (!list.items)
		return err_sys(err, -ENOMEM, "mountinfo");
	while (*text) {
		if (!parse_line(text, arena, &list.items[list.count]))
			return err_set(err, -EINVAL, "mountinfo: line %zu is not understood",
				list.count + 1);
		list.count++;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	*ret = list;
	return 0;
}

/* ---- mounts ---- */

/* What of PATH is below DIR: "" for DIR itself, "/…", or NULL when it is not. */
static const char *below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	while (len && dir[len - 1] == '/')
		len--;
	if (strncmp(path, dir, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return path + len;
}

static bool is_listed(const struct strings *paths, const char *path)
{
	for (size_t i = 0; i < paths->count; i++) {
		const char *rest = below(path, paths->items[i]);

		if (rest && !*rest)
			return true;
	}
	return false;
}

/* The mount of the plan that covers PATH: the last of the longest. */
static const struct plan_mount *covering(const struct plan *plan, const char *const *resolved,
	const char *path, const char **ret_below)
{
	const struct plan_mount *found = NULL;
	size_t shortest = SIZE_MAX;

	for (size_t i = 0; i < plan->nmounts; i++) {
		const char *rest = resolved[i] ? below(path, resolved[i]) : NULL;

		if (!rest || plan->mounts[i].kind == PLAN_MOUNT_REMOUNT || strlen(rest) > shortest)
			continue;
		found = &plan->mounts[i];
		shortest = strlen(rest);
		*ret_below = rest;
	}
	return found;
}

static bool is_bound_device(const struct plan *plan, const char *path)
{
	for (size_t i = 0; plan->devices_by_bind && i < plan->ndevices; i++)
		if (strcmp(plan->devices[i].path, path) == 0)
			return true;
	return false;
}

/* Whether M is external: then RET says where it comes from. */
static bool classify(const struct plan *plan, const char *const *resolved,
	const struct mountinfo *m, struct external_mount *ret)
{
	const char *rest = "";
	const struct plan_mount *cover = covering(plan, resolved, m->mountpoint, &rest);

	*ret = (struct external_mount){.mountpoint = m->mountpoint, .below = rest};
	if (is_bound_device(plan, m->mountpoint)) {
		ret->kind = EXTERNAL_DEVICE;
		return true;
	}
	/* A masked directory is a file system of its own. */
	if (is_listed(&plan->config->linux_.masked_paths, m->mountpoint) &&
		strcmp(m->root, "/") != 0) {
		ret->kind = EXTERNAL_MASK;
		return true;
	}
	if (cover && cover->kind == PLAN_MOUNT_BIND) {
		ret->kind = EXTERNAL_BIND;
		ret->destination = cover->destination;
		return true;
	}
	ret->kind = EXTERNAL_CGROUP;
	/* criu makes the cgroup namespace before the user namespace, which then may not mount it.
	 */
	return cover && cover->kind == PLAN_MOUNT_CGROUP && !*rest &&
	       (!spec_find_namespace(plan->config, CLONE_NEWCGROUP) ||
		       spec_find_namespace(plan->config, CLONE_NEWUSER));
}

int checkpoint_plan_mounts(const struct plan *plan, const char *const *resolved,
	const struct mountinfo_list *mounts, struct arena *arena, struct checkpoint_images *ret,
	struct err *err)
{
	struct external_mount *items = arena_array(arena, mounts->count + 1, struct external_mount);
	size_t count = 0;

	if (!items)
		return err_sys(err, -ENOMEM, "planning mounts");
	for (size_t i = 0; i < plan->nmounts; i++)
		if (plan->mounts[i].uid_map)
			return err_set(err, -ENOTSUP,
				"mounts: %s: criu cannot keep an idmapped mount",
				plan->mounts[i].destination);
	for (size_t i = 0; i < mounts->count; i++) {
		const struct mountinfo *m = &mounts->items[i];

		if (strcmp(m->mountpoint, "/") != 0 && classify(plan, resolved, m, &items[count]))
			count++;
	}
	ret->mounts.items = items;
	ret->mounts.count = count;
	return 0;
}

int checkpoint_mount_source(const struct plan *plan, const struct external_mount *mount,
	const char *cgroup_path, struct arena *arena, const char **ret, struct err *err)
{
	const char *path = NULL;

	switch ((enum external_kind)mount->kind) {
	case EXTERNAL_MASK:
		*ret = "/dev/null";
		return 0;
	case EXTERNAL_DEVICE:
		*ret = mount->mountpoint;
		return 0;
	case EXTERNAL_CGROUP:
		if (!cgroup_path)
			return err_set(err, -EINVAL,
				"the checkpoint shows the container's cgroup at %s, and there is "
				"none here",
				mount->mountpoint);
		*ret = cgroup_path;
		return 0;
	case EXTERNAL_BIND:
		break;
	}
	for (size_t i = 0; i < plan->nmounts; i++) {
		const struct plan_mount *m = &plan->mounts[i];

		if (m->kind != PLAN_MOUNT_BIND || strcmp(m->destination, mount->destination) != 0)
			continue;
		path = arena_printf(arena, "%s%s", m->source, mount->below);
		if (!path)
			return err_sys(err, -ENOMEM, "planning mounts");
	}
	if (!path)
		return err_set(err, -EINVAL,
			"mounts: the checkpoint needs a bind mount at %s, which config.json does "
			"not have",
			mount->destination);
	*ret = path;
	return 0;
}

/* ---- streams ---- */

int checkpoint_check_stream(const struct checkpoint_images *images, uint32_t stream,
	const struct stat *st, struct err *err)
{
	static const char *const names[] = {"standard input", "standard output", "standard error"};

	for (size_t i = 0; i < images->stream_files.count; i++) {
		const struct stream_file *file = &images->stream_files.items[i];

		if (file->stream == stream && stream < ARRAY_LEN(names) &&
			(!S_ISREG(st->st_mode) || st->st_size != file->size))
			return err_set(err, -ENOTSUP,
				"%s was a file of %lld bytes at the checkpoint; criu puts only a "
				"file of the same size in its place (a pipe then and now has no "
				"such limit)",
				names[stream], (long long)file->size);
	}
	return 0;
}

/* ---- namespaces ---- */

static const struct {
	int type;
	const char *name, *label, *join;
} namespaces[] = {
	{CLONE_NEWNET, "network", "extRootNetNS", NULL},
	{CLONE_NEWPID, "pid", "extRootPidNS", NULL},
	{CLONE_NEWIPC, "ipc", NULL, "ipc"},
	{CLONE_NEWUTS, "uts", NULL, "uts"},
	{CLONE_NEWTIME, "time", NULL, "time"},
	{CLONE_NEWUSER, "user", NULL, NULL},
	{CLONE_NEWNS, "mount", NULL, NULL},
	{CLONE_NEWCGROUP, "cgroup", NULL, NULL},
};

const char *checkpoint_namespace_label(int type, const char **ret_join)
{
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
		if (namespaces[i].type == type) {
			*ret_join = namespaces[i].join;
			return namespaces[i].label;
		}
	*ret_join = NULL;
	return NULL;
}

int checkpoint_check_namespaces(const struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++) {
		const struct spec_namespace *ns =
			spec_find_namespace(plan->config, namespaces[i].type);

		if (ns && ns->path && !namespaces[i].label && !namespaces[i].join)
			return err_set(err, -ENOTSUP,
				"linux.namespaces: criu cannot keep a joined %s namespace",
				namespaces[i].name);
	}
	return 0;
}

/* ---- brig-oci.json ---- */

static const struct json_name external_kinds[] = {
	{"bind", EXTERNAL_BIND},
	{"mask", EXTERNAL_MASK},
	{"device", EXTERNAL_DEVICE},
	{"cgroup", EXTERNAL_CGROUP},
	{NULL, 0},
};

json_t *checkpoint_images_json(const struct checkpoint_images *images)
{
	autojson json_t *mounts = json_array(), *streams = json_array(), *files = json_array();

	for (size_t i = 0; i < images->mounts.count; i++) {
		const struct external_mount *m = &images->mounts.items[i];

		if (json_array_append_new(
			    mounts, json_pack("{s:s, s:s, s:s*, s:s*}", "kind",
					    json_name_of(external_kinds, m->kind), "mountpoint",
					    m->mountpoint, "destination", m->destination, "below",
					    m->kind == EXTERNAL_BIND ? m->below : NULL)) < 0)
			return NULL;
	}
	for (size_t i = 0; i < images->streams.count; i++)
		if (json_array_append_new(streams, json_string(images->streams.items[i])) < 0)
			return NULL;
	for (size_t i = 0; i < images->stream_files.count; i++) {
		const struct stream_file *f = &images->stream_files.items[i];

		if (json_array_append_new(files, json_pack("{s:i, s:I}", "stream", (int)f->stream,
							 "size", (json_int_t)f->size)) < 0)
			return NULL;
	}
	return json_pack("{s:O, s:O, s:O, s:I}", "mounts", mounts, "streams", streams,
		"streamFiles", files, "pid", (json_int_t)images->pid);
}

static int finish_mount(void *out, const struct json_context *ctx)
{
	struct external_mount *m = out;

	if (m->kind == EXTERNAL_BIND && !m->destination)
		return json_fail(ctx, "destination", "is missing");
	if (!m->below)
		m->below = "";
	return 0;
}

int checkpoint_images_read(
	const json_t *value, struct arena *arena, struct checkpoint_images *ret, struct err *err)
{
	static const struct json_rule mount_rules[] = {
		{"kind", JSON_NAME, .required = true, JSON_AT(external_mount, kind),
			.names = external_kinds, .what = "a kind of mount"},
		{"mountpoint", JSON_TEXT, .required = true, JSON_AT(external_mount, mountpoint)},
		{"destination", JSON_TEXT, JSON_AT(external_mount, destination)},
		{"below", JSON_TEXT, JSON_AT(external_mount, below)},
		{NULL},
	};
	static const struct json_table mount_table = {
		.size = sizeof(struct external_mount),
		.rules = mount_rules,
		.finish = finish_mount,
	};
	static const struct json_rule file_rules[] = {
		{"stream", JSON_U32, .required = true, JSON_AT(stream_file, stream)},
		{"size", JSON_I64, .required = true, JSON_AT(stream_file, size)},
		{NULL},
	};
	static const struct json_table file_table = {
		.size = sizeof(struct stream_file),
		.rules = file_rules,
	};
	static const struct json_rule rules[] = {
		{"mounts", JSON_STRUCTS, .required = true, JSON_AT(checkpoint_images, mounts),
			.table = &mount_table},
		{"streams", JSON_TEXTS, .required = true, JSON_AT(checkpoint_images, streams)},
		{"streamFiles", JSON_STRUCTS, JSON_AT(checkpoint_images, stream_files),
			.table = &file_table},
		{"pid", JSON_I64, JSON_AT(checkpoint_images, pid)},
		{NULL},
	};
	static const struct json_table table = {
		.size = sizeof(struct checkpoint_images),
		.rules = rules,
	};
	struct checkpoint_images images = {};
	int r = json_decode(value, &table, arena, &images, err);

	if (r == 0 && images.streams.count != 0 && images.streams.count != 3)
		r = err_set(err, -EINVAL, "streams: must be three");
	if (r == 0)
		*ret = images;
	return r < 0 ? err_add(err, CHECKPOINT_IMAGES_NAME) : 0;
}

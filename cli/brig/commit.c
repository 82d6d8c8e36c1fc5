/* SPDX-License-Identifier: Apache-2.0 */
/* commit, export: images and archives of what is in a container. */
#include "cli/brig/images.h"
#include "cli/brig/root.h"
#include "cli/containers/events.h"
#include "cli/containers/userns.h"

#include "base/log.h"
#include "base/sys.h"
#include "images/archive.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- commit ---- */

const struct option brig_commit_options[] = {
	{"author", 'a', OPTION_TEXT, OPTION_AT(brig_commit_values, author), .argument = "NAME",
		.help = "note who made it"},
	{"change", 'c', OPTION_TEXTS, OPTION_AT(brig_commit_values, changes),
		.argument = "INSTRUCTION",
		.help = "set CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or "
			"WORKDIR as in a Dockerfile"},
	{"message", 'm', OPTION_TEXT, OPTION_AT(brig_commit_values, message), .argument = "TEXT",
		.help = "note TEXT in the history"},
	{"pause", 'p', OPTION_OPT_FLAG, OPTION_AT(brig_commit_values, pause),
		.help = "let the container stand still meanwhile, which is the default"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(brig_commit_values, quiet), .hidden = true},
	{NULL},
};

static int commit(struct brig *b, const struct box *box, const struct reference *name,
	const struct brig_commit_values *values, const json_t *patch, struct err *err)
{
	autoimage struct image image = {};
	autoclose int userns = -1;
	struct store *store = NULL;
	struct digest manifest;
	int r = brig_store(b, &store, err);

	if (r == 0 && !b->rootless)
		r = box_open_reverse_userns(&box->record, &userns, err);
	if (r == 0)
		r = archive_commit(store, box->id, userns, name, patch,
			values->message ? values->message : "", &manifest, err);
	if (store)
		store_flush_later(store);
	if (r == 0)
		r = image_open_digest(store, manifest.text, &image, err);
	if (r == 0)
		printf("%s\n", image_id(&image));
	return r;
}

int brig_commit(const struct invocation *inv, struct err *err)
{
	const struct brig_commit_values *values = inv->options;
	autojson json_t *patch = NULL;
	autobrig struct brig b = BRIG_NONE;
	autobox struct box box = {.dirfd = -1};
	struct runtime *rt = NULL;
	struct reference name;
	bool paused = false;
	int r = images_parse_changes(&values->changes, inv->arena, &patch, err);

	if (r == 0 && values->author)
		r = json_object_set_new(patch, "author", json_string(values->author)) < 0 ? -ENOMEM
											  : 0;
	if (r == 0)
		r = images_local_reference(
			inv->arg_count > 1 ? inv->args[1] : "committed", &name, err);
	if (r == 0)
		r = brig_open(inv, &b, err);
	if (r == 0)
		r = brig_box(&b, inv->args[0], true, &box, err);
	if (r == 0)
		r = brig_runtime(&b, &rt, err);
	if (r < 0)
		return r;
	/* Without a freezer there is no standing still: then files may change while they are read.
	 */
	if (box_state(&box) == BOX_RUNNING && !(values->pause.set && !values->pause.value)) {
		struct err ignored = {};

		paused = container_pause(rt, box.id, &ignored) == 0;
		if (!paused)
			log_warning("commit: the container goes on meanwhile: %s", ignored.text);
	}
	r = commit(&b, &box, &name, values, patch, err);
	if (paused) {
		struct err failure = {};
		int resumed = container_resume(rt, box.id, &failure);

		if (resumed < 0 && r == 0) {
			*err = failure;
			r = resumed;
		}
	}
	if (r == 0)
		events_note(b.runfd, "container", "commit", box.id, "name", box.record.name, NULL);
	return r;
}

/* ---- export ---- */

const struct option brig_export_options[] = {
	{"output", 'o', OPTION_TEXT, OPTION_AT(brig_export_values, output), .argument = "FILE",
		.help = "write to FILE instead of to standard output"},
	{NULL},
};

/* Process: a fork. Its root without anything that is mounted in it. */
static int clone_root(const void *arg)
{
	const struct container *c = arg;
	int r = sys_setns(c->pidfd, geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS);

	return r < 0 ? r : sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

/* A mount can be cloned only in its own namespace. */
static int open_running(const struct box *box, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	int r = container_open(box->boxes->rt, box->id, false, &c, err);

	if (r < 0)
		return r;
	r = root_in_fork(clone_root, &c);
	return r < 0 ? err_sys(err, r, "container %s: open its root", box->record.name) : r;
}

/* As it is in the image and what was written on top: volumes are left out, as everywhere. */
static int open_files(struct brig *b, const struct box *box, struct root *ret, struct err *err)
{
	enum box_state state = box_state(box);
	int r;

	if (state != BOX_RUNNING && state != BOX_PAUSED)
		return root_open(b, box, ret, err);
	r = ret->fd = open_running(box, err);
	if (r >= 0 && b->rootless && root_is_fuse(r)) {
		cleanup_close(&ret->fd);
		r = ret->fd = root_open_written(b, box, err);
	}
	return r < 0 ? r : 0;
}

int brig_export(const struct invocation *inv, struct err *err)
{
	const struct brig_export_values *values = inv->options;
	const char *output = values->output ? values->output : "standard output";
	autobrig struct brig b = BRIG_NONE;
	autobox struct box box = {.dirfd = -1};
	struct store *store = NULL;
	struct root root = ROOT_NONE;
	autoclose int out = -1;
	int r;

	if (!values->output && isatty(STDOUT_FILENO))
		return err_set(err, -EINVAL,
			"export: an archive is nothing for a terminal: use --output, or a pipe");
	r = brig_open(inv, &b, err);
	if (r == 0)
		r = brig_box(&b, inv->args[0], false, &box, err);
	if (r == 0)
		r = brig_store_for(&b, &box.record, &store, err);
	if (r == 0)
		r = open_files(&b, &box, &root, err);
	if (r < 0)
		return r;
	out = values->output ? sys_openat(AT_FDCWD, output, O_WRONLY | O_CREAT | O_TRUNC, 0600)
			     : sys_dup(STDOUT_FILENO);
	r = out < 0 ? err_sys(err, out, "%s", output) : archive_export(store, root.fd, out, err);
	root_close(&root);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cp. */
#include "cli/brig/brig.h"
#include "cli/brig/root.h"
#include "cli/containers/tree.h"
#include "cli/containers/userns.h"

#include "base/path.h"
#include "base/sys.h"
#include "images/helper.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CP(member) OPTION_AT(brig_cp_values, member)

const struct option brig_cp_options[] = {
	{"archive", 'a', OPTION_FLAG, CP(archive), .help = "keep the owners of the files"},
	{"follow-link", 'L', OPTION_FLAG, CP(follow), .help = "copy what a symbolic link leads to"},
	{"quiet", 'q', OPTION_FLAG, CP(quiet), .hidden = true},
	{NULL},
};

/* One end of a copy. */
#define NO_ID ((uint32_t)-1)

struct place {
	const char *text;  /* as it was written */
	const char *path;  /* without the container */
	char *own;         /* the path without trailing slashes and "/." */
	bool content;      /* it ended with "/.": what is in the folder, not the folder */
	bool wants_folder; /* it ended with "/" */
	struct box box;
	struct root root; /* .fd −1: on this machine */
};

static void close_place(struct place *p)
{
	root_close(&p->root);
	box_close(&p->box);
	cleanup_free(&p->own);
}

/* "CONTAINER:PATH", unless there is a slash before the colon. */
static bool splits(const char *text, char *ret_name, size_t size, const char **ret_path)
{
	size_t n = strcspn(text, ":/");

	if (text[n] != ':' || !n || n >= size)
		return false;
	memcpy(ret_name, text, n);
	ret_name[n] = '\0';
	*ret_path = text + n + 1;
	return true;
}

static int tidy_path(struct place *p, struct err *err)
{
	size_t n = strlen(p->path);

	p->own = strdup(p->path);
	if (!p->own)
		return err_sys(err, -ENOMEM, "cp");
	if (n >= 2 && strcmp(p->own + n - 2, "/.") == 0) {
		p->content = true;
		n -= 2;
	} else if (strcmp(p->own, ".") == 0) {
		p->content = true;
	}
	p->wants_folder = p->content;
	while (n > 1 && p->own[n - 1] == '/') {
		p->wants_folder = true;
		n--;
	}
	p->own[n] = '\0';
	if (!*p->own) /* "/." */
		strcpy(p->own, "/");
	return 0;
}

static int open_place(struct brig *b, const char *text, struct place *ret, struct err *err)
{
	char name[RECORD_NAME_MAX];
	const struct boxes *boxes;
	int r;

	*ret = (struct place){.text = text, .path = text, .box.dirfd = -1, .root.fd = -1};
	if (strcmp(text, "-") != 0 && splits(text, name, sizeof(name), &ret->path)) {
		r = brig_boxes(b, &boxes, err);
		if (r == 0)
			r = box_open(boxes, name, false, &ret->box, err);
		if (r == 0)
			r = root_open(b, &ret->box, &ret->root, err);
		if (r < 0)
			return r;
		if (!*ret->path)
			return err_set(err, -EINVAL, "cp: %s: the path is missing", text);
	}
	return tidy_path(ret, err);
}

/* Opens PATH of the place; FOLLOW: also the last symbolic link. */
static int open_at(struct place *p, const char *path, int flags, bool follow)
{
	const char *rest;
	int root;

	if (p->root.fd < 0)
		return sys_openat(AT_FDCWD, path, flags | (follow ? 0 : O_NOFOLLOW), 0);
	root = root_find(&p->root, path, &rest);
	return root < 0 ? root
	       : follow ? path_open(root, rest, flags)
			: path_open(root, rest, flags | O_NOFOLLOW);
}

/* The folder that PATH is in, and its name there. */
static int open_parent(struct place *p, const char *path, char **ret_name)
{
	autofree char *copy = strdup(path);
	char *slash = copy ? strrchr(copy, '/') : NULL;

	if (!copy)
		return -ENOMEM;
	*ret_name = strdup(slash ? slash + 1 : copy);
	if (!*ret_name)
		return -ENOMEM;
	if (slash)
		*slash = '\0';
	return open_at(p,
		!slash  ? (p->root.fd < 0 ? "." : "/")
		: *copy ? copy
			: "/",
		O_RDONLY | O_DIRECTORY, true);
}

static bool is_folder(int fd)
{
	struct stat st;

	return fd >= 0 && sys_fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The last component of the source's path, which may be "." or "..". */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* As people know it from cp(1): into a folder that exists, or as what does not exist yet. */
static int copy_folder(struct place *from, int source, struct place *to,
	const struct tree_options *options, struct err *err)
{
	autoclose int target = open_at(to, to->own, O_RDONLY | O_DIRECTORY, true), parent = -1,
		      sub = -1;
	autofree char *name = NULL;
	const char *base = base_name(from->own);
	struct stat st;
	int r, made = -1;

	if (target == -ENOTDIR)
		return err_set(
			err, target, "cp: %s is not a folder, and %s is one", to->text, from->text);
	if (target >= 0 && (from->content || !path_is_component(base)))
		return tree_copy_content(source, target, options, err);
	if (target >= 0) {
		r = made = sys_mkdirat(target, base, 0755);
		if (r == 0 || r == -EEXIST)
			r = sub = sys_openat(target, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	} else {
		r = parent = open_parent(to, to->own, &name);
		if (r >= 0)
			r = made = sys_mkdirat(parent, name, 0755);
		if (r == 0)
			r = sub = sys_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	}
	if (r >= 0 && made == 0)
		r = sys_fstat(source, &st);
	if (r == 0 && made == 0)
		r = tree_set_owner(options, sub, "", &st);
	return r < 0 ? err_sys(err, r, "cp: %s", to->text)
		     : tree_copy_content(source, sub, options, err);
}

static int copy_one(struct place *from, struct place *to, bool follow,
	const struct tree_options *options, struct err *err)
{
	autoclose int target = open_at(to, to->own, O_RDONLY | O_DIRECTORY, true), parent = -1;
	autoclose int out = -1;
	autofree char *name = NULL, *to_name = NULL, *real = NULL;
	int r = parent = open_parent(from, from->own, &name);

	if (r < 0)
		return err_sys(err, r, "cp: %s", from->text);
	if (follow) { /* by its own name, where it is */
		char path[PATH_MAX], link[64];
		autoclose int fd = open_at(from, from->own, O_PATH, true);
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = fd < 0 ? fd : sys_readlinkat(AT_FDCWD, link, path, sizeof(path) - 1);
		if (n < 0 || from->root.fd >= 0)
			return err_sys(err, n < 0 ? (int)n : -EOPNOTSUPP, "cp --follow-link: %s",
				from->text);
		path[n] = '\0';
		real = strdup(path);
		cleanup_close(&parent);
		cleanup_free(&name);
		r = parent = open_parent(from, real ? real : "/", &name);
		if (r < 0)
			return err_sys(err, r, "cp: %s", from->text);
	}
	if (target >= 0)
		return tree_copy(parent, name, target, base_name(from->own), options, err);
	if (to->wants_folder)
		return err_set(err, -ENOENT, "cp: %s: there is no such folder", to->text);
	r = out = open_parent(to, to->own, &to_name);
	return r < 0 ? err_sys(err, r, "cp: %s", to->text)
		     : tree_copy(parent, name, out, to_name, options, err);
}

/* The folder as tar on standard output. */
static int copy_out(struct brig *b, struct place *from, struct err *err)
{
	const struct unpack_request request = {
		.role = UNPACK_PACK, .format = UNPACK_PLAIN, .limits = helper_default_limits};
	autoclose int fd = open_at(from, from->own, O_RDONLY | O_DIRECTORY, true);
	autohelper struct helper helper = HELPER_NONE;
	struct unpack_reply reply;
	struct store *store;
	int r = fd < 0 ? err_sys(err, fd, "cp: %s", from->text)
		       : brig_store_for(b, &from->box.record, &store, err);

	if (r == 0)
		r = helper_prepare(store, err);
	if (r == 0)
		r = helper_start(store, &request, fd, -1, STDOUT_FILENO, &helper, err);
	return r < 0 ? r : helper_wait(&helper, &reply, err);
}

static int copy(struct brig *b, const struct brig_cp_values *values, struct place *from,
	struct place *to, struct err *err)
{
	struct store_ids from_ids = {}, to_ids = {};
	struct tree_options options = {
		.keep_owner = values->archive,
		.uid = to->root.fd >= 0 ? 0 : from->root.uid,
		.gid = to->root.fd >= 0 ? 0 : from->root.gid,
	};
	autoclose int source = -1;

	if ((from->root.fd >= 0) == (to->root.fd >= 0))
		return err_set(err, -EINVAL, "cp: one of the two has to be CONTAINER:PATH");
	if (strcmp(to->text, "-") == 0)
		return copy_out(b, from, err);
	if (from->root.fd >= 0 && (from->root.uid == NO_ID || from->root.gid == NO_ID))
		return err_set(err, -EPERM,
			"cp: %s: its ids do not include yours while it runs: stop it first",
			from->text);
	if (!b->rootless) {
		int r = box_read_ids(&from->box.record, b->arena, &from_ids, err);

		if (r == 0)
			r = box_read_ids(&to->box.record, b->arena, &to_ids, err);
		if (r < 0)
			return r;
		options.from = &from_ids;
		options.to = &to_ids;
	}
	source = open_at(from, from->own, O_RDONLY | O_NONBLOCK | O_NOCTTY,
		values->follow || from->wants_folder);
	if (is_folder(source))
		return copy_folder(from, source, to, &options, err);
	if (source == -ENOENT || from->wants_folder)
		return err_set(err, -ENOENT, "cp: %s: there is no such %s", from->text,
			from->wants_folder ? "folder" : "file");
	return copy_one(from, to, values->follow, &options, err);
}

int brig_cp(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	struct place from = {.box.dirfd = -1, .root.fd = -1}, to = from;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = open_place(&b, inv->args[0], &from, err);
	if (r == 0)
		r = open_place(&b, inv->args[1], &to, err);
	if (r == 0)
		r = copy(&b, inv->options, &from, &to, err);
	close_place(&from);
	close_place(&to);
	return r;
}

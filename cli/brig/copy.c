/* SPDX-License-Identifier: Apache-2.0 */
/* cp. */
#include "cli/brig/brig.h"
#include "cli/brig/root.h"
#include "cli/containers/tree.h"
#include "cli/containers/userns.h"

#include "base/log.h"
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

	*ret = (struct place){.text = text, .path = text, .box.dirfd = -1, .root = ROOT_NONE};
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
	flags |= follow ? 0 : O_NOFOLLOW;
	return p->root.fd < 0 ? sys_openat(AT_FDCWD, path, flags, 0)
			      : root_open_at(&p->root, path, flags);
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

/* The folder that what is to be copied is in, and its name there. */
static int open_source(struct place *from, bool follow, char **ret_name, struct err *err)
{
	autofree char *name = NULL, *real = NULL;
	autoclose int parent = -1, fd = -1;
	char path[PATH_MAX], link[64];
	ssize_t n;
	int r;

	if (follow) { /* by its own name, where it is */
		fd = open_at(from, from->own, O_PATH, true);
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = fd < 0 ? fd : sys_readlinkat(AT_FDCWD, link, path, sizeof(path) - 1);
		if (n < 0 || from->root.fd >= 0)
			return err_sys(err, n < 0 ? (int)n : -EOPNOTSUPP, "cp --follow-link: %s",
				from->text);
		path[n] = '\0';
	}
	r = parent = open_parent(from, follow ? path : from->own, &name);
	if (r < 0)
		return err_sys(err, r, "cp: %s", from->text);
	*ret_name = take_ptr(name);
	return take_fd(&parent);
}

static int copy_one(struct place *from, struct place *to, bool follow,
	const struct tree_options *options, struct err *err)
{
	autoclose int target = open_at(to, to->own, O_RDONLY | O_DIRECTORY, true), parent = -1;
	autoclose int out = -1;
	autofree char *name = NULL, *to_name = NULL;
	int r = parent = open_source(from, follow, &name, err);

	if (r < 0)
		return r;
	if (target >= 0)
		return tree_copy(parent, name, target, base_name(from->own), options, err);
	if (to->wants_folder)
		return err_set(err, -ENOENT, "cp: %s: there is no such folder", to->text);
	r = out = open_parent(to, to->own, &to_name);
	return r < 0 ? err_sys(err, r, "cp: %s", to->text)
		     : tree_copy(parent, name, out, to_name, options, err);
}

/* ---- as tar ---- */

/* What is to be written into a tar. */
struct packed {
	int dir;
	struct unpack_request request;
};

static int set_name(char *name, const char *value)
{
	if (strlen(value) >= UNPACK_NAME_SIZE)
		return -ENAMETOOLONG;
	strcpy(name, value);
	return 0;
}

/* AS: its name in the tar; NULL: of a folder what is in it, else its own. */
static int find_packed(
	struct place *from, bool follow, const char *as, struct packed *ret, struct err *err)
{
	autofree char *name = NULL;
	autoclose int dir =
		open_at(from, from->own, O_RDONLY | O_DIRECTORY, follow || from->wants_folder);
	bool folder = dir >= 0;
	int r = 0;

	ret->request = (struct unpack_request){
		.role = UNPACK_PACK, .format = UNPACK_PLAIN, .limits = helper_default_limits};
	if (!folder && from->wants_folder)
		return err_sys(err, dir, "cp: %s", from->text);
	if (!folder)
		r = dir = open_source(from, follow, &name, err);
	if (r < 0)
		return r;
	if (!folder || as)
		r = set_name(ret->request.name, folder ? "." : name);
	if (r == 0 && (!folder || as))
		r = set_name(ret->request.as, as ? as : base_name(from->own));
	if (r < 0)
		return err_sys(err, r, "cp: %s", from->text);
	ret->dir = take_fd(&dir);
	return 0;
}

static int start(struct brig *b, struct place *p, const struct unpack_request *request, int dir,
	int in, int out, struct helper *ret, struct err *err)
{
	struct store *store;
	int r = p->root.fd >= 0 ? brig_store_for(b, &p->box.record, &store, err)
				: brig_store(b, &store, err);

	if (r == 0)
		r = helper_prepare(store, err);
	return r < 0 ? r : helper_start_in(store, p->root.entry, request, dir, in, out, ret, err);
}

static int finish(struct helper *helper, const char *text, struct err *err)
{
	struct unpack_reply reply;
	int r = helper_wait(helper, &reply, err);

	if (r < 0)
		return err_add(err, "cp: %s", text);
	if (reply.skipped_devices)
		log_warning("cp: %s: device nodes were left out", text);
	return 0;
}

static const struct unpack_request extract_request = {.role = UNPACK_EXTRACT,
	.format = UNPACK_PLAIN,
	.owned = true,
	.limits = {.bytes = 1ULL << 60, .entries = 1ULL << 40, .depth = 1024, .seconds = 86400}};

/* To standard output. */
static int copy_out(struct brig *b, struct place *from, bool follow, struct err *err)
{
	autohelper struct helper helper = HELPER_NONE;
	struct packed what = {.dir = -1};
	int r = find_packed(from, follow, NULL, &what, err);

	if (r == 0)
		r = start(b, from, &what.request, what.dir, -1, STDOUT_FILENO, &helper, err);
	if (r == 0)
		r = finish(&helper, from->text, err);
	cleanup_close(&what.dir);
	return r;
}

/* From standard input. */
static int copy_in(struct brig *b, struct place *to, bool keep_owner, struct err *err)
{
	struct unpack_request request = extract_request;
	autohelper struct helper helper = HELPER_NONE;
	autoclose int dir = open_at(to, to->own, O_RDONLY | O_DIRECTORY, true);
	int r;

	if (dir < 0)
		return err_sys(err, dir, "cp: %s", to->text);
	request.owned = !keep_owner;
	r = start(b, to, &request, dir, STDIN_FILENO, -1, &helper, err);
	return r < 0 ? r : finish(&helper, to->text, err);
}

/* Where it goes, as copy_folder() and copy_one() have it; *RET_AS: its name there, NULL: what is in
 * the folder. */
static int find_target(
	struct place *from, struct place *to, bool folder, char **ret_as, struct err *err)
{
	const char *base = base_name(from->own);
	int fd = open_at(to, to->own, O_RDONLY | O_DIRECTORY, true);

	if (fd >= 0 && (from->content || !path_is_component(base)))
		return fd;
	if (fd >= 0) {
		*ret_as = strdup(base);
		if (!*ret_as)
			cleanup_close(&fd);
		return *ret_as ? fd : err_sys(err, -ENOMEM, "cp");
	}
	if (fd == -ENOTDIR && folder)
		return err_set(
			err, fd, "cp: %s is not a folder, and %s is one", to->text, from->text);
	if (!folder && to->wants_folder)
		return err_set(err, -ENOENT, "cp: %s: there is no such folder", to->text);
	fd = open_parent(to, to->own, ret_as);
	return fd < 0 ? err_sys(err, fd, "cp: %s", to->text) : fd;
}

/*
 * From one user namespace to another: no process has the ids of both, so that one helper in each
 * does its half. Of a user's own files he is root there, as their owner.
 */
static int copy_between(struct brig *b, struct place *from, struct place *to,
	const struct brig_cp_values *values, struct err *err)
{
	struct unpack_request request = extract_request;
	autohelper struct helper packer = HELPER_NONE, extractor = HELPER_NONE;
	autoclose int found = open_at(
		from, from->own, O_RDONLY | O_DIRECTORY, values->follow || from->wants_folder);
	autoclose int target = -1, in = -1, out = -1;
	autofree char *as = NULL;
	struct packed what = {.dir = -1};
	struct err failure = {};
	int r = target = find_target(from, to, found >= 0, &as, err), fds[2], done;

	if (r >= 0)
		r = find_packed(from, values->follow, as, &what, err);
	if (r == 0 && (r = sys_pipe(fds)) < 0)
		err_sys(err, r, "cp");
	if (r == 0) {
		in = fds[0], out = fds[1];
		/* What comes out is the user's: he can give nothing away. */
		request.owned = !values->archive || to->root.fd < 0;
		r = start(b, from, &what.request, what.dir, -1, out, &packer, err);
	}
	if (r == 0)
		r = start(b, to, &request, target, in, -1, &extractor, err);
	cleanup_close(&what.dir);
	cleanup_close(&in);
	cleanup_close(&out);
	if (r < 0)
		return r;
	/* A tar that ends early is the packer's fault, one that nobody reads the other's. */
	r = finish(&extractor, to->text, err);
	done = finish(&packer, from->text, &failure);
	if (done == 0 || (r < 0 && failure.code == -EPIPE))
		return r;
	*err = failure;
	return done;
}

static int copy(struct brig *b, const struct brig_cp_values *values, struct place *from,
	struct place *to, struct err *err)
{
	struct store_ids from_ids = {}, to_ids = {};
	struct tree_options options = {
		.keep_owner = values->archive,
		.uid = to->root.fd >= 0 ? 0 : geteuid(),
		.gid = to->root.fd >= 0 ? 0 : getegid(),
	};
	autoclose int source = -1;

	if ((from->root.fd >= 0) == (to->root.fd >= 0))
		return err_set(err, -EINVAL, "cp: one of the two has to be CONTAINER:PATH");
	if (strcmp(to->text, "-") == 0)
		return copy_out(b, from, values->follow, err);
	if (strcmp(from->text, "-") == 0)
		return copy_in(b, to, values->archive, err);
	if (from->root.entry >= 0 || to->root.entry >= 0)
		return copy_between(b, from, to, values, err);
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
	struct place from = {.box.dirfd = -1, .root = ROOT_NONE}, to = from;
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

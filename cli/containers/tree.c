/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/tree.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "cli/containers/idmaps.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW, BLOCK = 128 << 10, DEPTH_MAX = 512 };

struct copying {
	const struct tree_options *options;
	struct err *err;
	int depth;
};

static int fail(struct copying *c, int code, const char *name)
{
	return c->err->code ? c->err->code : err_sys(c->err, code, "%s", name);
}

int tree_set_owner(const struct tree_options *o, int dirfd, const char *name, const struct stat *st)
{
	uint32_t uid = o->uid, gid = o->gid;
	int r;

	if (o->keep_owner) {
		uid = o->from ? idmaps_inside(o->from->uids, o->from->uid_count, st->st_uid)
			      : st->st_uid;
		gid = o->from ? idmaps_inside(o->from->gids, o->from->gid_count, st->st_gid)
			      : st->st_gid;
	}
	if (o->to) {
		uid = idmaps_outside(o->to->uids, o->to->uid_count, uid);
		gid = idmaps_outside(o->to->gids, o->to->gid_count, gid);
	}
	r = sys_fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH));
	/* Who may give nothing away keeps it. */
	return r == -EPERM && geteuid() != 0 ? 0 : r;
}

static int set_owner(const struct copying *c, int dirfd, const char *name, const struct stat *st)
{
	return tree_set_owner(c->options, dirfd, name, st);
}

/* A container may have the folder, too, and put something else in the place of NAME. */
static int set_owner_of_made(
	const struct copying *c, int dirfd, const char *name, mode_t type, const struct stat *st)
{
	autoclose int made = path_open_made(dirfd, name, type);

	return made < 0 ? made : set_owner(c, made, "", st);
}

static int set_attributes(const struct copying *c, int fd, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	int r = set_owner(c, fd, "", st);

	if (r == 0)
		r = sys_fchmod(fd, st->st_mode & 07777);
	if (r == 0 && futimens(fd, times) < 0)
		r = -errno;
	return r;
}

static int copy_data(int from, int to)
{
	autofree char *block = malloc(BLOCK);
	ssize_t n;

	if (!block)
		return -ENOMEM;
	while ((n = sys_read(from, block, BLOCK)) > 0) {
		int r = fd_write_all(to, block, (size_t)n);

		if (r < 0)
			return r;
	}
	return (int)n;
}

/* Makes room for what is not a folder. */
static int clear_place(int to, const char *name)
{
	int r = sys_unlinkat(to, name, 0);

	return r == -ENOENT ? 0 : r;
}

static int copy_file(struct copying *c, int from, const char *name, int to, const char *to_name)
{
	autoclose int in = sys_openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	autoclose int out = -1;
	struct stat st;
	int r = in < 0 ? in : sys_fstat(in, &st);

	if (r == 0 && !S_ISREG(st.st_mode)) /* changed since it was looked at */
		r = -EINVAL;
	if (r == 0)
		r = clear_place(to, to_name);
	if (r == 0)
		r = out = sys_openat(to, to_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (r >= 0)
		r = copy_data(in, out);
	if (r == 0)
		r = set_attributes(c, out, &st);
	return r < 0 ? fail(c, r, to_name) : 0;
}

static int copy_link(struct copying *c, int from, const char *name, int to, const char *to_name,
	const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = sys_readlinkat(from, name, target, sizeof(target) - 1);
	int r = n < 0 ? (int)n : clear_place(to, to_name);

	target[n < 0 ? 0 : n] = '\0';
	if (r == 0)
		r = sys_symlinkat(target, to, to_name);
	if (r == 0)
		r = set_owner_of_made(c, to, to_name, S_IFLNK, st);
	return r < 0 ? fail(c, r, to_name) : 0;
}

static int copy_special(struct copying *c, int to, const char *to_name, const struct stat *st)
{
	int r = clear_place(to, to_name);

	if (r == 0)
		r = sys_mknodat(to, to_name, (st->st_mode & S_IFMT) | 0600, st->st_rdev);
	if (r == 0)
		r = set_owner_of_made(c, to, to_name, st->st_mode & S_IFMT, st);
	return r < 0 ? fail(c, r, to_name) : 0;
}

static int copy_content(struct copying *c, int from, int to);

static int copy_folder(struct copying *c, int from, const char *name, int to, const char *to_name)
{
	autoclose int in = sys_openat(from, name, DIR_FLAGS, 0), out = -1;
	struct stat st;
	int r = in < 0 ? in : sys_fstat(in, &st);

	if (r == 0)
		r = sys_mkdirat(to, to_name, 0700);
	if (r == -EEXIST)
		r = 0;
	if (r == 0)
		r = out = sys_openat(to, to_name, DIR_FLAGS, 0);
	if (r >= 0)
		r = copy_content(c, in, out);
	if (r == 0)
		r = set_attributes(c, out, &st);
	return r < 0 ? fail(c, r, to_name) : 0;
}

static int copy_entry(struct copying *c, int from, const char *name, int to, const char *to_name)
{
	struct stat st;
	int r = sys_fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW);

	if (r < 0)
		return fail(c, r, name);
	if (S_ISDIR(st.st_mode))
		return copy_folder(c, from, name, to, to_name);
	if (S_ISREG(st.st_mode))
		return copy_file(c, from, name, to, to_name);
	if (S_ISLNK(st.st_mode))
		return copy_link(c, from, name, to, to_name, &st);
	if (S_ISSOCK(st.st_mode)) /* means nothing elsewhere */
		return 0;
	return copy_special(c, to, to_name, &st);
}

struct into {
	struct copying *copying;
	int to;
};

static int copy_into(void *context, int from, const char *name)
{
	const struct into *into = context;

	return copy_entry(into->copying, from, name, into->to, name);
}

static int copy_content(struct copying *c, int from, int to)
{
	int r = -ELOOP;

	if (c->depth++ <= DEPTH_MAX)
		r = path_each(from, copy_into, &(struct into){c, to});
	c->depth--;
	return r;
}

int tree_copy(int from, const char *name, int to, const char *to_name,
	const struct tree_options *options, struct err *err)
{
	struct copying c = {.options = options, .err = err};

	return copy_entry(&c, from, name, to, to_name);
}

int tree_copy_content(int from, int to, const struct tree_options *options, struct err *err)
{
	struct copying c = {.options = options, .err = err};
	int r = copy_content(&c, from, to);

	return r < 0 && !err->code ? err_sys(err, r, "copy") : r;
}

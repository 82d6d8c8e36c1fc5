/* SPDX-License-Identifier: Apache-2.0 */
#include "images/unpack/extract_private.h"

#include "base/path.h"
#include "base/sys.h"
#include "images/unpack/jail.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

JAIL_NEEDS(UNPACK_EXTRACT, SYS_read);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_write);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_pwrite64);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_ftruncate);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_linkat);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_symlinkat);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_mknodat);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_umask);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_unlinkat);
/* path_remove_tree() */
JAIL_NEEDS(UNPACK_EXTRACT | UNPACK_REMOVE, SYS_getdents64);
JAIL_NEEDS(UNPACK_EXTRACT | UNPACK_REMOVE, SYS_fcntl);
JAIL_NEEDS(UNPACK_EXTRACT | UNPACK_REMOVE, SYS_lseek);

static const char whiteout_prefix[] = ".wh.";
static const char opaque_name[] = ".wh..wh..opq";
static const char private_prefix[] = ".wh..wh.";

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static bool remove_named_whiteout(int parent, const char *base)
{
	char name[NAME_MAX + 1];

	return snprintf(name, sizeof(name), "%s%s", whiteout_prefix, base) < (int)sizeof(name) &&
	       sys_unlinkat(parent, name, 0) == 0;
}

/*
 * Makes room for a new entry. *RET_HID tells that a whiteout stood there: then what comes must hide
 * the lower layers as the whiteout did.
 */
static int make_room(
	struct extract *x, int parent, const char *base, bool *ret_hid, struct err *err)
{
	struct stat st;
	int r = sys_fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW);

	*ret_hid = x->named_whiteouts && remove_named_whiteout(parent, base);
	if (r == -ENOENT)
		return 0;
	if (r == 0) {
		*ret_hid |= is_whiteout(&st);
		if (S_ISDIR(st.st_mode))
			extract_forget_parent(x); /* it could be inside; PARENT stays open below */
		r = S_ISDIR(st.st_mode) && x->request->format == UNPACK_LAYER
			    ? path_remove_tree(parent, base)
			    : sys_unlinkat(parent, base, 0);
	}
	return r < 0 ? err_sys(err, r, "replace \"%.255s\"", base) : 0;
}

static int write_piece(
	struct tar *tar, struct extract *x, int fd, const struct tar_piece *piece, struct err *err)
{
	uint64_t at = piece->offset, end = piece->offset + piece->len;

	while (at < end) {
		const char *bytes;
		ssize_t n = tar_read(tar, end - at, (const void **)&bytes, err);

		if (n <= 0)
			return n < 0 ? (int)n : err_set(err, -EINVAL, "tar: a file is cut off");
		if ((uint64_t)n > x->request->limits.bytes - x->reply->bytes)
			return err_set(err, -EFBIG, "the layer has more than %llu bytes",
				(unsigned long long)x->request->limits.bytes);
		x->reply->bytes += (uint64_t)n;
		while (n > 0) {
			ssize_t w = sys_pwrite(fd, bytes, (size_t)n, (off_t)at);

			if (w < 0)
				return err_sys(err, (int)w, "write");
			bytes += w;
			at += (uint64_t)w;
			n -= w;
		}
	}
	return 0;
}

static int write_content(
	struct tar *tar, struct extract *x, int fd, const struct tar_entry *e, struct err *err)
{
	struct tar_piece whole = {0, e->size};
	const struct tar_piece *pieces = e->pieces ? e->pieces : &whole;
	size_t count = e->pieces ? e->piece_count : 1;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = write_piece(tar, x, fd, &pieces[i], err);
	if (r == 0 && e->pieces) {
		/* A hole at the end costs nothing on the disk but counts: a reader sees zeros. */
		r = sys_ftruncate(fd, (off_t)e->size);
		if (r < 0)
			err_sys(err, r, "write");
	}
	return r;
}

static int make_file(struct tar *tar, struct extract *x, int parent, const char *base,
	const struct tar_entry *e, struct err *err)
{
	autoclose int fd = sys_openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return err_sys(err, fd, "create");
	if (e->size > x->request->limits.bytes)
		return err_set(err, -EFBIG, "a file of %llu bytes is beyond the limit",
			(unsigned long long)e->size);
	r = write_content(tar, x, fd, e, err);
	return r < 0 ? r : extract_set_file(x, fd, e, err);
}

static int make_directory(struct extract *x, int parent, const struct extract_name *name,
	const struct tar_entry *e, struct err *err)
{
	autoclose int fd = -1;
	struct stat st;
	bool hid = false;
	int r = sys_fstatat(parent, name->base, &st, AT_SYMLINK_NOFOLLOW);

	if (r == 0 && !S_ISDIR(st.st_mode) && x->request->format == UNPACK_PLAIN)
		return err_sys(err, -ENOTDIR, "replace \"%.255s\"", name->base);
	if (r < 0 || !S_ISDIR(st.st_mode)) {
		r = make_room(x, parent, name->base, &hid, err);
		if (r < 0)
			return r;
		r = sys_mkdirat(parent, name->base, 0700);
		if (r < 0)
			return err_sys(err, r, "create");
	}
	r = extract_note_directory(x, name->path, e, err);
	if (r < 0 || (!hid && !e->xattr_count))
		return r;
	fd = sys_openat(parent, name->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return err_sys(err, fd, "open");
	if (hid)
		r = extract_set_opaque(fd, err);
	return r < 0 ? r : extract_set_xattrs(x, fd, e, err);
}

/* The target is a name in this archive, walked like an entry's own and not followed. */
static int make_hardlink(
	struct extract *x, int parent, const char *base, const char *target, struct err *err)
{
	autoclose int dir = -1;
	struct extract_name to;
	struct stat st;
	int r = extract_split_name(x, target, &to, err);

	if (r < 0)
		return r;
	if (!*to.path)
		return err_set(err, -EINVAL, "a hard link to the root");
	dir = extract_open(x, to.parent, O_PATH | O_DIRECTORY);
	r = dir < 0 ? dir : sys_fstatat(dir, to.base, &st, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return err_sys(err, r == -ELOOP ? -EINVAL : r, "a hard link to \"%.300s\"", target);
	if (S_ISDIR(st.st_mode) || is_whiteout(&st))
		return err_set(err, -EINVAL, "a hard link to \"%.300s\", which is no file", target);
	r = sys_linkat(dir, to.base, parent, base, 0);
	return r < 0 ? err_sys(err, r, "a hard link to \"%.300s\"", target) : 0;
}

static int make_node(
	struct extract *x, int parent, const char *base, const struct tar_entry *e, struct err *err)
{
	static const mode_t kinds[] = {[TAR_CHAR - '0'] = S_IFCHR,
		[TAR_BLOCK - '0'] = S_IFBLK,
		[TAR_FIFO - '0'] = S_IFIFO};
	bool device = e->type != TAR_FIFO;
	int r;

	/* 0:0 is overlay's whiteout, and no device that anyone has. */
	if (device && (!x->request->devices || (e->type == TAR_CHAR && !e->major && !e->minor))) {
		x->reply->skipped_devices++;
		return 0;
	}
	/* Opening a device or a FIFO has effects, and by name it could be another's: its mode comes
	 * with it. */
	r = sys_mknodat(parent, base, kinds[e->type - '0'] | e->mode, makedev(e->major, e->minor));
	return r < 0 ? err_sys(err, r, "create") : extract_set_link(x, parent, base, e, err);
}

static int make_symlink(
	struct extract *x, int parent, const char *base, const struct tar_entry *e, struct err *err)
{
	int r = *e->target ? sys_symlinkat(e->target, parent, base) : -EINVAL;

	return r < 0 ? err_sys(err, r, "create") : extract_set_link(x, parent, base, e, err);
}

/* "dir/.wh..wh..opq": nothing of the lower layers is to be seen in dir. */
static int make_opaque(struct extract *x, const struct extract_name *name, struct err *err)
{
	autoclose int fd = -1;
	int r = extract_open_parent(x, name, err);

	if (r < 0)
		return r;
	fd = extract_open(x, name->parent, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return err_sys(err, fd, "open");
	return extract_set_opaque(fd, err);
}

static int make_whiteout(struct extract *x, const struct extract_name *name, struct err *err)
{
	const char *hidden = name->base + sizeof(whiteout_prefix) - 1;
	autoclose int fd = -1;
	struct stat st;
	int parent, r;

	if (!path_is_component(hidden))
		return err_set(err, -EINVAL, "a whiteout of no name");
	parent = extract_open_parent(x, name, err);
	if (parent < 0)
		return parent;
	r = sys_fstatat(parent, hidden, &st, AT_SYMLINK_NOFOLLOW);
	if (r == -ENOENT) {
		r = sys_mknodat(parent, hidden, S_IFCHR | 0, makedev(0, 0));
		if (r == -EPERM) {
			x->named_whiteouts = true;
			r = fd = sys_openat(parent, name->base, O_WRONLY | O_CREAT | O_NOFOLLOW, 0);
		}
		return r < 0 ? err_sys(err, r, "create a whiteout") : 0;
	}
	if (r < 0)
		return err_sys(err, r, "create a whiteout");
	if (!S_ISDIR(st.st_mode))
		return 0; /* new in this layer, it hides what is below it as it is */
	fd = sys_openat(parent, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? err_sys(err, fd, "open") : extract_set_opaque(fd, err);
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* 1 when the entry was a whiteout and is done. */
static int try_whiteout(struct extract *x, const struct extract_name *name,
	const struct tar_entry *e, struct err *err)
{
	int r;

	if (x->request->format != UNPACK_LAYER)
		return 0;
	if (has_prefix(name->parent, whiteout_prefix) || strstr(name->parent, "/.wh."))
		return err_set(err, -EINVAL, "inside of a whiteout");
	if (!has_prefix(name->base, whiteout_prefix))
		return 0;
	if (strcmp(name->base, opaque_name) == 0)
		r = make_opaque(x, name, err);
	else if (has_prefix(name->base, private_prefix))
		r = 0; /* aufs's own files, which mean nothing to anybody else */
	else if (e->type != TAR_FILE)
		r = err_set(err, -EINVAL, "a whiteout that is no file");
	else
		r = make_whiteout(x, name, err);
	return r < 0 ? r : 1;
}

static int make_entry(struct tar *tar, struct extract *x, const struct extract_name *name,
	const struct tar_entry *e, struct err *err)
{
	autoclose int parent = -1;
	bool hid;
	int r = extract_open_parent(x, name, err);

	if (r < 0)
		return r;
	if (e->type == TAR_DIRECTORY)
		return make_directory(x, r, name, e, err);
	parent = sys_dup(r); /* make_room() may close the one that is kept */
	if (parent < 0)
		return err_sys(err, parent, "open");
	r = make_room(x, parent, name->base, &hid, err);
	if (r < 0)
		return r;
	switch (e->type) {
	case TAR_FILE:
		return make_file(tar, x, parent, name->base, e, err);
	case TAR_HARDLINK:
		return make_hardlink(x, parent, name->base, e->target, err);
	case TAR_SYMLINK:
		return make_symlink(x, parent, name->base, e, err);
	case TAR_CHAR:
	case TAR_BLOCK:
	case TAR_FIFO:
	case TAR_DIRECTORY:
		break;
	}
	return make_node(x, parent, name->base, e, err);
}

static int take_entry(
	struct tar *tar, struct extract *x, const struct tar_entry *e, struct err *err)
{
	struct extract_name name;
	int r;

	if (++x->reply->entries > x->request->limits.entries)
		return err_set(err, -EFBIG, "the layer has more than %llu entries",
			(unsigned long long)x->request->limits.entries);
	r = extract_split_name(x, e->path, &name, err);
	if (r < 0)
		return r;
	if (!*name.path) {
		if (e->type != TAR_DIRECTORY)
			return err_set(err, -EINVAL, "the root is no directory");
		return x->request->format == UNPACK_LAYER ? extract_note_directory(x, "", e, err)
							  : 0;
	}
	r = try_whiteout(x, &name, e, err);
	if (r == 0)
		r = make_entry(tar, x, &name, e, err);
	return r < 0 ? r : 0;
}

int extract_run(struct tar *tar, int dirfd, int control, const struct unpack_request *request,
	struct unpack_reply *ret, struct err *err)
{
	struct extract x = {
		.request = request, .root = dirfd, .control = control, .parent = -1, .reply = ret};
	struct tar_entry e;
	int r;

	umask(0);
	/* An archive need not say what its root is like: then it is as everybody expects. */
	r = request->format == UNPACK_LAYER ? sys_fchmod(dirfd, 0755) : 0;
	if (r < 0)
		return err_sys(err, r, "extract");
	while ((r = tar_next(tar, &e, err)) > 0) {
		if (request->owned)
			e.uid = e.gid = 0;
		r = take_entry(tar, &x, &e, err);
		if (r < 0) {
			err_add(err, "entry \"%.200s\"", e.path);
			break;
		}
	}
	extract_forget_parent(&x);
	if (r == 0)
		r = tar_drain(tar, err);
	if (r == 0)
		r = extract_finish_directories(&x, err);
	arena_free(&x.arena);
	return r;
}

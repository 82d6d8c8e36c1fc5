/* SPDX-License-Identifier: Apache-2.0 */
/* Names of archive entries, and the directories that they are in. */
#include "images/unpack/extract_private.h"

#include "base/sys.h"
#include "images/unpack/jail.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>

JAIL_NEEDS(UNPACK_EXTRACT, SYS_openat2);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_openat);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_mkdirat);
JAIL_NEEDS(UNPACK_EXTRACT, SYS_close);

static int bad_name(const char *path, const char *what, struct err *err)
{
	return err_set(err, -EINVAL, "entry \"%.300s\": %s", path, what);
}

/*
 * Tar names are relative to the root whether they begin with "/", "./" or neither. ".." has no
 * business in one at all, not even where it stays inside.
 */
int extract_split_name(
	struct extract *x, const char *path, struct extract_name *ret, struct err *err)
{
	uint32_t depth = 0;
	size_t used = 0, last = 0;

	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return bad_name(path, "has \"..\" in it", err);
		if (n > NAME_MAX)
			return bad_name(path, "a component is longer than 255 bytes", err);
		if (n && !(n == 1 && *p == '.')) {
			if (++depth > x->request->limits.depth)
				return bad_name(path, "is nested too deep", err);
			if (used + n + 2 > sizeof(ret->path))
				return bad_name(path, "is too long", err);
			if (used)
				ret->path[used++] = '/';
			last = used;
			memcpy(ret->path + used, p, n);
			used += n;
		}
		p += n + (p[n] == '/');
	}
	ret->path[used] = '\0';
	ret->base = ret->path + last;
	memcpy(ret->parent, ret->path, last ? last - 1 : 0);
	ret->parent[last ? last - 1 : 0] = '\0';
	return 0;
}

int extract_open(struct extract *x, const char *path, int flags)
{
	/* A container may have mounts of its own where a plain archive goes. */
	const uint64_t xdev = x->request->format == UNPACK_LAYER ? RESOLVE_NO_XDEV : 0;

	return sys_openat2(x->root, *path ? path : ".", (uint64_t)flags, 0,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | xdev);
}

void extract_forget_parent(struct extract *x)
{
	cleanup_close(&x->parent);
}

/* Makes what is missing of PATH, one component after the other. */
static int make_parents(struct extract *x, const char *path, struct err *err)
{
	struct tar_entry implied = {.mode = 0755};
	char prefix[PATH_MAX];

	for (const char *p = path;; p++) {
		p += strcspn(p, "/");
		memcpy(prefix, path, (size_t)(p - path));
		prefix[p - path] = '\0';
		autoclose int fd = extract_open(x, prefix, O_PATH | O_DIRECTORY);

		if (fd == -ENOENT) {
			char *slash = strrchr(prefix, '/');
			autoclose int up = -1;
			int r;

			if (slash)
				*slash = '\0';
			up = extract_open(x, slash ? prefix : "", O_PATH | O_DIRECTORY);
			r = up < 0 ? up : sys_mkdirat(up, slash ? slash + 1 : prefix, 0700);
			if (slash)
				*slash = '/';
			if (r == 0)
				r = extract_note_directory(x, prefix, &implied, err);
			if (r < 0)
				return err->code ? r : err_sys(err, r, "make %.300s", prefix);
			x->late->implied = true;
		} else if (fd < 0) {
			return fd;
		}
		if (!*p)
			return 0;
	}
}

int extract_open_parent(struct extract *x, const struct extract_name *name, struct err *err)
{
	int fd, r;

	if (x->parent >= 0 && strcmp(x->parent_path, name->parent) == 0)
		return x->parent;
	fd = extract_open(x, name->parent, O_PATH | O_DIRECTORY);
	if (fd == -ENOENT) {
		r = make_parents(x, name->parent, err);
		if (r < 0 && err->code)
			return r;
		fd = r < 0 ? r : extract_open(x, name->parent, O_PATH | O_DIRECTORY);
	}
	if (fd == -ELOOP)
		return bad_name(
			name->path, "its directory is reached through a symbolic link", err);
	if (fd == -ENOTDIR)
		return bad_name(name->path, "its parent is no directory", err);
	if (fd < 0)
		return err_sys(err, fd, "entry \"%.300s\"", name->path);
	extract_forget_parent(x);
	x->parent = fd;
	memcpy(x->parent_path, name->parent, strlen(name->parent) + 1);
	return fd;
}

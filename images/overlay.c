/* SPDX-License-Identifier: Apache-2.0 */
#include "images/overlay.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int overlay_clone(int fd, int userns, struct err *err)
{
	autoclose int tree = sys_open_tree(fd, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
	int r;

	if (tree < 0)
		return err_sys(err, tree, "clone a layer's mount");
	if (userns < 0)
		return take_fd(&tree);
	r = sys_mount_setattr(tree, "", AT_EMPTY_PATH, MOUNT_ATTR_IDMAP, 0, 0, userns);
	if (r < 0)
		return err_sys(err, r, "shift the ids of a layer: its file system must know how");
	return take_fd(&tree);
}

/* By descriptor where the kernel takes one, else by the descriptor's name in procfs: before 6.13
 * fsconfig(2) knew none that is O_PATH (EBADF), and before that overlay no descriptor at all. */
static int set_path(int context, const char *key, int fd, struct err *err)
{
	char path[64];
	int r = sys_fsconfig(context, FSCONFIG_SET_FD, key, NULL, fd);

	if (r == -EBADF || r == -EINVAL || r == -EOPNOTSUPP) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		r = sys_fsconfig(context, FSCONFIG_SET_STRING, key, path, 0);
	}
	return r < 0 ? err_sys(err, r, "overlay: %s", key) : 0;
}

static int set_flag(int context, const char *key, struct err *err)
{
	int r = sys_fsconfig(context, FSCONFIG_SET_FLAG, key, NULL, 0);

	return r < 0 ? err_sys(err, r, "overlay: %s", key) : 0;
}

/* Shifted clones are mounted nowhere: they live as long as these descriptors, so until overlay has
 * taken them. */
struct shifted {
	int *fds;
	size_t count;
};

static void shifted_free(struct shifted *s)
{
	while (s->count)
		close(s->fds[--s->count]);
	free(s->fds);
}
CLEANUP_DEFINE(shifted, struct shifted, shifted_free)
#define autoshifted __attribute__((cleanup(cleanup_shifted)))

static int add_lowers(
	int context, const struct overlay *o, struct shifted *shifted, struct err *err)
{
	shifted->fds = calloc(o->count, sizeof(*shifted->fds));
	if (!shifted->fds)
		return err_sys(err, -ENOMEM, "overlay");
	for (size_t i = 0; i < o->count; i++) {
		int use = o->lowers[i], r;

		if (o->userns >= 0) {
			use = overlay_clone(use, o->userns, err);
			if (use < 0)
				return use;
			shifted->fds[shifted->count++] = use;
		}
		r = set_path(context, "lowerdir+", use, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_top(int context, int top, struct err *err)
{
	autoclose int upper = sys_openat(top, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	autoclose int work = sys_openat(top, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	int r;

	if (upper < 0 || work < 0)
		return err_sys(err, upper < 0 ? upper : work, "overlay: upper directory");
	r = set_path(context, "upperdir", upper, err);
	return r < 0 ? r : set_path(context, "workdir", work, err);
}

/* The kernel writes what it dislikes into the context; the last line is worth showing. */
static void add_reason(int context, struct err *err)
{
	char line[256];
	ssize_t n = sys_read(context, line, sizeof(line) - 1);

	if (n <= 2)
		return;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	err_add(err, "%s", line + 2);
}

static int mount_by_context(const struct overlay *o, struct err *err)
{
	autoclose int context = sys_fsopen("overlay");
	autoshifted struct shifted shifted = {};
	int r, fs;

	if (context < 0)
		return err_sys(err, context, "overlay");
	r = set_flag(context, "userxattr", err);
	if (r == 0 && o->volatile_ && o->top >= 0)
		r = set_flag(context, "volatile", err);
	if (r == 0)
		r = add_lowers(context, o, &shifted, err);
	if (r == 0 && o->top >= 0)
		r = add_top(context, o->top, err);
	if (r < 0)
		return r;
	r = sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r < 0) {
		err_sys(err, r, "overlay: mount");
		add_reason(context, err);
		return r;
	}
	fs = sys_fsmount(context, o->top < 0 ? MOUNT_ATTR_RDONLY : 0);
	return fs < 0 ? err_sys(err, fs, "overlay: mount") : fs;
}

int overlay_mount(const struct overlay *o, struct err *err)
{
	struct err text = {};
	int r = mount_by_context(o, err), fs;

	/* What a kernel of before 6.7 says of "lowerdir+", and one of before 6.13 of a shifted
	 * layer that is mounted nowhere. */
	if (r != -EINVAL)
		return r;
	fs = overlay_mount_by_text(o, &text);
	if (fs >= 0)
		err_clear(err);
	else if (fs != -EINVAL)
		*err = text;
	return fs;
}

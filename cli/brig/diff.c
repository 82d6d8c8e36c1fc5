/* SPDX-License-Identifier: Apache-2.0 */
/* diff: what a container has changed, from its upper layer. */
#include "cli/brig/brig.h"
#include "cli/brig/root.h"
#include "cli/output/human.h"
#include "cli/output/list.h"

#include "base/path.h"
#include "base/sys.h"
#include "images/snapshot.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

const struct option brig_diff_options[] = {
	{"format", 0, OPTION_TEXT, OPTION_AT(brig_diff_values, format), .argument = "FORMAT",
		.help = "json"},
	{NULL},
};

enum { DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW };

struct change {
	char kind; /* A, C, D */
	char *path;
};

struct diffing {
	const struct record *record;
	int lower; /* the image's files; −1: none */
	struct change *items;
	size_t count;
};

static int add(struct diffing *d, char kind, const char *path)
{
	struct change *items = reallocarray(d->items, d->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	d->items = items;
	items[d->count] = (struct change){kind, strdup(path)};
	return items[d->count++].path ? 0 : -ENOMEM;
}

/* Whether the image has PATH itself. */
static bool in_image(const struct diffing *d, const char *path)
{
	autoclose int fd = path_open(d->lower, path, O_PATH | O_NOFOLLOW);

	return fd >= 0;
}

/* overlay's two ways to say that something is gone: a device 0:0, or an attribute of a file. */
static bool is_whiteout(int dirfd, const char *name, const struct stat *st)
{
	autoclose int fd = -1;
	char value[4];

	if (S_ISCHR(st->st_mode))
		return st->st_rdev == makedev(0, 0);
	if (!S_ISREG(st->st_mode) || st->st_size)
		return false;
	fd = sys_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	return fd >= 0 && fgetxattr(fd, "user.overlay.whiteout", value, sizeof(value)) >= 0;
}

/* What was made only to be mounted over. */
static bool is_mount_point(const struct diffing *d, const char *path, const struct stat *st)
{
	static const char *const own[] = {
		"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/init"};

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strcmp(path, own[i]) == 0 && S_ISREG(st->st_mode) && !st->st_size)
			return true;
	for (size_t i = 0; i < d->record->mounts.count; i++)
		if (strcmp(path, d->record->mounts.items[i].target) == 0)
			return true;
	return false;
}

struct folder {
	struct diffing *diffing;
	const char *path; /* "": the root */
};

static int look(void *context, int dirfd, const char *name)
{
	const struct folder *folder = context;
	struct diffing *d = folder->diffing;
	autoclose int sub = -1;
	char path[PATH_MAX];
	struct stat st;
	int r;

	if (snprintf(path, sizeof(path), "%s/%s", folder->path, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	r = sys_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (is_mount_point(d, path, &st) && !in_image(d, path))
		return 0;
	if (strcmp(name, ".wh..wh..opq") == 0 && S_ISREG(st.st_mode)) /* fuse-overlayfs's mark */
		return 0;
	/* fuse-overlayfs, where it may make no devices */
	if (strncmp(name, ".wh.", 4) == 0 && S_ISREG(st.st_mode)) {
		char gone[PATH_MAX];

		snprintf(gone, sizeof(gone), "%s/%s", folder->path, name + 4);
		if (in_image(d, gone))
			return add(d, 'D', gone);
	}
	if (is_whiteout(dirfd, name, &st))
		return in_image(d, path) ? add(d, 'D', path) : 0;
	r = add(d, in_image(d, path) ? 'C' : 'A', path);
	if (r < 0 || !S_ISDIR(st.st_mode))
		return r;
	sub = sys_openat(dirfd, name, DIR_FLAGS, 0);
	return sub < 0 ? sub : path_each(sub, look, &(struct folder){d, path});
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct change *)a)->path, ((const struct change *)b)->path);
}

static int print(const struct diffing *d, const char *format, struct err *err)
{
	autojson json_t *list = json_array();
	autobuf struct buf text = {};
	int r;

	if (format && strcmp(format, "json") != 0)
		return err_set(err, -EINVAL, "--format: is json or nothing");
	for (size_t i = 0; i < d->count; i++) {
		if (format)
			json_array_append_new(
				list, json_pack("{s:s%, s:s}", "Kind", &d->items[i].kind, (size_t)1,
					      "Path", d->items[i].path));
		buf_printf(&text, "%c ", d->items[i].kind);
		human_text(d->items[i].path, strlen(d->items[i].path), &text);
		buf_puts(&text, "\n");
	}
	if (!format) {
		fputs(buf_str(&text), stdout);
		return 0;
	}
	text.len = 0;
	r = json_write(list, JSON_INDENT(2), &text);
	if (r < 0)
		return err_sys(err, r, "diff");
	printf("%s\n", buf_str(&text));
	return 0;
}

static int compare(struct brig *b, const struct box *box, struct diffing *d, struct err *err)
{
	autoclose int upper = -1;
	struct store *store;
	int r = d->lower = root_open_snapshot(b, box, true, err);

	if (r >= 0)
		r = brig_store(b, &store, err);
	if (r < 0)
		return r;
	r = upper = snapshot_open_upper(store, box->id);
	if (r >= 0)
		r = path_each(upper, look, &(struct folder){d, ""});
	return r < 0 ? err_sys(err, r, "container %s", box->record.name) : 0;
}

int brig_diff(const struct invocation *inv, struct err *err)
{
	const struct brig_diff_values *values = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autobox struct box box = {.dirfd = -1};
	struct diffing d = {.lower = -1};
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_box(&b, inv->args[0], false, &box, err);
	if (r == 0)
		d.record = &box.record;
	if (r == 0)
		r = compare(&b, &box, &d, err);
	if (r == 0 && d.count)
		qsort(d.items, d.count, sizeof(*d.items), by_path);
	if (r == 0)
		r = print(&d, values->format, err);
	for (size_t i = 0; i < d.count; i++)
		free(d.items[i].path);
	free(d.items);
	cleanup_close(&d.lower);
	return r;
}

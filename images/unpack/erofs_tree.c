/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a layer's directory, and writes what is in its files. Nothing is followed. */
#include "images/unpack/erofs_private.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "images/unpack/jail.h"
#include "images/unpack/pack.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

JAIL_NEEDS(UNPACK_EROFS, SYS_openat);
JAIL_NEEDS(UNPACK_EROFS, SYS_close);
JAIL_NEEDS(UNPACK_EROFS, SYS_read);
JAIL_NEEDS(UNPACK_EROFS, SYS_fcntl);
JAIL_NEEDS(UNPACK_EROFS, SYS_lseek);
JAIL_NEEDS(UNPACK_EROFS, SYS_getdents64);
JAIL_NEEDS(UNPACK_EROFS, SYS_newfstatat);
JAIL_NEEDS(UNPACK_EROFS, SYS_fstat);
JAIL_NEEDS(UNPACK_EROFS, SYS_readlinkat);
JAIL_NEEDS(UNPACK_EROFS, SYS_fgetxattr);
JAIL_NEEDS(UNPACK_EROFS, SYS_flistxattr);
JAIL_NEEDS(UNPACK_EROFS, SYS_sysinfo); /* qsort(3) */

enum { COPY_SIZE = 256 << 10, SEEN_BUCKETS = 1 << 12, NAMES_SIZE = 4096, XATTRS_MAX = 64 };

/* A file that has several names. */
struct seen {
	struct seen *next;
	dev_t dev;
	ino_t ino;
	struct erofs_node *node;
};

struct walk {
	struct erofs_image *image;
	struct seen *seen[SEEN_BUCKETS];
	char *bytes; /* COPY_SIZE */
	char path[PATH_MAX];
};

/* ---- nodes ---- */

static struct erofs_node *node_new(struct walk *w, const struct stat *st)
{
	struct erofs_image *image = w->image;
	struct erofs_node *n = arena_new(&image->arena, struct erofs_node);

	if (!n)
		return NULL;
	*n = (struct erofs_node){.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = st->st_rdev,
		.mtime = st->st_mtim};
	*image->last = n;
	image->last = &n->next;
	return n;
}

/* The node of a file that was met under another name; else a place to note it in, in RET. */
static struct erofs_node *find_seen(struct walk *w, const struct stat *st, struct seen **ret)
{
	struct seen **bucket = &w->seen[st->st_ino % SEEN_BUCKETS], *s;

	for (s = *bucket; s; s = s->next)
		if (s->ino == st->st_ino && s->dev == st->st_dev)
			return s->node;
	s = *ret = arena_new(&w->image->arena, struct seen);
	if (s) {
		*s = (struct seen){.next = *bucket, .dev = st->st_dev, .ino = st->st_ino};
		*bucket = s;
	}
	return NULL;
}

/* ---- attributes ---- */

static bool keep_xattr(const char *name)
{
	return !strcmp(name, "user.overlay.opaque") || !strcmp(name, "security.capability") ||
	       !strncmp(name, "system.posix_acl_", 17) ||
	       (!strncmp(name, "user.", 5) && strncmp(name, "user.overlay.", 13) != 0 &&
		       strncmp(name, "user.containers.", 16) != 0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_xattrs(struct walk *w, int fd, struct erofs_node *n, struct err *err)
{
	char names[NAMES_SIZE];
	const char *kept[XATTRS_MAX];
	ssize_t len = flistxattr(fd, names, sizeof(names));
	size_t count = 0;
	int r = 0;

	if (len < 0)
		return errno == ENOTSUP ? 0 : err_sys(err, -errno, "list extended attributes");
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		if (!keep_xattr(name))
			continue;
		if (count == XATTRS_MAX)
			return err_set(err, -E2BIG, "more than %d extended attributes", XATTRS_MAX);
		kept[count++] = name;
	}
	if (count)
		qsort(kept, count, sizeof(*kept), by_name);
	for (size_t i = 0; i < count && r == 0; i++) {
		len = fgetxattr(fd, kept[i], w->bytes, COPY_SIZE);
		r = len < 0 ? err_sys(err, -errno, "read the extended attribute %s", kept[i])
			    : erofs_add_xattr(w->image, n, kept[i], w->bytes, (size_t)len, err);
	}
	return r;
}

/* What extract recorded instead of giving the file away. */
static void read_owner(struct walk *w, int fd, struct erofs_node *n)
{
	mode_t mode = n->mode & 07777;

	if (w->image->request->single_uid && pack_owner(fd, &n->uid, &n->gid, &mode))
		n->mode = (n->mode & S_IFMT) | mode;
}

/* ---- content ---- */

/* Bytes FROM … TO of FD, to where the file's content is in the image. */
static int copy_range(struct walk *w, int fd, off_t from, off_t to, uint64_t base, struct err *err)
{
	if (lseek(fd, from, SEEK_SET) < 0)
		return err_sys(err, -errno, "read");
	while (from < to) {
		size_t want = to - from < COPY_SIZE ? (size_t)(to - from) : COPY_SIZE;
		ssize_t n = sys_read(fd, w->bytes, want), done;

		if (n <= 0)
			return n < 0 ? err_sys(err, (int)n, "read")
				     : err_set(err, -EAGAIN, "became shorter while it was read");
		done = sys_pwrite(w->image->out, w->bytes, (size_t)n, (off_t)base + from);
		if (done <= 0)
			return err_sys(err, done < 0 ? (int)done : -EIO, "write the image");
		if (done < n && lseek(fd, done - n, SEEK_CUR) < 0)
			return err_sys(err, -errno, "read");
		from += done;
	}
	return 0;
}

/* Only what is there; a hole stays one. */
static int copy_content(struct walk *w, int fd, const struct erofs_node *n, struct err *err)
{
	const off_t size = (off_t)n->size;
	off_t at = 0;
	int r = 0;

	while (r == 0 && at < size) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return 0;
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return err_sys(err, -errno, "read");
		at = hole < size ? hole : size;
		if (data < at)
			r = copy_range(w, fd, data, at, (uint64_t)n->block * EROFS_BLOCK, err);
	}
	return r;
}

static int take_file(struct walk *w, int dirfd, const char *name, const struct stat *st,
	struct erofs_node *n, struct err *err)
{
	struct unpack_reply *reply = w->image->reply;
	autoclose int fd =
		sys_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	struct stat opened;
	int r = fd < 0 ? fd : sys_fstat(fd, &opened);

	if (r < 0)
		return err_sys(err, r, "open");
	if (!S_ISREG(opened.st_mode) || opened.st_ino != st->st_ino)
		return err_set(err, -EAGAIN, "changed while it was read");
	n->size = (uint64_t)opened.st_size;
	if (n->size > w->image->request->limits.bytes - reply->bytes)
		return err_set(err, -EFBIG, "there is more than an image may have");
	reply->bytes += n->size;
	read_owner(w, fd, n);
	r = read_xattrs(w, fd, n, err);
	if (r == 0)
		r = erofs_reserve(w->image, n->size, &n->block, err);
	return r < 0 ? r : copy_content(w, fd, n, err);
}

static int take_link(
	struct walk *w, int dirfd, const char *name, struct erofs_node *n, struct err *err)
{
	char target[PATH_MAX];
	ssize_t len = sys_readlinkat(dirfd, name, target, sizeof(target) - 1);

	if (len < 0)
		return err_sys(err, (int)len, "readlink");
	target[len] = '\0';
	n->size = (uint64_t)len;
	n->target = arena_strdup(&w->image->arena, target);
	return n->target ? 0 : err_sys(err, -ENOMEM, "pack");
}

/* ---- folders ---- */

static int take_folder(struct walk *w, int fd, struct erofs_node *folder, struct erofs_node *parent,
	uint32_t depth, struct err *err);

static int take(struct walk *w, int dirfd, const char *name, struct erofs_node *parent,
	uint32_t depth, struct erofs_node **ret, struct err *err)
{
	autoclose int fd = -1;
	struct seen *seen = NULL;
	struct erofs_node *n = NULL;
	struct stat st;
	int r = sys_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);

	if (r < 0)
		return err_sys(err, r, "stat");
	if (++w->image->reply->entries > w->image->request->limits.entries)
		return err_set(err, -EFBIG, "there are more files than an image may have");
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
		n = find_seen(w, &st, &seen);
	*ret = n ? n : (n = node_new(w, &st));
	if (!n)
		return err_sys(err, -ENOMEM, "pack");
	if (seen)
		seen->node = n;
	if (n->links++)
		return 0;
	if (S_ISREG(st.st_mode))
		return take_file(w, dirfd, name, &st, n, err);
	if (S_ISLNK(st.st_mode))
		return take_link(w, dirfd, name, n, err);
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? err_sys(err, fd, "open") : take_folder(w, fd, n, parent, depth, err);
}

static int entries_by_name(const void *a, const void *b)
{
	const struct erofs_entry *left = a, *right = b;

	return strcmp(left->name, right->name);
}

/* FOLDER has one link for its name, one for "." and one for each ".." in it. */
static int take_entries(struct walk *w, int fd, struct erofs_node *folder, uint32_t depth,
	const struct strings *names, struct err *err)
{
	size_t n = strlen(w->path);
	int r = 0;

	for (size_t i = 0; i < names->count; i++) {
		struct erofs_entry *e = folder->entries + folder->entry_count;

		if (n + strlen(names->items[i]) + 2 > sizeof(w->path))
			return err_set(err, -ENAMETOOLONG, "its path is too long");
		sprintf(w->path + n, "%s%s", n ? "/" : "", names->items[i]);
		e->name = arena_strdup(&w->image->arena, names->items[i]);
		if (!e->name)
			return err_sys(err, -ENOMEM, "pack");
		r = take(w, fd, names->items[i], folder, depth + 1, &e->node, err);
		if (r < 0)
			return r;
		folder->entry_count++;
		folder->links += S_ISDIR(e->node->mode) ? 1 : 0;
		w->path[n] = '\0';
	}
	return 0;
}

static int take_folder(struct walk *w, int fd, struct erofs_node *folder, struct erofs_node *parent,
	uint32_t depth, struct err *err)
{
	autoarena struct arena arena = {};
	struct strings names = {};
	int r = depth > w->image->request->limits.depth ? err_set(err, -ELOOP, "is nested too deep")
							: pack_list_names(fd, &arena, &names, err);

	read_owner(w, fd, folder);
	if (r == 0)
		r = read_xattrs(w, fd, folder, err);
	folder->entries = arena_array(&w->image->arena, names.count + 2, struct erofs_entry);
	if (r == 0 && !folder->entries)
		r = err_sys(err, -ENOMEM, "pack");
	if (r == 0) {
		folder->entries[0] = (struct erofs_entry){".", folder};
		folder->entries[1] = (struct erofs_entry){"..", parent};
		folder->entry_count = 2;
		folder->links++;
		r = take_entries(w, fd, folder, depth, &names, err);
	}
	free(names.items);
	if (r == 0) /* the two are not the first of all: "!" is before them */
		qsort(folder->entries, folder->entry_count, sizeof(*folder->entries),
			entries_by_name);
	return r;
}

int erofs_tree(struct erofs_image *image, int dirfd, struct err *err)
{
	autofree struct walk *w = calloc(1, sizeof(*w));
	autofree char *bytes = malloc(COPY_SIZE);
	autoclose int root = sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	struct erofs_node *n = NULL;
	struct stat st;
	int r = root < 0 ? root : sys_fstat(root, &st);

	if (r == 0 && (!w || !bytes))
		r = -ENOMEM;
	if (r < 0)
		return err_sys(err, r, "pack");
	w->image = image;
	w->bytes = bytes;
	n = node_new(w, &st);
	if (!n)
		return err_sys(err, -ENOMEM, "pack");
	n->links = 1;
	r = take_folder(w, root, n, n, 0, err);
	return r < 0 ? err_add(err, "\"%.300s\"", w->path) : 0;
}

int erofs_run(int dirfd, int out, const struct unpack_request *request, struct unpack_reply *ret,
	struct err *err)
{
	struct erofs_image image = {
		.out = out, .request = request, .reply = ret, .blocks = 1, .last = &image.first};
	int r = erofs_tree(&image, dirfd, err);

	if (r == 0)
		r = erofs_write(&image, err);
	arena_free(&image.arena);
	return r;
}

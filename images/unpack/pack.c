/* SPDX-License-Identifier: Apache-2.0 */
#include "images/unpack/pack.h"

#include "base/json.h"
#include "base/sys.h"
#include "images/unpack/jail.h"
#include "images/unpack/tar_write.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

JAIL_NEEDS(UNPACK_PACK, SYS_openat);
JAIL_NEEDS(UNPACK_PACK, SYS_close);
JAIL_NEEDS(UNPACK_PACK, SYS_read);
JAIL_NEEDS(UNPACK_PACK, SYS_write);
JAIL_NEEDS(UNPACK_PACK, SYS_fcntl);
JAIL_NEEDS(UNPACK_PACK, SYS_lseek);
JAIL_NEEDS(UNPACK_PACK, SYS_getdents64);
JAIL_NEEDS(UNPACK_PACK, SYS_newfstatat);
JAIL_NEEDS(UNPACK_PACK, SYS_fstat);
JAIL_NEEDS(UNPACK_PACK, SYS_readlinkat);
JAIL_NEEDS(UNPACK_PACK, SYS_fgetxattr);
JAIL_NEEDS(UNPACK_PACK, SYS_flistxattr);
JAIL_NEEDS(UNPACK_PACK, SYS_sysinfo); /* qsort(3) of many items asks how much memory there is */

enum { READ_SIZE = 256 << 10, XATTRS_MAX = 64, XATTR_BYTES = 64 << 10 };

/* A file with several names, under the first that was met. */
struct seen {
	struct seen *next;
	dev_t dev;
	ino_t ino;
	const char *path;
};

enum { SEEN_BUCKETS = 1 << 12 };

struct pack {
	struct tar_writer writer;
	const struct unpack_request *request;
	struct unpack_reply *reply;
	struct seen *seen[SEEN_BUCKETS];
	struct arena arena;
	char path[PATH_MAX];
	char *bytes;
	struct tar_xattr xattrs[XATTRS_MAX];
};

static const char *find_seen(struct pack *p, const struct stat *st, struct err *err)
{
	struct seen **bucket = &p->seen[st->st_ino % SEEN_BUCKETS];
	struct seen *s;

	for (s = *bucket; s; s = s->next)
		if (s->ino == st->st_ino && s->dev == st->st_dev)
			return s->path;
	s = arena_new(&p->arena, struct seen);
	if (!s || !(s->path = arena_strdup(&p->arena, p->path))) {
		err_sys(err, -ENOMEM, "pack");
		return NULL;
	}
	s->dev = st->st_dev;
	s->ino = st->st_ino;
	s->next = *bucket;
	*bucket = s;
	return NULL;
}

static bool keep_xattr(const char *name)
{
	return (strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0 &&
		       strncmp(name, "user.fuseoverlayfs.", 19) != 0 &&
		       strncmp(name, "user.containers.", 16) != 0) ||
	       strcmp(name, "security.capability") == 0;
}

static int read_xattrs(
	struct pack *p, int fd, struct tar_entry *e, struct arena *arena, struct err *err)
{
	char names[4096];
	ssize_t n = flistxattr(fd, names, sizeof(names));

	if (n < 0)
		return errno == ENOTSUP ? 0 : err_sys(err, -errno, "list extended attributes");
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		struct tar_xattr *a = &p->xattrs[e->xattr_count];
		char *value;
		ssize_t len;

		if (!keep_xattr(name))
			continue;
		if (e->xattr_count == XATTRS_MAX)
			return err_set(err, -E2BIG, "more than %d extended attributes", XATTRS_MAX);
		len = fgetxattr(fd, name, p->bytes, XATTR_BYTES);
		if (len < 0)
			return err_sys(err, -errno, "read the extended attribute %s", name);
		value = arena_alloc(arena, 1, (size_t)len + 1);
		if (!value)
			return err_sys(err, -ENOMEM, "pack");
		memcpy(value, p->bytes, (size_t)len);
		*a = (struct tar_xattr){arena_strdup(arena, name), value, (size_t)len};
		if (!a->name)
			return err_sys(err, -ENOMEM, "pack");
		e->xattr_count++;
	}
	e->xattrs = p->xattrs;
	return 0;
}

bool pack_owner(int fd, uid_t *ret_uid, gid_t *ret_gid, mode_t *ret_mode)
{
	char text[64];
	ssize_t n = fgetxattr(fd, "user.containers.override_stat", text, sizeof(text) - 1);
	unsigned int uid, gid, mode;

	if (n < 0)
		return false;
	text[n] = '\0';
	if (sscanf(text, "%u:%u:%o", &uid, &gid, &mode) != 3)
		return false;
	*ret_uid = uid;
	*ret_gid = gid;
	*ret_mode = mode & 07777;
	return true;
}

static void read_owner(struct pack *p, int fd, struct tar_entry *e)
{
	if (p->request->single_uid)
		pack_owner(fd, &e->uid, &e->gid, &e->mode);
}

/* As the kernel's overlay marks it, or as fuse-overlayfs does. */
static bool is_opaque(int fd)
{
	static const char *const names[] = {"user.overlay.opaque", "user.fuseoverlayfs.opaque"};
	char value[2];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (fgetxattr(fd, names[i], value, sizeof(value)) == 1 && *value == 'y')
			return true;
	return false;
}

static int pack_content(struct pack *p, int fd, uint64_t size, struct err *err)
{
	while (size) {
		ssize_t n = sys_read(fd, p->bytes, size < READ_SIZE ? (size_t)size : READ_SIZE);
		int r;

		if (n < 0)
			return err_sys(err, (int)n, "read");
		if (n == 0)
			return err_set(err, -EAGAIN, "became shorter while it was read");
		r = tar_write_data(&p->writer, p->bytes, (size_t)n, err);
		if (r < 0)
			return r;
		size -= (uint64_t)n;
		p->reply->bytes += (uint64_t)n;
	}
	return 0;
}

static int pack_file(struct pack *p, int dirfd, const char *name, struct tar_entry *e,
	const struct stat *st, struct err *err)
{
	autoclose int fd = -1;
	autoarena struct arena arena = {};
	struct stat opened;
	const char *first = st->st_nlink > 1 ? find_seen(p, st, err) : NULL;
	int r;

	if (err->code)
		return err->code;
	if (first) {
		e->type = TAR_HARDLINK;
		e->target = first;
		return tar_write_entry(&p->writer, e, err);
	}
	/* O_NONBLOCK and the second look: what has the name may have changed since. */
	fd = sys_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	r = fd < 0 ? fd : sys_fstat(fd, &opened);
	if (r < 0)
		return err_sys(err, r, "open");
	if (!S_ISREG(opened.st_mode) || opened.st_ino != st->st_ino)
		return err_set(err, -EAGAIN, "changed while it was read");
	e->type = TAR_FILE;
	e->size = (uint64_t)opened.st_size;
	read_owner(p, fd, e);
	r = read_xattrs(p, fd, e, &arena, err);
	if (r == 0)
		r = tar_write_entry(&p->writer, e, err);
	return r < 0 ? r : pack_content(p, fd, e->size, err);
}

static int pack_empty(struct pack *p, const char *prefix, const char *name, struct err *err)
{
	char *base = strrchr(p->path, '/');
	char saved[PATH_MAX];
	struct tar_entry e = {.type = TAR_FILE, .path = p->path, .target = "", .mode = 0600};
	size_t used;
	int r;

	memcpy(saved, p->path, sizeof(saved));
	used = base ? (size_t)(base + 1 - p->path) : 0;
	if (used + strlen(prefix) + strlen(name) >= sizeof(p->path))
		return err_set(err, -ENAMETOOLONG, "its whiteout's name is too long");
	sprintf(p->path + used, "%s%s", prefix, name);
	r = tar_write_entry(&p->writer, &e, err);
	memcpy(p->path, saved, sizeof(saved));
	return r;
}

static int pack_tree(struct pack *p, int fd, uint32_t depth, struct err *err);

/* The directory's own entry, the mark that hides what is below it, and what is in it. */
static int pack_directory(struct pack *p, int dirfd, const char *name, struct tar_entry *e,
	uint32_t depth, struct err *err)
{
	autoclose int fd = sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	autoarena struct arena arena = {};
	size_t n = strlen(p->path);
	int r;

	if (fd < 0)
		return err_sys(err, fd, "open");
	if (n + 16 >= sizeof(p->path))
		return err_set(err, -ENAMETOOLONG, "its path is too long");
	e->type = TAR_DIRECTORY;
	read_owner(p, fd, e);
	r = read_xattrs(p, fd, e, &arena, err);
	memcpy(p->path + n, "/", 2);
	if (r == 0)
		r = tar_write_entry(&p->writer, e, err);
	if (r == 0 && p->request->format == UNPACK_LAYER && is_opaque(fd))
		r = pack_empty(p, ".wh..wh..opq", "", err);
	p->path[n] = '\0';
	return r < 0 ? r : pack_tree(p, fd, depth, err);
}

static int pack_entry(struct pack *p, int dirfd, const char *name, uint32_t depth, struct err *err)
{
	struct tar_entry e = {.path = p->path, .target = ""};
	char target[PATH_MAX + 1];
	struct stat st;
	ssize_t n;
	int r = sys_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);

	if (r == -ENOENT)
		return 0; /* a running container removed it */
	if (r < 0)
		return err_sys(err, r, "stat");
	p->reply->entries++;
	e.mode = st.st_mode & 07777;
	e.uid = st.st_uid;
	e.gid = st.st_gid;
	e.mtime = st.st_mtim;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return pack_file(p, dirfd, name, &e, &st, err);
	case S_IFDIR:
		return pack_directory(p, dirfd, name, &e, depth, err);
	case S_IFLNK:
		n = sys_readlinkat(dirfd, name, target, PATH_MAX);
		if (n < 0)
			return err_sys(err, (int)n, "readlink");
		target[n] = '\0';
		e.type = TAR_SYMLINK;
		e.target = target;
		return tar_write_entry(&p->writer, &e, err);
	case S_IFIFO:
		e.type = TAR_FIFO;
		return tar_write_entry(&p->writer, &e, err);
	case S_IFCHR:
	case S_IFBLK:
		if (p->request->format == UNPACK_LAYER && S_ISCHR(st.st_mode) &&
			st.st_rdev == makedev(0, 0))
			return pack_empty(p, ".wh.", name, err);
		e.type = S_ISCHR(st.st_mode) ? TAR_CHAR : TAR_BLOCK;
		e.major = major(st.st_rdev);
		e.minor = minor(st.st_rdev);
		return tar_write_entry(&p->writer, &e, err);
	default:
		return 0; /* a socket means nothing without its process */
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int pack_list_names(int fd, struct arena *arena, struct strings *ret, struct err *err)
{
	int copy = sys_dup(fd);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	size_t room = 0;
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return err_sys(err, -ENOMEM, "read a directory");
	}
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (ret->count == room) {
			const char **more;

			room = room ? 2 * room : 64;
			more = reallocarray(ret->items, room, sizeof(*more));
			if (more)
				ret->items = more;
			r = more ? 0 : -ENOMEM;
		}
		if (r == 0 && !(ret->items[ret->count++] = arena_strdup(arena, entry->d_name)))
			r = -ENOMEM;
	}
	if (r == 0)
		r = -errno; /* what readdir(3) says only there */
	closedir(dir);
	if (r < 0)
		return err_sys(err, r, "read a directory");
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
	return 0;
}

static int pack_tree(struct pack *p, int fd, uint32_t depth, struct err *err)
{
	autoarena struct arena arena = {};
	struct strings names = {};
	size_t n = strlen(p->path);
	bool layer = p->request->format == UNPACK_LAYER;
	int r = pack_list_names(fd, &arena, &names, err);

	if (r == 0 && depth > p->request->limits.depth)
		r = err_set(err, -ELOOP, "is nested too deep");
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		if (n + strlen(names.items[i]) + 2 > sizeof(p->path)) {
			r = err_set(err, -ENAMETOOLONG, "its path is too long");
			break;
		}
		/* fuse-overlayfs's second mark is the one that the directory has in the tar. */
		if (layer && strcmp(names.items[i], ".wh..wh..opq") == 0 && is_opaque(fd))
			continue;
		sprintf(p->path + n, "%s%s", n ? "/" : "", names.items[i]);
		r = pack_entry(p, fd, names.items[i], depth + 1, err);
		if (r == 0)
			p->path[n] = '\0';
	}
	free(names.items);
	return r;
}

static int pack_one(struct pack *p, int root, struct err *err)
{
	struct stat st;
	int r = sys_fstatat(root, p->request->name, &st, AT_SYMLINK_NOFOLLOW);

	strcpy(p->path, p->request->as);
	return r < 0 ? err_sys(err, r, "stat") : pack_entry(p, root, p->request->name, 0, err);
}

int pack_run(int dirfd, int out, const struct unpack_request *request, struct unpack_reply *ret,
	struct err *err)
{
	autofree struct pack *p = calloc(1, sizeof(*p));
	autoclose int root = -1;
	int r;

	if (!p || !(p->bytes = malloc(READ_SIZE)))
		return err_sys(err, -ENOMEM, "pack");
	p->writer.fd = out;
	p->request = request;
	p->reply = ret;
	/* DIRFD may be O_PATH, which cannot be read. */
	root = sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	r = root < 0         ? err_sys(err, root, "open")
	    : *request->name ? pack_one(p, root, err)
			     : pack_tree(p, root, 0, err);
	if (r == 0)
		r = tar_write_end(&p->writer, err);
	else
		err_add(err, "\"%.300s\"", p->path);
	tar_write_free(&p->writer);
	arena_free(&p->arena);
	free(p->bytes);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest knows of the files, saved and restored: its numbers for files and open files, by
 * the paths beneath the root that these have.
 *
 * A file that has no path any more is left out: the guest gets ESTALE, as when somebody removed it
 * on the host. One that is open would be lost, so then nothing is saved. The file that is restored
 * from may be anybody's: numbers are bounded, paths stay beneath the root and follow no links, and
 * what is opened is no more than the guest could have opened by asking.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/fsd/fsd.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 1, CHUNK = 1 << 16, SAVED_MAX = 1 << 30, ROOT = 0 };

static const char magic[8] = {'b', 'r', 'i', 'g', '-', 'f', 's', '\n'};

struct head {
	char magic[8];
	uint32_t version, inodes, handles, reserved;
};

/* Then .path bytes. */
struct entry {
	uint32_t index;
	uint32_t path;       /* length */
	uint32_t generation; /* of an inode; of a handle: its flags of open(2) */
	uint32_t type;       /* S_IFMT */
	uint64_t lookups;
};

/* --- save --- */

struct output {
	int fd, error;
	size_t len;
	char data[CHUNK];
};

static void flush(struct output *out)
{
	if (!out->error)
		out->error = fd_write_all(out->fd, out->data, out->len);
	out->len = 0;
}

static void add(struct output *out, const void *data, size_t len)
{
	if (len > sizeof(out->data) - out->len)
		flush(out);
	memcpy(out->data + out->len, data, len);
	out->len += len;
}

/* #syscalls:fsd readlinkat newfstatat fcntl */
static ssize_t read_path(const struct fsd *fsd, int fd, char ret[PATH_MAX])
{
	char name[16];
	ssize_t n;

	snprintf(name, sizeof(name), "%d", fd);
	n = sys_readlinkat(fsd->proc, name, ret, PATH_MAX - 1);
	if (n <= 0 || n == PATH_MAX - 1 || ret[0] != '/')
		return -ESTALE;
	n -= n == 1; /* the root of this process */
	ret[n] = 0;
	return n;
}

/* The path of FD beneath the root, "" for the root. False: it has none. */
static bool path_of(const struct fsd *fsd, int fd, char ret[PATH_MAX], struct stat *ret_st)
{
	int root = fsd->inodes[ROOT].fd;
	char above[PATH_MAX];
	struct stat found;
	ssize_t len = read_path(fsd, root, above), n = read_path(fsd, fd, ret);

	if (len < 0 || n < len || memcmp(ret, above, (size_t)len) != 0 ||
		sys_fstatat(fd, "", ret_st, AT_EMPTY_PATH) < 0)
		return false;
	memmove(ret, ret + len, (size_t)(n - len) + 1);
	if (!ret[0])
		return true;
	if (ret[0] != '/')
		return false;
	memmove(ret, ret + 1, strlen(ret));
	/* Something else may have its name by now. */
	return sys_fstatat(root, ret, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
	       found.st_dev == ret_st->st_dev && found.st_ino == ret_st->st_ino;
}

static void put(struct output *out, struct entry *e, const char *path, const struct stat *st)
{
	e->path = (uint32_t)strlen(path);
	e->type = st->st_mode & S_IFMT;
	add(out, e, sizeof(*e));
	add(out, path, e->path);
}

static void save_inodes(struct fsd *fsd, struct output *out, struct head *head)
{
	char path[PATH_MAX];
	struct stat st;

	for (int32_t i = ROOT + 1; i < fsd->inode_count; i++) {
		const struct inode *inode = fsd->inodes + i;
		struct entry e = {.index = (uint32_t)i,
			.generation = inode->generation,
			.lookups = inode->lookups};

		if (inode->fd < 0 || !path_of(fsd, inode->fd, path, &st))
			continue;
		put(out, &e, path, &st);
		head->inodes++;
	}
}

static int save_handles(struct fsd *fsd, struct output *out, struct head *head)
{
	char path[PATH_MAX];
	struct stat st;

	for (int32_t i = 0; i < fsd->handle_count; i++) {
		struct entry e = {.index = (uint32_t)i};
		int fd = fsd->handles[i].fd;

		if (fd < 0)
			continue;
		if (!path_of(fsd, fd, path, &st))
			return -ESTALE;
		e.generation = (uint32_t)(fcntl(fd, F_GETFL) & O_ACCMODE);
		put(out, &e, path, &st);
		head->handles++;
	}
	return 0;
}

/* #syscalls:fsd pwrite64 fsync */
int fsd_save(struct fsd *fsd, int file)
{
	static struct output out;
	struct head head = {.version = VERSION};
	int r;

	memcpy(head.magic, magic, sizeof(magic));
	out = (struct output){.fd = file};
	add(&out, &head, sizeof(head));
	save_inodes(fsd, &out, &head);
	r = save_handles(fsd, &out, &head);
	flush(&out);
	if (r == 0)
		r = out.error;
	if (r == 0 && pwrite(file, &head, sizeof(head), 0) != sizeof(head))
		r = -errno;
	if (r == 0 && fsync(file) < 0)
		r = -errno;
	return r;
}

/* --- restore; before the filter --- */

struct input {
	const char *data;
	size_t len, at;
};

static const void *take(struct input *in, size_t len)
{
	const char *at = in->data + in->at;

	if (len > in->len - in->at)
		return NULL;
	in->at += len;
	return at;
}

/* The next entry, its path opened as O_PATH; the descriptor is the caller's. */
static int take_entry(const struct fsd *fsd, struct input *in, struct entry *ret,
	char path[PATH_MAX], struct stat *ret_st, struct err *err)
{
	const void *head = take(in, sizeof(*ret)), *text;
	autoclose int fd = -1;
	int r;

	if (head)
		memcpy(ret, head, sizeof(*ret));
	text = head && ret->path < PATH_MAX ? take(in, ret->path) : NULL;
	if (!text || memchr(text, 0, ret->path))
		return err_set(err, -EINVAL, "the saved files are not whole");
	snprintf(path, PATH_MAX, "%.*s", (int)ret->path, (const char *)text);
	r = fd = sys_openat2(fsd->inodes[ROOT].fd, ret->path ? path : ".", O_PATH | O_NOFOLLOW, 0,
		RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (r >= 0)
		r = sys_fstatat(fd, "", ret_st, AT_EMPTY_PATH);
	if (r < 0)
		return err_sys(err, r, "/%s, which the saved machine uses", path);
	if ((ret_st->st_mode & S_IFMT) != ret->type)
		return err_set(err, -ESTALE,
			"/%s, which the saved machine uses, is another kind of file", path);
	return take_fd(&fd);
}

static int restore_inodes(struct fsd *fsd, struct input *in, uint32_t count, struct err *err)
{
	char path[PATH_MAX];
	struct entry e;
	struct stat st;

	for (uint32_t i = 0; i < count; i++) {
		int fd = take_entry(fsd, in, &e, path, &st, err);
		int r = fd < 0 ? fd : inode_restore(fsd, e.index, fd, e.generation, e.lookups);

		if (r < 0)
			return err->code ? r : err_sys(err, r, "/%s of the saved machine", path);
	}
	inode_restored(fsd);
	return 0;
}

static int restore_handle(struct fsd *fsd, const struct entry *e, int fd, const struct stat *st)
{
	const struct inode as = {.fd = fd, .type = st->st_mode & S_IFMT};
	int flags = (int)e->generation & O_ACCMODE;
	int opened = inode_reopen(fsd, &as, S_ISDIR(st->st_mode) ? O_RDONLY | O_DIRECTORY : flags);

	return opened < 0 ? opened : handle_restore(fsd, e->index, opened);
}

static int restore_handles(struct fsd *fsd, struct input *in, uint32_t count, struct err *err)
{
	char path[PATH_MAX];
	struct entry e;
	struct stat st;

	for (uint32_t i = 0; i < count; i++) {
		autoclose int fd = take_entry(fsd, in, &e, path, &st, err);
		int r = fd < 0 ? fd : restore_handle(fsd, &e, fd, &st);

		if (r < 0)
			return err->code ? r
					 : err_sys(err, r, "/%s, open in the saved machine", path);
	}
	handle_restored(fsd);
	return 0;
}

int fsd_restore(struct fsd *fsd, int file, struct err *err)
{
	autobuf struct buf text = {};
	struct input in;
	struct head head;
	const void *at;
	int r = fd_read_all(file, SAVED_MAX, &text);

	if (r < 0)
		return err_sys(err, r, "the saved files");
	in = (struct input){.data = text.data, .len = text.len};
	at = take(&in, sizeof(head));
	if (at)
		memcpy(&head, at, sizeof(head));
	if (!at || memcmp(head.magic, magic, sizeof(magic)) != 0 || head.version != VERSION)
		return err_set(err, -EINVAL, "no saved files of this version of brig");
	r = restore_inodes(fsd, &in, head.inodes, err);
	if (r == 0)
		r = restore_handles(fsd, &in, head.handles, err);
	if (r == 0 && in.at != in.len)
		r = err_set(err, -EINVAL, "the saved files have more than they say");
	return r;
}

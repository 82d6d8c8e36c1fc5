/* SPDX-License-Identifier: Apache-2.0 */
#include "images/store_private.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "spec/image.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

static const char format_text[] = "brig-store 1\n";

static const char *const folders[] = {
	"blobs", "blobs/sha256", "blobs/sha512", "parts", "layers", "staging", "names",
	"containers", "trash", "deferred",
	"lists", /* came later than the others: by it a store is known to have all */
};

static int make_folders(struct store *s, const char *root, struct err *err)
{
	/* The last one is there: so are the others. */
	if (sys_faccessat(s->root, folders[ARRAY_LEN(folders) - 1], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		int r = sys_mkdirat(s->root, folders[i], 0700);

		if (r < 0 && r != -EEXIST)
			return err_sys(err, r, "store %s: make %s", root, folders[i]);
	}
	return 0;
}

static int check_format(struct store *s, const char *root, struct err *err)
{
	autobuf struct buf text = {};
	int r = fd_read_file(s->root, "format", 64, &text);

	/* An empty one is what a power cut leaves of a new store. */
	if (r == -ENOENT || (r == 0 && !text.len))
		r = fd_replace_file(s->root, "format", format_text, sizeof(format_text) - 1, 0600);
	else if (r == 0 && strcmp(buf_str(&text), format_text) != 0)
		return err_set(err, -EPROTO,
			"store %s: has another format than this brig knows (%.20s)", root,
			buf_str(&text));
	return r < 0 ? err_sys(err, r, "store %s: format", root) : 0;
}

/* Notes the boot id; a different one from last time means that no mount or process survived. */
static void note_boot(struct store *s)
{
	autoclose int proc = sys_openat(AT_FDCWD, "/proc/sys/kernel/random", O_PATH, 0);
	char before[80] = "";

	if (proc < 0 || fd_read_line(proc, "boot_id", s->boot, sizeof(s->boot)) <= 0)
		return;
	fd_read_line(s->root, "boot", before, sizeof(before));
	if (strcmp(s->boot, before) == 0)
		return;
	s->rebooted = *before != '\0';
	/* What cannot be seen to now is left to the next command. */
	if (s->rebooted && store_recover(s) < 0)
		return;
	fd_replace_file(s->root, "boot", s->boot, strlen(s->boot), 0600);
}

/* The helper is beside this program unless the caller knows better. */
static int open_helper(struct store *s, const char *path, struct err *err)
{
	char self[PATH_MAX];
	ssize_t n;
	char *slash;

	if (!path) {
		n = sys_readlinkat(AT_FDCWD, "/proc/self/exe", self, sizeof(self) - 16);
		if (n < 0)
			return err_sys(err, (int)n, "/proc/self/exe");
		self[n] = '\0';
		slash = strrchr(self, '/');
		strcpy(slash ? slash + 1 : self, "brig-unpack");
		path = self;
	}
	s->helper = sys_openat(AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0);
	return s->helper < 0 ? err_sys(err, s->helper, "open the helper %s", path) : 0;
}

static int copy_ranges(struct store *s, const struct store_ids *ids)
{
	struct store_id_range *all;

	s->ids.single = ids->single;
	all = calloc(ids->uid_count + ids->gid_count + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	if (ids->uid_count)
		memcpy(all, ids->uids, ids->uid_count * sizeof(*all));
	if (ids->gid_count)
		memcpy(all + ids->uid_count, ids->gids, ids->gid_count * sizeof(*all));
	s->ranges = all;
	s->ids.uids = all;
	s->ids.uid_count = ids->uid_count;
	s->ids.gids = all + ids->uid_count;
	s->ids.gid_count = ids->gid_count;
	return 0;
}

static int open_root(struct store *s, const char *root, struct err *err)
{
	autoclose int top = sys_openat(AT_FDCWD, *root == '/' ? "/" : ".", O_PATH | O_DIRECTORY, 0);
	autoclose int dir = -1;

	if (top < 0)
		return err_sys(err, top, "/");
	dir = path_mkdir(top, root, 0700, (uid_t)-1, (gid_t)-1);
	if (dir < 0)
		return err_sys(err, dir, "store %s", root);
	s->root = sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	return s->root < 0 ? err_sys(err, s->root, "store %s", root) : 0;
}

int store_open(const struct store_options *o, struct store **ret, struct err *err)
{
	autostore struct store *s = calloc(1, sizeof(*s));
	autoclose int lock = -1;
	int r;

	if (!s)
		return err_sys(err, -ENOMEM, "store");
	s->root = s->helper = s->userns = s->starter = s->note = -1;
	r = copy_ranges(s, &o->ids);
	if (r < 0)
		return err_sys(err, r, "store");
	r = open_root(s, o->root, err);
	if (r == 0)
		r = lock = store_lock_small(s, err);
	if (r >= 0)
		r = check_format(s, o->root, err);
	if (r == 0)
		r = make_folders(s, o->root, err);
	if (r == 0)
		r = open_helper(s, o->helper, err);
	if (r < 0)
		return r;
	note_boot(s);
	*ret = take_ptr(s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	cleanup_close(&s->root);
	cleanup_close(&s->helper);
	cleanup_close(&s->userns);
	cleanup_close(&s->note);
	buf_free(&s->noted);
	free(s->ranges);
	free(s);
}

int store_reopen(struct store *s, struct err *err)
{
	char link[64], path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", s->root);
	n = sys_readlinkat(AT_FDCWD, link, path, sizeof(path) - 1);
	if (n < 0)
		return err_sys(err, (int)n, "store");
	path[n] = '\0';
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return err_sys(err, fd, "store %s", path);
	close(s->root);
	s->root = fd;
	return 0;
}

void store_entered(struct store *s)
{
	cleanup_close(&s->userns);
	s->inside = true;
}

int store_root(const struct store *s)
{
	return s->root;
}

int store_helper(const struct store *s)
{
	return s->helper;
}

const struct store_ids *store_ids(const struct store *s)
{
	return &s->ids;
}

bool store_saw_reboot(const struct store *s)
{
	return s->rebooted;
}

int store_lock(struct store *s, int operation, struct err *err)
{
	autoclose int fd = sys_openat(s->root, "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return err_sys(err, fd, "store: lock");
	r = sys_flock(fd, operation);
	if (r == -EWOULDBLOCK)
		return err_set(err, -EBUSY, "store: in use by another command; try again later");
	return r < 0 ? err_sys(err, r, "store: lock") : take_fd(&fd);
}

int store_lock_small(struct store *s, struct err *err)
{
	autoclose int fd = sys_openat(s->root, "small.lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	int r = fd < 0 ? fd : sys_flock(fd, LOCK_EX);

	return r < 0 ? err_sys(err, r, "store: lock") : take_fd(&fd);
}

int store_hold(struct store *s, struct err *err)
{
	return store_lock(s, LOCK_SH, err);
}

/* ---- blobs ---- */

void store_blob_path(const char *digest, char ret[200])
{
	snprintf(ret, 200, "blobs/%.6s/%s", digest, digest_hex(digest));
}

int store_blob_open(struct store *s, const char *digest, uint64_t *ret_size)
{
	autoclose int fd = -1;
	char path[200];
	struct stat st;
	int r;

	if (!spec_digest_is_valid(digest))
		return -EINVAL;
	store_blob_path(digest, path);
	fd = sys_openat(s->root, path, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	if (ret_size)
		*ret_size = (uint64_t)st.st_size;
	return take_fd(&fd);
}

bool store_blob_exists(struct store *s, const char *digest)
{
	autoclose int fd = store_blob_open(s, digest, NULL);

	return fd >= 0;
}

int store_blob_read(
	struct store *s, const char *digest, size_t max, struct buf *ret, struct err *err)
{
	autoclose int fd = store_blob_open(s, digest, NULL);
	size_t start = ret->len;
	struct digest have;
	int r = fd;

	if (r >= 0)
		r = fd_read_all(fd, max, ret);
	if (r == 0)
		r = digest_of(buf_str(ret) + start, ret->len - start, digest, &have);
	if (r < 0)
		return err_sys(err, r, "store: blob %s", digest);
	if (strcmp(have.text, digest) != 0)
		return err_set(err, -EBADMSG,
			"store: blob %s is damaged (its content is %s); remove the image and pull "
			"it again",
			digest, have.text);
	return 0;
}

int store_sync_folder(struct store *s, const char *name)
{
	autoclose int dir = -1;

	if (s->note >= 0)
		return 0;
	dir = sys_openat(s->root, name, O_RDONLY | O_DIRECTORY, 0);
	return dir < 0 ? dir : sys_fsync(dir);
}

int store_sync_file(struct store *s, int fd)
{
	return s->note >= 0 ? 0 : sys_fsync(fd);
}

int store_blob_adopt(
	struct store *s, int dirfd, const char *name, const char *digest, struct err *err)
{
	char path[200];
	int r;

	if (!spec_digest_is_valid(digest))
		return err_set(err, -EINVAL, "store: \"%.80s\" is not a digest", digest);
	store_blob_path(digest, path);
	r = store_note_blob(s, digest);
	if (r == 0)
		r = sys_renameat2(dirfd, name, s->root, path, 0);
	path[strlen("blobs/sha256")] = '\0';
	if (r == 0)
		r = store_sync_folder(s, path);
	return r < 0 ? err_sys(err, r, "store: blob %s", digest) : 0;
}

int store_blob_put(
	struct store *s, const char *digest, const void *data, size_t len, struct err *err)
{
	autoclose int fd = -1;
	struct digest have;
	char temp[64];
	int r;

	if (!spec_digest_is_valid(digest))
		return err_set(err, -EINVAL, "store: \"%.80s\" is not a digest", digest);
	r = digest_of(data, len, digest, &have);
	if (r < 0)
		return err_sys(err, r, "store: blob %s", digest);
	if (strcmp(have.text, digest) != 0)
		return err_set(err, -EBADMSG, "the content is %s, not %s", have.text, digest);
	if (store_blob_exists(s, digest))
		return 0;
	/* Threads of one process may write the same blob: the name has the thread in it. */
	snprintf(temp, sizeof(temp), "parts/.new-%d-%d", getpid(), gettid());
	fd = sys_openat(s->root, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, fd, "store: blob %s", digest);
	r = fd_write_all(fd, data, len);
	if (r == 0)
		r = store_sync_file(s, fd);
	if (r < 0)
		err_sys(err, r, "store: write blob %s", digest);
	else
		r = store_blob_adopt(s, s->root, temp, digest, err);
	if (r < 0)
		sys_unlinkat(s->root, temp, 0);
	return r;
}

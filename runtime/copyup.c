/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: init. Fills a new tmpfs with what the image has at the place that it covers
 * (the mount option tmpcopyup), or a new volume, which other containers may have at the same time
 * (then the process is the one that starts it). Every step is by descriptor and follows no link.
 */
#include "base/path.h"
#include "base/sys.h"
#include "runtime/mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <unistd.h>

static int copy_directory(int from, int to, struct err *err);

static int copy_data(int from, int to)
{
	for (;;) {
		ssize_t n = sendfile(to, from, NULL, 1 << 20);

		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
	}
}

/* Owner before mode: chown(2) clears set-id bits. FD may be O_PATH when there is no mode to set. */
static int copy_metadata(int fd, const struct stat *st, bool has_mode)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	int r = sys_fchownat(fd, "", st->st_uid, st->st_gid, AT_EMPTY_PATH);

	if (r == 0 && has_mode)
		r = sys_fchmod(fd, st->st_mode & 07777);
	if (r == 0 && utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
		r = -errno;
	return r;
}

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	autoclose int in = sys_openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	autoclose int out = -1;
	int r;

	if (in < 0)
		return in;
	r = out = sys_openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (r >= 0)
		r = copy_data(in, out);
	return r < 0 ? r : copy_metadata(out, st, true);
}

static int copy_link(int from, int to, const char *name, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = sys_readlinkat(from, name, target, sizeof(target) - 1);
	autoclose int made = -1;
	int r;

	if (n < 0)
		return (int)n;
	target[n] = '\0';
	r = sys_symlinkat(target, to, name);
	if (r == 0)
		r = made = path_open_made(to, name, S_IFLNK);
	return r < 0 ? r : copy_metadata(made, st, false);
}

/* Its mode comes with it: the file that is there afterwards cannot be opened for that. */
static int copy_node(int to, const char *name, const struct stat *st)
{
	mode_t mask = umask(0);
	int r = sys_mknodat(to, name, st->st_mode & (S_IFMT | 0777), st->st_rdev);
	autoclose int made = r < 0 ? r : path_open_made(to, name, st->st_mode & S_IFMT);

	umask(mask);
	return made < 0 ? made : copy_metadata(made, st, false);
}

static int copy_subdirectory(
	int from, int to, const char *name, const struct stat *st, struct err *err)
{
	autoclose int in = -1, out = -1;
	int r = sys_mkdirat(to, name, 0700);

	if (r == 0)
		r = in = sys_openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (r >= 0)
		r = out = path_open_made(to, name, S_IFDIR);
	if (r >= 0) {
		r = copy_directory(in, out, err);
		if (r < 0)
			return r;
		r = copy_metadata(out, st, true);
	}
	return r;
}

static int copy_entry(int from, int to, const char *name, struct err *err)
{
	struct stat st;
	int r = sys_fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW);

	if (r == 0 && S_ISDIR(st.st_mode))
		r = copy_subdirectory(from, to, name, &st, err);
	else if (r == 0 && S_ISREG(st.st_mode))
		r = copy_file(from, to, name, &st);
	else if (r == 0 && S_ISLNK(st.st_mode))
		r = copy_link(from, to, name, &st);
	else if (r == 0)
		r = copy_node(to, name, &st);
	return r < 0 && !err->code ? err_sys(err, r, "tmpcopyup: %s", name) : r;
}

static int copy_directory(int from, int to, struct err *err)
{
	int copy = sys_dup(from), r = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir) {
		r = copy < 0 ? copy : -ENOMEM;
		cleanup_close(&copy);
		return err_sys(err, r, "tmpcopyup");
	}
	/* readdir(3) tells an error from the end by errno alone. */
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		if (path_is_component(entry->d_name))
			r = copy_entry(from, to, entry->d_name, err);
	if (r == 0 && errno)
		r = err_sys(err, -errno, "tmpcopyup");
	closedir(dir);
	return r;
}

int copyup(int from, int to, struct err *err)
{
	struct stat st;
	int r = copy_directory(from, to, err);

	if (r < 0)
		return r;
	r = sys_fstat(from, &st);
	if (r == 0)
		r = sys_fchownat(to, "", st.st_uid, st.st_gid, AT_EMPTY_PATH);
	return r < 0 ? err_sys(err, r, "tmpcopyup: set the owner") : 0;
}

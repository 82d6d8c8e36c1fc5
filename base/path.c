/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <unistd.h>

static int open_in_root(int rootfd, const char *path, uint64_t flags)
{
	return sys_openat2(rootfd, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int path_open(int rootfd, const char *path, int flags)
{
	return open_in_root(rootfd, *path ? path : ".", (uint64_t)flags);
}

int path_open_nofollow(int rootfd, const char *path, int flags)
{
	autoclose int fd = open_in_root(rootfd, *path ? path : ".", (uint64_t)flags | O_NOFOLLOW);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if ((flags & O_PATH) && !(flags & O_DIRECTORY)) { /* this opens the link itself */
		r = sys_fstat(fd, &st);
		if (r < 0)
			return r;
		if (S_ISLNK(st.st_mode))
			return -ELOOP;
	}
	return take_fd(&fd);
}

/*
 * The next component of *PATH as a string in NAME; *PATH moves behind it. 0 at the end.
 */
static int next_component(const char **path, char name[NAME_MAX + 1])
{
	size_t n;

	*path += strspn(*path, "/");
	n = strcspn(*path, "/");
	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, *path, n);
	name[n] = '\0';
	*path += n;
	return n > 0;
}

/* Against the umask; an O_PATH descriptor cannot do this. */
static int set_mode(int parent, const char *name, mode_t mode)
{
	autoclose int fd = sys_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	return fd < 0 ? fd : sys_fchmod(fd, mode);
}

/*
 * Walks the existing prefix of PATH in the kernel as often as a component had to be made. The
 * prefix is always walked from the root: ".." and links are then the kernel's business alone.
 */
int path_mkdir(int rootfd, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	char prefix[PATH_MAX], name[NAME_MAX + 1];
	const char *rest = path;
	size_t used = 0;
	int fd = path_open(rootfd, path, O_PATH | O_DIRECTORY);
	int r;

	if (fd != -ENOENT)
		return fd;
	if (strlen(path) >= sizeof(prefix) - 2)
		return -ENAMETOOLONG;
	fd = path_open(rootfd, ".", O_PATH | O_DIRECTORY);
	while (fd >= 0 && (r = next_component(&rest, name)) != 0) {
		autoclose int parent = fd;
		bool made = false;

		if (r < 0)
			return r;
		prefix[used++] = '/';
		memcpy(prefix + used, name, strlen(name) + 1);
		used += strlen(name);
		fd = path_open(rootfd, prefix, O_PATH | O_DIRECTORY);
		if (fd == -ENOENT && path_is_component(name)) {
			r = sys_mkdirat(parent, name, mode);
			if (r < 0 && r != -EEXIST)
				return r;
			made = r == 0;
			/* No link can stand for what we just made; a swapped-in one is an error. A
			 * dangling link that stood there before is one too. */
			fd = sys_openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
			if (fd == -ELOOP || fd == -ENOTDIR)
				return r == -EEXIST ? -ENOENT : fd;
		}
		if (fd >= 0 && made && !rest[strspn(rest, "/")]) {
			r = set_mode(parent, name, mode);
			if (r < 0) {
				close(fd);
				return r;
			}
		}
		if (fd >= 0 && made && (uid != (uid_t)-1 || gid != (gid_t)-1)) {
			r = sys_fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
			if (r < 0) {
				close(fd);
				return r;
			}
		}
	}
	return fd;
}

int path_open_parent(int rootfd, const char *path, bool make, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char parent[PATH_MAX];
	size_t n = slash ? (size_t)(slash - path) : 0;
	int fd;

	if (!path_is_component(name))
		return -EINVAL;
	if (n >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, n);
	parent[n] = '\0';
	fd = make ? path_mkdir(rootfd, n ? parent : ".", 0755, (uid_t)-1, (gid_t)-1)
		  : path_open(rootfd, n ? parent : ".", O_PATH | O_DIRECTORY);
	if (fd >= 0)
		*ret_name = name;
	return fd;
}

int path_mkfile(int rootfd, const char *path, mode_t mode)
{
	autoclose int parent = -1;
	const char *name;
	int fd = path_open(rootfd, path, O_PATH);
	int made;

	if (fd != -ENOENT)
		return fd;
	parent = path_open_parent(rootfd, path, true, &name);
	if (parent < 0)
		return parent;
	made = sys_openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_NOCTTY, mode);
	if (made == -EEXIST) /* made meanwhile, or a dangling link: then this is −ENOENT */
		return path_open(rootfd, path, O_PATH);
	if (made < 0)
		return made;
	close(made);
	return path_open_nofollow(parent, name, O_PATH); /* a swapped-in link is an error */
}

int path_open_made(int dirfd, const char *name, mode_t type)
{
	bool folder = S_ISDIR(type);
	autoclose int fd =
		sys_openat(dirfd, name, O_NOFOLLOW | (folder ? O_RDONLY | O_DIRECTORY : O_PATH), 0);
	struct stat st;
	int r = fd < 0 ? fd : sys_fstat(fd, &st);

	if (r < 0)
		return r == -ENOTDIR || r == -ELOOP || r == -ENOENT ? -ESTALE : r;
	if ((st.st_mode & S_IFMT) != (type & S_IFMT) || st.st_uid != geteuid() ||
		(!folder && st.st_nlink != 1))
		return -ESTALE;
	return take_fd(&fd);
}

bool path_is_component(const char *name)
{
	return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/');
}

int path_each(int dirfd, int (*each)(void *context, int dirfd, const char *name), void *context)
{
	int copy = sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0), r = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir) {
		r = copy < 0 ? copy : -ENOMEM;
		cleanup_close(&copy);
		return r;
	}
	/* readdir(3) tells an error from the end by errno alone. */
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		if (path_is_component(entry->d_name))
			r = each(context, dirfd, entry->d_name);
	if (r == 0 && errno)
		r = -errno;
	closedir(dir);
	return r;
}

/* CONTEXT: the device that all has to be on. */
static int remove_entry(void *context, int dirfd, const char *name)
{
	const dev_t *dev = context;
	autoclose int fd = -1;
	struct stat st;
	int r = sys_unlinkat(dirfd, name, 0);

	if (r == 0 || r == -ENOENT)
		return 0;
	if (r != -EISDIR && r != -EPERM && r != -EBUSY)
		return r;
	fd = sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd == -ENOTDIR ? r : fd;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	if (st.st_dev != *dev) /* a mount point: not ours to empty */
		return -EBUSY;
	r = path_each(fd, remove_entry, context);
	if (r < 0)
		return r;
	r = sys_unlinkat(dirfd, name, AT_REMOVEDIR);
	return r == -ENOENT ? 0 : r;
}

int path_remove_tree(int dirfd, const char *name)
{
	autoclose int fd = -1;
	struct stat st;
	int r;

	fd = sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	r = path_each(fd, remove_entry, &st.st_dev);
	if (r < 0)
		return r;
	r = sys_unlinkat(dirfd, name, AT_REMOVEDIR);
	return r == -ENOENT ? 0 : r;
}

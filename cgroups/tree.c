/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/tree.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#define TREE_RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)

static const char *relative(const char *path)
{
	path += strspn(path, "/");
	return *path ? path : ".";
}

int tree_open(int rootfd, const char *path)
{
	return sys_openat2(rootfd, relative(path), O_RDONLY | O_DIRECTORY, 0, TREE_RESOLVE);
}

int tree_controllers(int dirfd, const char *name, unsigned int *ret)
{
	char text[512];
	ssize_t n = fd_read_line(dirfd, name, text, sizeof(text));

	if (n < 0)
		return (int)n;
	*ret = cgroup_controllers_parse(text);
	return 0;
}

/* "memory, io" for a mask; the caller's buffer is large enough for all of them. */
static void list_controllers(unsigned int mask, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int bit = 1; bit <= mask; bit <<= 1)
		if (mask & bit)
			used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
				cgroup_controller_name(bit));
}

int tree_missing(unsigned int missing, unsigned int v1, const char *path, struct err *err)
{
	char names[128];
	bool old = (missing & v1) != 0;

	list_controllers(old ? missing & v1 : missing, names, sizeof(names));
	if (old)
		return err_set(err, -EOPNOTSUPP,
			"the resources need the cgroup controller %s, which this host keeps on "
			"cgroup v1",
			names);
	return err_set(err, -EOPNOTSUPP,
		"the resources need the cgroup controller %s, which is not available in cgroup %s",
		names, path);
}

static int write_subtree(int dirfd, unsigned int mask)
{
	char text[128];
	size_t used = 0;

	for (unsigned int bit = 1; bit <= mask; bit <<= 1)
		if (mask & bit)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s+%s",
				used ? " " : "", cgroup_controller_name(bit));
	return fd_write_file(dirfd, "cgroup.subtree_control", text);
}

int tree_enable(
	int dirfd, const char *path, unsigned int needed, unsigned int wanted, struct err *err)
{
	unsigned int there = 0, on = 0, lacking;
	int r = tree_controllers(dirfd, "cgroup.subtree_control", &on);

	if (r >= 0 && !((needed | wanted) & ~on))
		return 0;
	if (r >= 0)
		r = tree_controllers(dirfd, "cgroup.controllers", &there);
	if (r < 0)
		return err_sys(err, r, "read the controllers of cgroup %s", path);
	if (needed & ~there)
		return tree_missing(needed & ~there, host_v1(), path, err);
	lacking = (needed | wanted) & there & ~on;
	if (!lacking)
		return 0;
	r = write_subtree(dirfd, lacking);
	/* One that cannot be switched on must not take the others with it. */
	for (unsigned int bit = 1; r < 0 && bit <= lacking; bit <<= 1) {
		int one = lacking & bit ? write_subtree(dirfd, bit) : 0;

		if (one == -EBUSY && needed & bit)
			return err_set(err, one,
				"cgroup %s has processes of its own, so the controller %s cannot "
				"be switched on beneath it",
				path, cgroup_controller_name(bit));
		if (one < 0 && needed & bit)
			return err_sys(err, one, "switch the controller %s on in cgroup %s",
				cgroup_controller_name(bit), path);
	}
	return 0;
}

/* Opens NAME in PARENT, making it. RET_MADE: it was not there. */
static int open_child(int parent, const char *name, bool *ret_made)
{
	int r = sys_mkdirat(parent, name, 0755);

	if (r < 0 && r != -EEXIST) {
		/* What exists can be used by somebody who may not make it. */
		int fd = sys_openat2(parent, name, O_RDONLY | O_DIRECTORY, 0, TREE_RESOLVE);

		return fd >= 0 ? fd : r;
	}
	*ret_made = r >= 0;
	return sys_openat2(parent, name, O_RDONLY | O_DIRECTORY, 0, TREE_RESOLVE);
}

static int make_once(int rootfd, const char *path, unsigned int needed, unsigned int wanted,
	int *ret_made, struct err *err)
{
	const char *rest = path;
	autoclose int fd = tree_open(rootfd, ".");

	*ret_made = 0;
	if (fd < 0)
		return err_sys(err, fd, "open the cgroup tree");
	for (;;) {
		char name[NAME_MAX + 1], above[PATH_MAX];
		bool made = false;
		size_t n;
		int child, r;

		rest += strspn(rest, "/");
		n = strcspn(rest, "/");
		if (!n)
			return take_fd(&fd);
		if (n > NAME_MAX)
			return err_sys(err, -ENAMETOOLONG, "cgroup %s", path);
		memcpy(name, rest, n);
		name[n] = '\0';
		snprintf(above, sizeof(above), "%.*s", (int)(rest - path), path);
		r = tree_enable(fd, *above ? above : "/", needed, wanted, err);
		if (r < 0)
			return r;
		child = open_child(fd, name, &made);
		*ret_made = made ? *ret_made + 1 : 0;
		if (child < 0)
			return err_sys(
				err, child, "make cgroup %.*s", (int)(rest + n - path), path);
		close(fd);
		fd = child;
		rest += n;
	}
}

enum { MAKE_TRIES = 16 };

/*
 * The usual case: all but the last component is there, and so are the controllers, as far as the
 * top offers them. An error when it is any other case, and nothing was done then.
 */
static int make_last(
	int rootfd, const char *path, unsigned int needed, unsigned int wanted, int *ret_made)
{
	const char *name = strrchr(path, '/');
	autoclose int above = -1;
	char parent[PATH_MAX];
	unsigned int on, offered;
	bool made = false;
	int fd = rootfd, r;

	name = name ? name + 1 : path;
	if (!*name || name - path >= (ptrdiff_t)sizeof(parent))
		return -ENOENT;
	memcpy(parent, path, (size_t)(name - path));
	parent[name - path] = '\0';
	if (parent[strspn(parent, "/")])
		fd = above = tree_open(rootfd, parent);
	r = fd < 0 ? fd : tree_controllers(fd, "cgroup.subtree_control", &on);
	if (r >= 0 && needed & ~on)
		r = -ENOENT;
	if (r >= 0 && wanted & ~on) {
		r = tree_controllers(rootfd, "cgroup.controllers", &offered);
		if (r >= 0 && wanted & offered & ~on)
			r = -ENOENT;
	}
	if (r < 0)
		return r;
	r = open_child(fd, name, &made);
	if (r < 0 && made)
		sys_unlinkat(fd, name, AT_REMOVEDIR);
	*ret_made = r >= 0 && made;
	return r;
}

int tree_make(int rootfd, const char *path, unsigned int needed, unsigned int wanted, int *ret_made,
	struct err *err)
{
	int fd = make_last(rootfd, path, needed, wanted, ret_made);

	if (fd >= 0)
		return fd;
	fd = -ENOENT;
	/* Somebody who failed beside us may remove a directory that we are about to use. */
	for (int tries = 0; tries < MAKE_TRIES && (fd == -ENOENT || fd == -ENODEV); tries++) {
		err_clear(err);
		fd = make_once(rootfd, path, needed, wanted, ret_made, err);
	}
	return fd;
}

void tree_unmake(int rootfd, const char *path, int made)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part) || made <= 0 || tree_remove(rootfd, path) < 0)
		return;
	memcpy(part, path, len + 1);
	/* The directories above may be somebody else's by now, with empty ones of theirs beneath.
	 */
	while (--made > 0) {
		char *slash = strrchr(part, '/');

		if (!slash || slash == part)
			return;
		*slash = '\0';
		if (sys_unlinkat(rootfd, relative(part), AT_REMOVEDIR) < 0)
			return;
	}
}

enum { TREE_DEPTH_MAX = 64 };

static int visit_level(int dirfd, int depth, int (*visit)(int dirfd, void *arg), void *arg)
{
	int copy = sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0), r = 0;
	struct dirent *entry;
	DIR *dir;

	if (copy < 0)
		return copy == -ENOENT || copy == -ENODEV ? 0 : copy;
	dir = fdopendir(copy);
	if (!dir) {
		r = -errno;
		close(copy);
		return r;
	}
	/* readdir(3) tells an error from the end by errno alone. */
	while (r >= 0 && depth < TREE_DEPTH_MAX && (errno = 0, entry = readdir(dir))) {
		autoclose int child = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = sys_openat2(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY, 0, TREE_RESOLVE);
		if (child >= 0)
			r = visit_level(child, depth + 1, visit, arg);
		else if (child != -ENOENT && child != -ENODEV)
			r = child;
	}
	if (r >= 0 && depth < TREE_DEPTH_MAX && errno && errno != ENOENT && errno != ENODEV)
		r = -errno;
	closedir(dir);
	return r < 0 ? r : visit(dirfd, arg);
}

int tree_visit(int dirfd, int (*visit)(int dirfd, void *arg), void *arg)
{
	return visit_level(dirfd, 0, visit, arg);
}

/* Removes the children of one directory; the deepest are gone by the time of the upper ones. */
static int remove_children(int dirfd, void *arg)
{
	int copy = sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0), r = 0;
	struct dirent *entry;
	DIR *dir;

	(void)arg;
	if (copy < 0)
		return copy == -ENOENT || copy == -ENODEV ? 0 : copy;
	dir = fdopendir(copy);
	if (!dir) {
		r = -errno;
		close(copy);
		return r;
	}
	while (r >= 0 && (errno = 0, entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		r = sys_unlinkat(dirfd, entry->d_name, AT_REMOVEDIR);
		if (r == -ENOENT)
			r = 0;
	}
	if (r >= 0 && errno && errno != ENOENT && errno != ENODEV)
		r = -errno;
	closedir(dir);
	return r;
}

int tree_remove(int rootfd, const char *path)
{
	autoclose int dirfd = tree_open(rootfd, path), parent = -1;
	char above[PATH_MAX];
	char *slash;
	int r;

	if (dirfd < 0)
		return dirfd == -ENOENT || dirfd == -ENODEV ? 0 : dirfd;
	if (snprintf(above, sizeof(above), "/%s", relative(path)) >= (int)sizeof(above))
		return -ENAMETOOLONG;
	r = tree_visit(dirfd, remove_children, NULL);
	if (r < 0)
		return r;
	slash = strrchr(above, '/');
	*slash = '\0';
	parent = tree_open(rootfd, above);
	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	r = sys_unlinkat(parent, slash + 1, AT_REMOVEDIR);
	return r == -ENOENT ? 0 : r;
}

static int event_value(int fd, const char *key, bool *ret)
{
	char text[256], word[32];
	ssize_t n = sys_pread(fd, text, sizeof(text) - 1, 0);
	const char *at;

	if (n < 0)
		return (int)n;
	text[n] = '\0';
	snprintf(word, sizeof(word), "%s ", key);
	for (at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, word, strlen(word)) == 0) {
			*ret = at[strlen(word)] == '1';
			return 0;
		}
		if (!*at)
			break;
	}
	return -ENODATA;
}

int tree_event(int dirfd, const char *key, bool *ret)
{
	autoclose int fd = sys_openat(dirfd, "cgroup.events", O_RDONLY, 0);

	return fd < 0 ? fd : event_value(fd, key, ret);
}

const char *const tree_mounts[TREE_MOUNTS] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

/* What is opened tells by its file system that it is of a v2 tree. */
static int open_events(const char *mount, const char *path)
{
	char file[PATH_MAX];
	int n = snprintf(file, sizeof(file), "%s/%s/cgroup.events", mount, relative(path));
	autoclose int fd = n >= (int)sizeof(file)
				   ? -ENAMETOOLONG
				   : sys_openat2(AT_FDCWD, file, O_RDONLY, 0,
					     RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	struct statfs fs;
	int r = fd < 0 ? fd : sys_fstatfs(fd, &fs);

	if (r < 0)
		return r;
	return fs.f_type == CGROUP2_SUPER_MAGIC ? take_fd(&fd) : -ENOENT;
}

int tree_event_of(const char *path, const char *key, bool *ret)
{
	autoclose int fd = -ENOENT;

	for (size_t i = 0; i < TREE_MOUNTS && (fd == -ENOENT || fd == -ENOTDIR); i++)
		fd = open_events(tree_mounts[i], path);
	return fd < 0 ? fd : event_value(fd, key, ret);
}

int tree_event_at(int rootfd, const char *path, const char *key, bool *ret)
{
	char file[PATH_MAX];
	int n = snprintf(file, sizeof(file), "%s/cgroup.events", relative(path));
	/* All in one mount: what is opened is of the tree that ROOTFD is of. */
	autoclose int fd = n >= (int)sizeof(file)
				   ? -ENAMETOOLONG
				   : sys_openat2(rootfd, file, O_RDONLY, 0, TREE_RESOLVE);

	return fd < 0 ? fd : event_value(fd, key, ret);
}

int tree_event_wait(int dirfd, const char *key, bool value, int timeout_ms)
{
	autoclose int fd = sys_openat(dirfd, "cgroup.events", O_RDONLY, 0);
	int64_t deadline = clock_monotonic_ms() + timeout_ms;

	if (fd < 0)
		return fd;
	for (;;) {
		struct pollfd poll = {.fd = fd, .events = POLLPRI};
		bool now = !value;
		int64_t left;
		int r = event_value(fd, key, &now);

		if (r < 0 || now == value)
			return r;
		left = deadline - clock_monotonic_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		r = sys_poll(&poll, 1, (int)left);
		if (r < 0 && r != -EINTR)
			return r;
	}
}

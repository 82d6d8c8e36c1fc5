/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: parent for *_sources(), init for the rest, which leaves its descriptors to exec
 * (autolate).
 */
#include "runtime/mounts.h"

#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

int mounts_clone(int dirfd, const char *path, bool recursive, bool nofollow)
{
	return sys_open_tree(dirfd, path,
		OPEN_TREE_CLONE | (*path ? 0 : AT_EMPTY_PATH) | (recursive ? AT_RECURSIVE : 0) |
			(nofollow ? AT_SYMLINK_NOFOLLOW : 0));
}

int mounts_attach(int fd, int dest)
{
	return sys_move_mount(fd, "", dest, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int mounts_set_attributes(int fd, const struct spec_mount_options *options, bool tree,
	uint64_t default_propagation, struct err *err)
{
	uint64_t set = options->attr_set, clear = options->attr_clear;
	uint64_t rec_set = options->rec_attr_set, rec_clear = options->rec_attr_clear;
	uint64_t propagation = 0, rec_propagation = 0;
	int r = 0;

	if (options->propagation && !options->rec_propagation)
		propagation = options->propagation;
	else
		rec_propagation = options->propagation ? options->propagation : default_propagation;
	if (!tree) { /* one mount alone: a single call does both */
		rec_set |= set, rec_clear |= clear, rec_propagation |= propagation;
		set = clear = propagation = 0;
	}
	if (rec_set || rec_clear || rec_propagation)
		r = sys_mount_setattr(fd, "", AT_EMPTY_PATH | (tree ? AT_RECURSIVE : 0), rec_set,
			rec_clear, rec_propagation, -1);
	if (r == 0 && (set || clear || propagation))
		r = sys_mount_setattr(fd, "", AT_EMPTY_PATH, set, clear, propagation, -1);
	return r < 0 ? err_sys(err, r, "set mount attributes") : 0;
}

/* Only with these a source is not followed, and may be a symbolic link. */
enum { SOURCE_MAY_BE_LINK = SPEC_MOUNT_SRC_NOFOLLOW | SPEC_MOUNT_COPY_SYMLINK };

/* What fsmount(2) cannot set at once. */
static int set_new_attributes(int fd, const struct plan_mount *mount, struct err *err)
{
	const struct spec_mount_options *options = &mount->spec->options;

	/* A new mount is private, and knows no other attributes than it was made with. */
	if ((!options->propagation || options->propagation == MS_PRIVATE) && !options->rec_attr_set)
		return 0;
	return mounts_set_attributes(fd, options, false, 0, err);
}

static int make_fs(const char *type, const struct plan_mount *mount, const char *extra,
	bool drop_gid, int *ret, struct err *err);

/* ---- parent: sources ---- */

static int set_idmap(int fd, int procfd, const struct plan_mount *mount, struct err *err)
{
	bool recursive = mount->spec->options.extra & SPEC_MOUNT_RIDMAP;
	autoclose int userns = idmap_open(procfd, mount->uid_map, mount->gid_map, err);
	int r;

	if (userns < 0)
		return userns;
	r = sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
		MOUNT_ATTR_IDMAP, 0, 0, userns);
	if (r == -EINVAL)
		return err_set(err, r, "the file system of %s cannot be idmapped", mount->source);
	return r < 0 ? err_sys(err, r, "idmap %s", mount->source) : 0;
}

static int open_source(const struct plan_mount *mount, int procfd, int *ret, struct err *err)
{
	unsigned int extra = mount->spec->options.extra;
	bool recursive = extra & SPEC_MOUNT_RBIND;
	autoclose int fd =
		mounts_clone(AT_FDCWD, mount->source, recursive, extra & SOURCE_MAY_BE_LINK);
	int r;

	if (fd < 0)
		return err_sys(err, fd, "bind %s", mount->source);
	r = mounts_set_attributes(fd, &mount->spec->options, recursive, MS_PRIVATE, err);
	if (r == 0 && mount->uid_map)
		r = set_idmap(fd, procfd, mount, err);
	if (r < 0)
		return r;
	*ret = take_fd(&fd);
	return 0;
}

int mounts_open_source(const struct plan_mount *mount, int procfd, int *ret, struct err *err)
{
	int r;

	switch (mount->kind) {
	case PLAN_MOUNT_BIND:
		return open_source(mount, procfd, ret, err);
	case PLAN_MOUNT_FS:
		/* Its message queues are those of an IPC namespace. */
		if (strcmp(mount->type, "mqueue") == 0)
			return 0;
		/* What it is made from is named as on the host. */
		r = make_fs(mount->type, mount, NULL, false, ret, err);
		return r < 0 ? r : set_new_attributes(*ret, mount, err);
	case PLAN_MOUNT_TMPFS:
	case PLAN_MOUNT_PROC:
	case PLAN_MOUNT_SYSFS:
	case PLAN_MOUNT_DEVPTS:
	case PLAN_MOUNT_CGROUP:
	case PLAN_MOUNT_REMOUNT:
		break;
	}
	return 0;
}

static int open_rootfs(const struct plan *plan, struct err *err)
{
	const struct plan_rootfs *given = &plan->request.rootfs;
	char path[PATH_MAX];
	int fd;

	if (given->open)
		return given->open(given->context, err);
	/* The slash: nothing but a directory. */
	fd = snprintf(path, sizeof(path), "%s/", plan->rootfs) < (int)sizeof(path)
		     ? mounts_clone(AT_FDCWD, path, true, false)
		     : -ENAMETOOLONG;
	return fd < 0 ? err_sys(err, fd, "root.path: open %s", plan->rootfs) : fd;
}

int mounts_open_sources(
	const struct plan *plan, int procfd, struct mount_sources *ret, struct err *err)
{
	struct mount_sources s = {.rootfs = -1, .count = plan->nmounts};
	int r;

	s.fds = calloc(plan->nmounts + 1, sizeof(*s.fds));
	if (!s.fds)
		return err_sys(err, -ENOMEM, "open mount sources");
	for (size_t i = 0; i < s.count; i++)
		s.fds[i] = -1;
	r = s.rootfs = open_rootfs(plan, err);
	if (r < 0)
		goto fail;
	for (size_t i = 0; i < s.count; i++) {
		if (plan->mounts[i].kind != PLAN_MOUNT_BIND)
			continue;
		r = open_source(&plan->mounts[i], procfd, &s.fds[i], err);
		if (r < 0) {
			err_add(err, "mounts: %s", plan->mounts[i].destination);
			goto fail;
		}
	}
	*ret = s;
	return 0;
fail:
	mounts_close_sources(&s);
	return r;
}

static void close_range_of(int first, int last)
{
	if (first >= 0)
		sys_close_range((unsigned int)first, (unsigned int)last, 0);
}

void mounts_close_sources(struct mount_sources *sources)
{
	int first = sources->rootfs, last = first;

	/* They were opened one after the other, so mostly a single call closes them all. */
	for (size_t i = 0; sources->fds && i < sources->count; i++) {
		if (sources->fds[i] < 0)
			continue;
		if (first < 0 || sources->fds[i] != last + 1) {
			close_range_of(first, last);
			first = sources->fds[i];
		}
		last = sources->fds[i];
	}
	close_range_of(first, last);
	sources->rootfs = -1;
	cleanup_free(&sources->fds);
}

/* ---- init: the root ---- */

/*
 * At its own path, because createContainer hooks look for it there, and whoever joins a namespace.
 * Root of a user namespace is nobody in particular on the host, and may not be let through to it:
 * then over the deepest folder on the way there that he can reach. What that hides was opened
 * before.
 */
static int attach_rootfs(const struct mounts_context *ctx)
{
	char path[PATH_MAX], *slash;
	int r = snprintf(path, sizeof(path), "%s", ctx->plan->rootfs) < (int)sizeof(path)
			? -EACCES
			: -ENAMETOOLONG;

	while (r == -EACCES && *path) {
		r = sys_move_mount(ctx->sources->rootfs, "", AT_FDCWD, path,
			MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS);
		slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
	}
	return r;
}

int mounts_enter_rootfs(struct mounts_context *ctx, struct err *err)
{
	const struct plan *plan = ctx->plan;
	uint64_t propagation = plan->rootfs_propagation & MS_SLAVE ? MS_SLAVE : MS_PRIVATE;
	int r;

	/* First of all: nothing that we mount may reach the host. A namespace that others made
	 * stays as they made it. */
	r = plan->mount_namespace
		    ? 0
		    : sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, 0, 0, MS_PRIVATE, -1);
	if (r < 0)
		return err_sys(err, r, "make the mount namespace private");
	r = sys_mount_setattr(
		ctx->sources->rootfs, "", AT_EMPTY_PATH | AT_RECURSIVE, 0, 0, propagation, -1);
	if (r < 0)
		return err_sys(err, r, "make the rootfs private");
	r = attach_rootfs(ctx);
	if (r < 0)
		return err_sys(err, r, "root.path: mount %s%s%s", plan->rootfs,
			plan->mount_namespace ? " in the mount namespace " : "",
			plan->mount_namespace ?: "");
	ctx->rootfd = ctx->sources->rootfs;
	return 0;
}

/* A shared root could not be pivoted to, so this comes last. Slave and private it is already. */
static int set_propagation(const struct mounts_context *ctx, struct err *err)
{
	uint64_t wanted = ctx->plan->rootfs_propagation;
	uint64_t type = wanted & ~(uint64_t)MS_REC;
	int r;

	if (!type || type == MS_SLAVE || type == MS_PRIVATE)
		return 0;
	r = sys_mount_setattr(AT_FDCWD, "/", wanted & MS_REC ? AT_RECURSIVE : 0, 0, 0, type, -1);
	return r < 0 ? err_sys(err, r, "linux.rootfsPropagation") : 0;
}

int mounts_pivot(struct mounts_context *ctx, struct err *err)
{
	int r = sys_fchdir(ctx->rootfd);

	if (r == 0 && ctx->plan->mount_namespace) {
		r = sys_chroot(".");
	} else if (r == 0 && ctx->plan->request.no_pivot) {
		/* For a host whose root cannot be pivoted away from (initramfs). */
		r = sys_move_mount(ctx->rootfd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
		if (r == 0)
			r = sys_chroot(".");
	} else if (r == 0) {
		/* Old and new root in one place: the old one is then on top, and goes. */
		r = sys_pivot_root(".", ".");
		if (r == 0)
			r = sys_umount2(".", MNT_DETACH);
	}
	if (r == 0)
		r = sys_chdir("/");
	return r < 0 ? err_sys(err, r, "change to the container's root")
		     : set_propagation(ctx, err);
}

/* ---- init: destinations ---- */

/* A5: what shows the kernel's own files may not be redirected by a link in the rootfs. */
static int open_kernel_dir(int rootfd, const char *path)
{
	int fd = path_open_nofollow(rootfd, path, O_PATH | O_DIRECTORY);

	return fd == -ENOENT ? path_mkdir(rootfd, path, 0755, (uid_t)-1, (gid_t)-1) : fd;
}

static int open_destination(const struct mounts_context *ctx, const struct plan_mount *mount,
	bool directory, struct err *err)
{
	bool nofollow = mount->spec->options.extra & SPEC_MOUNT_DEST_NOFOLLOW;
	const char *path = mount->destination;
	int fd = -ENOENT;

	if (mount->kind == PLAN_MOUNT_PROC || mount->kind == PLAN_MOUNT_SYSFS)
		fd = open_kernel_dir(ctx->rootfd, path);
	else if (nofollow)
		fd = path_open_nofollow(ctx->rootfd, path, O_PATH);
	if (fd == -ENOENT)
		fd = directory ? path_mkdir(ctx->rootfd, path, 0755, (uid_t)-1, (gid_t)-1)
			       : path_mkfile(ctx->rootfd, path, 0644);
	if (fd == -ELOOP)
		return err_set(err, fd, "is a symbolic link in the rootfs");
	if (fd == -ENOTDIR)
		return err_set(err, fd, "is not a directory in the rootfs");
	return fd < 0 ? err_sys(err, fd, "make the mount point") : fd;
}

/* ---- init: new file systems ---- */

/* The message that a file system left in its context (fsopen(2)), in place of a bare errno. */
static int fs_error(int fs, int r, const char *what, struct err *err)
{
	char text[256];
	ssize_t n = sys_read(fs, text, sizeof(text) - 1);

	if (n > 2 && text[1] == ' ') {
		text[text[n - 1] == '\n' ? n - 1 : n] = '\0';
		return err_set(err, r, "%s: %s", what, text + 2);
	}
	return err_sys(err, r, "%s", what);
}

static int set_option(int fs, const char *option, struct err *err)
{
	const char *equals = strchr(option, '=');
	autofree char *key = equals ? strndup(option, (size_t)(equals - option)) : NULL;
	int r;

	if (equals && !key)
		return err_sys(err, -ENOMEM, "option %s", option);
	r = equals ? sys_fsconfig(fs, FSCONFIG_SET_STRING, key, equals + 1, 0)
		   : sys_fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
	return r < 0 ? fs_error(fs, r, option, err) : 0;
}

/* As its own key: what is in LABEL can never become another option. */
static int set_context(int fs, const char *key, const char *label, struct err *err)
{
	int r = label && *label ? sys_fsconfig(fs, FSCONFIG_SET_STRING, key, label, 0) : 0;

	if (r == -EINVAL)
		return err_set(err, r,
			"linux.mountLabel: \"%s\" is refused; is SELinux enabled on this machine?",
			label);
	return r < 0 ? err_sys(err, r, "linux.mountLabel: %s", label) : 0;
}

static bool has_option(const struct strings *options, const char *prefix)
{
	for (size_t i = 0; i < options->count; i++)
		if (strncmp(options->items[i], prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

static bool is_left_out(const char *type, const char *option, bool drop_gid)
{
	/* Every devpts is one of its own since Linux 4.7. */
	if (strcmp(option, "newinstance") == 0)
		return strcmp(type, "devpts") == 0;
	return drop_gid && strncmp(option, "gid=", 4) == 0;
}

static int make_fs(const char *type, const struct plan_mount *mount, const char *extra,
	bool drop_gid, int *ret, struct err *err)
{
	const struct spec_mount_options *options = &mount->spec->options;
	autolate int fs = sys_fsopen(type), fd = -1;
	int r;

	if (fs == -ENODEV)
		return err_set(err, fs, "this kernel has no file system \"%s\"", type);
	if (fs < 0)
		return err_sys(err, fs, "open file system \"%s\"", type);
	/* What mount(8) shows in its first column. */
	if (mount->source)
		r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", mount->source, 0);
	else
		r = 0;
	if (r < 0)
		return fs_error(fs, r, "source", err);
	/* Not "ro": a superblock may be shared with the host, and the mount's attribute does it. */
	for (size_t i = 0; i < options->sb_flags.count && r == 0; i++)
		if (strcmp(options->sb_flags.items[i], "ro") != 0)
			r = set_option(fs, options->sb_flags.items[i], err);
	for (size_t i = 0; i < options->data.count && r == 0; i++)
		if (!is_left_out(type, options->data.items[i], drop_gid))
			r = set_option(fs, options->data.items[i], err);
	if (r == 0 && extra)
		r = set_option(fs, extra, err);
	if (r == 0)
		r = set_context(fs, mount->context_key, mount->context, err);
	if (r < 0)
		return r;
	r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r < 0)
		return fs_error(fs, r, "create the file system", err);
	fd = sys_fsmount(fs, (unsigned int)options->attr_set);
	if (fd < 0)
		return fs_error(fs, fd, "mount the file system", err);
	*ret = take_fd(&fd);
	return 0;
}

/* Without a mode of its own, a tmpfs looks like the directory that it covers. */
static int tmpfs_mode(int dest, char *ret, size_t size, struct err *err)
{
	struct stat st;
	int r = sys_fstat(dest, &st);

	snprintf(ret, size, "mode=%04o", r < 0 ? 0755 : st.st_mode & 07777);
	return r < 0 ? err_sys(err, r, "look at the mount point") : 0;
}

static int make_tmpfs(const struct plan_mount *mount, int dest, int *ret, struct err *err)
{
	bool has_mode = has_option(&mount->spec->options.data, "mode=");
	autolate int from = -1;
	char mode[32];
	int r = has_mode ? 0 : tmpfs_mode(dest, mode, sizeof(mode), err);

	if (r == 0)
		r = make_fs("tmpfs", mount, has_mode ? NULL : mode, false, ret, err);
	if (r < 0 || !(mount->spec->options.extra & SPEC_MOUNT_TMPCOPYUP))
		return r;
	from = sys_openat(dest, ".", O_RDONLY | O_DIRECTORY, 0);
	if (from < 0)
		return err_sys(err, from, "tmpcopyup");
	return copyup(from, *ret, err);
}

/* A namespace that we do not own shows its file system only as a bind of the host's; E1: which is
 * never to be written to. */
static int make_bound(const struct plan_mount *mount, const char *path, int *ret, struct err *err)
{
	autolate int fd = mounts_clone(AT_FDCWD, path, true, false);
	int r;

	if (fd < 0)
		return err_sys(err, fd, "bind %s", path);
	r = mounts_set_attributes(fd, &mount->spec->options, true, MS_PRIVATE, err);
	if (r < 0)
		return r;
	r = sys_mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0, -1);
	if (r < 0)
		return err_sys(err, r, "make %s read-only", path);
	*ret = take_fd(&fd);
	return 0;
}

static int make_cgroup(
	const struct mounts_context *ctx, const struct plan_mount *mount, int *ret, struct err *err)
{
	bool own_namespace = spec_find_namespace(ctx->plan->config, CLONE_NEWCGROUP) != NULL;
	int r = -EPERM;

	if (own_namespace || !ctx->cgroup_path)
		r = make_fs("cgroup2", mount, NULL, false, ret, err);
	return r == -EPERM && ctx->cgroup_path ? make_bound(mount, ctx->cgroup_path, ret, err) : r;
}

static int make_mount(const struct mounts_context *ctx, const struct plan_mount *mount, int dest,
	int *ret, struct err *err)
{
	int r;

	switch (mount->kind) {
	case PLAN_MOUNT_TMPFS:
		return make_tmpfs(mount, dest, ret, err);
	case PLAN_MOUNT_PROC:
		return make_fs("proc", mount, NULL, false, ret, err);
	case PLAN_MOUNT_SYSFS:
		r = make_fs("sysfs", mount, NULL, false, ret, err);
		return r == -EPERM && ctx->plan->sysfs_by_bind ? make_bound(mount, "/sys", ret, err)
							       : r;
	case PLAN_MOUNT_DEVPTS:
		r = make_fs("devpts", mount, NULL, false, ret, err);
		/* Group tty need not be mapped into a user namespace. */
		return r == -EINVAL ? make_fs("devpts", mount, NULL, true, ret, err) : r;
	case PLAN_MOUNT_CGROUP:
		return make_cgroup(ctx, mount, ret, err);
	case PLAN_MOUNT_FS:
	case PLAN_MOUNT_BIND:
	case PLAN_MOUNT_REMOUNT:
		break;
	}
	return make_fs(mount->type, mount, NULL, false, ret, err);
}

/* ---- init: one mount after the other ---- */

static int do_remount(
	const struct mounts_context *ctx, const struct plan_mount *mount, struct err *err)
{
	autolate int dest = path_open(ctx->rootfd, mount->destination, O_PATH);

	if (dest < 0)
		return err_sys(err, dest, "open the mount point");
	return mounts_set_attributes(dest, &mount->spec->options, true, 0, err);
}

/* copy-symlink: a source that is a link is made again at the destination instead of bound. */
static int copy_symlink(const struct mounts_context *ctx, const struct plan_mount *mount,
	int source, struct err *err)
{
	char target[PATH_MAX], present[PATH_MAX];
	autolate int parent = -1;
	const char *name;
	ssize_t n = sys_readlinkat(source, "", target, sizeof(target) - 1), m;
	int r;

	if (n < 0)
		return err_sys(err, (int)n, "read the link %s", mount->source);
	target[n] = '\0';
	parent = path_open_parent(ctx->rootfd, mount->destination, true, &name);
	if (parent < 0)
		return err_sys(err, parent, "make the parent directory");
	r = sys_symlinkat(target, parent, name);
	if (r == -EEXIST) {
		m = sys_readlinkat(parent, name, present, sizeof(present));
		if (m == n && memcmp(present, target, (size_t)n) == 0)
			return 0;
	}
	return r < 0 ? err_sys(err, r, "copy the link %s", mount->source) : 0;
}

static int bind_error(const struct plan_mount *mount, int source, int r, struct err *err)
{
	struct stat st;

	if (r == -ENOTDIR && sys_fstat(source, &st) == 0)
		return err_set(err, r, "%s is %s directory and the destination is %s",
			mount->source, S_ISDIR(st.st_mode) ? "a" : "not a",
			S_ISDIR(st.st_mode) ? "not" : "one");
	return err_sys(err, r, "bind %s", mount->source);
}

static int do_bind(
	struct mounts_context *ctx, const struct plan_mount *mount, int source, struct err *err)
{
	unsigned int extra = mount->spec->options.extra;
	autolate int dest = -ENOENT;
	struct stat st;
	int r;

	/* Mostly it is there; then the kernel sees whether they go together. */
	if (!(extra & (SPEC_MOUNT_DEST_NOFOLLOW | SOURCE_MAY_BE_LINK)))
		dest = path_open(ctx->rootfd, mount->destination, O_PATH);
	if (dest == -ENOENT) {
		r = sys_fstat(source, &st);
		if (r < 0)
			return err_sys(err, r, "look at %s", mount->source);
		if (S_ISLNK(st.st_mode) && extra & SPEC_MOUNT_COPY_SYMLINK)
			return copy_symlink(ctx, mount, source, err);
		if (S_ISLNK(st.st_mode))
			return err_set(
				err, -ELOOP, "the source %s is a symbolic link", mount->source);
		dest = open_destination(ctx, mount, S_ISDIR(st.st_mode), err);
		if (dest < 0)
			return dest;
	}
	r = dest < 0 ? dest : mounts_attach(source, dest);
	return r < 0 ? bind_error(mount, source, r, err) : 0;
}

static bool is_pts(const char *path)
{
	return strcmp(path, "/dev/pts") == 0 || strcmp(path, "/dev/pts/") == 0;
}

/* Hooks run in the working directory that we have, terminals are made by the devpts's descriptor,
 * and the cgroup file system has a way of its own. */
static bool may_be_plain(const struct mounts_context *ctx, const struct plan_mount *mount)
{
	const struct spec_config *config = ctx->plan->config;

	return !config->hooks.create_container.count && mount->kind != PLAN_MOUNT_CGROUP &&
	       !(mount->kind == PLAN_MOUNT_DEVPTS && config->process->terminal);
}

static int do_mount(struct mounts_context *ctx, const struct plan_mount *mount, struct err *err)
{
	autolate int dest = -1, fd = -1;
	int r;

	dest = open_destination(ctx, mount, true, err);
	if (dest < 0)
		return dest;
	if (may_be_plain(ctx, mount) && mounts_make_plain(mount, dest) == 0)
		return 0;
	r = make_mount(ctx, mount, dest, &fd, err);
	if (r == 0)
		r = set_new_attributes(fd, mount, err);
	if (r < 0)
		return r;
	r = mounts_attach(fd, dest);
	if (r < 0)
		return err_sys(err, r, "attach the mount");
	if (mount->is_dev) {
		ctx->devfd = take_fd(&fd);
		return devices_make(ctx, err);
	}
	if (mount->kind == PLAN_MOUNT_DEVPTS && is_pts(mount->destination))
		ctx->ptsfd = take_fd(&fd);
	return 0;
}

int mounts_make(struct mounts_context *ctx, struct err *err)
{
	const struct plan *plan = ctx->plan;

	for (size_t i = 0; i < plan->nmounts; i++) {
		const struct plan_mount *mount = &plan->mounts[i];
		int r;

		if (mount->kind == PLAN_MOUNT_BIND)
			r = do_bind(ctx, mount, ctx->sources->fds[i], err);
		else if (mount->kind == PLAN_MOUNT_REMOUNT)
			r = do_remount(ctx, mount, err);
		else
			r = do_mount(ctx, mount, err);
		if (r < 0)
			return err_add(err, "mounts: %s", mount->destination);
	}
	if (ctx->devfd < 0)
		return devices_make(ctx, err);
	return 0;
}

int mounts_add(struct mounts_context *ctx, const struct plan_mount *mount, int source, int *ret,
	struct err *err)
{
	autoclose int dest = -1, fd = -1;
	struct stat st = {.st_mode = S_IFDIR};
	int r = source < 0 ? 0 : sys_fstat(source, &st);

	if (mount->kind == PLAN_MOUNT_REMOUNT)
		return do_remount(ctx, mount, err);
	if (r == 0 && S_ISLNK(st.st_mode))
		r = -ELOOP;
	if (r < 0)
		return err_sys(err, r, "look at %s", mount->source);
	dest = open_destination(ctx, mount, S_ISDIR(st.st_mode), err);
	if (dest < 0)
		return dest;
	if (source >= 0)
		r = fd = sys_dup(source);
	else
		r = make_mount(ctx, mount, dest, &fd, err);
	if (r >= 0 && source < 0)
		r = set_new_attributes(fd, mount, err);
	if (r < 0)
		return err->code ? r : err_sys(err, r, "make the mount");
	r = mounts_attach(fd, dest);
	if (r < 0)
		return err_sys(err, r, "attach the mount");
	*ret = take_fd(&fd);
	return 0;
}

/* ---- init: restrictions ---- */

/* One empty, read-only directory covers every masked directory: clones of one mount. */
static int mask_directory(int *empty, const struct plan *plan, int dest, struct err *err)
{
	autolate int fs = -1, clone = -1;
	int r;

	if (*empty >= 0) {
		clone = mounts_clone(*empty, "", false, false);
		return clone < 0 ? clone : mounts_attach(clone, dest);
	}
	fs = sys_fsopen("tmpfs");
	if (fs < 0)
		return fs;
	r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "1", 0);
	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0555", 0);
	if (r == 0)
		r = set_context(fs, plan->context_key, plan->config->linux_.mount_label, err);
	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r == 0)
		r = *empty = sys_fsmount(fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
						     MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return r < 0 ? r : mounts_attach(*empty, dest);
}

/* A2: the host's null device, and really that, covers every masked file. */
static int mask_file(int *null, int dest)
{
	autolate int clone = -1;
	struct stat st;

	if (*null < 0) {
		int r = *null = sys_openat(AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW, 0);

		if (r >= 0)
			r = sys_fstat(*null, &st);
		if (r < 0)
			return r;
		if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
			return -ENODEV;
	}
	clone = mounts_clone(*null, "", false, false);
	return clone < 0 ? clone : mounts_attach(clone, dest);
}

static int mask(
	const struct mounts_context *ctx, const char *path, int *null, int *empty, struct err *err)
{
	autolate int dest = path_open(ctx->rootfd, path, O_PATH | O_DIRECTORY);
	bool directory = dest >= 0;
	int r;

	if (dest == -ENOTDIR)
		dest = path_open(ctx->rootfd, path, O_PATH);
	if (dest == -ENOENT || dest == -ENOTDIR) /* nothing to hide */
		return 0;
	r = dest;
	if (r >= 0)
		r = directory ? mask_directory(empty, ctx->plan, dest, err) : mask_file(null, dest);
	if (r < 0 && err->code == r)
		return err_add(err, "linux.maskedPaths: %s", path);
	return r < 0 ? err_sys(err, r, "linux.maskedPaths: %s", path) : 0;
}

static int make_readonly(const struct mounts_context *ctx, const char *path, struct err *err)
{
	autolate int dest = path_open(ctx->rootfd, path, O_PATH), clone = -1;
	int r;

	if (dest == -ENOENT || dest == -ENOTDIR)
		return 0;
	r = dest < 0 ? dest : (clone = mounts_clone(dest, "", true, false));
	if (r >= 0)
		r = sys_mount_setattr(
			clone, "", AT_EMPTY_PATH | AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0, -1);
	if (r >= 0)
		r = mounts_attach(clone, dest);
	return r < 0 ? err_sys(err, r, "linux.readonlyPaths: %s", path) : 0;
}

int mounts_restrict(struct mounts_context *ctx, struct err *err)
{
	const struct spec_config *config = ctx->plan->config;
	const struct spec_linux *linux_ = &config->linux_;
	autolate int null = -1, empty = -1;
	int r = 0;

	for (size_t i = 0; i < linux_->readonly_paths.count && r == 0; i++)
		r = make_readonly(ctx, linux_->readonly_paths.items[i], err);
	for (size_t i = 0; i < linux_->masked_paths.count && r == 0; i++)
		r = mask(ctx, linux_->masked_paths.items[i], &null, &empty, err);
	if (r < 0)
		return r;
	if (config->root->readonly)
		r = sys_mount_setattr(ctx->rootfd, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0, -1);
	return r < 0 ? err_sys(err, r, "root.readonly") : 0;
}

int mounts_bind_console(struct mounts_context *ctx, int peer, struct err *err)
{
	autolate int clone = mounts_clone(peer, "", false, false), dest = -1;
	int r = clone;

	if (r >= 0 && ctx->devfd >= 0) {
		r = sys_openat(
			ctx->devfd, "console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
		if (r >= 0)
			close(r);
		if (r >= 0 || r == -EEXIST)
			r = dest = sys_openat(ctx->devfd, "console", O_PATH | O_NOFOLLOW, 0);
	} else if (r >= 0) {
		r = dest = path_mkfile(ctx->rootfd, "/dev/console", 0666);
	}
	if (r >= 0)
		r = mounts_attach(clone, dest);
	return r < 0 ? err_sys(err, r, "bind the terminal to /dev/console") : 0;
}

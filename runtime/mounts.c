/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: init, which leaves its descriptors to exec (autolate). The container's root, and what is
 * mounted beneath it.
 */
#include "runtime/mounts.h"

#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

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

/*
 * pivot_root(2) of a caller in a chroot(2) changes his root and not the namespace's, where
 * everybody comes who joins it: `exec` would be on the host. setns(2) into one's own namespace
 * leaves such a root.
 */
static int leave_chroot(int procfd)
{
	autolate int fd = sys_openat(procfd, "self/ns/mnt", O_RDONLY, 0);

	return fd < 0 ? fd : sys_setns(fd, CLONE_NEWNS);
}

/* Old and new root in one place: the old one is then on top, and goes. What of it was out of sight
 * in a chroot is still shared with the host, which must not lose it. */
static int exchange_root(void)
{
	autoclose int old = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
	int r = old < 0 ? old : sys_pivot_root(".", ".");

	if (r == 0)
		r = sys_mount_setattr(old, "", AT_EMPTY_PATH | AT_RECURSIVE, 0, 0, MS_PRIVATE, -1);
	return r < 0 ? r : sys_umount2(".", MNT_DETACH);
}

int mounts_pivot(struct mounts_context *ctx, int procfd, struct err *err)
{
	int r = ctx->plan->mount_namespace ? 0 : leave_chroot(procfd);

	if (r == 0)
		r = sys_fchdir(ctx->rootfd);
	if (r == 0 && ctx->plan->mount_namespace) {
		r = sys_chroot(".");
	} else if (r == 0 && ctx->plan->request.no_pivot) {
		/* For a host whose root cannot be pivoted away from (initramfs). */
		r = sys_move_mount(ctx->rootfd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
		if (r == 0)
			r = sys_chroot(".");
	} else if (r == 0) {
		r = exchange_root();
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

/* Why SOURCE could not be attached to DEST, which may be an error: move_mount(2) has EINVAL for
 * what does not go together. */
static int bind_error(const struct plan_mount *mount, int source, int dest, int r, struct err *err)
{
	struct stat st, at;

	if (dest >= 0 && sys_fstat(source, &st) == 0 && sys_fstat(dest, &at) == 0 &&
		S_ISDIR(st.st_mode) != S_ISDIR(at.st_mode))
		return err_set(err, -ENOTDIR, "%s is %s directory and the destination is %s",
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
	if (!(extra & (SPEC_MOUNT_DEST_NOFOLLOW | MOUNTS_SOURCE_MAY_BE_LINK)))
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
	return r < 0 ? bind_error(mount, source, dest, r, err) : 0;
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
	r = mounts_new(ctx, mount, dest, &fd, err);
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
		r = mounts_new(ctx, mount, dest, &fd, err);
	if (r < 0)
		return err->code ? r : err_sys(err, r, "make the mount");
	r = mounts_attach(fd, dest);
	if (r < 0)
		return err_sys(err, r, "attach the mount");
	*ret = take_fd(&fd);
	return 0;
}

/* ---- init: the terminal ---- */

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

/* SPDX-License-Identifier: Apache-2.0 */
/* Process: init, which leaves its descriptors to exec (autolate); parent for mounts_new_fs().
 * New file systems by fsopen(2), detached. */
#include "runtime/mounts.h"

#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* What fsmount(2) cannot set at once. */
static int set_new_attributes(int fd, const struct plan_mount *mount, struct err *err)
{
	const struct spec_mount_options *options = &mount->spec->options;

	/* A new mount is private, and knows no other attributes than it was made with. */
	if ((!options->propagation || options->propagation == MS_PRIVATE) && !options->rec_attr_set)
		return 0;
	return mounts_set_attributes(fd, options, false, 0, err);
}

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
int mounts_set_context(int fs, const char *key, const char *label, struct err *err)
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
		r = mounts_set_context(fs, mount->context_key, mount->context, err);
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

int mounts_new(const struct mounts_context *ctx, const struct plan_mount *mount, int dest, int *ret,
	struct err *err)
{
	autolate int fd = -1;
	int r = make_mount(ctx, mount, dest, &fd, err);

	if (r == 0)
		r = set_new_attributes(fd, mount, err);
	if (r == 0)
		*ret = take_fd(&fd);
	return r;
}

int mounts_new_fs(const struct plan_mount *mount, int *ret, struct err *err)
{
	autoclose int fd = -1;
	int r = make_fs(mount->type, mount, NULL, false, &fd, err);

	if (r == 0)
		r = set_new_attributes(fd, mount, err);
	if (r == 0)
		*ret = take_fd(&fd);
	return r;
}

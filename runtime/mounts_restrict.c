/* SPDX-License-Identifier: Apache-2.0 */
/* Process: init, which leaves its descriptors to exec (autolate). What the container may not see
 * or not write to. */
#include "runtime/mounts.h"

#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

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
		r = mounts_set_context(
			fs, plan->context_key, plan->config->linux_.mount_label, err);
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

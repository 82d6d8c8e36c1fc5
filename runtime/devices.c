/* SPDX-License-Identifier: Apache-2.0 */
/* Process: init. Device nodes and the links that programs expect in /dev. */
#include "base/path.h"
#include "base/sys.h"
#include "runtime/mounts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Makes PATH's parent and returns it; a node in a /dev of our own costs no walk. */
static int open_parent(const struct mounts_context *ctx, const char *path, const char **ret_name)
{
	const char *name = path + strlen("/dev/");

	if (ctx->devfd >= 0 && strncmp(path, "/dev/", 5) == 0 && path_is_component(name)) {
		*ret_name = name;
		return ctx->devfd;
	}
	return path_open_parent(ctx->rootfd, path, true, ret_name);
}

static bool is_device(int fd, const struct plan_device *device)
{
	struct stat st;

	return sys_fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == (device->mode & S_IFMT) &&
	       (S_ISFIFO(device->mode) ||
		       st.st_rdev == makedev((unsigned)device->major, (unsigned)device->minor));
}

static int make_node(
	const struct mounts_context *ctx, const struct plan_device *device, struct err *err)
{
	dev_t dev = makedev((unsigned int)device->major, (unsigned int)device->minor);
	autolate int parent = -1, there = -1;
	const char *name;
	int r;

	parent = open_parent(ctx, device->path, &name);
	if (parent < 0)
		return err_sys(err, parent, "make its directory");
	/* The umask is 0 in the init process, so that the mode is exactly this. */
	r = sys_mknodat(parent, name, device->mode, S_ISFIFO(device->mode) ? 0 : dev);
	if (r == -EEXIST) {
		there = sys_openat(parent, name, O_PATH | O_NOFOLLOW, 0);
		if (there >= 0 && is_device(there, device))
			r = 0;
		else
			return err_set(err, r, "the rootfs has something else there");
	}
	if (r == 0 && (device->uid || device->gid))
		r = sys_fchownat(parent, name, device->uid, device->gid, AT_SYMLINK_NOFOLLOW);
	return r < 0 ? err_sys(err, r, "make the node") : 0;
}

/* Where mknod(2) is not allowed, the host's node of the same path is bound. */
static int bind_node(
	const struct mounts_context *ctx, const struct plan_device *device, struct err *err)
{
	autolate int source = -1, parent = -1, dest = -1, made = -1;
	const char *name;
	int r;

	source = mounts_clone(AT_FDCWD, device->path, false, false);
	if (source < 0)
		return err_sys(err, source, "bind the host's node");
	if (!is_device(source, device))
		return err_set(err, -ENODEV, "the host's node is another device");
	parent = open_parent(ctx, device->path, &name);
	if (parent < 0)
		return err_sys(err, parent, "make its directory");
	made = sys_openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
	if (made < 0 && made != -EEXIST)
		return err_sys(err, made, "make the file to bind to");
	dest = sys_openat(parent, name, O_PATH | O_NOFOLLOW, 0);
	r = dest < 0 ? dest : mounts_attach(source, dest);
	return r < 0 ? err_sys(err, r, "bind the host's node") : 0;
}

static int make_links(int devfd, struct err *err)
{
	static const struct {
		const char *name, *target;
	} links[] = {
		{"fd", "/proc/self/fd"},
		{"stdin", "/proc/self/fd/0"},
		{"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"},
		{"ptmx", "pts/ptmx"},
	};

	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		int r = sys_symlinkat(links[i].target, devfd, links[i].name);

		if (r < 0 && r != -EEXIST)
			return err_sys(err, r, "make the link /dev/%s", links[i].name);
	}
	return 0;
}

/* Mount points that will be needed in a fresh /dev, without a walk for each. */
static int make_directories(const struct mounts_context *ctx, struct err *err)
{
	for (size_t i = 0; i < ctx->plan->nmounts; i++) {
		const char *path = ctx->plan->mounts[i].destination;
		int r;

		if (strncmp(path, "/dev/", 5) != 0 || !path_is_component(path + 5) ||
			ctx->plan->mounts[i].kind == PLAN_MOUNT_BIND)
			continue;
		r = sys_mkdirat(ctx->devfd, path + 5, 0755);
		if (r < 0 && r != -EEXIST)
			return err_sys(err, r, "make %s", path);
	}
	return 0;
}

int devices_make(struct mounts_context *ctx, struct err *err)
{
	const struct plan *plan = ctx->plan;
	int r = 0;

	if (ctx->devfd >= 0)
		r = make_directories(ctx, err);
	for (size_t i = 0; i < plan->ndevices && r == 0; i++) {
		const struct plan_device *device = &plan->devices[i];

		r = plan->devices_by_bind && !S_ISFIFO(device->mode) ? bind_node(ctx, device, err)
								     : make_node(ctx, device, err);
		if (r < 0)
			err_add(err, "%s: %s",
				device->is_default ? "default device" : "linux.devices",
				device->path);
	}
	if (r == 0 && ctx->devfd >= 0)
		r = make_links(ctx->devfd, err);
	return r;
}

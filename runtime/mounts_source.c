/* SPDX-License-Identifier: Apache-2.0 */
/* Process: parent. Where mounts come from: clones of the rootfs and of what is bound. */
#include "runtime/mounts.h"

#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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
		mounts_clone(AT_FDCWD, mount->source, recursive, extra & MOUNTS_SOURCE_MAY_BE_LINK);
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
	switch (mount->kind) {
	case PLAN_MOUNT_BIND:
		return open_source(mount, procfd, ret, err);
	case PLAN_MOUNT_FS:
		/* Its message queues are those of an IPC namespace. */
		if (strcmp(mount->type, "mqueue") == 0)
			return 0;
		/* What it is made from is named as on the host. */
		return mounts_new_fs(mount, ret, err);
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

int mounts_open_rootfs(const struct plan *plan, struct mount_sources *sources, struct err *err)
{
	const struct plan_rootfs *given = &plan->request.rootfs;
	char path[PATH_MAX];
	int fd;

	if (given->open) {
		fd = given->open(given->context, err);
	} else { /* The slash: nothing but a directory. */
		fd = snprintf(path, sizeof(path), "%s/", plan->rootfs) < (int)sizeof(path)
			     ? mounts_clone(AT_FDCWD, path, true, false)
			     : -ENAMETOOLONG;
		if (fd < 0)
			err_sys(err, fd, "root.path: open %s", plan->rootfs);
	}
	sources->rootfs = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : 0;
}

int mounts_open_binds(
	const struct plan *plan, int procfd, struct mount_sources *ret, struct err *err)
{
	struct mount_sources s = {.rootfs = -1, .count = plan->nmounts};
	int r = 0;

	s.fds = calloc(plan->nmounts + 1, sizeof(*s.fds));
	if (!s.fds)
		return err_sys(err, -ENOMEM, "open mount sources");
	for (size_t i = 0; i < s.count; i++)
		s.fds[i] = -1;
	for (size_t i = 0; i < s.count && r == 0; i++) {
		if (plan->mounts[i].kind != PLAN_MOUNT_BIND && !plan->request.all_sources)
			continue;
		r = mounts_open_source(&plan->mounts[i], procfd, &s.fds[i], err);
		if (r < 0)
			err_add(err, "mounts: %s", plan->mounts[i].destination);
	}
	if (r < 0)
		mounts_close_sources(&s);
	else
		*ret = s;
	return r;
}

int mounts_open_sources(
	const struct plan *plan, int procfd, struct mount_sources *ret, struct err *err)
{
	struct mount_sources root = {.rootfs = -1};
	int r = mounts_open_rootfs(plan, &root, err);

	if (r == 0)
		r = mounts_open_binds(plan, procfd, ret, err);
	if (r < 0)
		mounts_close_sources(&root);
	else
		ret->rootfs = root.rootfs;
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the attendant, before it gives up its privileges. */
#include "runtime/microvm/host/files.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/sysmacros.h>

/* Files of which the guest has its own by the same number. */
static bool is_common_device(const struct stat *st)
{
	dev_t dev = st->st_rdev;

	return S_ISCHR(st->st_mode) &&
	       ((major(dev) == 1 && (minor(dev) == 3 || minor(dev) == 5 || minor(dev) == 7 ||
					    minor(dev) == 8 || minor(dev) == 9)) ||
		       (major(dev) == 5 && minor(dev) <= 2));
}

static int check_source(const struct stat *st, const char *what, struct err *err)
{
	if (S_ISSOCK(st->st_mode))
		return err_set(err, -EINVAL,
			"mounts: %s is a socket of the host, which a virtual machine cannot reach",
			what);
	if ((S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) && !is_common_device(st))
		return err_set(err, -EINVAL,
			"mounts: %s is a device of the host, which a virtual machine does not have",
			what);
	return 0;
}

int files_add(
	int writable, int tree, int source, const char *name, const char *what, struct err *err)
{
	autoclose int place = -1;
	struct stat st;
	int r = sys_fstat(source, &st);

	if (r == 0 && check_source(&st, what, err) < 0)
		return err->code;
	if (r == 0 && S_ISDIR(st.st_mode))
		r = sys_mkdirat(writable, name, 0700);
	else if (r == 0)
		r = sys_mknodat(writable, name, S_IFREG | 0600, 0);
	if (r == 0)
		r = place = sys_openat(tree, name, O_PATH | O_NOFOLLOW, 0);
	if (r >= 0)
		r = mounts_attach(source, place);
	return r < 0 ? err_sys(err, r, "share %s with the virtual machine", what) : 0;
}

static int make_tree(int place, struct err *err)
{
	autoclose int fs = sys_fsopen("tmpfs"), tree = -1;
	int r = fs < 0 ? fs : sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0);

	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_SET_STRING, "size", "1m", 0);
	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r == 0)
		r = tree =
			sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (r >= 0)
		r = mounts_attach(tree, place);
	return r < 0 ? err_sys(err, r, "make what the virtual machine sees") : take_fd(&tree);
}

int files_build(
	const struct plan *plan, const struct mount_sources *sources, int place, struct err *err)
{
	autoclose int tree = make_tree(place, err);
	int r = tree;

	if (r >= 0)
		r = files_add(tree, tree, sources->rootfs, "rootfs", plan->rootfs, err);
	for (size_t i = 0; i < sources->count && r == 0; i++) {
		char name[24];

		snprintf(name, sizeof(name), "%zu", i);
		r = files_add(tree, tree, sources->fds[i], name, plan->mounts[i].destination, err);
	}
	if (r < 0)
		return r;
	r = sys_mount_setattr(tree, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0, -1);
	return r < 0 ? err_sys(err, r, "make what the virtual machine sees") : take_fd(&tree);
}

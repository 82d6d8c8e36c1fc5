/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of a container whose image came as disks: each layer is read-only EROFS on a disk, and
 * what the container writes goes by overlay to the host's folder "upper". So it is there in the
 * form in which the host would have written it itself: `diff` and `commit` read it as they always
 * do, it survives the machine, and its size is no one's to guess beforehand, as a disk's would be.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#define LAYERS "/brig/layers"

/* The name of the disk with that serial number, "vda", in RET. */
static int find_disk(const char *serial, char *ret, size_t size, struct err *err)
{
	autoclose int blocks = sys_openat(AT_FDCWD, "/sys/block", O_RDONLY | O_DIRECTORY, 0);
	int copy = blocks < 0 ? -1 : sys_dup(blocks);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		char path[300], text[32];

		snprintf(path, sizeof(path), "%s/serial", entry->d_name);
		if (entry->d_name[0] == '.' || fd_read_line(blocks, path, text, sizeof(text)) < 0 ||
			strcmp(text, serial) != 0)
			continue;
		found = snprintf(ret, size, "%s", entry->d_name) < (int)size;
	}
	if (dir)
		closedir(dir);
	return found ? 0 : err_set(err, -ENODEV, "there is no disk \"%s\"", serial);
}

static int mount_layer(uint32_t index, struct err *err)
{
	char serial[32], disk[32], source[64], target[64];
	int r;

	snprintf(serial, sizeof(serial), PROTO_LAYER_SERIAL, index);
	snprintf(target, sizeof(target), LAYERS "/%u", index);
	r = find_disk(serial, disk, sizeof(disk), err);
	if (r < 0)
		return r;
	snprintf(source, sizeof(source), "/dev/%s", disk);
	r = sys_mkdirat(AT_FDCWD, target, 0700);
	if (r == 0)
		r = sys_mount(source, target, "erofs", MS_RDONLY, NULL);
	return r < 0 ? err_sys(err, r, "mount %s", serial) : 0;
}

static int mount_root(uint32_t count, struct err *err)
{
	autobuf struct buf options = {};
	int r = sys_mkdirat(AT_FDCWD, GUEST_ROOT, 0700);

	buf_puts(&options, "userxattr,upperdir=" GUEST_FILES "/rootfs/upper,workdir=" GUEST_FILES
			   "/rootfs/work,lowerdir=");
	for (uint32_t i = 0; i < count; i++)
		buf_printf(&options, "%s" LAYERS "/%u", i ? ":" : "", i);
	if (r == 0)
		r = options.failed
			    ? -ENOMEM
			    : sys_mount("overlay", GUEST_ROOT, "overlay", 0, buf_str(&options));
	return r < 0 ? err_sys(err, r, "the root of %u layers", count) : 0;
}

int layers_mount(uint32_t count, struct err *err)
{
	autoclose int modules = sys_openat(AT_FDCWD, "/brig", O_RDONLY | O_DIRECTORY, 0);
	int r = modules < 0 ? err_sys(err, modules, "/brig") : modules_load(modules, "erofs", err);

	if (r >= 0)
		r = modules_load(modules, "overlay", err);
	if (r < 0)
		return r;
	r = sys_mkdirat(AT_FDCWD, LAYERS, 0700);
	if (r < 0)
		return err_sys(err, r, LAYERS);
	for (uint32_t i = 0; i < count && r == 0; i++)
		r = mount_layer(i, err);
	return r < 0 ? r : mount_root(count, err);
}

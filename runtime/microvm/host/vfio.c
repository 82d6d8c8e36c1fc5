/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the attendant. */
#include "runtime/microvm/host/vfio.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The driver of the device ADDRESS of a group's folder; "" without one. */
static void read_driver(int devices, const char *address, char *ret, size_t size)
{
	char name[64], target[256];
	ssize_t n;

	snprintf(name, sizeof(name), "%.40s/driver", address);
	n = sys_readlinkat(devices, name, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = 0;
	snprintf(ret, size, "%s", n > 0 && strrchr(target, '/') ? strrchr(target, '/') + 1 : "");
}

static int add_device(
	struct vfio_devices *v, int devices, const char *address, int group, struct err *err)
{
	char name[64];

	if (v->count == VFIO_DEVICES_MAX)
		return err_set(err, -ENOSPC,
			"a virtual machine has room for %d devices of the host", VFIO_DEVICES_MAX);
	snprintf(v->items[v->count].address, sizeof(v->items[0].address), "%.15s", address);
	snprintf(name, sizeof(name), "%.40s/modalias", address);
	(void)!fd_read_line(
		devices, name, v->items[v->count].modalias, sizeof(v->items[0].modalias));
	v->items[v->count++].group = group;
	return 0;
}

/* Ports of PCI Express are part of a group, and stay with the host. */
static int look_at(
	struct vfio_devices *v, int devices, const char *address, int group, struct err *err)
{
	char driver[64];

	read_driver(devices, address, driver, sizeof(driver));
	if (strcmp(driver, "vfio-pci") == 0)
		return add_device(v, devices, address, group, err);
	if (!*driver || strcmp(driver, "pcieport") == 0)
		return 0;
	return err_set(err, -EBUSY,
		"device %s belongs to the driver %s: give it to vfio-pci first (driver_override)",
		address, driver);
}

static int list_devices(struct vfio_devices *v, const char *number, int group, struct err *err)
{
	char path[64];
	size_t before = v->count;
	struct dirent *entry;
	int fd, r = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/devices", number);
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return err_sys(err, fd, "%s", path);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_sys(err, -ENOMEM, "%s", path);
	}
	while (r == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			r = look_at(v, fd, entry->d_name, group, err);
	closedir(dir);
	if (r == 0 && v->count == before)
		r = err_set(err, -ENODEV, "no device of this group has the driver vfio-pci");
	return r;
}

static int open_group(struct vfio_devices *v, const char *path, struct err *err)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	int fd = sys_openat(AT_FDCWD, path, O_RDWR, 0), r;

	if (fd < 0)
		return err_set(
			err, fd, "%s", fd == -EBUSY ? "somebody else uses it" : strerror(-fd));
	v->groups[v->group_count++] = fd;
	r = list_devices(v, strrchr(path, '/') + 1, fd, err);
	if (r == 0)
		r = sys_ioctl(fd, VFIO_GROUP_GET_STATUS, &status);
	if (r < 0)
		return err->code ? r : err_sys(err, r, "VFIO_GROUP_GET_STATUS");
	return status.flags & VFIO_GROUP_FLAGS_VIABLE
		       ? 0
		       : err_set(err, -EBUSY, "not all devices of the group are free");
}

int vfio_devices_open(const struct vm_plan *plan, struct vfio_devices *ret, struct err *err)
{
	struct vfio_devices v = {.container = -1};
	int r = 0;

	if (plan->groups.count) {
		r = v.container = sys_openat(AT_FDCWD, "/dev/vfio/vfio", O_RDWR, 0);
		if (r < 0)
			return err_set(err, -ENOTSUP,
				"linux.devices: %s: /dev/vfio/vfio: %s: this host has no IOMMU, or "
				"it is off (intel_iommu=on, amd_iommu=on), or vfio-pci is not "
				"loaded",
				plan->groups.items[0].path, strerror(-r));
	}
	for (size_t i = 0; i < plan->groups.count && r >= 0; i++) {
		r = open_group(&v, plan->groups.items[i].path, err);
		if (r < 0)
			err_add(err, "linux.devices: %s", plan->groups.items[i].path);
	}
	if (r < 0)
		vfio_devices_close(&v);
	else
		*ret = v;
	return r < 0 ? r : 0;
}

void vfio_devices_close(struct vfio_devices *v)
{
	cleanup_close(&v->container);
	for (size_t i = 0; i < v->group_count; i++)
		cleanup_close(v->groups + i);
	v->group_count = v->count = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of the host for a container. */
#include "cli/containers/assemble.h"
#include "cli/containers/start.h"
#include "spec/config.h"

#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { DEPTH_MAX = 8 };

struct device_list {
	struct assemble_device *items;
	size_t count, room;
	struct arena *arena;
};

static int add_device(
	struct device_list *list, const char *path, const struct stat *st, const char *access)
{
	struct assemble_device *items;

	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].path, path) == 0)
			return 0;
	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 16;
		items = arena_array(list->arena, list->room, struct assemble_device);
		if (!items)
			return -ENOMEM;
		if (list->count)
			memcpy(items, list->items, list->count * sizeof(*items));
		list->items = items;
	}
	list->items[list->count++] = (struct assemble_device){
		.path = arena_strdup(list->arena, path),
		.type = S_ISBLK(st->st_mode) ? 'b' : 'c',
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.mode = st->st_mode & 0777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.access = access,
	};
	return list->items[list->count - 1].path ? 0 : -ENOMEM;
}

/* Every container has these, of its own. */
static bool is_own(const char *path)
{
	static const char *const own[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
		"/dev/urandom", "/dev/tty", "/dev/console", "/dev/ptmx", "/dev/pts", "/dev/shm",
		"/dev/mqueue"};

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strcmp(path, own[i]) == 0)
			return true;
	return false;
}

struct device_folder {
	struct device_list *list;
	const char *to, *access;
	int depth;
};

/* All devices in a directory of the host, as below TO. */
static int add_entry(void *context, int dirfd, const char *name)
{
	const struct device_folder *folder = context;
	struct device_folder sub = *folder;
	autoclose int fd = -1;
	struct stat st;

	if (*name == '.')
		return 0;
	sub.to = arena_printf(folder->list->arena, "%s/%s", folder->to, name);
	if (!sub.to)
		return -ENOMEM;
	if (is_own(sub.to) || sys_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		return add_device(folder->list, sub.to, &st, folder->access);
	if (!S_ISDIR(st.st_mode) || sub.depth++ == DEPTH_MAX)
		return 0;
	fd = sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? 0 : path_each(fd, add_entry, &sub);
}

static int add_path(struct device_list *list, const char *from, const char *to, const char *access)
{
	struct device_folder folder = {list, to, access, 0};
	autoclose int fd = -1;
	struct stat st;
	int r = sys_fstatat(AT_FDCWD, from, &st, 0);

	if (r < 0)
		return r;
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		return add_device(list, to, &st, access);
	if (!S_ISDIR(st.st_mode))
		return -ENODEV;
	fd = sys_openat(AT_FDCWD, from, O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? fd : path_each(fd, add_entry, &folder);
}

static bool is_access(const char *text)
{
	return *text && strlen(text) <= 3 && strspn(text, "rwm") == strlen(text);
}

/* "vfio:0000:03:00.0", or without the domain: its group of the IOMMU, with all that is in it. */
static int add_vfio(struct device_list *list, const char *address, struct err *err)
{
	const char *domain = strlen(address) == strlen("03:00.0") ? "0000:" : "";
	char path[64], target[PATH_MAX], node[64];
	unsigned int numbers[4];
	ssize_t n;
	char end;
	int r;

	snprintf(path, sizeof(path), "%s%.20s", domain, address);
	if (sscanf(path, "%4x:%2x:%2x.%1x%c", numbers, numbers + 1, numbers + 2, numbers + 3,
		    &end) != 4)
		return err_set(
			err, -EINVAL, "--device: vfio:%s is not like vfio:0000:03:00.0", address);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s%.20s", domain, address);
	if (sys_faccessat(AT_FDCWD, path, F_OK, 0) < 0)
		return err_set(
			err, -ENODEV, "--device vfio:%s: this machine has no such device", address);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s%.20s/iommu_group", domain, address);
	n = sys_readlinkat(AT_FDCWD, path, target, sizeof(target) - 1);
	if (n < 0)
		return err_set(err, -ENOTSUP,
			"--device vfio:%s: this machine has no IOMMU, or it is off "
			"(intel_iommu=on, amd_iommu=on)",
			address);
	target[n] = '\0';
	snprintf(node, sizeof(node), "/dev/vfio/%.20s", strrchr(target, '/') + 1);
	r = add_path(list, node, node, "rw");
	return r < 0 ? err_set(err, r,
			       "--device vfio:%s: give it to the driver vfio-pci first "
			       "(driver_override)",
			       address)
		     : 0;
}

/* HOST[:PATH[:rwm]]; "HOST:rwm" too. */
static int add_written(struct device_list *list, const char *text, struct err *err)
{
	char *copy = arena_strdup(list->arena, text), *save = copy;
	const char *parts[4] = {}, *to, *access = "rwm";
	size_t count = 0;
	int r;

	if (parse_has_prefix(text, "vfio:", &to))
		return add_vfio(list, to, err);
	if (!copy)
		return err_sys(err, -ENOMEM, "--device");
	while (save && count < 4)
		parts[count++] = strsep(&save, ":");
	to = parts[0];
	if (count == 2 && is_access(parts[1]))
		access = parts[1];
	else if (count > 1)
		to = parts[1];
	if (count == 3)
		access = parts[2];
	if (count > 3 || *parts[0] != '/' || *to != '/' || !is_access(access))
		return err_set(err, -EINVAL, "--device: \"%s\" is not HOST[:PATH[:rwm]]", text);
	r = add_path(list, parts[0], to, access);
	if (r == -ENODEV)
		return err_set(err, r, "--device: %s is no device", parts[0]);
	return r < 0 ? err_sys(err, r, "--device: %s", parts[0]) : 0;
}

/* What the drivers of the usual makers have in /dev. */
static int add_gpus(struct device_list *list, const char *which, struct err *err)
{
	static const char *const always[] = {"/dev/nvidiactl", "/dev/nvidia-uvm",
		"/dev/nvidia-uvm-tools", "/dev/nvidia-modeset", "/dev/kfd", "/dev/dri"};
	size_t before = list->count;
	char path[32];

	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		if (add_path(list, always[i], always[i], "rw") == -ENOMEM)
			return err_sys(err, -ENOMEM, "--gpus");
	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/dev/nvidia%d", i);
		if (add_path(list, path, path, "rw") == -ENOMEM)
			return err_sys(err, -ENOMEM, "--gpus");
	}
	if (list->count == before)
		return err_set(err, -ENODEV,
			"--gpus %s: this machine has none (/dev/dri, /dev/nvidia0)", which);
	return 0;
}

/* "DEVICE:RATE" */
static int add_throttle(const char *option, const char *text, bool bytes, const char *key,
	struct arena *arena, struct assemble_throttle *ret, struct err *err)
{
	const char *colon = strrchr(text, ':');
	char *path = arena_strdup(arena, text);
	struct stat st;
	int r;

	if (!path)
		return err_sys(err, -ENOMEM, "--%s", option);
	if (!colon || colon == text ||
		(bytes ? parse_size(colon + 1, &ret->rate) : parse_u64(colon + 1, &ret->rate)) < 0)
		return err_set(err, -EINVAL, "--%s: \"%s\" is not DEVICE:RATE", option, text);
	path[colon - text] = '\0';
	r = sys_fstatat(AT_FDCWD, path, &st, 0);
	if (r < 0)
		return err_sys(err, r, "--%s: %s", option, path);
	if (!S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "--%s: %s is not a disk", option, path);
	ret->key = key;
	ret->major = major(st.st_rdev);
	ret->minor = minor(st.st_rdev);
	return 0;
}

static int find_throttles(const struct run_options *o, struct arena *arena,
	struct assemble_facts *facts, struct err *err)
{
	const struct {
		const char *option, *key;
		const struct strings *texts;
		bool bytes;
	} kinds[] = {
		{"device-read-bps", "throttleReadBpsDevice", &o->read_bps, true},
		{"device-write-bps", "throttleWriteBpsDevice", &o->write_bps, true},
		{"device-read-iops", "throttleReadIOPSDevice", &o->read_iops, false},
		{"device-write-iops", "throttleWriteIOPSDevice", &o->write_iops, false},
	};
	struct assemble_throttle *all;
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		count += kinds[i].texts->count;
	all = arena_array(arena, count + 1, struct assemble_throttle);
	if (!all)
		return err_sys(err, -ENOMEM, "devices");
	count = 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		for (size_t k = 0; k < kinds[i].texts->count && r == 0; k++)
			r = add_throttle(kinds[i].option, kinds[i].texts->items[k], kinds[i].bytes,
				kinds[i].key, arena, &all[count++], err);
	facts->throttles = all;
	facts->throttle_count = count;
	return r;
}

int start_find_devices(const struct run_options *o, struct arena *arena,
	struct assemble_facts *facts, struct err *err)
{
	struct device_list list = {.arena = arena};
	int r = 0;

	for (size_t i = 0; i < o->devices.count && r == 0; i++)
		r = add_written(&list, o->devices.items[i], err);
	if (r == 0 && o->gpus)
		r = add_gpus(&list, o->gpus, err);
	if (r == 0 && o->privileged && !facts->rootless && o->isolation != SPEC_ISOLATION_VM) {
		r = add_path(&list, "/dev", "/dev", "rwm");
		if (r < 0)
			return err_sys(err, r, "--privileged: /dev");
	}
	facts->devices = list.items;
	facts->device_count = list.count;
	return r < 0 ? r : find_throttles(o, arena, facts, err);
}

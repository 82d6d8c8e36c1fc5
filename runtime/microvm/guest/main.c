/* SPDX-License-Identifier: Apache-2.0 */
/* The first process of the guest. Whatever fails here is said on the console, and the guest
 * switches itself off: there is nobody else to ask. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <time.h>

static const struct {
	const char *type, *target;
	unsigned long flags;
	const char *data;
} mounts[] = {
	{"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
	{"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
	{"devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755"},
	{"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"},
	{"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
	{"mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
	{"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
	{"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate"},
};

/*
 * The first file system of all cannot be left by pivot_root(2), which a container does. What lies
 * over it can.
 */
static int leave_rootfs(struct err *err)
{
	autoclose int tree = sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE);
	int r = tree < 0 ? tree : sys_move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);

	if (r == 0)
		r = sys_fchdir(tree);
	if (r == 0)
		r = sys_chroot(".");
	return r < 0 ? err_sys(err, r, "a root to leave") : 0;
}

static int make_filesystems(struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		int r = sys_mkdirat(AT_FDCWD, mounts[i].target, 0755);

		if (r == 0 || r == -EEXIST)
			r = sys_mount(mounts[i].type, mounts[i].target, mounts[i].type,
				mounts[i].flags, mounts[i].data);
		if (r < 0)
			return err_sys(err, r, "mount of %s", mounts[i].target);
	}
	return 0;
}

/* Nobody inherits the console by accident, and 0–2 are never something else. */
static int close_console(struct err *err)
{
	int fd = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);

	for (int i = 0; i < 3 && fd >= 0; i++)
		fd = fd == i ? fd : dup2(fd, i) < 0 ? -errno : fd;
	if (fd > 2)
		close(fd);
	return fd < 0 ? err_sys(err, fd, "/dev/null") : 0;
}

/* The kernel names a virtio device's id in "modalias": virtio:d00000013v…. */
static int load_for_device(int folder, int devices, const char *name, struct err *err)
{
	char path[300], alias[64], group[16];
	unsigned int id;

	if (snprintf(path, sizeof(path), "%s/modalias", name) >= (int)sizeof(path) ||
		fd_read_line(devices, path, alias, sizeof(alias)) < 0 ||
		sscanf(alias, "virtio:d%8xv", &id) != 1)
		return 0;
	snprintf(group, sizeof(group), "%u", id);
	return modules_load(folder, group, err);
}

/* Only the drivers of devices that are there. Returns how many modules were loaded. */
static int load_modules(struct err *err)
{
	autoclose int folder = sys_openat(AT_FDCWD, "/brig", O_RDONLY | O_DIRECTORY, 0);
	int loaded = folder < 0 ? folder : modules_load(folder, "boot", err), r;
	struct dirent *entry;
	DIR *dir;

	if (folder < 0)
		return err_sys(err, folder, "/brig");
	if (loaded < 0)
		return loaded;
	dir = opendir("/sys/bus/virtio/devices");
	if (!dir)
		return err_sys(err, -errno, "/sys/bus/virtio/devices");
	r = 0;
	while (r >= 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		r = load_for_device(folder, dirfd(dir), entry->d_name, err);
		loaded += r > 0 ? r : 0;
	}
	closedir(dir);
	return r < 0 ? r : loaded;
}

static int loopback_up(struct err *err)
{
	autoclose int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &request) < 0)
		return err_sys(err, -errno, "loopback interface");
	return 0;
}

static int serve(struct err *err)
{
	autoclose int listener = -1;
	struct proto_ready ready = {.version = PROTO_VERSION};
	struct timespec now;
	int r = leave_rootfs(err);

	if (r == 0)
		r = make_filesystems(err);
	if (r == 0)
		r = close_console(err);
	if (r == 0)
		r = load_modules(err);
	if (r < 0)
		return r;
	ready.modules = (uint32_t)r;
	r = loopback_up(err);
	if (r == 0)
		r = listener = host_listen(err);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_BOOTTIME, &now);
	ready.boot_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return agent_run(listener, &ready, err);
}

/* That the power goes down is one to the kernel, and would be written byte by byte. */
static void end_emergencies(void)
{
	autoclose int level = sys_openat(AT_FDCWD, "/proc/sys/kernel/printk", O_WRONLY, 0);

	if (level >= 0)
		(void)!sys_write(level, "0", 1);
}

int main(void)
{
	struct err err = {};

	if (serve(&err) < 0) {
		int console = sys_openat(AT_FDCWD, "/dev/kmsg", O_WRONLY, 0);

		dprintf(console, "<0>brig-guest: %s\n", err.text);
		sleep(1); /* for a slow console */
	}
	sync();
	end_emergencies();
	reboot(RB_POWER_OFF);
	return 1;
}

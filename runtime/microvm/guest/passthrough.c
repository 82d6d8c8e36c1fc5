/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process: a child of the agent for one request. The devices of the host that this machine has, as
 * devices of its container: every node in /dev that belongs to a PCI function, since all others
 * here are virtio-mmio's; and /dev/kvm, which is only there when the host wants it. A network
 * device needs none: it is in the container's network namespace, which is the machine's.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { PROBE_MS = 3000, STEP_MS = 20 };

#define FUNCTIONS "/sys/bus/pci/devices"

static int add_node(json_t *config, char type, const char *name, const struct stat *st)
{
	json_t *linux_ = json_object_get(config, "linux");
	json_t *devices = json_object_get(linux_, "devices");
	json_t *resources = json_object_get(linux_, "resources"), *rules;
	const char kind[] = {type, 0};
	json_int_t major = major(st->st_rdev), minor = minor(st->st_rdev);
	int r = 0;

	if (!devices)
		r = json_object_set_new(linux_, "devices", devices = json_array());
	if (!resources)
		r |= json_object_set_new(linux_, "resources", resources = json_object());
	rules = json_object_get(resources, "devices");
	if (!rules)
		r |= json_object_set_new(resources, "devices", rules = json_array());
	r |= json_array_append_new(
		devices, json_pack("{s:s+, s:s, s:I, s:I, s:i}", "path", "/dev/", name, "type",
				 kind, "major", major, "minor", minor, "fileMode", 0660));
	r |= json_array_append_new(
		rules, json_pack("{s:b, s:s, s:I, s:I, s:s}", "allow", 1, "type", kind, "major",
			       major, "minor", minor, "access", "rwm"));
	return r ? -ENOMEM : 0;
}

/* "8:0" leads to ../../devices/pci0000:00/0000:00:01.0/…; its node is named as its uevent says. */
static bool is_of_pci(int links, const char *number)
{
	char target[512];
	ssize_t n = sys_readlinkat(links, number, target, sizeof(target) - 1);

	target[n > 0 ? n : 0] = 0;
	return strstr(target, "/devices/pci") != NULL;
}

static bool node_name(int links, const char *number, char *ret, size_t size)
{
	static const char key[] = "DEVNAME=";
	autobuf struct buf text = {};
	char path[300], *at;

	if (snprintf(path, sizeof(path), "%s/uevent", number) >= (int)sizeof(path) ||
		fd_read_file(links, path, 4096, &text) < 0)
		return false;
	at = strstr(text.data, key);
	if (!at)
		return false;
	at += strlen(key);
	at[strcspn(at, "\n")] = 0;
	return snprintf(ret, size, "%s", at) < (int)size;
}

/* Adds those of one kind to CONFIG, or only counts them when it is NULL. */
static int each_node(const char *folder, char type, json_t *config)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char name[256];
	struct stat st;
	int count = 0, r = dir ? 0 : -errno;

	while (r == 0 && (entry = readdir(dir))) {
		autoclose int dev = -1;

		if (entry->d_name[0] == '.' || !is_of_pci(dirfd(dir), entry->d_name) ||
			!node_name(dirfd(dir), entry->d_name, name, sizeof(name)))
			continue;
		dev = sys_openat(AT_FDCWD, "/dev", O_PATH | O_DIRECTORY, 0);
		if (sys_fstatat(dev, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* it is gone again */
		count++;
		r = config ? add_node(config, type, name, &st) : 0;
	}
	if (dir)
		closedir(dir);
	return r < 0 ? r : count;
}

static int each_kind(json_t *config)
{
	int characters = each_node("/sys/dev/char", 'c', config);
	int blocks = each_node("/sys/dev/block", 'b', config);

	return characters < 0 ? characters : blocks < 0 ? blocks : characters + blocks;
}

/* A processor that shows its virtualisation: the guest was made to have guests. */
static bool find_kvm(struct stat *ret)
{
	return sys_fstatat(AT_FDCWD, "/dev/kvm", ret, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool has_functions(void)
{
	DIR *dir = opendir(FUNCTIONS);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return found;
}

/* Drivers look for what their device has on their own time, and do not say when they are done: so
 * until nothing new has come for a while. */
static void wait_for_nodes(void)
{
	int before = -1, now, calm = 0;

	for (int waited = 0; waited < PROBE_MS && calm < 5; waited += STEP_MS) {
		now = each_kind(NULL);
		calm = now > 0 && now == before ? calm + 1 : 0;
		before = now;
		sys_poll(NULL, 0, STEP_MS);
	}
}

bool passthrough_is_there(void)
{
	struct stat kvm;

	return has_functions() || find_kvm(&kvm);
}

int passthrough_add_nodes(json_t *config, struct err *err)
{
	struct stat kvm;
	int r = find_kvm(&kvm) ? add_node(config, 'c', "kvm", &kvm) : 0;

	if (r == 0 && has_functions()) {
		wait_for_nodes();
		r = each_kind(config);
	}
	return r < 0 ? err_sys(err, r, "the nodes of the host's devices") : 0;
}

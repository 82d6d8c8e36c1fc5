/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/host.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>

const struct json_name cgroup_driver_names[] = {
	{"cgroupfs", CGROUP_CGROUPFS},
	{"systemd", CGROUP_SYSTEMD},
	{"disabled", CGROUP_DISABLED},
	{NULL, 0},
};

/* By bit. */
static const char *const controllers[] = {
	"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc", "dmem"};

const char *cgroup_controller_name(unsigned int bit)
{
	for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
		if (bit == 1U << i)
			return controllers[i];
	return "?";
}

/* The bit of the LEN bytes at NAME, 0 when there is no such controller. */
static unsigned int controller_bit(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
		if (strlen(controllers[i]) == len && memcmp(controllers[i], name, len) == 0)
			return 1U << i;
	return 0;
}

static unsigned int parse_list(const char *text, size_t len, const char *separators)
{
	const char *end = text + len;
	unsigned int mask = 0;

	while (text < end) {
		size_t n = strcspn(text, separators);

		if (n > (size_t)(end - text))
			n = (size_t)(end - text);
		mask |= controller_bit(text, n);
		text += n + 1;
	}
	return mask;
}

unsigned int cgroup_controllers_parse(const char *text)
{
	return parse_list(text, strlen(text), " \n");
}

int host_parse_own(const char *text, char *own, size_t size, unsigned int *ret_v1)
{
	unsigned int v1 = 0;
	bool found = false;

	while (*text) {
		size_t len = strcspn(text, "\n");
		const char *names = memchr(text, ':', len);
		const char *path = names ? memchr(names + 1, ':', len - (names + 1 - text)) : NULL;

		if (path && text[0] == '0' && names == text + 1 && path == names + 1) {
			size_t n = len - (size_t)(path + 1 - text);

			if (n >= size)
				return -ENAMETOOLONG;
			memcpy(own, path + 1, n);
			own[n] = '\0';
			found = true;
		} else if (path) {
			v1 |= parse_list(names + 1, (size_t)(path - names - 1), ",:");
			if (path - names - 1 >= 5 &&
				memmem(names + 1, path - names - 1, "blkio", 5))
				v1 |= CGROUP_IO;
		}
		text += len + (text[len] == '\n');
	}
	*ret_v1 = v1;
	return found ? 0 : -ENOENT;
}

/* 1 with a descriptor when PATH is the top of a v2 tree, 0 when it is not there or something else.
 * Anything else is an error: taken for "not there", a cgroup would be left behind. */
static int open_cgroup2(const char *path, int *ret_fd)
{
	autoclose int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	struct statfs fs;
	int r;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	r = sys_fstatfs(fd, &fs);
	if (r < 0)
		return r;
	if (fs.f_type != CGROUP2_SUPER_MAGIC)
		return 0;
	*ret_fd = take_fd(&fd);
	return 1;
}

int cgroup_host_probe(struct cgroup_host *ret, struct err *err)
{
	int fd = -1, r;

	for (size_t i = 0; i < TREE_MOUNTS; i++) {
		r = open_cgroup2(tree_mounts[i], &fd);
		if (r < 0)
			return err_sys(err, r, "open %s", tree_mounts[i]);
		if (r == 0)
			continue;
		*ret = (struct cgroup_host){
			.rootfd = fd,
			.mount = tree_mounts[i],
			.helper = CGROUP_HELPER,
		};
		return 0;
	}
	return err_set(err, -ENOENT,
		"no cgroup v2 tree is mounted at /sys/fs/cgroup or /sys/fs/cgroup/unified; "
		"mount one, or use the cgroup manager \"disabled\"");
}

int cgroup_host_join(int procfd, pid_t with, struct err *err)
{
	autocgrouphost struct cgroup_host host = {.rootfd = -1};
	autobuf struct buf text = {};
	char name[32], path[PATH_MAX], procs[PATH_MAX + 16];
	unsigned int v1;
	int r = cgroup_host_probe(&host, err);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%d/cgroup", with);
	r = fd_read_file(procfd, name, 1 << 20, &text);
	if (r >= 0)
		r = host_parse_own(buf_str(&text), path, sizeof(path), &v1);
	if (r >= 0) {
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", path[1] ? path + 1 : ".");
		r = fd_write_file(host.rootfd, procs, "0");
	}
	return r < 0 ? err_sys(err, r, "go to the cgroup of process %d", with) : 0;
}

int cgroup_host_own(int procfd, char *ret, size_t size, struct err *err)
{
	autobuf struct buf text = {};
	unsigned int v1;
	int r = fd_read_file(procfd, "self/cgroup", 1 << 20, &text);

	if (r >= 0)
		r = host_parse_own(buf_str(&text), ret, size, &v1);
	return r < 0 ? err_sys(err, r, "find the own cgroup in /proc/self/cgroup") : 0;
}

unsigned int host_v1(void)
{
	autobuf struct buf text = {};
	char own[PATH_MAX];
	unsigned int v1 = 0;

	if (fd_read_file(AT_FDCWD, "/proc/self/cgroup", 1 << 20, &text) >= 0)
		(void)host_parse_own(buf_str(&text), own, sizeof(own), &v1);
	return v1;
}

void cgroup_host_close(struct cgroup_host *host)
{
	if (host->mount)
		cleanup_close(&host->rootfd);
	host->mount = NULL;
}

bool cgroup_has_systemd(void)
{
	return sys_faccessat(AT_FDCWD, CGROUP_HELPER, X_OK, 0) == 0;
}

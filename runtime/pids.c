/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. The processes of a container. */
#include "base/parse.h"
#include "base/sys.h"
#include "runtime/lifecycle.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

static int add(struct cgroup_pids *pids, pid_t pid)
{
	pid_t *items = realloc(pids->items, (pids->count + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	items[pids->count++] = pid;
	pids->items = items;
	return 0;
}

static int pid_namespace(int procfd, const char *pid, ino_t *ret)
{
	char name[300];
	struct stat st;
	int r;

	snprintf(name, sizeof(name), "%s/ns/pid", pid);
	r = sys_fstatat(procfd, name, &st, 0);
	if (r == 0)
		*ret = st.st_ino;
	return r;
}

/* Without a cgroup: those in the init's pid namespace, when that is not ours; else the init. */
static int list_by_namespace(const struct container *c, struct cgroup_pids *ret)
{
	char init[16];
	ino_t theirs, ours, one;
	struct dirent *entry;
	int fd, r = 0;
	DIR *dir;

	snprintf(init, sizeof(init), "%d", c->pid);
	if (pid_namespace(c->rt->procfd, init, &theirs) < 0 ||
		pid_namespace(c->rt->procfd, "self", &ours) < 0 || theirs == ours)
		return add(ret, c->pid);
	fd = sys_openat(c->rt->procfd, ".", O_RDONLY | O_DIRECTORY, 0);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return fd < 0 ? fd : -ENOMEM;
	/* readdir(3) tells an error from the end by errno alone. */
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		uint32_t pid;

		if (parse_u32(entry->d_name, &pid) == 0 &&
			pid_namespace(c->rt->procfd, entry->d_name, &one) == 0 && one == theirs)
			r = add(ret, (pid_t)pid);
	}
	if (r == 0)
		r = -errno;
	closedir(dir);
	return r;
}

int container_pids(
	const struct runtime *rt, const char *id, struct cgroup_pids *ret, struct err *err)
{
	autocontainer struct container c = {.dirfd = -1, .pidfd = -1};
	autocgroup struct cgroup *cgroup = NULL;
	int r = container_open(rt, id, false, &c, err);

	if (r < 0)
		return r;
	if (c.cgroup.driver != CGROUP_DISABLED) {
		r = container_cgroup(&c, &cgroup, err);
		return r < 0 ? r : cgroup_list(cgroup, ret, err);
	}
	r = c.pidfd < 0 ? 0 : list_by_namespace(&c, ret);
	return r < 0 ? err_sys(err, r, "container \"%s\": list its processes", id) : 0;
}

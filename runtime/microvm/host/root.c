/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. */
#include "runtime/microvm/host/root.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { CHILDREN_MAX = 4096, COMM_MAX = 64 };

static bool is_file_server(const struct container *c, const char *pid)
{
	autobuf struct buf comm = {};
	char path[64];

	snprintf(path, sizeof(path), "%.20s/comm", pid);
	return fd_read_file(c->rt->procfd, path, COMM_MAX, &comm) == 0 &&
	       strcmp(buf_str(&comm), "brig-fsd\n") == 0;
}

int root_file_server(const struct container *c, char *ret, size_t size)
{
	autobuf struct buf children = {};
	char path[64], *save = NULL;
	int r;

	snprintf(path, sizeof(path), "%d/task/%d/children", c->pid, c->pid);
	r = fd_read_file(c->rt->procfd, path, CHILDREN_MAX, &children);
	if (r < 0)
		return r;
	for (char *pid = strtok_r(children.len ? children.data : (char[]){""}, " ", &save); pid;
		pid = strtok_r(NULL, " ", &save))
		if (is_file_server(c, pid)) {
			snprintf(ret, size, "%.20s", pid);
			return 0;
		}
	return -ESRCH;
}

int root_open_shared(const struct container *c, struct err *err)
{
	char path[64], pid[24];
	int fd, r = root_file_server(c, pid, sizeof(pid));

	if (r < 0)
		return err_sys(err, r, "container \"%s\": find its file server", c->id);
	snprintf(path, sizeof(path), "%s/root/rootfs", pid);
	fd = sys_openat(c->rt->procfd, path, O_PATH | O_DIRECTORY, 0);
	return fd < 0 ? err_sys(err, fd, "container \"%s\": open its root", c->id) : fd;
}

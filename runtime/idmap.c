/* SPDX-License-Identifier: Apache-2.0 */
/* Process: parent. A user namespace exists only while somebody is in it or holds it open. */
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/mounts.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int write_map(int procfd, pid_t pid, const char *file, const char *map)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", pid, file);
	return fd_write_file(procfd, path, map);
}

int idmap_open(int procfd, const char *uid_map, const char *gid_map, struct err *err)
{
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_CLEAR_SIGHAND,
		.exit_signal = SIGCHLD,
	};
	char path[64];
	pid_t pid = sys_clone3(&args);
	int fd = -1, r;

	if (pid < 0)
		return err_sys(err, pid, "idmap: make a user namespace");
	if (pid == 0)
		for (;;)
			pause();
	r = write_map(procfd, pid, "uid_map", uid_map);
	if (r == 0)
		r = write_map(procfd, pid, "gid_map", gid_map);
	snprintf(path, sizeof(path), "%d/ns/user", pid);
	if (r == 0)
		r = fd = sys_openat(procfd, path, O_RDONLY, 0);
	sys_kill(pid, SIGKILL);
	sys_waitpid(pid, NULL, 0);
	return r < 0 ? err_sys(err, r, "idmap: write the id map") : fd;
}

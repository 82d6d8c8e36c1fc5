/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *variable(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; *envp; envp++) {
		if (!strncmp(*envp, name, len) && (*envp)[len] == '=')
			return *envp + len + 1;
	}
	return NULL;
}

/* execvp(3) with the new process's own PATH. The error that says most wins: ENOENT only when
 * nothing was found anywhere. */
static int execute(char *const *argv, char *const *envp)
{
	const char *path = variable(envp, "PATH") ?: "/usr/bin:/bin", *name = argv[0];
	int error = -ENOENT;

	if (strchr(name, '/'))
		return sys_execveat(AT_FDCWD, name, argv, envp, 0);
	while (*path) {
		size_t len = strcspn(path, ":");
		char full[4096];
		int r;

		if (snprintf(full, sizeof(full), "%.*s/%s", (int)len, len ? path : ".", name) <
			(int)sizeof(full)) {
			r = sys_execveat(AT_FDCWD, full, argv, envp, 0);
			if (r != -ENOENT && r != -ENOTDIR)
				error = r;
		}
		path += len + (path[len] == ':');
	}
	return error;
}

static int take_streams(const struct stdio *stdio)
{
	setsid();
	if (stdio->terminal && ioctl(stdio->fds[0], TIOCSCTTY, 0) < 0)
		return -errno;
	for (int i = 0; i < 3; i++) { /* the sources are all above 2 */
		if (dup2(stdio->fds[i], i) < 0)
			return -errno;
	}
	return sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
}

static char **terminated(const struct strings *list)
{
	char **array = calloc(list->count + 1, sizeof(*array));

	if (array && list->count)
		memcpy(array, list->items, list->count * sizeof(*array));
	return array;
}

int plain_exec(const struct spec_process *process, const struct stdio *stdio, struct err *err)
{
	autofree char **argv = terminated(&process->args), **envp = terminated(&process->env);
	int r = argv && envp ? take_streams(stdio) : -ENOMEM;

	if (r < 0)
		return err_sys(err, r, "standard streams");
	r = sys_setgroups(0, NULL);
	if (r == 0)
		r = sys_setresgid(process->user.gid, process->user.gid, process->user.gid);
	if (r == 0)
		r = sys_setresuid(process->user.uid, process->user.uid, process->user.uid);
	if (r < 0)
		return err_sys(err, r, "user and group");
	r = sys_chdir(process->cwd);
	if (r < 0)
		return err_sys(err, r, "%s", process->cwd);
	r = execute(argv, envp);
	return err_sys(err, r, "exec: \"%s\"", argv[0]);
}

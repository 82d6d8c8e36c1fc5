/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What the new process says when it cannot become what was asked for. */
struct report {
	int error;
	char step[32];
};

static _Noreturn void fail(int report, const char *step, int error)
{
	struct report r = {.error = error};

	snprintf(r.step, sizeof(r.step), "%s", step);
	(void)!sys_write(report, &r, sizeof(r));
	_exit(127);
}

static const char *variable(char **envp, const char *name)
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
static int execute(const struct process_start *s)
{
	const char *path = variable(s->envp, "PATH") ?: "/usr/bin:/bin", *name = s->argv[0];
	int error = -ENOENT;

	if (strchr(name, '/'))
		return sys_execveat(AT_FDCWD, name, s->argv, s->envp, 0);
	while (*path) {
		size_t len = strcspn(path, ":");
		char full[4096];
		int r;

		if (snprintf(full, sizeof(full), "%.*s/%s", (int)len, len ? path : ".", name) <
			(int)sizeof(full)) {
			r = sys_execveat(AT_FDCWD, full, s->argv, s->envp, 0);
			if (r != -ENOENT && r != -ENOTDIR)
				error = r;
		}
		path += len + (path[len] == ':');
	}
	return error;
}

static _Noreturn void become(const struct process_start *s, int report)
{
	sigset_t none;
	int r;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (s->terminal && ioctl(s->fds[0], TIOCSCTTY, 0) < 0)
		fail(report, "controlling terminal", -errno);
	for (int i = 0; i < 3; i++) { /* the sources are all above 2 */
		if (dup2(s->fds[i], i) < 0)
			fail(report, "standard streams", -errno);
	}
	r = sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (r < 0)
		fail(report, "close_range", r);
	r = sys_setgroups(0, NULL);
	if (r == 0)
		r = sys_setresgid(s->gid, s->gid, s->gid);
	if (r == 0)
		r = sys_setresuid(s->uid, s->uid, s->uid);
	if (r < 0)
		fail(report, "user and group", r);
	r = sys_chdir(s->cwd);
	if (r < 0)
		fail(report, "working directory", r);
	fail(report, "execute", execute(s));
}

pid_t process_start(const struct process_start *start, char *ret_step, size_t size)
{
	struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	autoclose int report_r = -1, report_w = -1;
	struct report report = {};
	int fds[2], r = sys_pipe(fds);
	pid_t pid;

	snprintf(ret_step, size, "fork");
	if (r < 0)
		return r;
	report_r = fds[0], report_w = fds[1];
	pid = sys_clone3(&args);
	if (pid == 0)
		become(start, report_w);
	if (pid < 0)
		return pid;
	cleanup_close(&report_w);
	if (sys_read(report_r, &report, sizeof(report)) != sizeof(report))
		return pid; /* the exec closed it */
	sys_waitpid(pid, &r, 0);
	snprintf(ret_step, size, "%.*s", (int)sizeof(report.step), report.step);
	return report.error < 0 ? report.error : -EIO;
}

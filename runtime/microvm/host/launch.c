/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/launch.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>

/* A program with exactly these descriptors, the last FD_COUNT under their own numbers. */
struct program {
	const char *path;
	char *const *argv;
	int input, log;
	const int *fds;
	size_t fd_count;
};

/* In the new process: never returns. The errno of what failed goes to REPORT. */
static _Noreturn void become(const struct program *p, int report)
{
	char *const envp[] = {NULL};
	sigset_t none;
	int r;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	r = sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < p->fd_count && r == 0; i++)
		r = p->fds[i] > 2 ? sys_set_cloexec(p->fds[i], false) : -EBADF;
	if (r == 0 && (dup2(p->input, 0) < 0 || dup2(p->log, 1) < 0 || dup2(p->log, 2) < 0))
		r = -errno;
	if (r == 0)
		r = sys_execveat(AT_FDCWD, p->path, p->argv, envp, 0);
	(void)!sys_write(report, &r, sizeof(r));
	_exit(127);
}

static int write_plan(const json_t *plan, struct err *err)
{
	autobuf struct buf text = {};
	autoclose int fd = sys_memfd_create("plan", 0);
	int r = fd < 0 ? fd : json_write(plan, JSON_COMPACT, &text);

	if (r == 0)
		r = fd_write_all(fd, text.data, text.len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "the VM's plan") : take_fd(&fd);
}

static pid_t launch(const struct program *program, int *ret_pidfd, struct err *err)
{
	autoclose int report_r = -1, report_w = -1;
	int pidfd = -1, fds[2], failed = 0, r;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_NEWPID,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	r = sys_pipe(fds);
	if (r < 0)
		return err_sys(err, r, "pipe");
	report_r = fds[0], report_w = fds[1];
	pid = sys_clone3(&args);
	if (pid < 0)
		return err_sys(err, pid, "%s: clone3", program->path);
	if (pid == 0)
		become(program, report_w);
	cleanup_close(&report_w);
	if (sys_read(report_r, &failed, sizeof(failed)) == sizeof(failed)) {
		sys_waitpid(pid, &r, 0);
		cleanup_close(&pidfd);
		return err_sys(err, failed, "%s", program->path);
	}
	*ret_pidfd = pidfd;
	return pid;
}

pid_t launch_vmm(const struct launch_options *o, int *ret_pidfd, struct err *err)
{
	autoclose int plan = write_plan(o->plan, err);
	char *const argv[] = {"brig-vmm", NULL};
	const struct program program = {.path = o->vmm,
		.argv = argv,
		.input = plan,
		.log = o->log,
		.fds = o->fds,
		.fd_count = o->fd_count};

	return plan < 0 ? plan : launch(&program, ret_pidfd, err);
}

pid_t launch_fsd(const char *path, int root, int socket, int saved, bool read_only, int log,
	int *ret_pidfd, struct err *err)
{
	autoclose int null = sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);
	const int fds[] = {root, socket, saved};
	char root_text[16], socket_text[16], saved_text[16];
	char *const argv[] = {"brig-fsd", root_text, socket_text, read_only ? "ro" : "rw",
		saved < 0 ? NULL : saved_text, NULL};
	const struct program program = {.path = path,
		.argv = argv,
		.input = null,
		.log = log,
		.fds = fds,
		.fd_count = ARRAY_LEN(fds) - (saved < 0)};

	if (null < 0)
		return err_sys(err, null, "/dev/null");
	snprintf(root_text, sizeof(root_text), "%d", root);
	snprintf(socket_text, sizeof(socket_text), "%d", socket);
	snprintf(saved_text, sizeof(saved_text), "%d", saved);
	return launch(&program, ret_pidfd, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* In the new process: never returns. The errno of what failed goes to REPORT. */
static _Noreturn void become(const struct process_options *o, pid_t parent, int input, int report)
{
	static const char *const no_env[] = {NULL};
	int fds[3] = {input, o->stdout_fd, o->stderr_fd};
	sigset_t none;
	int r = 0;

	/* CLONE_CLEAR_SIGHAND leaves the ignored ones, which an engine may have handed down. */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	/* Killed with us, who would have killed it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		_exit(127);
	/* Two steps, so that no source is overwritten before it is copied. sys_dup() goes above 2;
	 * the null device itself may get a number below, when one of the three was closed. */
	for (int i = 0; i < 3 && r >= 0; i++) {
		r = fds[i] >= 0 ? fds[i] : sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
		if (r >= 0)
			r = fds[i] = sys_dup(r);
	}
	for (int i = 0; i < 3 && r >= 0; i++) {
		r = sys_dup3(fds[i], i);
		if (r >= 0)
			r = sys_set_cloexec(i, false);
	}
	if (r >= 0)
		r = sys_chdir(o->cwd ? o->cwd : "/");
	if (r >= 0) /* also what an embedding process left inheritable */
		r = sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (r >= 0)
		r = sys_execveat(AT_FDCWD, o->path, (char *const *)o->argv,
			(char *const *)(o->envp ? o->envp : no_env), 0);
	(void)!sys_write(report, &r, sizeof(r));
	_exit(127);
}

/* Feeds the input and waits until the program has ended or DEADLINE passed. */
static int attend(
	const struct process_options *o, int *input, int pidfd, int64_t deadline, struct err *err)
{
	size_t sent = 0;

	for (;;) {
		struct pollfd fds[3] = {
			{.fd = pidfd, .events = POLLIN},
			{.fd = *input, .events = POLLOUT},
			{.fd = o->cancel ? o->cancel->fd : -1, .events = POLLIN},
		};
		int64_t left = deadline ? deadline - clock_monotonic_ms() : -1;
		int r;

		if (deadline && left <= 0)
			return -ETIMEDOUT;
		if (*input >= 0 && sent == o->input_len)
			cleanup_close(input), fds[1].fd = -1;
		r = sys_poll(fds, 3, left > 60000 ? 60000 : (int)left);
		if (r < 0 && r != -EINTR)
			return r;
		if (r <= 0)
			continue;
		if (fds[1].revents) {
			ssize_t n = sys_write(
				*input, (const char *)o->input + sent, o->input_len - sent);

			if (n == -EPIPE)
				cleanup_close(input); /* it need not read */
			else if (n < 0 && n != -EAGAIN && n != -EINTR)
				return (int)n;
			else if (n > 0)
				sent += (size_t)n;
		}
		if (fds[0].revents)
			return 0;
		r = fds[2].revents ? cancel_take(o->cancel, err) : 0;
		if (r < 0)
			return r;
	}
}

int process_run(const struct process_options *o, int *ret_status, struct err *err)
{
	int input[2] = {-1, -1}, report[2] = {-1, -1}, pidfd = -1, failed = 0, r;
	autoclose int input_r = -1, input_w = -1, report_r = -1, report_w = -1, pidfd_owner = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	pid_t pid, parent = getpid();

	r = sys_pipe(input);
	if (r < 0)
		return err_sys(err, r, "run %s: pipe", o->path);
	input_r = input[0], input_w = input[1];
	r = sys_pipe(report);
	if (r < 0)
		return err_sys(err, r, "run %s: pipe", o->path);
	report_r = report[0], report_w = report[1];
	fcntl(input_w, F_SETFL, O_NONBLOCK);
	pid = sys_clone3(&args);
	if (pid < 0)
		return err_sys(err, pid, "run %s: clone3", o->path);
	if (pid == 0)
		become(o, parent, input_r, report_w);
	pidfd_owner = pidfd;
	cleanup_close(&input_r);
	cleanup_close(&report_w);

	sigaction(SIGPIPE, &ignore, &before);
	r = sys_read(report_r, &failed, sizeof(failed)) == sizeof(failed) ? failed : 0;
	if (r == 0)
		r = attend(o, &input_w, pidfd,
			o->timeout_ms ? clock_monotonic_ms() + o->timeout_ms : 0, err);
	sigaction(SIGPIPE, &before, NULL);
	if (r < 0 && !failed) {
		sys_kill(-pid, SIGKILL);
		sys_pidfd_send_signal(pidfd, SIGKILL);
	}
	sys_waitpid(pid, ret_status, 0);
	if (r == -EINTR && !failed)
		return err_add(err, "%s", o->path);
	if (r == -ETIMEDOUT)
		return err_set(
			err, r, "%s: still running after %d ms, killed", o->path, o->timeout_ms);
	return r < 0 ? err_sys(err, r, "run %s", o->path) : 0;
}

int process_start_time(int procfd, pid_t pid, unsigned long long *ret, char *ret_state)
{
	char name[32], stat[1024];
	const char *p;
	ssize_t n;
	char state;

	snprintf(name, sizeof(name), "%d/stat", pid);
	n = fd_read_line(procfd, name, stat, sizeof(stat));
	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	/* The command name may hold anything, ")" too: fields begin behind the last one. */
	p = strrchr(stat, ')');
	if (!p || p[1] != ' ' || !p[2] || p[3] != ' ')
		return -EIO;
	state = p[2];
	/* Field 22, where the state is 3. */
	p += 2;
	for (int field = 3; p && field < 22; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (!p || !isdigit((unsigned char)*p))
		return -EIO;
	for (*ret = 0; isdigit((unsigned char)*p); p++)
		*ret = *ret * 10 + (unsigned long long)(*p - '0');
	if (ret_state)
		*ret_state = state;
	return 0;
}

/* Kernels since 6.9 have a file system for pidfds; before, all of them are one inode. */
enum { PIDFS_MAGIC = 0x50494446 };

int process_pidfd_inode(pid_t pid, uint64_t *ret)
{
	autoclose int fd = sys_pidfd_open(pid, 0);
	struct statfs fs;
	struct stat st;
	int r = fd < 0 ? fd : sys_fstatfs(fd, &fs);

	if (r == 0 && (fs.f_type != PIDFS_MAGIC || sizeof(st.st_ino) < sizeof(uint64_t)))
		r = -EOPNOTSUPP;
	if (r == 0)
		r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	*ret = st.st_ino;
	return 0;
}

int process_is_inode(pid_t pid, uint64_t inode)
{
	autoclose int fd = sys_pidfd_open(pid, 0);
	struct pollfd poll = {.fd = fd, .events = POLLIN};
	struct stat st;
	int r;

	/* EINVAL: the number is a thread's by now. */
	if (fd < 0)
		return fd == -ESRCH || fd == -EINVAL ? 0 : fd;
	r = sys_fstat(fd, &st);
	if (r < 0 || st.st_ino != inode)
		return r;
	r = sys_poll(&poll, 1, 0);
	return r < 0 ? r : r == 0; /* readable: it has ended, and nobody has waited for it */
}

int process_run_first(const char *const *paths, const struct process_options *options,
	int *ret_status, struct err *err)
{
	struct process_options o = *options;
	int r = -ENOENT;

	for (; *paths && r == -ENOENT; paths++) {
		err_clear(err);
		o.path = *paths;
		r = process_run(&o, ret_status, err);
	}
	return r;
}

/* ---- what others see of this one ---- */

/* Arguments, then environment, without a gap. */
static struct {
	char *start, *end;
} given;

/* Copies the strings of LIST to *AT. RET has room for their pointers and for NULL. */
static void copy_strings(char **list, char **ret, char **at)
{
	while (*list) {
		*ret++ = *at;
		*at = stpcpy(*at, *list++) + 1;
	}
	*ret = NULL;
}

char **process_own_arguments(int argc, char **argv)
{
	char **last = argv + argc - 1, **copy, *strings;
	size_t count = (size_t)argc + 2;

	if (argc == 0)
		return argv;
	for (char **e = environ; *e; e++, count++)
		last = e;
	given.start = argv[0];
	given.end = *last + strlen(*last) + 1;
	copy = malloc(count * sizeof(*copy) + (size_t)(given.end - given.start));
	if (!copy)
		return NULL;
	strings = (char *)(copy + count);
	copy_strings(argv, copy, &strings);
	copy_strings(environ, copy + argc + 1, &strings);
	environ = copy + argc + 1;
	return copy;
}

void process_hide(const char *title)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)given.start, end = (uintptr_t)given.end;
	uintptr_t from = (start + page - 1) & ~(page - 1), to = end & ~(page - 1);

	if (!given.start)
		return;
	if (from < to && madvise((void *)from, to - from, MADV_DONTNEED) == 0) {
		memset(given.start, 0, from - start);
		memset((void *)to, 0, end - to);
	} else {
		memset(given.start, 0, end - start);
	}
	memcpy(given.start, title, strnlen(title, end - start - 1));
}

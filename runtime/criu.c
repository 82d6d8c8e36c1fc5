/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own, and the one that becomes criu. */
#include "runtime/criu.h"

#include "base/fd.h"
#include "base/sys.h"
#include "runtime/sync.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { SOCKET_FD = 3, REPORT_FD = 100, MESSAGE_MAX = 64 << 10, LOG_MAX = 256 << 20 };

int criu_find(const char **ret, struct err *err)
{
	static const char *const places[] = {
		"/usr/local/sbin/criu", "/usr/sbin/criu", "/usr/local/bin/criu", "/usr/bin/criu"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (sys_faccessat(AT_FDCWD, places[i], X_OK, 0) < 0)
			continue;
		*ret = places[i];
		return 0;
	}
	return err_set(err, -ENOENT,
		"criu is not installed; checkpoint and restore need it: install the package criu");
}

/* ---- the process that becomes criu ---- */

/* Our descriptors go to fixed numbers in two steps, so that none is overwritten before. */
static int place_descriptors(const struct criu_setup *setup, int sock)
{
	const struct criu_request *request = setup->request;
	size_t count = request->ninherits + 1;
	autofree int *fds = calloc(count, sizeof(*fds));
	int r = fds ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && r >= 0; i++) {
		r = fcntl(i ? request->inherits[i - 1].fd : sock, F_DUPFD_CLOEXEC,
			SOCKET_FD + (int)count);
		r = r < 0 ? -errno : (fds[i] = r);
	}
	for (size_t i = 0; i < count && r >= 0; i++) {
		r = sys_dup3(fds[i], SOCKET_FD + (int)i);
		if (r >= 0)
			r = sys_set_cloexec(SOCKET_FD + (int)i, false);
	}
	if (r >= 0)
		r = sys_close_range(SOCKET_FD + (unsigned int)count, ~0U, CLOSE_RANGE_CLOEXEC);
	return r;
}

static int close_streams(void)
{
	int null = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0), r = null;

	for (int fd = 0; fd < 3 && r >= 0; fd++) {
		r = null == fd ? 0 : sys_dup3(null, fd);
		if (r >= 0)
			r = sys_set_cloexec(fd, false);
	}
	return r;
}

static int become(const struct criu_setup *setup, int sock, struct err *err)
{
	static const char *const env[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	char number[8];
	const char *const argv[] = {"criu", "swrk", number, NULL};
	int r = setup->prepare ? setup->prepare(setup->arg, err) : 0;
	sigset_t none;

	if (r < 0)
		return r;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(number, sizeof(number), "%d", SOCKET_FD);
	r = place_descriptors(setup, sock);
	if (r >= 0 && !setup->keep_streams)
		r = close_streams();
	if (r >= 0)
		r = sys_execveat(
			AT_FDCWD, setup->program, (char *const *)argv, (char *const *)env, 0);
	return err_sys(err, r, "run %s", setup->program);
}

int criu_start(const struct criu_setup *setup, struct criu *ret, struct err *err)
{
	int fds[2], report[2], r;
	autoclose int ours = -1, theirs = -1, report_r = -1, report_w = -1;
	struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	pid_t pid;

	r = sys_socketpair(SOCK_SEQPACKET, fds);
	if (r < 0)
		return err_sys(err, r, "make a socketpair");
	ours = fds[0], theirs = fds[1];
	r = sys_socketpair(SOCK_SEQPACKET, report);
	if (r < 0)
		return err_sys(err, r, "make a socketpair");
	report_r = report[0], report_w = report[1];
	if (setup->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)setup->cgroup_fd;
	}
	pid = sys_clone3(&args);
	if (pid < 0)
		return err_sys(err, pid, "clone a process for criu");
	if (pid == 0) {
		struct err failure = {};
		/* Above the numbers that descriptors for criu are placed at. */
		int high = fcntl(report_w, F_DUPFD_CLOEXEC, REPORT_FD);

		become(setup, theirs, &failure);
		sync_send_failure(high, &failure);
		_exit(127);
	}
	cleanup_close(&report_w);
	cleanup_close(&theirs);
	r = sync_expect_end(report_r, err);
	if (r < 0) {
		sys_waitpid(pid, NULL, 0);
		return r;
	}
	*ret = (struct criu){.pid = pid, .sock = take_fd(&ours)};
	return 0;
}

void criu_end(struct criu *criu)
{
	cleanup_close(&criu->sock);
	if (criu->pid > 0)
		sys_waitpid(criu->pid, NULL, 0);
	criu->pid = 0;
}

/* ---- the conversation ---- */

static int send_message(int sock, const struct buf *message)
{
	return message->failed ? -ENOMEM : fd_send(sock, message->data, message->len, NULL, 0);
}

static int receive(int sock, struct criu_response *ret, int *ret_fd)
{
	autofree char *data = malloc(MESSAGE_MAX);
	size_t n = 1;
	ssize_t len;

	*ret_fd = -1;
	len = data ? fd_recv(sock, data, MESSAGE_MAX, ret_fd, &n) : -ENOMEM;
	if (len <= 0)
		return len < 0 ? (int)len : -EPIPE;
	return criu_decode(data, (size_t)len, ret);
}

static int fail(const struct criu_request *request, const struct criu_response *response, int r,
	const char *log_path, struct err *err)
{
	autobuf struct buf log = {}, errors = {};

	if (fd_read_file(request->work_fd, request->log_file, LOG_MAX, &log) == 0)
		criu_log_errors(buf_str(&log), &errors);
	if (errors.len)
		return err_set(err, r, "criu: %s (all of it: %s)", buf_str(&errors), log_path);
	if (response->message[0])
		return err_set(err, r, "criu: %s", response->message);
	return r == -EPIPE ? err_set(err, r, "criu ended without an answer; see %s", log_path)
			   : err_sys(err, r, "criu failed; see %s", log_path);
}

int criu_converse(const struct criu *criu, const struct criu_request *request, const char *log_path,
	int (*notify)(void *arg, const struct criu_response *event, int *fd, struct err *err),
	void *arg, pid_t *ret_pid, struct err *err)
{
	autobuf struct buf message = {};
	struct criu_response response = {};
	bool refused = false;
	int r;

	criu_encode(request, &message);
	r = send_message(criu->sock, &message);
	while (r == 0) {
		autobuf struct buf answer = {};
		autoclose int fd = -1;

		r = receive(criu->sock, &response, &fd);
		if (r < 0 || response.type != CRIU_NOTIFY)
			break;
		if (!refused && notify && notify(arg, &response, &fd, err) < 0)
			refused = true;
		criu_encode_answer(!refused, &answer);
		r = send_message(criu->sock, &answer);
	}
	if (refused) /* the sentence is there already */
		return err->code;
	if (r == 0 && !response.success)
		r = response.error > 0 ? -response.error : -EIO;
	if (r < 0)
		return fail(request, &response, r, log_path, err);
	if (ret_pid)
		*ret_pid = response.pid;
	return 0;
}

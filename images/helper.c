/* SPDX-License-Identifier: Apache-2.0 */
#include "images/helper.h"

#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"
#include "images/starter.h"
#include "images/store_private.h"
#include "images/userns.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/prctl.h>

const struct unpack_limits helper_default_limits = {
	.bytes = 256ULL << 30,
	.ratio = 1100, /* deflate's own bound is 1032 */
	.entries = 10 << 20,
	.depth = 256,
	.seconds = 3600,
};

int helper_prepare(struct store *s, struct err *err)
{
	static const struct store_ids all = {};
	int fd;

	if (s->userns >= 0 || s->userns_refused || s->starter >= 0)
		return 0;
	fd = userns_create(s->inside && !s->ids.single ? &all : &s->ids, err);
	if (fd >= 0) {
		s->userns = fd;
		return 0;
	}
	/* Asked-for ids cannot be done without; the rest can, behind Landlock. */
	if (s->ids.uid_count || (fd != -EPERM && fd != -ENOSPC && fd != -EUSERS && fd != -EACCES))
		return fd;
	err_clear(err);
	s->userns_refused = true;
	return 0;
}

int helper_userns(const struct store *s)
{
	return s->userns;
}

struct start {
	int helper, userns, fds[4];
	bool isolate;
};

enum {
	JAIL_NAMESPACES = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
			  CLONE_NEWCGROUP | CLONE_NEWPID,
};

/* In the last process: only what is async-signal-safe, since the parent may have threads. */
static _Noreturn void become(const struct start *s)
{
	static char *const argv[] = {(char *)"brig-unpack", NULL};
	static char *const envp[] = {NULL};
	int fds[4], helper, r = 0;

	sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* First above the numbers that they get, so that none overwrites another. */
	for (int i = 0; i < 4 && r >= 0; i++)
		r = fds[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, 10);
	helper = r >= 0 ? fcntl(s->helper, F_DUPFD_CLOEXEC, 10) : -1;
	for (int i = 0; i < 4 && helper >= 0; i++)
		if (dup2(fds[i], i) < 0)
			_exit(126);
	if (helper < 0 || sys_close_range(4, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		_exit(126);
	sys_execveat(helper, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

/*
 * In the first process. A PID namespace begins with the next child, so this one only waits. That
 * it may enter the namespaces was found out before; failing now is fatal.
 */
static _Noreturn void isolate_and_wait(const struct start *s)
{
	/* As the first: fork(3) would wait for locks that other threads had when this began. */
	struct clone_args args = {.exit_signal = SIGCHLD};
	int status = 0;
	pid_t pid;

	sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (!s->isolate)
		become(s);
	if (s->userns >= 0 && sys_setns(s->userns, CLONE_NEWUSER) < 0)
		_exit(125);
	if (s->userns >= 0 && (sys_setresgid(0, 0, 0) < 0 || sys_setresuid(0, 0, 0) < 0))
		_exit(125);
	if (sys_unshare(JAIL_NAMESPACES) < 0)
		_exit(125);
	pid = sys_clone3(&args);
	if (pid == 0)
		become(s);
	/* Nothing of brig's may stay open here, above all no end of a pipe. */
	sys_close_range(0, ~0U, 0);
	if (pid < 0 || sys_waitpid(pid, &status, 0) < 0)
		_exit(125);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static bool may_isolate(struct store *s, int userns, const struct unpack_request *request)
{
	return userns >= 0 || (geteuid() == 0 && (request->devices || s->userns_refused));
}

static int spawn(struct store *s, int userns, const struct unpack_request *request, int dirfd,
	int in, int out, pid_t *ret_pid, int *ret_control, struct err *err)
{
	struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	struct unpack_request full = *request;
	autoclose int null = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
	autoclose int ours = -1, theirs = -1;
	struct start start;
	int pair[2], r, status;
	pid_t pid;

	if (null < 0)
		return err_sys(err, null, "/dev/null");
	r = sys_socketpair(SOCK_SEQPACKET, pair);
	if (r < 0)
		return err_sys(err, r, "start brig-unpack");
	ours = pair[0], theirs = pair[1];
	full.single_uid = s->ids.single;
	full.isolated = may_isolate(s, userns, request);
	start = (struct start){
		.helper = s->helper,
		/* Device nodes can only be made in the first user namespace. */
		.userns = request->devices ? -1 : userns,
		.fds = {in >= 0 ? in : null, out >= 0 ? out : null, null, theirs},
		.isolate = full.isolated,
	};
	pid = sys_clone3(&args);
	if (pid < 0)
		return err_sys(err, pid, "start brig-unpack");
	if (pid == 0)
		isolate_and_wait(&start);
	cleanup_close(&theirs);
	r = fd_send(ours, &full, sizeof(full), &dirfd, dirfd >= 0);
	/* One that has ended already says why to who waits for its answer (helper_explain()). */
	if (r < 0 && r != -EPIPE) {
		sys_kill(pid, SIGKILL);
		sys_waitpid(pid, &status, 0);
		return err_sys(err, r, "start brig-unpack");
	}
	*ret_pid = pid;
	*ret_control = take_fd(&ours);
	return 0;
}

int helper_spawn(struct store *s, const struct unpack_request *request, int dirfd, int in, int out,
	pid_t *ret_pid, int *ret_control, struct err *err)
{
	return spawn(s, s->userns, request, dirfd, in, out, ret_pid, ret_control, err);
}

int helper_start(struct store *s, const struct unpack_request *request, int dirfd, int in, int out,
	struct helper *ret, struct err *err)
{
	if (s->starter >= 0)
		return starter_ask(s->starter, request, dirfd, in, out, ret, err);
	ret->life = -1;
	return helper_spawn(s, request, dirfd, in, out, &ret->pid, &ret->control, err);
}

int helper_start_in(struct store *s, int userns, const struct unpack_request *request, int dirfd,
	int in, int out, struct helper *ret, struct err *err)
{
	if (userns < 0)
		return helper_start(s, request, dirfd, in, out, ret, err);
	ret->life = -1;
	return spawn(s, userns, request, dirfd, in, out, &ret->pid, &ret->control, err);
}

int helper_explain(int status, struct err *err)
{
	const char *name = NULL;
	int sig = 0;

	if (WIFSIGNALED(status))
		sig = WTERMSIG(status);
	else if (WEXITSTATUS(status) > 128)
		sig = WEXITSTATUS(status) - 128;
	if (sig)
		name = parse_signal_name(sig);
	if (sig == SIGSYS)
		return err_set(
			err, -EPIPE, "brig-unpack broke the rules of its jail and was ended");
	if (sig == SIGXCPU || sig == SIGXFSZ)
		return err_set(err, -EFBIG, "the layer needs more time or space than is allowed");
	if (sig)
		return err_set(
			err, -EPIPE, "brig-unpack was ended by signal %s", name ? name : "?");
	return err_set(
		err, -EPIPE, "brig-unpack could not be started (status %d)", WEXITSTATUS(status));
}

/* Its wait(2) status, after its end. */
static int wait_end(struct helper *h)
{
	int status = 0;

	cleanup_close(&h->control);
	if (h->life >= 0)
		status = starter_wait(&h->life);
	else
		sys_waitpid(h->pid, &status, 0);
	return status;
}

int helper_next(struct helper *h, struct unpack_reply *ret, struct err *err)
{
	struct unpack_reply reply = {};
	ssize_t n = fd_recv(h->control, &reply, sizeof(reply), NULL, NULL);

	if (n < 0)
		return err_sys(err, (int)n, "brig-unpack");
	if (n >= (ssize_t)sizeof(struct unpack_need) && reply.message == UNPACK_NEED_LOWERS)
		return UNPACK_NEED_LOWERS;
	if (n == 0)
		return helper_explain(wait_end(h), err);
	if (n != sizeof(reply) || reply.message != UNPACK_REPLY)
		return err_set(err, -EPROTO, "brig-unpack says something that has no meaning");
	/* Text from the jail is shown, so it must at least be text. */
	reply.error.text[sizeof(reply.error.text) - 1] = '\0';
	for (char *p = reply.error.text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (reply.error.code > 0 || reply.error.code < -4095)
		reply.error.code = -EPROTO;
	*ret = reply;
	return UNPACK_REPLY;
}

int helper_send_lowers(struct helper *h, int layers, const struct unpack_lowers *lowers)
{
	return fd_send(h->control, lowers, sizeof(*lowers), &layers, 1);
}

void helper_reap(struct helper *h)
{
	if (h->control >= 0)
		wait_end(h);
}

void helper_kill(struct helper *h)
{
	if (h->control >= 0 && h->life >= 0)
		starter_kill(h->life);
	else if (h->control >= 0)
		sys_kill(h->pid, SIGKILL);
	helper_reap(h);
}

int helper_wait(struct helper *h, struct unpack_reply *ret, struct err *err)
{
	int r = helper_next(h, ret, err);

	if (r == UNPACK_NEED_LOWERS)
		r = err_set(err, -EPROTO, "brig-unpack asked for what its role does not need");
	if (r == UNPACK_REPLY) {
		r = ret->error.code;
		if (r < 0)
			*err = ret->error;
	}
	helper_reap(h);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/foreground.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "cli/tty.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

/* One direction of a terminal: what was read and is not yet written. */
struct flow {
	int from, to;
	struct detach_keys *keys; /* are looked for in it; NULL: none */
	char data[4096 + DETACH_KEYS_MAX];
	size_t used;
	bool ended, left;
};

int foreground_begin(struct err *err)
{
	sigset_t set;

	tty_signals(&set);
	return tty_block_signals(&set, err);
}

static void copy_window_size(int master)
{
	struct winsize size;

	if (sys_ioctl(0, TIOCGWINSZ, &size) == 0)
		(void)!sys_ioctl(master, TIOCSWINSZ, &size);
}

static void flow_read(struct flow *flow)
{
	char typed[sizeof(flow->data) - DETACH_KEYS_MAX];
	char *to = flow->keys ? typed : flow->data;
	ssize_t n = sys_read(flow->from, to, sizeof(typed));

	/* EIO: the last process closed its terminal. */
	if (n <= 0 && n != -EAGAIN)
		flow->ended = true;
	else if (n > 0 && flow->keys)
		flow->left = detach_filter(flow->keys, typed, (size_t)n, flow->data, &flow->used);
	else if (n > 0)
		flow->used = (size_t)n;
}

static void flow_write(struct flow *flow)
{
	ssize_t n = sys_write(flow->to, flow->data, flow->used);

	if (n < 0 && n != -EAGAIN) {
		flow->used = 0;
		flow->ended = true;
	} else if (n > 0) {
		flow->used -= (size_t)n;
		memmove(flow->data, flow->data + n, flow->used);
	}
}

/* The descriptor that FLOW waits for, in FD. */
static void flow_poll(const struct flow *flow, struct pollfd *fd)
{
	*fd = (struct pollfd){.fd = -1};
	if (flow->used)
		*fd = (struct pollfd){.fd = flow->to, .events = POLLOUT};
	else if (!flow->ended)
		*fd = (struct pollfd){.fd = flow->from, .events = POLLIN};
}

static void flow_go(struct flow *flow, const struct pollfd *fd)
{
	if (!fd->revents)
		return;
	if (flow->used)
		flow_write(flow);
	else
		flow_read(flow);
}

/* True when our child has ended: its status is in RET_STATUS. */
static bool handle_signal(const struct foreground *fg, int sigfd, int *ret_status)
{
	struct signalfd_siginfo info;

	if (sys_read(sigfd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo == SIGCHLD)
		return sys_waitpid(fg->pid, ret_status, WNOHANG) == fg->pid;
	if (info.ssi_signo == SIGWINCH && fg->master >= 0)
		copy_window_size(fg->master);
	else
		(void)!sys_pidfd_send_signal(fg->pidfd, (int)info.ssi_signo);
	return false;
}

/* Reads what the ended process left in its terminal. */
static void drain(struct flow *out)
{
	while (!out->ended) {
		struct pollfd fd;

		flow_poll(out, &fd);
		if (!out->used && sys_poll(&fd, 1, 0) <= 0)
			return;
		fd.revents = POLLIN;
		flow_go(out, &fd);
	}
}

static int wait_loop(struct foreground *fg, int sigfd, int *ret_status, struct err *err)
{
	struct flow in = {.from = 0, .to = fg->master, .keys = fg->keys, .ended = fg->master < 0};
	struct flow out = {.from = fg->master, .to = 1, .ended = fg->master < 0};

	for (;;) {
		struct pollfd fds[3] = {{.fd = sigfd, .events = POLLIN}};
		int r;

		flow_poll(&in, &fds[1]);
		flow_poll(&out, &fds[2]);
		r = sys_poll(fds, 3, -1);
		if (r < 0 && r != -EINTR)
			return err_sys(err, r, "wait for the container");
		flow_go(&in, &fds[1]);
		flow_go(&out, &fds[2]);
		if (in.left) {
			fg->detached = true;
			return 0;
		}
		if (fds[0].revents && handle_signal(fg, sigfd, ret_status)) {
			drain(&out);
			return 0;
		}
	}
}

int foreground_wait(struct foreground *fg, struct err *err)
{
	autoclose int sigfd = -1;
	struct termios before;
	bool raw = false;
	sigset_t set;
	int status = 0, r;

	tty_signals(&set);
	sigfd = signalfd(-1, &set, SFD_CLOEXEC);
	if (sigfd < 0)
		return err_sys(err, -errno, "signalfd");
	if (fg->master >= 0) {
		copy_window_size(fg->master);
		raw = tty_raw(&before);
	}
	r = wait_loop(fg, sigfd, &status, err);
	if (raw)
		tty_restore(&before);
	if (r < 0)
		return r;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

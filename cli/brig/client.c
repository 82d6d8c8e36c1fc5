/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal's side of an attached container. */
#include "cli/brig/brig.h"
#include "cli/containers/attach.h"
#include "cli/detach.h"
#include "cli/tty.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

struct client {
	const struct client_options *o;
	int sigfd;
	bool stdin_open;
	struct detach_keys keys;
	bool detached;
	/* A message that the monitor has no room for yet. Never waited for alone: the container may
	 * have to be rid of its output before it takes more input. */
	char pending_type, pending[ATTACH_DATA_MAX];
	size_t pending_len;
};

static void passed_on(sigset_t *set)
{
	tty_signals(set);
	/* These are for the shell's job control. */
	sigdelset(set, SIGTSTP);
	sigdelset(set, SIGTTIN);
	sigdelset(set, SIGTTOU);
	sigdelset(set, SIGCONT);
}

int client_begin(struct err *err)
{
	sigset_t set;

	passed_on(&set);
	return tty_block_signals(&set, err);
}

static void send_size(const struct client *c)
{
	struct winsize ws;

	if (c->o->tty && sys_ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row) {
		const struct attach_size size = {.rows = ws.ws_row, .columns = ws.ws_col};

		attach_send(c->o->sock, ATTACH_SIZE, &size, sizeof(size));
	}
}

static void send_pending(struct client *c)
{
	if (attach_send(c->o->sock, c->pending_type, c->pending, c->pending_len) != -EAGAIN)
		c->pending_type = 0;
}

static void read_input(struct client *c)
{
	char data[ATTACH_DATA_MAX - DETACH_KEYS_MAX];
	ssize_t n = sys_read(STDIN_FILENO, data, sizeof(data));

	if (n == -EAGAIN)
		return;
	c->pending_type = n > 0 ? ATTACH_INPUT : ATTACH_EOF;
	c->pending_len = 0;
	if (n <= 0) {
		c->stdin_open = false;
	} else if (c->o->tty) {
		c->detached = detach_filter(&c->keys, data, (size_t)n, c->pending, &c->pending_len);
		if (!c->pending_len) {
			c->pending_type = 0;
			return;
		}
	} else {
		memcpy(c->pending, data, (size_t)n);
		c->pending_len = (size_t)n;
	}
	send_pending(c);
}

/* 1 when RET_CODE is the container's. */
static int read_monitor(struct client *c, int *ret_code)
{
	char type, data[ATTACH_DATA_MAX];
	ssize_t n = attach_recv(c->o->sock, &type, data);
	struct attach_exit exit;

	if (n == -EPIPE || n == -ECONNRESET) {
		c->detached = true;
		return 0;
	}
	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	if (type == ATTACH_STDOUT && !c->o->quiet_stdout)
		fd_write_all(STDOUT_FILENO, data, (size_t)n);
	else if (type == ATTACH_STDERR && !c->o->quiet_stderr)
		fd_write_all(STDERR_FILENO, data, (size_t)n);
	if (type != ATTACH_EXIT || n != sizeof(exit))
		return 0;
	memcpy(&exit, data, sizeof(exit));
	exit.reason[sizeof(exit.reason) - 1] = '\0';
	if (*exit.reason)
		log_line(LOG_ERROR, "%s", exit.reason);
	*ret_code = exit.code;
	return 1;
}

static void take_signal(struct client *c)
{
	struct signalfd_siginfo info;

	if (sys_read(c->sigfd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		send_size(c);
	} else if (info.ssi_signo == SIGCHLD || info.ssi_signo == SIGPIPE ||
		   info.ssi_signo == SIGURG) {
		return;
	} else if (c->o->pidfd >= 0) {
		(void)!sys_pidfd_send_signal(c->o->pidfd, (int)info.ssi_signo);
	} else {
		c->detached = true;
	}
}

static int loop(struct client *c, int *ret_code, struct err *err)
{
	for (;;) {
		struct pollfd fds[3] = {
			{.fd = c->o->sock, .events = POLLIN},
			{.fd = c->sigfd, .events = POLLIN},
			{.fd = c->stdin_open && !c->pending_type ? STDIN_FILENO : -1,
				.events = POLLIN},
		};
		int r;

		if (c->pending_type)
			fds[0].events |= POLLOUT;
		r = sys_poll(fds, 3, -1);

		if (r < 0 && r != -EINTR)
			return err_sys(err, r, "wait for the container");
		if (c->pending_type && (fds[0].revents & POLLOUT))
			send_pending(c);
		if (fds[0].revents & ~POLLOUT) {
			r = read_monitor(c, ret_code);
			if (r < 0)
				return err_sys(err, r, "talk to the container's monitor");
			if (r > 0)
				return 0;
		}
		if (fds[1].revents)
			take_signal(c);
		if (fds[2].revents && !c->detached)
			read_input(c);
		if (c->detached)
			return 0;
	}
}

int client_run(const struct client_options *options, bool *ret_detached, struct err *err)
{
	struct client c = {.o = options, .sigfd = -1, .stdin_open = options->input};
	struct termios before;
	bool raw = false;
	sigset_t set;
	int code = 0, r = detach_parse(options->detach_keys, &c.keys, err);

	if (r < 0)
		return r;
	passed_on(&set);
	c.sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c.sigfd < 0)
		return err_sys(err, -errno, "signalfd");
	fcntl(options->sock, F_SETFL, O_NONBLOCK);
	send_size(&c);
	if (options->tty && options->input)
		raw = tty_raw(&before);
	r = loop(&c, &code, err);
	if (raw)
		tty_restore(&before);
	cleanup_close(&c.sigfd);
	*ret_detached = c.detached;
	return r < 0 ? r : code;
}

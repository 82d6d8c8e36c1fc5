/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cancel.h"

#include "base/sys.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

int cancel_open(struct cancel *ret, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	ret->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (ret->fd < 0)
		return err_sys(err, -errno, "signalfd");
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? err_sys(err, -errno, "block signals") : 0;
}

void cancel_close(struct cancel *c)
{
	cleanup_close(&c->fd);
}

int cancel_take(const struct cancel *c, struct err *err)
{
	struct signalfd_siginfo info;
	const char *name;

	if (!c || c->fd < 0 || sys_read(c->fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	name = sigabbrev_np((int)info.ssi_signo);
	return err_set(err, -EINTR, "interrupted by SIG%s", name ? name : "?");
}

int cancel_wait(const struct cancel *c, int fd, struct err *err)
{
	while (c) {
		struct pollfd fds[2] = {
			{.fd = fd, .events = POLLIN},
			{.fd = c->fd, .events = POLLIN},
		};
		int r = sys_poll(fds, 2, -1);

		if (r < 0 && r != -EINTR)
			return err_sys(err, r, "poll");
		if (r > 0 && fds[0].revents)
			return 0;
		r = r > 0 ? cancel_take(c, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

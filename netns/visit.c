/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/visit.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "netns/netlink.h"

#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>

_Static_assert((int)VISIT_FDS_MAX <= (int)FD_SEND_MAX, "they go in one message");

struct answer {
	int code;
	char text[ERR_TEXT_MAX];
};

/* Process: the visitor. */
static _Noreturn void visitor(
	int userns, int netns, visit_work work, void *arg, pid_t parent, int sock)
{
	struct answer answer = {};
	struct visit_fds fds = {};
	struct err err = {};
	int r = sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

	if (getppid() != parent)
		_exit(1);
	if (r == 0)
		r = sys_setns(userns, CLONE_NEWUSER);
	if (r == 0)
		r = sys_setns(netns, CLONE_NEWNET);
	if (r < 0)
		err_sys(&err, r, "enter the network's namespaces");
	else
		r = work(arg, &fds, &err);
	answer.code = r;
	snprintf(answer.text, sizeof(answer.text), "%s", err.text);
	fd_send(sock, &answer, sizeof(answer), fds.items, fds.count);
	_exit(0);
}

static int take(int sock, struct visit_fds *ret, struct err *err)
{
	struct answer answer;
	struct visit_fds fds = {.count = VISIT_FDS_MAX};
	ssize_t n = fd_recv(sock, &answer, sizeof(answer), fds.items, &fds.count);

	if (n != sizeof(answer))
		return err_set(err, n < 0 ? (int)n : -EPIPE, "the network's visitor has died");
	if (answer.code < 0) {
		visit_close(&fds);
		return err_set(err, answer.code, "%.*s", ERR_TEXT_MAX - 1, answer.text);
	}
	*ret = fds;
	return answer.code;
}

int visit(int userns, int netns, visit_work work, void *arg, struct visit_fds *ret, struct err *err)
{
	struct visit_fds fds = {};
	pid_t self = getpid(), pid;
	int socks[2], r = sys_socketpair(SOCK_SEQPACKET, socks);

	if (r < 0)
		return err_sys(err, r, "visit a network namespace");
	pid = sys_fork();
	if (pid == 0)
		visitor(userns, netns, work, arg, self, socks[1]);
	cleanup_close(&socks[1]);
	r = pid < 0 ? err_sys(err, pid, "visit a network namespace") : take(socks[0], &fds, err);
	cleanup_close(&socks[0]);
	if (pid > 0)
		sys_waitpid(pid, NULL, 0);
	if (r >= 0 && ret)
		*ret = fds;
	else
		visit_close(&fds);
	return r;
}

void visit_close(struct visit_fds *fds)
{
	for (size_t i = 0; i < fds->count; i++)
		cleanup_close(&fds->items[i]);
	fds->count = 0;
}

int visit_netlink(void *arg, struct visit_fds *ret, struct err *err)
{
	int sock = netlink_open(err);

	(void)arg;
	if (sock < 0)
		return sock;
	ret->items[ret->count++] = sock;
	return 0;
}

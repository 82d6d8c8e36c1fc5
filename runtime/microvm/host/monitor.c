/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. */
#include "runtime/microvm/host/monitor.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <poll.h>
#include <sys/socket.h>

enum { ANSWER_MS = 10000 };

int monitor_connect(int dirfd, struct err *err)
{
	autoclose int fd = sys_socket_unix(SOCK_SEQPACKET);
	int r = fd < 0 ? fd : sys_connect_unix(fd, dirfd, MONITOR_SOCKET);

	return r < 0 ? err_sys(err, r, "reach the virtual machine's monitor") : take_fd(&fd);
}

int monitor_ask(int fd, enum control_op op, struct control_reply *ret, struct err *err)
{
	const struct control_request request = {.op = op};
	struct pollfd poll = {.fd = fd, .events = POLLIN};
	struct control_reply reply;
	ssize_t n = send(fd, &request, sizeof(request), MSG_NOSIGNAL);
	int r = n < 0 ? -errno : sys_poll(&poll, 1, ANSWER_MS);

	if (r == 0)
		r = -ETIMEDOUT;
	if (r > 0) {
		n = recv(fd, &reply, sizeof(reply), MSG_DONTWAIT);
		r = n < 0 ? -errno : n != sizeof(reply) ? -EPIPE : reply.result;
	}
	if (r < 0)
		return err_sys(err, r, "ask the virtual machine's monitor");
	if (ret)
		*ret = reply;
	return 0;
}

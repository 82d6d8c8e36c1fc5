/* SPDX-License-Identifier: Apache-2.0 */
/* Process: a command's own. */
#include "runtime/microvm/host/monitor.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/host/memory.h"

#include <poll.h>
#include <sys/socket.h>

enum { ANSWER_MS = 10000, SAVE_MS = 600000 };

int monitor_connect(int dirfd, struct err *err)
{
	autoclose int fd = sys_socket_unix(SOCK_SEQPACKET);
	int r = fd < 0 ? fd : sys_connect_unix(fd, dirfd, MONITOR_SOCKET);

	return r < 0 ? err_sys(err, r, "reach the virtual machine's monitor") : take_fd(&fd);
}

/* *RET_FD, unless it is NULL, gets the descriptor that comes with it, or −1. */
static int answer(int fd, int timeout_ms, struct control_reply *ret, int *ret_fd)
{
	struct pollfd poll = {.fd = fd, .events = POLLIN};
	size_t count = ret_fd ? 1 : 0;
	int r = sys_poll(&poll, 1, timeout_ms);
	ssize_t n;

	if (r <= 0)
		return r < 0 ? r : -ETIMEDOUT;
	n = fd_recv(fd, ret, sizeof(*ret), ret_fd, &count);
	return n < 0 ? (int)n : n != sizeof(*ret) ? -EPIPE : ret->result;
}

static int exchange(
	int fd, const struct control_request *request, struct control_reply *ret, struct err *err)
{
	struct control_reply reply;
	int r = fd_send(fd, request, sizeof(*request), NULL, 0);

	if (r == 0)
		r = answer(fd, ANSWER_MS, &reply, NULL);
	if (r < 0)
		return err_sys(err, r, "ask the virtual machine's monitor");
	if (ret)
		*ret = reply;
	return 0;
}

int monitor_ask(int fd, enum control_op op, struct control_reply *ret, struct err *err)
{
	return exchange(fd, &(struct control_request){.op = op}, ret, err);
}

int monitor_set(int fd, enum control_op op, uint64_t value, struct err *err)
{
	return exchange(fd, &(struct control_request){.op = op, .value = value}, NULL, err);
}

int monitor_save(int fd, int state, int memory, int files, struct err *err)
{
	const struct control_request request = {.op = CONTROL_SAVE};
	const int list[CONTROL_FILES_MAX] = {state, files};
	struct control_reply reply;
	autoclose int guest = -1;
	int r = fd_send(fd, &request, sizeof(request), list, files < 0 ? 1 : 2);

	if (r == 0)
		r = answer(fd, SAVE_MS, &reply, &guest);
	if (r == -ESTALE)
		return err_set(err, r,
			"a file that is open in the container was removed: such a container cannot "
			"be saved");
	if (r == 0 && guest < 0)
		r = -EPROTO;
	if (r < 0)
		return err_sys(err, r, "save the virtual machine");
	r = memory_copy(guest, memory, err);
	return r < 0 ? r : monitor_ask(fd, CONTROL_SAVED, NULL, err);
}

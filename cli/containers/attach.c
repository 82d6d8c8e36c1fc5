/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/attach.h"

#include "base/sys.h"

#include <string.h>

int attach_send(int sock, char type, const void *data, size_t len)
{
	struct iovec parts[2] = {{&type, 1}, {(void *)data, len}};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t n = sys_sendmsg(sock, &message, 0);

	return n < 0 ? (int)n : 0;
}

ssize_t attach_recv(int sock, char *ret_type, void *data)
{
	struct iovec parts[2] = {{ret_type, 1}, {data, ATTACH_DATA_MAX}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t n = sys_recvmsg(sock, &message, 0);

	if (n == 0)
		return -EPIPE;
	if (n > 0 && (message.msg_flags & MSG_TRUNC))
		return -EMSGSIZE;
	return n < 0 ? n : n - 1;
}

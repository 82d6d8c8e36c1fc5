/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/table.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/sys.h"
#include "netns/netlink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

/* A socket belongs to the namespace in which it was made. */
static int open_inside(int netns, struct err *err)
{
	autoclose int home = sys_openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0), sock = -1;
	int r = home < 0 ? home : sys_setns(netns, CLONE_NEWNET);

	if (r < 0)
		return err_sys(err, r, "enter the container's network namespace");
	sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	r = sock < 0 ? err_sys(err, -errno, "open a netfilter socket") : 0;
	if (sys_setns(home, CLONE_NEWNET) < 0)
		return err_sys(err, -EIO, "leave the container's network namespace");
	return r < 0 ? r : take_fd(&sock);
}

/* A batch (nfnetlink.h): changes are made together, when its end has come. */
static void add(struct buf *batch, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource,
	const char *name)
{
	struct netlink_request request;
	const struct nfgenmsg body = {
		.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
	struct nlmsghdr *header = (void *)request.data;

	netlink_begin(&request, type, 0, &body, sizeof(body));
	if (name)
		netlink_put_text(&request, NFTA_TABLE_NAME, name);
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nlmsg_len = (uint32_t)request.len;
	if (request.failed)
		batch->failed = true;
	else
		buf_add(batch, request.data, request.len);
}

/* The kernel has answered when send(2) returns. */
static int read_answer(int sock)
{
	char data[1024];
	const struct nlmsghdr *header = (void *)data;
	const struct nlmsgerr *answer;
	struct iovec iov = {data, sizeof(data)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = sys_recvmsg(sock, &message, MSG_DONTWAIT);

	if (n < 0)
		return (int)n;
	answer = (size_t)n >= NLMSG_LENGTH(sizeof(*answer)) ? netlink_body(header, sizeof(*answer))
							    : NULL;
	if (!answer || header->nlmsg_type != NLMSG_ERROR || answer->error > 0)
		return -EPROTO;
	return answer->error;
}

int netns_drop_table(int netns, const char *name, struct err *err)
{
	const uint16_t delete = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE;
	autobuf struct buf batch = {};
	autoclose int sock = open_inside(netns, err);
	int r;

	if (sock < 0)
		return err->code;
	add(&batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, NULL);
	add(&batch, delete, NLM_F_ACK, NFPROTO_INET, 0, name);
	add(&batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, NULL);
	if (batch.failed)
		return err_sys(err, -ENOMEM, "remove the packet filter's table %s", name);
	r = send(sock, batch.data, batch.len, MSG_NOSIGNAL) < 0 ? -errno : read_answer(sock);
	return r == 0 || r == -ENOENT
		       ? 0
		       : err_sys(err, r, "remove the packet filter's table %s", name);
}

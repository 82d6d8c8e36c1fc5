/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reach ADDRESS PORT: tries every way to send something to an IPv4 address, and prints one line for
 * each: its name, and "sent" or why not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum how { CONNECT, CONNECT_SEND, SENDTO, SENDMSG, SENDMMSG, FASTOPEN };

static const struct {
	const char *name;
	int family, type, protocol;
	enum how how;
} ways[] = {
	{"tcp", AF_INET, SOCK_STREAM, 0, CONNECT},
	{"tcp-mapped", AF_INET6, SOCK_STREAM, 0, CONNECT},
	{"tcp-fastopen", AF_INET, SOCK_STREAM, 0, FASTOPEN},
	{"mptcp", AF_INET, SOCK_STREAM, IPPROTO_MPTCP, CONNECT},
	{"udp-connected", AF_INET, SOCK_DGRAM, 0, CONNECT_SEND},
	{"udp-sendto", AF_INET, SOCK_DGRAM, 0, SENDTO},
	{"udp-sendmsg", AF_INET, SOCK_DGRAM, 0, SENDMSG},
	{"udp-sendmmsg", AF_INET, SOCK_DGRAM, 0, SENDMMSG},
	{"udp-mapped-sendto", AF_INET6, SOCK_DGRAM, 0, SENDTO},
	{"udp-mapped-connected", AF_INET6, SOCK_DGRAM, 0, CONNECT_SEND},
	{"udplite-connected", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, CONNECT_SEND},
	{"udplite-sendto", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, SENDTO},
	{"sctp", AF_INET, SOCK_STREAM, IPPROTO_SCTP, CONNECT},
	{"sctp-sendto", AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, SENDTO},
	{"raw", AF_INET, SOCK_RAW, IPPROTO_UDP, SENDTO},
};

static socklen_t fill(
	int family, const char *address, const char *port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (void *)ret;
	struct sockaddr_in6 *v6 = (void *)ret;
	char mapped[64];

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)family;
	v4->sin_port = htons((uint16_t)atoi(port));
	if (family == AF_INET)
		return inet_pton(AF_INET, address, &v4->sin_addr) == 1 ? sizeof(*v4) : 0;
	snprintf(mapped, sizeof(mapped), "::ffff:%s", address);
	return inet_pton(AF_INET6, mapped, &v6->sin6_addr) == 1 ? sizeof(*v6) : 0;
}

static long try(int sock, enum how how, struct sockaddr_storage *to, socklen_t len)
{
	char byte = 'x';
	struct iovec data = {&byte, 1};
	struct mmsghdr message = {
		.msg_hdr = {.msg_name = to, .msg_namelen = len, .msg_iov = &data, .msg_iovlen = 1}};

	switch (how) {
	case CONNECT:
		return connect(sock, (void *)to, len);
	case CONNECT_SEND:
		return connect(sock, (void *)to, len) < 0 ? -1 : send(sock, &byte, 1, 0);
	case SENDTO:
		return sendto(sock, &byte, 1, 0, (void *)to, len);
	case SENDMSG:
		return sendmsg(sock, &message.msg_hdr, 0);
	case SENDMMSG:
		return sendmmsg(sock, &message, 1, 0);
	case FASTOPEN:
		return sendto(sock, &byte, 1, MSG_FASTOPEN, (void *)to, len);
	}
	return -1;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		int sock = socket(ways[i].family, ways[i].type, ways[i].protocol);
		const struct timeval limit = {.tv_sec = 2};
		struct sockaddr_storage to;
		socklen_t len = fill(ways[i].family, argv[1], argv[2], &to);
		long r = sock;

		if (sock >= 0)
			setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		if (sock >= 0)
			r = try(sock, ways[i].how, &to, len);
		printf("%s: %s\n", ways[i].name, r < 0 ? strerror(errno) : "sent");
		if (sock >= 0)
			close(sock);
	}
	return 0;
}

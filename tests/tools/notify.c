/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify SOCKET: a seccomp agent. Takes one connection with the container process state (OCI
 * runtime-spec, config-linux.md) and the notification descriptor, prints the state, and answers
 * every call with ENOMSG until it is killed.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int take_descriptor(struct msghdr *msg)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(msg);
	int fd;

	if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int))) {
		fprintf(stderr, "notify: not one descriptor\n");
		exit(1);
	}
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	static char state[65536];
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {state, sizeof(state)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), conn, fd;
	ssize_t n;

	if (argc != 2 || strlen(argv[1]) >= sizeof(addr.sun_path)) {
		fprintf(stderr, "usage: notify SOCKET\n");
		return 2;
	}
	strcpy(addr.sun_path, argv[1]);
	if (sock < 0 || bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		listen(sock, 1) < 0)
		die("listen");
	conn = accept(sock, NULL, NULL);
	if (conn < 0)
		die("accept");
	n = recvmsg(conn, &msg, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		die("recvmsg");
	fd = take_descriptor(&msg);
	fwrite(state, 1, (size_t)n, stdout);
	fflush(stdout);
	for (;;) {
		struct seccomp_notif call = {};
		struct seccomp_notif_resp answer = {.error = -ENOMSG};

		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			die("receive");
		}
		answer.id = call.id;
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno != ENOENT)
			die("send");
	}
}

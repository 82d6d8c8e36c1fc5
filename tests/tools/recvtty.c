/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recvtty SOCKET: what an engine does for a terminal. Listens on SOCKET, takes one connection and
 * one descriptor (SCM_RIGHTS), says "received", copies standard input to the terminal and the
 * terminal to standard output until the other side is closed.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int accept_one(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), conn;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		/* A long directory: bind beneath it. */
		char *slash = strrchr(path, '/');

		*slash = '\0';
		if (chdir(path) < 0)
			die("chdir");
		path = slash + 1;
	}
	strcpy(addr.sun_path, path);
	if (sock < 0 || bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		listen(sock, 1) < 0)
		die("listen");
	conn = accept(sock, NULL, NULL);
	if (conn < 0)
		die("accept");
	return conn;
}

static int receive_fd(int conn)
{
	char name[256];
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {name, sizeof(name)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *head;
	int fd;

	if (recvmsg(conn, &msg, MSG_CMSG_CLOEXEC) <= 0)
		die("recvmsg");
	head = CMSG_FIRSTHDR(&msg);
	if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int))) {
		fprintf(stderr, "recvtty: not one descriptor\n");
		exit(1);
	}
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	if (!isatty(fd)) {
		fprintf(stderr, "recvtty: not a terminal\n");
		exit(1);
	}
	return fd;
}

/* Copies once; false at the end. */
static int copy(int from, int to)
{
	char buf[4096];
	ssize_t n = read(from, buf, sizeof(buf));

	/* The master answers EIO when the last slave is closed. */
	if (n <= 0)
		return 0;
	for (ssize_t done = 0, w; done < n; done += w) {
		w = write(to, buf + done, (size_t)(n - done));
		if (w < 0)
			die("write");
	}
	return 1;
}

int main(int argc, char **argv)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};

	if (argc != 2) {
		fprintf(stderr, "usage: recvtty SOCKET\n");
		return 2;
	}
	fds[1].fd = receive_fd(accept_one(argv[1]));
	if (write(STDOUT_FILENO, "received\n", 9) != 9)
		die("write");
	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		if (fds[1].revents && !copy(fds[1].fd, STDOUT_FILENO))
			return 0;
		if (fds[0].revents && !copy(STDIN_FILENO, fds[1].fd))
			fds[0].fd = -1;
	}
	die("poll");
}

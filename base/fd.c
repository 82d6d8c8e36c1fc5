/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include "base/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Two ways to know the end without a read that only finds it. SIZE: what the file should hold, 0:
 * not known. PLAIN: it is a regular file, which ends where a read gives less than there is room
 * for. */
static int read_all(int fd, size_t size, bool plain, size_t max, struct buf *ret)
{
	size_t total = 0;

	for (;;) {
		char *p = buf_reserve(ret, 4096);
		size_t room;
		ssize_t n;

		if (!p)
			return -ENOMEM;
		/* All the room there is: a file that fits costs two reads, however it grew. */
		room = ret->cap - ret->len - 1;
		n = sys_read(fd, p, room);
		if (n < 0)
			return (int)n;
		total += (size_t)n;
		if (total > max)
			return -EFBIG;
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
		if (n == 0 || total == size || (plain && (size_t)n < room))
			return 0;
	}
}

int fd_read_all(int fd, size_t max, struct buf *ret)
{
	return read_all(fd, 0, false, max, ret);
}

int fd_read_file(int dirfd, const char *name, size_t max, struct buf *ret)
{
	autoclose int fd = -1;
	struct stat st;
	int r;

	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	fd = sys_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > 0 && (size_t)st.st_size > max)
		return -EFBIG;
	if (st.st_size > 0 && !buf_reserve(ret, (size_t)st.st_size + 4096))
		return -ENOMEM;
	return read_all(fd, (size_t)st.st_size, false, max, ret);
}

int fd_read_own_file(int dirfd, const char *name, size_t max, struct buf *ret)
{
	autoclose int fd =
		sys_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);

	return fd < 0 ? fd : read_all(fd, 0, true, max, ret);
}

ssize_t fd_read_line(int dirfd, const char *name, char *buf, size_t size)
{
	autoclose int fd = sys_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NOCTTY, 0);
	size_t len = 0;

	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n;

		if (len == size)
			return -EFBIG;
		n = sys_read(fd, buf + len, size - len);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		len += (size_t)n;
		/* The kernel gives such a file whole when there is room. */
		if (len < size && buf[len - 1] == '\n')
			break;
	}
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return (ssize_t)len;
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = sys_write(fd, p, len);

		if (n < 0)
			return (int)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_write_file(int dirfd, const char *name, const char *text)
{
	autoclose int fd = sys_openat(dirfd, name, O_WRONLY | O_NOFOLLOW | O_NOCTTY, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = sys_write(fd, text, strlen(text));
	if (n < 0)
		return (int)n;
	return (size_t)n == strlen(text) ? 0 : -EIO;
}

int fd_create_file(int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
	autoclose int fd = sys_openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);

	return fd < 0 ? fd : fd_write_all(fd, data, len);
}

int fd_replace_file(int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
	autoclose int fd = -EEXIST;
	struct timespec now;
	char temp[300];
	int r;

	/* Two processes may replace one file at once, also in different pid namespaces: each has a
	 * new one beside it, and the last rename counts. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	for (unsigned int i = 0; fd == -EEXIST; i++) {
		if (snprintf(temp, sizeof(temp), ".%s.%llx-%x.new", name,
			    (unsigned long long)now.tv_sec * 1000000000 + now.tv_nsec,
			    i) >= (int)sizeof(temp))
			return -ENAMETOOLONG;
		fd = sys_openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
	}
	if (fd < 0)
		return fd;
	r = fd_write_all(fd, data, len);
	if (r == 0)
		r = sys_renameat2(dirfd, temp, dirfd, name, 0);
	if (r < 0)
		sys_unlinkat(dirfd, temp, 0);
	return r;
}

int fd_replace_path(const char *path, const void *data, size_t len, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	autofree char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	autoclose int dirfd = -1;

	if (!dir)
		return -ENOMEM;
	dirfd = sys_openat(AT_FDCWD, dir, O_PATH | O_DIRECTORY, 0);
	return dirfd < 0 ? dirfd
			 : fd_replace_file(dirfd, slash ? slash + 1 : path, data, len, mode);
}

int fd_send(int sock, const void *data, size_t len, const int *fds, size_t nfds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FD_SEND_MAX)];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (nfds > FD_SEND_MAX)
		return -EMSGSIZE;
	if (nfds) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
	}
	n = sys_sendmsg(sock, &msg, 0);
	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EIO;
}

static int take_fds(struct msghdr *msg, int *ret_fds, size_t room, size_t *ret_count)
{
	size_t count = 0;
	int r = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (count < room) {
				ret_fds[count++] = fd;
			} else {
				close(fd);
				r = -EMSGSIZE;
			}
		}
	}
	*ret_count = count;
	return r;
}

ssize_t fd_recv(int sock, void *data, size_t size, int *ret_fds, size_t *ret_nfds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FD_SEND_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = data, .iov_len = size};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	size_t room = ret_nfds ? *ret_nfds : 0;
	size_t count;
	ssize_t n = sys_recvmsg(sock, &msg, 0);
	int r;

	if (n < 0)
		return n;
	r = take_fds(&msg, ret_fds, room, &count);
	if (r == 0 && (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		r = -EMSGSIZE;
	if (r < 0) {
		while (count)
			close(ret_fds[--count]);
		return r;
	}
	if (ret_nfds)
		*ret_nfds = count;
	return n;
}

int fd_keep_only(int from, const int *keep, size_t count)
{
	for (;;) {
		int next = INT_MAX, r = 0;

		for (size_t i = 0; i < count; i++)
			if (keep[i] >= from && keep[i] < next)
				next = keep[i];
		if (next > from)
			r = sys_close_range((unsigned int)from, (unsigned int)next - 1, 0);
		if (r < 0 || next == INT_MAX)
			return r;
		from = next + 1;
	}
}

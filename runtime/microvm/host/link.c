/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/link.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/devices/vsock.h"

#include <poll.h>
#include <string.h>
#include <sys/uio.h>

int link_connect(int dirfd, const char *name, struct err *err)
{
	autoclose int fd = sys_socket_unix(SOCK_STREAM);
	int r = fd < 0 ? fd : sys_connect_unix(fd, dirfd, name);

	return r < 0 ? err_sys(err, r, "reach the virtual machine") : take_fd(&fd);
}

int link_greet(int fd, uint32_t what, uint32_t id, int pipe, struct err *err)
{
	const struct {
		struct vsock_hello vsock;
		struct proto_hello hello;
	} first = {{.port = PROTO_PORT, .head = pipe < 0 ? 0 : sizeof(first.hello)},
		{.what = what, .id = id}};
	int r = fd_send(fd, &first, sizeof(first), &pipe, pipe >= 0);

	return r < 0 ? err_sys(err, r, "reach the virtual machine") : 0;
}

void link_close(struct link *link)
{
	cleanup_close(&link->fd);
	link->len = link->taken = 0;
}

int link_send(const struct link *link, enum proto_type type, const struct iovec *parts,
	size_t count, struct err *err)
{
	struct proto_frame frame = {.type = type};
	autobuf struct buf message = {};
	int r;

	buf_add(&message, &frame, sizeof(frame));
	for (size_t i = 0; i < count; i++)
		buf_add(&message, parts[i].iov_base, parts[i].iov_len);
	if (message.failed)
		return err_sys(err, -ENOMEM, "guest agent");
	frame.len = (uint32_t)(message.len - sizeof(frame));
	if (message.len - sizeof(frame) > PROTO_REQUEST_MAX)
		return err_set(err, -E2BIG, "guest agent: the request is longer than %d bytes",
			PROTO_REQUEST_MAX);
	memcpy(message.data, &frame, sizeof(frame));
	r = fd_write_all(link->fd, message.data, message.len);
	return r < 0 ? err_sys(err, r, "guest agent") : 0;
}

int link_send_signal(const struct link *link, uint32_t id, int signal, struct err *err)
{
	struct proto_signal message = {.id = id, .signal = signal};

	return link_send(link, PROTO_SIGNAL, &(struct iovec){&message, sizeof(message)}, 1, err);
}

int link_send_resize(
	const struct link *link, uint32_t id, uint16_t rows, uint16_t columns, struct err *err)
{
	struct proto_resize message = {.id = id, .rows = rows, .columns = columns};

	return link_send(link, PROTO_RESIZE, &(struct iovec){&message, sizeof(message)}, 1, err);
}

/* What was given out goes, what is behind it moves up. */
static void drop_taken(struct link *link)
{
	link->len -= link->taken;
	memmove(link->buffer, link->buffer + link->taken, link->len);
	link->taken = 0;
}

int link_read(struct link *link)
{
	ssize_t n;

	drop_taken(link);
	if (link->len == sizeof(link->buffer))
		return -EPROTO; /* link_next() has refused what is there */
	n = sys_read(link->fd, link->buffer + link->len, sizeof(link->buffer) - link->len);
	if (n <= 0)
		return n == -EAGAIN ? 0 : n < 0 ? (int)n : -EPIPE;
	link->len += (size_t)n;
	return 0;
}

/* DONE has no length of its own. */
static bool has_length(uint32_t type, uint32_t len)
{
	switch (type) {
	case PROTO_READY:
		return len == sizeof(struct proto_ready);
	case PROTO_DONE:
		return len <= PROTO_REPLY_MAX;
	case PROTO_FAILED:
		return len == sizeof(struct proto_failed);
	case PROTO_EXITED:
		return len == sizeof(struct proto_exited);
	default:
		return false;
	}
}

/* The guest's words go to terminals and logs. */
static void clean_failure(struct proto_failed *failed)
{
	failed->text[sizeof(failed->text) - 1] = 0;
	for (char *p = failed->text; *p; p++)
		if (*p < 0x20 || *p >= 0x7f)
			*p = '?';
	if (failed->error >= 0 || failed->error < -4095)
		failed->error = -EPROTO;
}

int link_next(struct link *link, struct link_message *ret)
{
	struct link_message message = {};
	struct proto_frame frame;

	drop_taken(link);
	if (link->len < sizeof(frame))
		return 0;
	memcpy(&frame, link->buffer, sizeof(frame));
	if (!has_length(frame.type, frame.len))
		return -EPROTO;
	if (link->len < sizeof(frame) + frame.len)
		return 0;
	message.type = (enum proto_type)frame.type;
	message.data = link->buffer + sizeof(frame);
	message.len = frame.len;
	if (frame.type != PROTO_DONE) {
		memcpy(&message.failed, message.data, frame.len);
		message.data = NULL;
	}
	if (frame.type == PROTO_FAILED)
		clean_failure(&message.failed);
	link->taken = sizeof(frame) + frame.len;
	*ret = message;
	return 1;
}

int link_wait(struct link *link, int timeout_ms, struct link_message *ret, struct err *err)
{
	struct pollfd fd = {.fd = link->fd, .events = POLLIN};
	int r;

	while ((r = link_next(link, ret)) == 0) {
		do
			r = sys_poll(&fd, 1, timeout_ms);
		while (r == -EINTR);
		if (r == 0)
			r = -ETIMEDOUT;
		if (r > 0)
			r = link_read(link);
		if (r < 0)
			break;
	}
	if (r == -EPIPE || r == -ECONNRESET)
		return err_set(err, -EPIPE, "the virtual machine has ended");
	if (r == -EPROTO)
		return err_set(err, r, "the guest agent says what makes no sense");
	return r < 0 ? err_sys(err, r, "guest agent") : 0;
}

int link_failure(const struct proto_failed *failed, struct err *err)
{
	return err_set(err, failed->error, "%s", failed->text);
}

int link_answer(struct link *link, struct link_message *ret, struct err *err)
{
	int r = link_wait(link, -1, ret, err);

	if (r == 0 && ret->type == PROTO_FAILED)
		return link_failure(&ret->failed, err);
	if (r == 0 && ret->type != PROTO_DONE)
		return err_set(err, -EPROTO, "the guest agent says what makes no sense");
	return r;
}

int link_wait_ready(struct link *link, int timeout_ms, struct proto_ready *ret, struct err *err)
{
	struct link_message message;
	int r = link_wait(link, timeout_ms, &message, err);

	if (r < 0)
		return r;
	if (message.type != PROTO_READY || message.ready.version != PROTO_VERSION)
		return err_set(err, -EPROTO, "the guest agent is of another version");
	*ret = message.ready;
	return 0;
}

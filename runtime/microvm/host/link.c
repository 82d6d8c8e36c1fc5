/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/link.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/microvm/devices/vsock.h"

#include <poll.h>
#include <string.h>

static int read_exactly(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = sys_read(fd, (uint8_t *)buf + done, len - done);

		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

static int send_frame(
	const struct link *link, uint32_t type, const void *payload, size_t len, struct err *err)
{
	struct proto_frame frame = {.type = type, .len = (uint32_t)len};
	autobuf struct buf message = {};
	int r;

	if (len > PROTO_PAYLOAD_MAX)
		return err_set(err, -E2BIG, "guest agent: the request is longer than %d bytes",
			PROTO_PAYLOAD_MAX);
	buf_add(&message, &frame, sizeof(frame));
	buf_add(&message, payload, len);
	r = message.failed ? -ENOMEM : fd_write_all(link->control, message.data, message.len);
	return r < 0 ? err_sys(err, r, "guest agent") : 0;
}

/* One frame of exactly LEN bytes and a type that has that length. */
static int receive(const struct link *link, uint32_t *ret_type, void *ret, size_t size,
	size_t (*len_of)(uint32_t type), struct err *err)
{
	struct proto_frame frame;
	int r = read_exactly(link->control, &frame, sizeof(frame));

	if (r == 0 && (frame.len > size || frame.len != len_of(frame.type)))
		return err_set(err, -EPROTO, "guest agent: unknown message %u of %u bytes",
			frame.type, frame.len);
	if (r == 0)
		r = read_exactly(link->control, ret, frame.len);
	if (r < 0)
		return err_sys(err, r, "guest agent");
	*ret_type = frame.type;
	return 0;
}

static size_t ready_len(uint32_t type)
{
	return type == PROTO_READY ? sizeof(struct proto_ready) : 0;
}

int link_wait_ready(
	const struct link *link, int timeout_ms, struct proto_ready *ret, struct err *err)
{
	struct pollfd fd = {.fd = link->control, .events = POLLIN};
	struct proto_ready ready = {};
	uint32_t type;
	int r;

	do
		r = sys_poll(&fd, 1, timeout_ms);
	while (r == -EINTR);
	if (r <= 0)
		return err_sys(err, r ? r : -ETIMEDOUT, "guest agent");
	r = receive(link, &type, &ready, sizeof(ready), ready_len, err);
	if (r < 0)
		return r;
	if (type != PROTO_READY || ready.version != PROTO_VERSION)
		return err_set(err, -EPROTO, "guest agent: speaks version %u, not %d",
			ready.version, PROTO_VERSION);
	*ret = ready;
	return 0;
}

static int open_stream(const struct link *link, uint32_t id, uint32_t what, struct err *err)
{
	struct {
		struct vsock_hello hello;
		struct proto_stream stream;
	} first = {{.port = PROTO_STREAM_PORT}, {.id = id, .what = what}};
	autoclose int fd = sys_socket_unix(SOCK_STREAM);
	int r = fd < 0 ? fd : sys_connect_unix(fd, link->dirfd, link->listener);

	if (r == 0)
		r = fd_write_all(fd, &first, sizeof(first));
	return r < 0 ? err_sys(err, r, "a stream into the VM") : take_fd(&fd);
}

static void add_strings(struct buf *buf, const char *const *strings, uint32_t *ret_count)
{
	for (*ret_count = 0; strings[*ret_count]; ++*ret_count)
		buf_add(buf, strings[*ret_count], strlen(strings[*ret_count]) + 1);
}

int link_start(const struct link *link, const struct link_process *process, int ret_streams[4],
	struct err *err)
{
	struct proto_start start = {
		.id = process->id,
		.streams = process->streams,
		.uid = process->uid,
		.gid = process->gid,
		.rows = process->rows,
		.columns = process->columns,
	};
	int streams[4] = {-1, -1, -1, -1}, r = 0;
	autobuf struct buf payload = {};

	for (int i = 0; i < 4 && r >= 0; i++) {
		if (process->streams & 1U << i)
			r = streams[i] = open_stream(link, process->id, 1U << i, err);
	}
	if (r >= 0) {
		buf_add(&payload, &start, sizeof(start));
		buf_add(&payload, process->cwd, strlen(process->cwd) + 1);
		add_strings(&payload, process->argv, &start.arguments);
		add_strings(&payload, process->envp, &start.variables);
		r = payload.failed ? err_sys(err, -ENOMEM, "guest agent") : 0;
	}
	if (r == 0) {
		memcpy(payload.data, &start, sizeof(start));
		r = send_frame(link, PROTO_START, payload.data, payload.len, err);
	}
	for (int i = 0; i < 4 && r < 0; i++)
		cleanup_close(streams + i);
	if (r == 0)
		memcpy(ret_streams, streams, sizeof(streams));
	return r;
}

int link_signal(const struct link *link, uint32_t id, int signal, struct err *err)
{
	struct proto_signal message = {.id = id, .signal = signal};

	return send_frame(link, PROTO_SIGNAL, &message, sizeof(message), err);
}

int link_resize(
	const struct link *link, uint32_t id, uint16_t rows, uint16_t columns, struct err *err)
{
	struct proto_resize message = {.id = id, .rows = rows, .columns = columns};

	return send_frame(link, PROTO_RESIZE, &message, sizeof(message), err);
}

int link_power_off(const struct link *link, struct err *err)
{
	return send_frame(link, PROTO_POWER_OFF, NULL, 0, err);
}

static size_t event_len(uint32_t type)
{
	switch (type) {
	case PROTO_STARTED:
		return sizeof(struct proto_started);
	case PROTO_EXITED:
		return sizeof(struct proto_exited);
	case PROTO_FAILED:
		return sizeof(struct proto_failed);
	default:
		return SIZE_MAX;
	}
}

int link_next(const struct link *link, struct link_event *ret, struct err *err)
{
	struct link_event event = {};
	uint32_t type;
	int r = receive(link, &type, &event.started, sizeof(event.failed), event_len, err);

	if (r < 0)
		return r;
	event.type = (enum proto_type)type;
	if (event.type == PROTO_FAILED)
		event.failed.step[sizeof(event.failed.step) - 1] = 0;
	*ret = event;
	return 0;
}

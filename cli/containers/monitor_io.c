/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the monitor. Everything that passes through it: output to log and clients, input. */
#include "cli/containers/monitor_private.h"

#include "base/sys.h"
#include "cli/containers/events.h"
#include "netns/address.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

/* ---- clients ---- */

int monitor_listen(struct monitor *m, struct err *err)
{
	int r;

	sys_unlinkat(m->rundir, "attach.sock", 0); /* of one that was killed */
	r = m->listener = sys_socket_unix(SOCK_SEQPACKET | SOCK_NONBLOCK);
	if (r >= 0)
		r = sys_bind_unix(m->listener, m->rundir, "attach.sock");
	if (r >= 0)
		r = sys_listen(m->listener, CLIENTS_MAX);
	return r < 0 ? err_sys(err, r, "make attach.sock") : 0;
}

static void drop_client(struct client *c)
{
	cleanup_close(&c->fd);
	c->waits[0] = c->waits[1] = false;
}

void monitor_add_client(struct monitor *m, int fd)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (m->clients[i].fd >= 0)
			continue;
		fcntl(fd, F_SETFL, O_NONBLOCK);
		m->clients[i] = (struct client){.fd = fd};
		return;
	}
	close(fd);
}

static void accept_client(struct monitor *m)
{
	int fd = sys_accept(m->listener);
	struct ucred peer;

	if (fd < 0)
		return;
	/* The directory is ours alone; this holds even if it were not. */
	if (sys_getpeercred(fd, &peer) < 0 || (peer.uid != geteuid() && peer.uid != 0))
		close(fd);
	else
		monitor_add_client(m, fd);
}

/* ---- output ---- */

static void give_chunk(struct monitor *m, struct client *c, int stream)
{
	int r = attach_send(c->fd, stream ? ATTACH_STDERR : ATTACH_STDOUT, m->streams[stream].data,
		m->streams[stream].len);

	c->waits[stream] = r == -EAGAIN;
	if (r < 0 && r != -EAGAIN)
		drop_client(c);
}

static bool is_awaited(const struct monitor *m, int stream)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (m->clients[i].fd >= 0 && m->clients[i].waits[stream])
			return true;
	return false;
}

/* False when there is nothing more to read now. */
static bool read_chunk(struct monitor *m, int stream)
{
	struct stream *s = &m->streams[stream];
	ssize_t n = sys_read(s->fd, s->data, sizeof(s->data));

	if (n <= 0) {
		/* EIO: nobody has the terminal open. */
		if (n != -EAGAIN) {
			if (s->fd == m->input)
				m->input = -1;
			cleanup_close(&s->fd);
		}
		return false;
	}
	s->len = (size_t)n;
	logfile_write(&m->log, stream + 1, s->data, s->len);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (m->clients[i].fd >= 0)
			give_chunk(m, &m->clients[i], stream);
	return true;
}

bool monitor_drain(struct monitor *m)
{
	bool all = true;

	for (int i = 0; i < STREAMS; i++) {
		while (m->streams[i].fd >= 0 && !is_awaited(m, i) && read_chunk(m, i))
			continue;
		all &= !is_awaited(m, i);
	}
	return all;
}

/* ---- input ---- */

static void close_input(struct monitor *m)
{
	/* A terminal is one descriptor for both ways. */
	if (m->input >= 0 && m->input != m->streams[0].fd)
		close(m->input);
	m->input = -1;
	m->input_len = m->input_at = 0;
}

static void write_input(struct monitor *m)
{
	ssize_t n = sys_write(m->input, m->input_data + m->input_at, m->input_len - m->input_at);

	if (n < 0 && n != -EAGAIN) {
		close_input(m);
		return;
	}
	m->input_at += n > 0 ? (size_t)n : 0;
	if (m->input_at < m->input_len)
		return;
	m->input_at = m->input_len = 0;
	if (m->input_ends)
		close_input(m);
}

static void set_size(struct monitor *m, const struct attach_size *size)
{
	struct winsize ws = {.ws_row = size->rows, .ws_col = size->columns};

	if (m->tty && m->streams[0].fd >= 0)
		(void)!sys_ioctl(m->streams[0].fd, TIOCSWINSZ, &ws);
}

static void read_client(struct monitor *m, struct client *c)
{
	/* Input goes straight to its place: clients are only polled while that is free. */
	char type;
	ssize_t n = attach_recv(c->fd, &type, m->input_data);
	struct attach_size size;

	if (n == -EAGAIN)
		return;
	if (n < 0) {
		drop_client(c);
		return;
	}
	switch (type) {
	case ATTACH_INPUT:
		if (m->input < 0)
			break;
		m->input_len = (size_t)n;
		m->input_at = 0;
		write_input(m);
		break;
	case ATTACH_EOF:
		if (!m->tty)
			close_input(m);
		break;
	case ATTACH_SIZE:
		if (n == sizeof(size)) {
			memcpy(&size, m->input_data, sizeof(size));
			set_size(m, &size);
		}
		break;
	default:
		drop_client(c);
	}
}

/* ---- what the egress policy denied ---- */

static void note_denied(const struct connect_denied *denied, void *arg)
{
	const struct monitor *m = arg;
	struct address a = {.family = denied->family};
	char address[ADDRESS_TEXT_MAX], port[8], pid[16];

	memcpy(a.bytes, denied->bytes, sizeof(a.bytes));
	snprintf(port, sizeof(port), "%u", denied->port);
	snprintf(pid, sizeof(pid), "%u", denied->pid);
	events_note(m->ctx->boxes->run, "container", "deny-connect", m->id, "name", m->name,
		"address", address_format(&a, address), "port", port, "protocol",
		denied->protocol == IPPROTO_UDP ? "udp" : "tcp", "command", denied->command, "pid",
		pid, NULL);
}

void monitor_take_denied(struct monitor *m)
{
	if (m->denied)
		connect_denied_read(m->denied, note_denied, m);
}

/* ---- poll ---- */

size_t monitor_poll(struct monitor *m, struct pollfd *fds)
{
	bool input_waits = m->input_len > 0;
	size_t n = 0;

	fds[n++] = (struct pollfd){.fd = m->sigfd, .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = m->listener, .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = input_waits ? m->input : -1, .events = POLLOUT};
	fds[n++] = (struct pollfd){.fd = m->health_fd, .events = POLLIN};
	fds[n++] = (struct pollfd){
		.fd = m->denied ? connect_denied_fd(m->denied) : -1, .events = POLLIN};
	for (int i = 0; i < STREAMS; i++)
		fds[n++] = (struct pollfd){
			.fd = is_awaited(m, i) ? -1 : m->streams[i].fd, .events = POLLIN};
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &m->clients[i];
		bool waits = c->waits[0] || c->waits[1];

		fds[n++] = (struct pollfd){
			.fd = c->fd,
			.events = (short)((input_waits ? 0 : POLLIN) | (waits ? POLLOUT : 0)),
		};
	}
	return n;
}

void monitor_handle(struct monitor *m, const struct pollfd *fds, size_t count)
{
	const struct pollfd *client = fds + count - CLIENTS_MAX;

	if (fds[1].revents)
		accept_client(m);
	if (fds[2].revents && m->input >= 0)
		write_input(m);
	if (fds[3].revents)
		monitor_health_take(m);
	if (fds[4].revents)
		monitor_take_denied(m);
	for (int i = 0; i < STREAMS; i++)
		if (fds[5 + i].revents && m->streams[i].fd >= 0)
			read_chunk(m, i);
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &m->clients[i];

		/* One that has just been accepted was not polled. */
		if (c->fd < 0 || c->fd != client[i].fd || !client[i].revents)
			continue;
		for (int s = 0; s < STREAMS && c->fd >= 0; s++)
			if (c->waits[s])
				give_chunk(m, c, s);
		if (c->fd >= 0 && (client[i].revents & (POLLIN | POLLHUP | POLLERR)) &&
			!m->input_len)
			read_client(m, c);
	}
}

void monitor_tell_exit(struct monitor *m, int code)
{
	struct attach_exit message = {.code = code};

	/* The beginning of it; inspect has the rest. */
	memcpy(message.reason, m->reason, sizeof(message.reason) - 1);
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &m->clients[i];

		if (c->fd < 0)
			continue;
		/* What is queued before it is delivered even after we have gone. */
		fcntl(c->fd, F_SETFL, 0);
		attach_send(c->fd, ATTACH_EXIT, &message, sizeof(message));
		drop_client(c);
	}
}

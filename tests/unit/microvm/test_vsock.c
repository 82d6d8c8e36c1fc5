/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/vsock.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "tests/unit/microvm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

enum { RX, TX, CID = 5, GUEST_PORT = 700, HOST_PORT = 1, RX_LEN = 4096, HEADER = 44 };
enum { RX_GPA = DATA_GPA, TX_GPA = DATA_GPA + 0x10000 };

struct world {
	struct guest g;
	struct vsock v;
	int host; /* our end of HOST_PORT */
	int listener;
	struct sockaddr_un address;
	unsigned int posted; /* receive buffers */
};

static void world_init(struct world *w)
{
	struct vsock_port port = {.port = HOST_PORT};
	struct vsock_options options = {.cid = CID, .ports = &port, .port_count = 1};
	struct err err = {};
	int fds[2];
	socklen_t len = sizeof(w->address);

	*w = (struct world){.address.sun_family = AF_UNIX};
	guest_init(&w->g);
	assert_int_equal(sys_socketpair(SOCK_STREAM, fds), 0);
	w->host = fds[0];
	port.fd = fds[1];
	options.listener = sys_socket_unix(SOCK_STREAM);
	/* autobind: an abstract name that nobody else has */
	assert_int_equal(bind(options.listener, (void *)&w->address, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(options.listener, 200), 0);
	assert_int_equal(getsockname(options.listener, (void *)&w->address, &len), 0);
	w->listener = (int)len;
	assert_int_equal(vsock_open(&w->v, &options, &w->g.memory, &w->g.loop, &err), 0);
	guest_attach(&w->g, &w->v.device);
	guest_start(&w->g, 0);
}

static void world_free(struct world *w)
{
	cleanup_close(&w->host);
	vsock_close(&w->v);
	guest_free(&w->g);
}

static struct virtio_vsock_hdr packet(uint16_t op)
{
	return (struct virtio_vsock_hdr){
		.src_cid = CID,
		.dst_cid = VMADDR_CID_HOST,
		.src_port = GUEST_PORT,
		.dst_port = HOST_PORT,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = 100000,
	};
}

static void send_packet(struct world *w, struct virtio_vsock_hdr h, const void *data)
{
	struct buffer buffers[2] = {{TX_GPA, HEADER, false}, {TX_GPA + HEADER, h.len, false}};

	memcpy(guest_at(&w->g, TX_GPA), &h, HEADER);
	if (h.len && data)
		memcpy(guest_at(&w->g, TX_GPA + HEADER), data, h.len);
	guest_send(&w->g, TX, buffers, h.len ? 2 : 1);
	assert_int_equal(guest_used(&w->g, TX), 0);
}

static void post_rx(struct world *w)
{
	struct buffer b = {RX_GPA + (w->posted++ % 4) * RX_LEN, RX_LEN, true};

	guest_send(&w->g, RX, &b, 1);
}

/* The next packet to the guest: its header, with the payload in *RET_DATA. */
static struct virtio_vsock_hdr receive_packet(struct world *w, const uint8_t **ret_data)
{
	struct virtio_vsock_hdr h = {};
	uint8_t *at;
	int64_t len;

	if (w->posted == w->g.seen_used[RX]) /* else one is still waiting */
		post_rx(w);
	at = guest_at(&w->g, RX_GPA + (uint64_t)(w->g.seen_used[RX] % 4) * RX_LEN);
	len = guest_used(&w->g, RX);
	if (len < 0)
		return h;
	memcpy(&h, at, HEADER);
	assert_int_equal(len, HEADER + (h.op == VIRTIO_VSOCK_OP_RW ? h.len : 0));
	if (ret_data)
		*ret_data = at + HEADER;
	return h;
}

static void connect_guest(struct world *w)
{
	struct virtio_vsock_hdr h;

	send_packet(w, packet(VIRTIO_VSOCK_OP_REQUEST), NULL);
	h = receive_packet(w, NULL);
	assert_int_equal(h.op, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(h.dst_port, GUEST_PORT);
	assert_int_equal(h.buf_alloc, VSOCK_BUFFER);
}

static void test_guest_connects(void **state)
{
	struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_RW);
	const uint8_t *data = NULL;
	struct world w;
	char text[16] = {};

	(void)state;
	world_init(&w);
	connect_guest(&w);
	h.len = 5;
	send_packet(&w, h, "hello");
	assert_int_equal(read(w.host, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");

	assert_int_equal(write(w.host, "world!", 6), 6);
	guest_settle(&w.g);
	h = receive_packet(&w, &data);
	assert_int_equal(h.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(h.len, 6);
	assert_memory_equal(data, "world!", 6);

	cleanup_close(&w.host); /* the host ends: the guest hears it, closes, and gets the RST */
	guest_settle(&w.g);
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_SHUTDOWN);
	h = packet(VIRTIO_VSOCK_OP_SHUTDOWN);
	h.flags = 3;
	send_packet(&w, h, NULL);
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(w.v.connections[0].phase, VSOCK_FREE);
	world_free(&w);
}

static void test_refused(void **state)
{
	struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_REQUEST);
	struct world w;

	(void)state;
	world_init(&w);
	h.dst_port = 99; /* no such port */
	send_packet(&w, h, NULL);
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_RST);
	connect_guest(&w);
	h = packet(VIRTIO_VSOCK_OP_REQUEST);
	h.src_port++; /* the port is taken */
	send_packet(&w, h, NULL);
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_RST);
	h = packet(VIRTIO_VSOCK_OP_RW);
	h.src_port += 2; /* no such connection */
	send_packet(&w, h, NULL);
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_RST);
	h = packet(VIRTIO_VSOCK_OP_RST); /* a RST gets no answer */
	h.src_port += 3;
	send_packet(&w, h, NULL);
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_INVALID);
	world_free(&w);
}

static int dial(struct world *w, uint32_t port)
{
	struct vsock_hello hello = {.port = port};
	int fd = sys_socket_unix(SOCK_STREAM);

	assert_int_equal(connect(fd, (void *)&w->address, (socklen_t)w->listener), 0);
	assert_int_equal(write(fd, &hello, 2), 2); /* in two pieces */
	guest_settle(&w->g);
	assert_int_equal(write(fd, (char *)&hello + 2, sizeof(hello) - 2), sizeof(hello) - 2);
	guest_settle(&w->g);
	return fd;
}

static void test_host_connects(void **state)
{
	struct virtio_vsock_hdr h;
	const uint8_t *data = NULL;
	struct world w;
	int fd;

	(void)state;
	world_init(&w);
	fd = dial(&w, 22);
	assert_int_equal(write(fd, "early", 5), 5); /* before the guest has answered */
	h = receive_packet(&w, NULL);
	assert_int_equal(h.op, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(h.dst_port, 22);
	assert_int_equal(receive_packet(&w, NULL).op, 0);

	h = (struct virtio_vsock_hdr){.src_cid = CID,
		.dst_cid = VMADDR_CID_HOST,
		.src_port = 22,
		.dst_port = h.src_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = VIRTIO_VSOCK_OP_RESPONSE,
		.buf_alloc = 3}; /* little credit */
	send_packet(&w, h, NULL);
	h = receive_packet(&w, &data);
	assert_int_equal(h.len, 3);
	assert_memory_equal(data, "ear", 3);
	assert_int_equal(receive_packet(&w, NULL).op, 0); /* no credit is left */
	close(fd);
	world_free(&w);
}

static void test_nobody_listens(void **state)
{
	struct virtio_vsock_hdr h;
	struct world w;
	char byte;
	int fd;

	(void)state;
	world_init(&w);
	fd = dial(&w, 23);
	h = receive_packet(&w, NULL);
	h = (struct virtio_vsock_hdr){.src_cid = CID,
		.dst_cid = VMADDR_CID_HOST,
		.src_port = 23,
		.dst_port = h.src_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = VIRTIO_VSOCK_OP_RST};
	send_packet(&w, h, NULL);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	world_free(&w);
}

/* A host that does not read: the buffer takes what was promised, and no byte more. */
static void test_credit(void **state)
{
	struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_RW);
	static uint8_t data[32768], back[32768];
	size_t sent = 0, got = 0;
	uint32_t fwd = 0;
	struct world w;

	(void)state;
	world_init(&w);
	connect_guest(&w);
	h.len = sizeof(data);
	for (;;) { /* as a driver that keeps to its credit */
		struct virtio_vsock_hdr answer;

		if (sent - fwd + h.len > VSOCK_BUFFER)
			break;
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)((sent + i) * 7 >> 3);
		send_packet(&w, h, data);
		sent += h.len;
		answer = receive_packet(&w, NULL);
		if (answer.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE)
			fwd = answer.fwd_cnt;
	}
	assert_true(w.v.connections[0].len > 0);
	while (got < sent) { /* all comes out again, in order */
		ssize_t n = read(w.host, back, sizeof(back));

		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(back[i], (uint8_t)((got + (size_t)i) * 7 >> 3));
		got += (size_t)n;
		guest_settle(&w.g);
	}
	assert_int_equal(w.v.connections[0].len, 0);
	world_free(&w);
}

/* A driver that keeps no more on its way than its own buffer has, which is smaller than ours,
 * hears of room before it has used that up; also when it made it smaller only afterwards. */
static void test_small_window(void **state)
{
	struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_REQUEST), answer;
	struct world w;

	(void)state;
	world_init(&w);
	h.buf_alloc = 4096;
	send_packet(&w, h, NULL);
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_RESPONSE);
	h.op = VIRTIO_VSOCK_OP_RW;
	h.len = 2047;
	send_packet(&w, h, NULL);
	assert_int_equal(receive_packet(&w, NULL).op, 0);
	h.len = 1;
	send_packet(&w, h, NULL);
	answer = receive_packet(&w, NULL);
	assert_int_equal(answer.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(answer.fwd_cnt, 2048);

	h.len = 1000;
	send_packet(&w, h, NULL);
	assert_int_equal(receive_packet(&w, NULL).op, 0);
	h = packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	h.buf_alloc = 1000;
	send_packet(&w, h, NULL);
	answer = receive_packet(&w, NULL);
	assert_int_equal(answer.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(answer.fwd_cnt, 3048);
	h.buf_alloc = 0; /* nothing to tell, however small it is */
	send_packet(&w, h, NULL);
	assert_int_equal(receive_packet(&w, NULL).op, 0);
	world_free(&w);
}

/* Pages of a connection's buffer that are memory. */
static int resident(const struct vsock_connection *c)
{
	unsigned char pages[VSOCK_BUFFER / 4096];
	int count = 0;

	assert_int_equal(mincore(c->buffer, VSOCK_BUFFER, pages), 0);
	for (size_t i = 0; i < sizeof(pages); i++)
		count += pages[i] & 1;
	return count;
}

/* Sends until WANTED bytes wait in the connection's buffer; returns how many were sent. */
static size_t overfill(struct world *w, uint32_t wanted)
{
	struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_RW);
	size_t sent = 0;

	for (h.len = 32768; w->v.connections[0].len < wanted; sent += h.len)
		send_packet(w, h, NULL);
	return sent;
}

/* Reads what the host gets until its end. */
static size_t read_all(struct world *w)
{
	static uint8_t data[32768];
	size_t got = 0;
	ssize_t n;

	while ((n = read(w->host, data, sizeof(data))) > 0) {
		got += (size_t)n;
		guest_settle(&w->g);
	}
	assert_int_equal(n, 0);
	return got;
}

/* --- connections with a pipe --- */

struct piped {
	int sock, reader;
	struct virtio_vsock_hdr h; /* from the guest, on it */
};

static int connect_with(struct world *w, int fd, const void *data, size_t len)
{
	int sock = sys_socket_unix(SOCK_STREAM);

	assert_int_equal(connect(sock, (void *)&w->address, (socklen_t)w->listener), 0);
	guest_settle(&w->g);
	assert_int_equal(fd_send(sock, data, len, &fd, 1), 0);
	guest_settle(&w->g);
	return sock;
}

/* Of the same pipe, as the runtime makes it. */
static int own_end(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

static void piped_open(struct world *w, struct piped *p, int pipe_size)
{
	const struct {
		struct vsock_hello hello;
		char head[8];
	} first = {{.port = 40, .head = 8}, "for you"};
	const uint8_t *data = NULL;
	struct virtio_vsock_hdr h;
	int fds[2], end;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(sys_pipe(fds), 0);
	if (pipe_size)
		assert_true(fcntl(fds[1], F_SETPIPE_SZ, pipe_size) >= pipe_size);
	end = own_end(fds[1], O_WRONLY | O_NONBLOCK);
	p->sock = connect_with(w, end, &first, sizeof(first));
	p->reader = fds[0];
	close(fds[1]);
	close(end);
	assert_int_equal(fcntl(p->sock, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(p->reader, F_SETFL, O_NONBLOCK), 0);
	h = receive_packet(w, NULL);
	assert_int_equal(h.op, VIRTIO_VSOCK_OP_REQUEST);
	p->h = packet(VIRTIO_VSOCK_OP_RESPONSE);
	p->h.src_port = 40;
	p->h.dst_port = h.src_port;
	send_packet(w, p->h, NULL);
	h = receive_packet(w, &data);
	assert_int_equal(h.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(h.len, 8);
	assert_string_equal((const char *)data, "for you");
}

static void piped_close(struct piped *p)
{
	cleanup_close(&p->sock);
	cleanup_close(&p->reader);
}

static void piped_send(struct world *w, struct piped *p, const void *data, uint32_t len)
{
	p->h.op = VIRTIO_VSOCK_OP_RW;
	p->h.len = len;
	send_packet(w, p->h, data);
	p->h.len = 0;
}

static void ask(struct world *w, const struct piped *p, uint64_t bytes)
{
	struct vsock_mark mark = {.bytes = bytes};

	assert_int_equal(write(p->sock, &mark, sizeof(mark)), sizeof(mark));
	guest_settle(&w->g);
}

/* What came on the socket: the bytes of a mark, 0 when nothing, −1 at its end. */
static int64_t answer(const struct piped *p)
{
	struct vsock_mark mark;
	ssize_t n = read(p->sock, &mark, sizeof(mark));

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	assert_int_equal(n, sizeof(mark));
	return (int64_t)mark.bytes;
}

/* The bytes go into the pipe and nowhere else; who asked hears when they are there, once. */
static void test_pipe(void **state)
{
	char text[64] = {};
	struct world w;
	struct piped p;

	(void)state;
	world_init(&w);
	piped_open(&w, &p, 0);
	piped_send(&w, &p, "hello", 5);
	assert_int_equal(read(p.reader, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(answer(&p), 0);
	assert_false(w.v.connections[0].buffered); /* straight from guest memory */

	ask(&w, &p, 5); /* they are there */
	assert_int_equal(answer(&p), 5);
	ask(&w, &p, 10);
	piped_send(&w, &p, "four", 4);
	assert_int_equal(answer(&p), 0);
	piped_send(&w, &p, "!!!", 3);
	assert_int_equal(answer(&p), 10);
	piped_send(&w, &p, "?", 1);
	assert_int_equal(answer(&p), 0);

	p.h.op = VIRTIO_VSOCK_OP_SHUTDOWN;
	p.h.flags = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;
	send_packet(&w, p.h, NULL);
	assert_int_equal(read(p.reader, text, sizeof(text)), 8);
	assert_int_equal(read(p.reader, text, sizeof(text)), 0);
	assert_int_equal(answer(&p), -1);
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(w.v.connections[0].phase, VSOCK_FREE);
	piped_close(&p);
	world_free(&w);
}

/* A reader that is slow, or a guest that forgets the connection: nobody waits, every byte arrives
 * in order, and no answer comes before the last one is in the pipe. */
static void test_pipe_is_full(void **state)
{
	static uint8_t data[32768], back[65536];

	(void)state;
	for (int how = 0; how < 3; how++) {
		size_t sent = 0, got = 0;
		struct world w;
		struct piped p;
		ssize_t n;

		world_init(&w);
		piped_open(&w, &p, 4096);
		while (sent < 4 * sizeof(data)) {
			for (size_t i = 0; i < sizeof(data); i++)
				data[i] = (uint8_t)((sent + i) * 7 >> 3);
			piped_send(&w, &p, data, sizeof(data));
			sent += sizeof(data);
		}
		assert_int_equal(w.v.connections[0].len, sent - 4096);
		ask(&w, &p, sent);
		p.h.op = VIRTIO_VSOCK_OP_SHUTDOWN;
		p.h.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
		if (how == 1)
			p.h.op = VIRTIO_VSOCK_OP_RST;
		if (how < 2)
			send_packet(&w, p.h, NULL);
		else
			reg_write(&w.g, VIRTIO_MMIO_STATUS, 0);
		for (;;) {
			n = read(p.reader, back, sizeof(back));
			if (n <= 0)
				break;
			for (ssize_t i = 0; i < n; i++)
				assert_int_equal(back[i], (uint8_t)((got + (size_t)i) * 7 >> 3));
			got += (size_t)n;
			if (sent - got > 4096)
				assert_int_equal(answer(&p), 0);
			guest_settle(&w.g);
		}
		assert_int_equal(n, 0); /* the end, with the last byte */
		assert_int_equal(got, sent);
		assert_int_equal(answer(&p), sent);
		assert_int_equal(answer(&p), -1);
		if (how)
			assert_int_equal(w.v.connections[0].phase, VSOCK_FREE);
		piped_close(&p);
		world_free(&w);
	}
}

/* The guest hears that nobody reads any more when it writes, and the host that this was all. */
static void test_pipe_without_reader(void **state)
{
	static const uint8_t data[32768];

	(void)state;
	for (int buffered = 0; buffered < 2; buffered++) {
		struct world w;
		struct piped p;

		world_init(&w);
		piped_open(&w, &p, 4096);
		if (buffered)
			piped_send(&w, &p, data, sizeof(data));
		cleanup_close(&p.reader);
		guest_settle(&w.g);
		if (!buffered) {
			assert_int_equal(answer(&p), 0);
			piped_send(&w, &p, "x", 1);
		}
		assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_RST);
		assert_int_equal(answer(&p), -1);
		assert_int_equal(w.v.connections[0].phase, VSOCK_FREE);
		piped_close(&p);
		world_free(&w);
	}
}

/* Who stands for it on the host ends, and with it the connection, unless it said so. */
static void test_pipe_is_left(void **state)
{
	char text[8] = {};

	(void)state;
	for (int told = 0; told < 2; told++) {
		struct world w;
		struct piped p;

		world_init(&w);
		piped_open(&w, &p, 0);
		if (told)
			ask(&w, &p, VSOCK_MARK_LEAVE);
		cleanup_close(&p.sock);
		guest_settle(&w.g);
		if (told) {
			piped_send(&w, &p, "on", 2);
			assert_int_equal(read(p.reader, text, sizeof(text)), 2);
			assert_string_equal(text, "on");
			p.h.op = VIRTIO_VSOCK_OP_SHUTDOWN;
			p.h.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
			send_packet(&w, p.h, NULL);
		} else {
			assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_RST);
		}
		assert_int_equal(read(p.reader, text, sizeof(text)), 0);
		piped_close(&p);
		world_free(&w);
	}
}

/* Whatever is not the writing end of a pipe that never waits, with flags of its own. */
static void test_no_pipe(void **state)
{
	const struct vsock_hello hello = {.port = 40};
	int fds[2], packets[2], pair[2], wrong[8];
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(sys_pipe(fds), 0);
	assert_int_equal(sys_socketpair(SOCK_STREAM, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	wrong[0] = own_end(fds[0], O_RDONLY | O_NONBLOCK);
	wrong[1] = own_end(fds[0], O_RDWR | O_NONBLOCK);
	wrong[2] = own_end(fds[1], O_WRONLY);
	assert_int_equal(pipe2(packets, O_NONBLOCK | O_DIRECT | O_CLOEXEC), 0);
	wrong[3] = packets[1];
	wrong[4] = pair[0];
	wrong[5] = open("/dev/null", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	wrong[6] = memfd_create("file", MFD_CLOEXEC);
	wrong[7] = own_end(wrong[6], O_WRONLY | O_NONBLOCK);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		int sock;
		char byte;

		assert_true(wrong[i] >= 0);
		sock = connect_with(&w, wrong[i], &hello, sizeof(hello));
		assert_int_equal(read(sock, &byte, 1), 0);
		assert_int_equal(w.v.connections[0].phase, VSOCK_FREE);
		assert_int_equal(w.v.connections[0].pipe.fd, -1);
		close(sock);
		close(wrong[i]);
	}
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_INVALID);
	close(fds[0]);
	close(fds[1]);
	close(packets[0]);
	close(pair[1]);
	world_free(&w);
}

/* A guest that closed a connection and waited for its end in vain forgets it with a RST. The
 * reader on the host is only slow: it gets every byte, then the end. */
static void test_slow_reader_gets_all(void **state)
{
	struct world w;

	(void)state;
	for (int how = 0; how < 3; how++) {
		struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_SHUTDOWN);
		size_t sent;

		world_init(&w);
		connect_guest(&w);
		sent = overfill(&w, 40000);
		h.flags = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;
		if (how == 0)
			send_packet(&w, h, NULL);
		if (how < 2)
			send_packet(&w, packet(VIRTIO_VSOCK_OP_RST), NULL);
		else /* the guest starts anew */
			reg_write(&w.g, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(w.v.connections[0].phase, VSOCK_DRAINING);
		assert_int_equal(read_all(&w), sent);
		assert_int_equal(w.v.connections[0].phase, VSOCK_FREE);
		world_free(&w);
	}
}

/* A reader that is late now and then has the same few pages used each time. */
static void test_buffer_is_used_again(void **state)
{
	static uint8_t data[32768];
	struct world w;

	(void)state;
	world_init(&w);
	connect_guest(&w);
	for (int i = 0; i < 40; i++) {
		overfill(&w, 40000);
		while (read(w.host, data, sizeof(data)) > 0) {
			guest_settle(&w.g);
			if (!w.v.connections[0].len)
				fcntl(w.host, F_SETFL, O_NONBLOCK);
		}
		fcntl(w.host, F_SETFL, 0);
		assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	}
	assert_in_range(resident(w.v.connections), 1, 40);
	world_free(&w);
}

/* What all buffers take together is bounded: the first connections have much, the others less. */
static void test_sizes(void **state)
{
	struct world w;
	int fds[VSOCK_LARGE + 1];

	(void)state;
	_Static_assert(VSOCK_BUFFERS <= 32 << 20, "more memory than the monitor may take");
	world_init(&w);
	for (uint32_t i = 0; i <= VSOCK_LARGE; i++) {
		struct virtio_vsock_hdr h;

		fds[i] = dial(&w, 100 + i);
		h = receive_packet(&w, NULL);
		assert_int_equal(h.op, VIRTIO_VSOCK_OP_REQUEST);
		assert_int_equal(h.buf_alloc, i < VSOCK_LARGE ? VSOCK_BUFFER : VSOCK_BUFFER_SMALL);
	}
	for (uint32_t i = 0; i <= VSOCK_LARGE; i++)
		close(fds[i]);
	guest_settle(&w.g);
	world_free(&w);
}

/* What the guest has forgotten is nobody's: its ports lead nowhere, and a reader that leaves is its
 * end. */
static void test_draining_is_forgotten(void **state)
{
	struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_RW);
	struct world w;
	uint32_t len;

	(void)state;
	world_init(&w);
	connect_guest(&w);
	overfill(&w, 40000);
	send_packet(&w, packet(VIRTIO_VSOCK_OP_RST), NULL);
	len = w.v.connections[0].len;
	h.len = 1;
	send_packet(&w, h, "x");
	assert_int_equal(w.v.connections[0].len, len);
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_RST);
	cleanup_close(&w.host);
	guest_settle(&w.g);
	assert_int_equal(w.v.connections[0].phase, VSOCK_FREE);
	assert_int_equal(resident(w.v.connections), 0);
	world_free(&w);
}

/* What the guest sent it only wants to free: one interrupt for half of its ring of eight. */
static void test_lazy(void **state)
{
	struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_RW);
	struct world w;

	(void)state;
	world_init(&w);
	connect_guest(&w);
	h.len = 1;
	for (int round = 0; round < 3; round++) {
		uint16_t told = w.v.device.queues[TX].state.signalled;

		while (told == w.v.device.queues[TX].state.signalled)
			send_packet(&w, h, "x");
		(void)event_take(w.g.mmio.irq);
		for (int i = 0; i < RING_SIZE / 2 - 1; i++) {
			send_packet(&w, h, "x");
			assert_false(event_take(w.g.mmio.irq));
		}
		send_packet(&w, h, "x");
		assert_true(event_take(w.g.mmio.irq));
	}
	world_free(&w);
}

static void test_beyond_credit(void **state)
{
	struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_RW);
	struct world w;

	(void)state;
	world_init(&w);
	connect_guest(&w);
	h.len = 32768;
	for (int i = 0; i < 100 && !(w.v.connections[0].owes & 1 << VIRTIO_VSOCK_OP_RST); i++)
		send_packet(&w, h, NULL);
	assert_true(resident(w.v.connections) > 0);
	assert_int_equal(receive_packet(&w, NULL).op, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(resident(w.v.connections), 0);
	assert_false(guest_needs_reset(&w.g)); /* only that connection is lost */
	world_free(&w);
}

static void test_malformed(void **state)
{
	struct world w;

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_RW);
		struct buffer b = {TX_GPA, HEADER, false};

		world_init(&w);
		if (i == 0)
			h.len = 1; /* longer than the chain */
		if (i == 1)
			h.len = UINT32_MAX;
		if (i == 2)
			h.src_cid = CID + 1; /* somebody else's */
		if (i == 3)
			b.len = HEADER - 1;
		if (i == 4)
			h.op = VIRTIO_VSOCK_OP_SHUTDOWN, h.len = 4, b.len += 4;
		memcpy(guest_at(&w.g, TX_GPA), &h, HEADER);
		guest_send(&w.g, TX, &b, 1);
		assert_true(guest_needs_reset(&w.g));
		world_free(&w);
	}
}

/* A reset in the middle of everything frees all connections; the host sees their end. */
static void test_reset(void **state)
{
	struct world w;
	char byte;

	(void)state;
	world_init(&w);
	connect_guest(&w);
	reg_write(&w.g, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(read(w.host, &byte, 1), 0);
	assert_int_equal(w.v.connections[0].phase, VSOCK_FREE);
	guest_settle(&w.g);
	world_free(&w);
}

/* More connections than there is room for are closed, not queued. */
static void test_full(void **state)
{
	int fds[VSOCK_CONNECTIONS_MAX + 1];
	struct pollfd p = {.events = POLLIN};
	struct world w;

	(void)state;
	world_init(&w);
	for (int i = 0; i <= VSOCK_CONNECTIONS_MAX; i++) {
		fds[i] = sys_socket_unix(SOCK_STREAM);
		assert_int_equal(connect(fds[i], (void *)&w.address, (socklen_t)w.listener), 0);
		guest_settle(&w.g);
	}
	p.fd = fds[VSOCK_CONNECTIONS_MAX];
	assert_int_equal(poll(&p, 1, 0), 1);
	p.fd = fds[0];
	assert_int_equal(poll(&p, 1, 0), 0);
	for (int i = 0; i <= VSOCK_CONNECTIONS_MAX; i++)
		close(fds[i]);
	guest_settle(&w.g);
	world_free(&w);
}

/* Packets of random fields, near the valid ones. */
static void test_fuzz(void **state)
{
	struct world w;
	uint64_t seed = 3;
	char buf[4096];

	(void)state;
	world_init(&w);
	for (int i = 0; i < 20000; i++) {
		struct virtio_vsock_hdr h = packet((uint16_t)(random_next(&seed) % 9));
		struct buffer b = {TX_GPA, HEADER, false};

		h.src_port += random_next(&seed) % 3;
		h.dst_port = random_next(&seed) % 3 ? HOST_PORT : VSOCK_FIRST_HOST_PORT;
		h.flags = random_next(&seed) % 5;
		h.buf_alloc = random_next(&seed);
		h.fwd_cnt = random_next(&seed);
		if (h.op == VIRTIO_VSOCK_OP_RW)
			h.len = random_next(&seed) % 5000;
		b.len += h.len;
		memcpy(guest_at(&w.g, TX_GPA), &h, HEADER);
		guest_send(&w.g, TX, &b, 1);
		if (i % 4 == 0)
			post_rx(&w);
		if (i % 64 == 0)
			(void)!recv(w.host, buf, sizeof(buf), MSG_DONTWAIT);
		if (i % 500 == 0 && !guest_needs_reset(&w.g))
			close(dial(&w, 5));
		if (guest_needs_reset(&w.g) || i % 1000 == 999) {
			memset(ring_avail(&w.g, RX), 0, 64);
			memset(ring_avail(&w.g, TX), 0, 64);
			guest_start(&w.g, 0);
		}
	}
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_connects),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_host_connects),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_credit),
		cmocka_unit_test(test_small_window),
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_pipe_is_full),
		cmocka_unit_test(test_pipe_without_reader),
		cmocka_unit_test(test_pipe_is_left),
		cmocka_unit_test(test_no_pipe),
		cmocka_unit_test(test_slow_reader_gets_all),
		cmocka_unit_test(test_buffer_is_used_again),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_draining_is_forgotten),
		cmocka_unit_test(test_lazy),
		cmocka_unit_test(test_beyond_credit),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

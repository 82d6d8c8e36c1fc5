/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/vsock.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/mman.h>

enum { QUEUE_RX, QUEUE_TX, QUEUE_EVENT, QUEUES };

#define HEADER     sizeof(struct virtio_vsock_hdr)
#define SHUT_BOTH  (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
#define OWES(op)   (1U << VIRTIO_VSOCK_OP_##op)
#define PACKET_MAX 65536 /* bytes of payload in a packet to the guest */

static struct vsock *vsock_of(struct device *device)
{
	return (struct vsock *)device;
}

/* --- connections --- */

static struct vsock_connection *find(struct vsock *v, uint32_t guest_port, uint32_t host_port)
{
	for (int i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		struct vsock_connection *c = v->connections + i;

		if (c->phase >= VSOCK_CALLING && c->guest_port == guest_port &&
			c->host_port == host_port)
			return c;
	}
	return NULL;
}

/* Who reads it is at its end, unless others write to it too. */
static void pipe_close(struct vsock_connection *c)
{
	if (c->pipe.fd < 0)
		return;
	loop_remove(c->vsock->loop, &c->pipe);
	cleanup_close(&c->pipe.fd);
}

/* #syscalls:io,vcpu close epoll_ctl madvise */
static void connection_free(struct vsock_connection *c)
{
	if (c->buffered)
		madvise(c->buffer, c->size, MADV_DONTNEED);
	pipe_close(c);
	loop_remove(c->vsock->loop, &c->source);
	cleanup_close(&c->source.fd);
	memset(&c->phase, 0, sizeof(*c) - offsetof(struct vsock_connection, phase));
}

/* Takes over FD. NULL when the table is full; FD is closed then. #syscalls:io fcntl close */
static struct vsock_connection *connection_new(struct vsock *v, int fd, enum vsock_phase phase)
{
	struct vsock_connection *c = v->connections;

	while (c < v->connections + VSOCK_CONNECTIONS_MAX && c->phase != VSOCK_FREE)
		c++;
	if (c == v->connections + VSOCK_CONNECTIONS_MAX) {
		close(fd);
		return NULL;
	}
	c->source.fd = fd;
	c->phase = phase;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
		loop_add(v->loop, &c->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0) {
		connection_free(c);
		return NULL;
	}
	return c;
}

static bool is_over(const struct vsock_connection *c)
{
	return c->owes & OWES(RST);
}

/* The guest gets a RST as soon as it has a buffer; until then the ports stay taken. The host's side
 * is not listened to any more: shutting a socket down is an event on it too. */
static void connection_reset(struct vsock_connection *c)
{
	pipe_close(c);
	loop_remove(c->vsock->loop, &c->source);
	shutdown(c->source.fd, SHUT_RDWR); /* #syscalls:io shutdown */
	c->owes = OWES(RST);
	c->len = 0;
}

/* The guest does not know it any more. */
static void connection_end(struct vsock_connection *c)
{
	if (!c->len) {
		connection_free(c);
		return;
	}
	c->phase = VSOCK_DRAINING;
	c->owes = 0;
}

/* Once the guest has ended both ways and all it sent is through, it waits for our RST. */
static void finish_if_done(struct vsock_connection *c)
{
	if (c->len)
		return;
	if (c->phase == VSOCK_DRAINING) {
		connection_free(c);
		return;
	}
	if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND && !c->host_told) {
		c->host_told = true;
		pipe_close(c);
		shutdown(c->source.fd, SHUT_WR);
	}
	if (c->guest_shut == SHUT_BOTH)
		connection_reset(c);
}

/* --- from the guest to the host --- */

/* #syscalls:io sendmsg */
static ssize_t send_iov(int fd, struct iovec *iov, int count)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)count};

	return sys_sendmsg(fd, &msg, MSG_DONTWAIT);
}

/* A pipe never waits either: it came so. Without a reader it is EPIPE (the process ignores
 * SIGPIPE). #syscalls:io writev */
static ssize_t put(const struct vsock_connection *c, struct iovec *iov, int count)
{
	ssize_t n;

	if (c->pipe.fd < 0)
		return send_iov(c->source.fd, iov, count);
	n = writev(c->pipe.fd, iov, count);
	return n < 0 ? -errno : n;
}

/* There is room for it: the socket has nothing else to carry. */
static void answer_mark(struct vsock_connection *c)
{
	struct vsock_mark mark = {.bytes = c->mark};
	struct iovec iov = {&mark, sizeof(mark)};

	if (!c->marked || c->passed < c->mark)
		return;
	c->marked = false;
	(void)!send_iov(c->source.fd, &iov, 1);
}

/*
 * The guest hears of room once it is half of what it may have on its way. A driver may hold itself
 * to its own buffer's size where ours is larger (Linux does, in its stable series too): by ours
 * alone it would wait for ever for news that it cannot earn.
 */
static void account(struct vsock_connection *c, uint32_t written)
{
	uint32_t window = c->guest_credit < c->size ? c->guest_credit : c->size;

	c->taken += written;
	c->passed += written;
	answer_mark(c);
	if (c->taken != c->told && c->taken - c->told >= window / 2)
		c->owes |= OWES(CREDIT_UPDATE);
}

static void write_failed(struct vsock_connection *c, ssize_t r)
{
	if (r == -EAGAIN)
		return;
	if (c->phase == VSOCK_DRAINING)
		connection_free(c);
	else
		connection_reset(c);
}

static void buffer_flush(struct vsock_connection *c)
{
	while (c->len) {
		uint32_t first = c->size - c->start;
		struct iovec iov[2];
		ssize_t n;

		if (first > c->len)
			first = c->len;
		iov[0] = (struct iovec){c->buffer + c->start, first};
		iov[1] = (struct iovec){c->buffer, c->len - first};
		n = put(c, iov, 2);
		if (n < 0) {
			write_failed(c, n);
			return;
		}
		c->start = (c->start + (uint32_t)n) % c->size;
		c->len -= (uint32_t)n;
		account(c, (uint32_t)n);
	}
	c->start = 0; /* the pages that are memory already */
	finish_if_done(c);
}

/* The bytes OFFSET … OFFSET+LEN of the packet's payload go into the ring, which has room. */
static void buffer_add(
	struct vsock_connection *c, const struct virtq_chain *chain, size_t offset, uint32_t len)
{
	c->buffered |= len > 0;
	while (len) {
		uint32_t end = (c->start + c->len) % c->size;
		uint32_t n = c->size - end;

		if (n > len)
			n = len;
		virtq_read(chain, HEADER + offset, c->buffer + end, n);
		c->len += n;
		offset += n;
		len -= n;
	}
}

static void receive_data(struct vsock_connection *c, const struct virtq_chain *chain, uint32_t len)
{
	struct iovec iov[VIRTQ_SEGMENTS_MAX];
	ssize_t n = 0;
	int count;

	if (c->phase != VSOCK_CONNECTED || c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND ||
		len > c->size - c->len) {
		connection_reset(c);
		return;
	}
	if (!c->len) {
		count = iov_slice(chain->iov, chain->readable, HEADER, len, iov);
		n = count ? put(c, iov, count) : 0;
		if (n < 0) {
			write_failed(c, n);
			n = 0;
		}
		account(c, (uint32_t)n);
		if (is_over(c))
			return;
	}
	buffer_add(c, chain, (size_t)n, len - (uint32_t)n);
}

/* The answer to a packet that belongs to no connection. More than fit are dropped: the guest
 * times out. */
static void refuse(struct vsock *v, const struct virtio_vsock_hdr *h)
{
	if (h->op == VIRTIO_VSOCK_OP_RST || v->reset_count == VSOCK_RESETS_MAX)
		return;
	v->resets[v->reset_count++] = (struct virtio_vsock_hdr){
		.src_cid = h->dst_cid,
		.dst_cid = h->src_cid,
		.src_port = h->dst_port,
		.dst_port = h->src_port,
		.type = h->type,
		.op = VIRTIO_VSOCK_OP_RST,
	};
}

static void receive_request(struct vsock *v, const struct virtio_vsock_hdr *h)
{
	struct vsock_connection *c = NULL;

	for (size_t i = 0; i < v->port_count && !c; i++) {
		if (v->ports[i].port == h->dst_port && v->ports[i].fd >= 0)
			c = connection_new(v, take_fd(&v->ports[i].fd), VSOCK_CONNECTED);
	}
	if (!c) {
		refuse(v, h);
		return;
	}
	c->guest_port = h->src_port;
	c->host_port = h->dst_port;
	c->guest_credit = h->buf_alloc;
	c->guest_taken = h->fwd_cnt;
	c->owes = OWES(RESPONSE);
	c->readable = true;
}

static void receive_on(struct vsock_connection *c, const struct virtio_vsock_hdr *h,
	const struct virtq_chain *chain)
{
	c->guest_credit = h->buf_alloc;
	c->guest_taken = h->fwd_cnt;
	account(c, 0);
	switch (h->op) {
	case VIRTIO_VSOCK_OP_RESPONSE:
		if (c->phase != VSOCK_CALLING) {
			connection_reset(c);
			break;
		}
		c->phase = VSOCK_CONNECTED;
		c->readable = true;
		break;
	case VIRTIO_VSOCK_OP_RW:
		receive_data(c, chain, h->len);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		c->guest_shut |= h->flags & SHUT_BOTH;
		finish_if_done(c);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		c->owes |= OWES(CREDIT_UPDATE);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_RST:
		connection_end(c);
		break;
	default:
		connection_reset(c);
	}
}

static int64_t receive(struct device *device, struct virtq_chain *chain)
{
	struct vsock *v = vsock_of(device);
	struct vsock_connection *c;
	struct virtio_vsock_hdr h;

	if (virtq_read(chain, 0, &h, HEADER) != HEADER)
		return -EBADMSG;
	if (h.src_cid != v->config.guest_cid && h.src_cid == v->former_cid)
		return 0; /* from before the snapshot, for a host that is gone */
	if (h.src_cid != v->config.guest_cid || h.len > chain->read_len - HEADER ||
		(h.op != VIRTIO_VSOCK_OP_RW && h.len))
		return -EBADMSG;
	c = find(v, h.src_port, h.dst_port);
	if (h.dst_cid != VMADDR_CID_HOST || h.type != VIRTIO_VSOCK_TYPE_STREAM)
		refuse(v, &h);
	else if (c && is_over(c))
		; /* it is over; the guest will hear */
	else if (c)
		receive_on(c, &h, chain);
	else if (h.op == VIRTIO_VSOCK_OP_REQUEST)
		receive_request(v, &h);
	else
		refuse(v, &h);
	return 0;
}

/* --- from the host to the guest --- */

static struct virtio_vsock_hdr header_for(struct vsock_connection *c, uint16_t op)
{
	c->told = c->taken;
	return (struct virtio_vsock_hdr){
		.src_cid = VMADDR_CID_HOST,
		.dst_cid = c->vsock->config.guest_cid,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = c->size,
		.fwd_cnt = c->taken,
	};
}

static uint32_t credit(const struct vsock_connection *c)
{
	uint32_t flying = c->sent - c->guest_taken;

	return flying < c->guest_credit ? c->guest_credit - flying : 0;
}

static bool wants_to_send(const struct vsock_connection *c)
{
	if (c->phase < VSOCK_CALLING)
		return false;
	return c->owes || (c->phase == VSOCK_CONNECTED && c->readable && !c->host_shut &&
				  (c->head || !c->piped) && credit(c));
}

/* The packets without payload, in the order in which the guest may get them. Returns the length,
 * and ends the connection after its RST. */
static uint32_t send_control(struct vsock_connection *c, const struct virtq_chain *chain)
{
	static const uint16_t order[] = {VIRTIO_VSOCK_OP_RST, VIRTIO_VSOCK_OP_REQUEST,
		VIRTIO_VSOCK_OP_RESPONSE, VIRTIO_VSOCK_OP_CREDIT_UPDATE, VIRTIO_VSOCK_OP_SHUTDOWN};
	struct virtio_vsock_hdr h = {};

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (!(c->owes & 1U << order[i]))
			continue;
		c->owes &= ~(1U << order[i]);
		h = header_for(c, order[i]);
		break;
	}
	if (h.op == VIRTIO_VSOCK_OP_SHUTDOWN)
		h.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
	virtq_write(chain, 0, &h, HEADER);
	if (h.op == VIRTIO_VSOCK_OP_RST)
		connection_free(c);
	return HEADER;
}

/* Of a connection with a pipe. #syscalls:io recvfrom read */
static void read_marks(struct vsock_connection *c)
{
	enum { MARKS_MAX = 4 }; /* at once: nobody needs as many */
	struct vsock_mark mark;

	for (int i = 0; i < MARKS_MAX && !c->head; i++) {
		ssize_t n = recv(c->source.fd, &mark, sizeof(mark), MSG_PEEK | MSG_DONTWAIT);

		if ((n < 0 && errno == EAGAIN) || (n > 0 && n < (ssize_t)sizeof(mark)))
			return; /* the rest will come, with an event */
		if (n <= 0 && c->left) {
			loop_remove(c->vsock->loop, &c->source);
			return;
		}
		if (n <= 0)
			break;
		(void)!sys_read(c->source.fd, &mark, sizeof(mark));
		if (mark.bytes == VSOCK_MARK_LEAVE) {
			c->left = true;
			continue;
		}
		c->mark = mark.bytes;
		c->marked = true;
		answer_mark(c);
	}
	if (!c->head)
		write_failed(c, -EPIPE); /* nobody stands for it any more */
}

/* Reads from the host straight behind the header. 0: there was nothing. #syscalls:io readv */
static uint32_t send_data(struct vsock_connection *c, const struct virtq_chain *chain)
{
	struct iovec iov[VIRTQ_SEGMENTS_MAX];
	struct virtio_vsock_hdr h;
	size_t room = chain->write_len - HEADER;
	ssize_t n;
	int count;

	if (room > credit(c))
		room = credit(c);
	if (room > PACKET_MAX)
		room = PACKET_MAX;
	if (c->piped && room > c->head)
		room = c->head;
	count = iov_slice(chain->iov + chain->readable, chain->writable, HEADER, room, iov);
	n = readv(c->source.fd, iov, count);
	if (n < 0) {
		c->readable = false;
		if (errno != EAGAIN && errno != EINTR)
			connection_reset(c);
		return 0;
	}
	if (n == 0 && c->piped) {
		connection_reset(c);
		return 0;
	}
	if (n == 0) {
		c->host_shut = true;
		c->owes |= OWES(SHUTDOWN);
		return 0;
	}
	c->sent += (uint32_t)n;
	h = header_for(c, VIRTIO_VSOCK_OP_RW);
	h.len = (uint32_t)n;
	virtq_write(chain, 0, &h, HEADER);
	if (c->piped) {
		c->head -= (uint32_t)n;
		read_marks(c);
	}
	return HEADER + (uint32_t)n;
}

static struct vsock_connection *next_sender(struct vsock *v)
{
	for (unsigned int i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		unsigned int at = (v->turn + i) % VSOCK_CONNECTIONS_MAX;

		if (!wants_to_send(v->connections + at))
			continue;
		v->turn = at + 1;
		return v->connections + at;
	}
	return NULL;
}

/* Fills one buffer of the guest; −EAGAIN when there is nothing to say. */
static int64_t transmit(struct device *device, struct virtq_chain *chain)
{
	struct vsock *v = vsock_of(device);
	struct vsock_connection *c;
	uint32_t n;

	if (chain->write_len <= HEADER)
		return -EBADMSG;
	if (v->reset_count) {
		virtq_write(chain, 0, &v->resets[--v->reset_count], HEADER);
		return HEADER;
	}
	while ((c = next_sender(v))) {
		n = c->owes ? 0 : send_data(c, chain);
		if (n)
			return n;
		if (c->owes)
			return send_control(c, chain);
	}
	return -EAGAIN;
}

/* The guest looks up its CID anew, and all its connections end. */
static int64_t send_event(struct device *device, struct virtq_chain *chain)
{
	const struct virtio_vsock_event event = {.id = VIRTIO_VSOCK_EVENT_TRANSPORT_RESET};
	struct vsock *v = vsock_of(device);

	if (!v->owes_reset)
		return -EAGAIN;
	if (chain->write_len < sizeof(event))
		return -EBADMSG;
	v->owes_reset = false;
	virtq_write(chain, 0, &event, sizeof(event));
	return sizeof(event);
}

/* Gives the guest what waits for it. */
static int pump(struct vsock *v)
{
	return device_drain(&v->device, QUEUE_RX, transmit);
}

static void pump_or_fail(struct vsock *v)
{
	int r = device_running(&v->device) ? pump(v) : 0;

	if (r < 0)
		device_fail(&v->device);
	else if (r > 0)
		v->device.transport->again(v->device.transport, QUEUE_RX);
}

static int vsock_kick(struct device *device, unsigned int queue)
{
	int r = 0, rx;

	if (queue == QUEUE_EVENT)
		return device_drain(device, QUEUE_EVENT, send_event);
	if (queue == QUEUE_TX)
		r = device_drain(device, QUEUE_TX, receive);
	if (r < 0)
		return r;
	rx = pump(vsock_of(device));
	if (rx < 0)
		return rx;
	if (rx > 0 && queue == QUEUE_TX)
		device->transport->again(device->transport, QUEUE_RX);
	return queue == QUEUE_TX ? r : rx;
}

/* --- the host's side --- */

/* F_GETPIPE_SZ works for nothing but pipes. #syscalls:io fcntl */
static bool take_pipe(struct vsock_connection *c, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	c->pipe.fd = fd;
	c->piped = true;
	return flags >= 0 &&
	       (flags & (O_ACCMODE | O_NONBLOCK | O_DIRECT)) == (O_WRONLY | O_NONBLOCK) &&
	       fcntl(fd, F_GETPIPE_SZ) > 0 &&
	       loop_add(c->vsock->loop, &c->pipe, EPOLLOUT | EPOLLET) == 0;
}

/* #syscalls:io recvfrom recvmsg */
static void read_hello(struct vsock_connection *c)
{
	struct vsock_hello hello;
	ssize_t n = recv(c->source.fd, &hello, sizeof(hello), MSG_PEEK | MSG_DONTWAIT);
	autoclose int pipe = -1;
	size_t count = 1;

	if (n < 0 ? errno != EAGAIN : n == 0) {
		connection_free(c);
		return;
	}
	if (n < (ssize_t)sizeof(hello))
		return; /* the rest will come, with an event */
	n = fd_recv(c->source.fd, &hello, sizeof(hello), &pipe, &count);
	if (n != sizeof(hello) || (hello.head && pipe < 0) ||
		(pipe >= 0 && !take_pipe(c, take_fd(&pipe)))) {
		connection_free(c);
		return;
	}
	c->guest_port = hello.port;
	c->host_port = c->vsock->next_host_port++;
	c->phase = VSOCK_CALLING;
	c->owes = OWES(REQUEST);
	c->head = hello.head;
}

static void connection_ready(struct loop_source *source, uint32_t events)
{
	struct vsock_connection *c = (struct vsock_connection *)source;
	struct vsock *v = c->vsock;

	pthread_mutex_lock(&v->device.lock);
	if (c->phase == VSOCK_HELLO) {
		read_hello(c);
	} else if (c->phase != VSOCK_FREE && !is_over(c)) {
		c->readable |= !!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR));
		if (c->piped)
			read_marks(c);
		else if (events & EPOLLOUT)
			buffer_flush(c);
	}
	pump_or_fail(v);
	pthread_mutex_unlock(&v->device.lock);
}

/* There is room again, or no reader any more, which a write will show. */
static void pipe_ready(struct loop_source *source, uint32_t events)
{
	struct vsock_connection *c =
		(struct vsock_connection *)((uint8_t *)source -
					    offsetof(struct vsock_connection, pipe));
	struct vsock *v = c->vsock;

	(void)events;
	pthread_mutex_lock(&v->device.lock);
	if (c->pipe.fd >= 0 && c->len)
		buffer_flush(c);
	pump_or_fail(v);
	pthread_mutex_unlock(&v->device.lock);
}

/* #syscalls:io accept4 */
static void listener_ready(struct loop_source *source, uint32_t events)
{
	struct vsock *v = (struct vsock *)((uint8_t *)source - offsetof(struct vsock, listener));
	int fd = sys_accept(source->fd);

	(void)events;
	if (fd < 0)
		return;
	pthread_mutex_lock(&v->device.lock);
	connection_new(v, fd, VSOCK_HELLO);
	pthread_mutex_unlock(&v->device.lock);
}

/* Host connections that wait for their hello survive the guest's reset: they never met it. So do
 * those that it was done with. */
static void vsock_reset(struct device *device)
{
	struct vsock *v = vsock_of(device);

	for (int i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		if (v->connections[i].phase >= VSOCK_CALLING)
			connection_end(v->connections + i);
	}
	v->reset_count = 0;
	v->owes_reset = false;
}

static int vsock_activate(struct device *device)
{
	device->transport->again(device->transport, QUEUE_RX); /* calls that came before */
	return 0;
}

/* Connections are not saved: their host's side is another process's. */
struct own {
	uint32_t cid, next_host_port;
};

static void vsock_save(struct device *device, void *ret)
{
	const struct vsock *v = vsock_of(device);
	const struct own own = {v->config.guest_cid, v->next_host_port};

	memcpy(ret, &own, sizeof(own));
}

static int vsock_restore(struct device *device, const void *saved)
{
	struct vsock *v = vsock_of(device);
	struct own own;

	memcpy(&own, saved, sizeof(own));
	v->former_cid = own.cid;
	v->next_host_port = own.next_host_port;
	v->owes_reset = device_running(device);
	return 0;
}

static const struct device_ops vsock_ops = {
	.name = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.queues = QUEUES,
	.queue_size = 128,
	.lazy_queues = 1U << QUEUE_TX,
	.kick = vsock_kick,
	.activate = vsock_activate,
	.reset = vsock_reset,
	.save = vsock_save,
	.restore = vsock_restore,
	.own_size = sizeof(struct own),
	.config_moves = true,
};

int vsock_open(struct vsock *v, const struct vsock_options *options,
	const struct guest_memory *memory, struct loop *loop, struct err *err)
{
	uint8_t *next;
	int r;

	if (options->cid < 3 || options->port_count > VSOCK_PORTS_MAX)
		return err_set(err, -EINVAL,
			"vsock: the guest's CID is 3 or more, its ports at most %d",
			VSOCK_PORTS_MAX);
	*v = (struct vsock){
		.config = {.guest_cid = options->cid},
		.loop = loop,
		.listener = {.fd = -1, .ready = listener_ready},
		.port_count = options->port_count,
		.next_host_port = VSOCK_FIRST_HOST_PORT,
	};
	for (int i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
		v->connections[i] =
			(struct vsock_connection){.source = {.fd = -1, .ready = connection_ready},
				.pipe = {.fd = -1, .ready = pipe_ready},
				.vsock = v};
	device_init(&v->device, &vsock_ops, memory, 0, &v->config, sizeof(v->config));
	v->buffers = mmap(NULL, VSOCK_BUFFERS, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (v->buffers == MAP_FAILED)
		return err_sys(err, -errno, "vsock buffers");
	next = v->buffers;
	for (size_t i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		v->connections[i].buffer = next;
		v->connections[i].size = i < VSOCK_LARGE ? VSOCK_BUFFER : VSOCK_BUFFER_SMALL;
		next += v->connections[i].size;
	}
	if (options->port_count)
		memcpy(v->ports, options->ports, options->port_count * sizeof(*v->ports));
	if (options->listener < 0)
		return 0;
	v->listener.fd = options->listener;
	r = fcntl(v->listener.fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	if (r == 0)
		r = loop_add(loop, &v->listener, EPOLLIN);
	return r < 0 ? err_sys(err, r, "vsock listener") : 0;
}

void vsock_close(struct vsock *v)
{
	for (int i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		if (v->connections[i].phase != VSOCK_FREE)
			connection_free(v->connections + i);
	}
	for (size_t i = 0; i < v->port_count; i++)
		cleanup_close(&v->ports[i].fd);
	if (v->listener.fd >= 0)
		loop_remove(v->loop, &v->listener);
	cleanup_close(&v->listener.fd);
	if (v->buffers && v->buffers != MAP_FAILED)
		munmap(v->buffers, VSOCK_BUFFERS);
}

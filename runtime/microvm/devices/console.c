/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/console.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <string.h>

enum { QUEUE_RECEIVE, QUEUE_TRANSMIT, QUEUES };

/* Bytes for one chain before others get their turn: a file takes, and gives, any number at once. */
enum { AT_ONCE = 65536 };

/* What the host's side does not take yet waits in the guest's queue. #syscalls:io writev */
static int64_t transmit(struct device *device, struct virtq_chain *chain)
{
	struct console *c = (struct console *)device;
	struct iovec iov[VIRTQ_SEGMENTS_MAX];
	int count = iov_slice(chain->iov, chain->readable, c->sent, AT_ONCE, iov);
	ssize_t n = 0;

	if (c->out.source.fd >= 0 && count)
		n = writev(c->out.source.fd, iov, count);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n > 0 && c->sent + (uint32_t)n < chain->read_len) {
		c->sent += (uint32_t)n;
		device->transport->again(device->transport, QUEUE_TRANSMIT);
		return -EAGAIN;
	}
	c->sent = 0; /* all, or nobody reads any more */
	return 0;
}

/* #syscalls:io readv */
static int64_t receive(struct device *device, struct virtq_chain *chain)
{
	struct console *c = (struct console *)device;
	struct iovec iov[VIRTQ_SEGMENTS_MAX];
	ssize_t n;

	if (!chain->write_len)
		return -EBADMSG;
	if (c->in.source.fd < 0)
		return -EAGAIN;
	n = readv(c->in.source.fd, iov,
		iov_slice(chain->iov + chain->readable, chain->writable, 0, AT_ONCE, iov));
	if (n > 0)
		return n;
	if (n == 0 || errno != EAGAIN) { /* the end */
		loop_remove(c->loop, &c->in.source);
		cleanup_close(&c->in.source.fd);
	}
	return -EAGAIN;
}

static int console_kick(struct device *device, unsigned int queue)
{
	return device_drain(device, queue, queue == QUEUE_TRANSMIT ? transmit : receive);
}

static void console_reset(struct device *device)
{
	((struct console *)device)->sent = 0;
}

static void end_ready(struct loop_source *source, uint32_t events)
{
	struct console_end *end = (struct console_end *)source;
	struct console *c = end->console;

	(void)events;
	device_kick(&c->device, end == &c->out ? QUEUE_TRANSMIT : QUEUE_RECEIVE);
}

/* Edge-triggered: an end that nobody in the guest serves must not spin the loop. A regular file is
 * always ready and has no events. */
static int end_open(struct console *c, struct console_end *end, int fd, uint32_t events)
{
	int r;

	*end = (struct console_end){.source = {.fd = fd, .ready = end_ready}, .console = c};
	if (fd < 0)
		return 0;
	r = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ? -errno : 0;
	if (r == 0)
		r = loop_add(c->loop, &end->source, events | EPOLLET);
	return r == -EPERM ? 0 : r;
}

static void console_save(struct device *device, void *ret)
{
	memcpy(ret, &((struct console *)device)->sent, sizeof(uint32_t));
}

static int console_restore(struct device *device, const void *own)
{
	memcpy(&((struct console *)device)->sent, own, sizeof(uint32_t));
	return 0;
}

static const struct device_ops console_ops = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.queues = QUEUES,
	.queue_size = 64,
	.kick = console_kick,
	.reset = console_reset,
	.save = console_save,
	.restore = console_restore,
	.own_size = sizeof(uint32_t),
};

int console_device_open(struct console *c, int in, int out, const struct guest_memory *memory,
	struct loop *loop, struct err *err)
{
	int r;

	*c = (struct console){.loop = loop};
	device_init(&c->device, &console_ops, memory, 0, NULL, 0);
	r = end_open(c, &c->in, in, EPOLLIN);
	if (r == 0)
		r = end_open(c, &c->out, out, EPOLLOUT);
	return r < 0 ? err_sys(err, r, "console") : 0;
}

void console_close(struct console *c)
{
	struct console_end *ends[] = {&c->in, &c->out};

	for (int i = 0; i < 2; i++) {
		if (ends[i]->source.fd >= 0)
			loop_remove(c->loop, &ends[i]->source);
		cleanup_close(&ends[i]->source.fd);
	}
}

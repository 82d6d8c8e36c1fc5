/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/net.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/ioctl.h>

enum { QUEUE_RECEIVE, QUEUE_SEND, QUEUES };

#define HEADER     sizeof(struct virtio_net_hdr_v1)
#define PACKET_MAX (HEADER + 65550) /* the largest segment with its Ethernet and VLAN headers */

static struct net *net_of(struct device *device)
{
	return (struct net *)device;
}

/* A packet that the tap does not want is lost, as on a wire; only a full one waits.
 * #syscalls:io writev */
static int64_t send_packet(struct device *device, struct virtq_chain *chain)
{
	struct net *n = net_of(device);

	if (chain->read_len <= HEADER || chain->read_len > PACKET_MAX)
		return 0;
	if (!limit_take(&n->send, chain->read_len))
		return -EAGAIN;
	if (writev(n->tap.fd, chain->iov, chain->readable) < 0 && errno == EAGAIN)
		return -EAGAIN; /* EPOLLOUT will kick */
	return 0;
}

/* #syscalls:io readv */
static int64_t receive_packet(struct device *device, struct virtq_chain *chain)
{
	struct net *n = net_of(device);
	uint16_t one = 1;
	ssize_t len;

	if (chain->write_len <= HEADER)
		return -EBADMSG;
	if (!limit_take(&n->receive, 0))
		return -EAGAIN;
	len = readv(n->tap.fd, chain->iov + chain->readable, chain->writable);
	limit_settle(&n->receive, len > 0 ? len : 0, len > 0);
	if (len < (ssize_t)HEADER)
		return -EAGAIN; /* nothing there, or the tap is gone */
	virtq_write(chain, offsetof(struct virtio_net_hdr_v1, num_buffers), &one, sizeof(one));
	return len;
}

static int net_kick(struct device *device, unsigned int queue)
{
	return device_drain(device, queue, queue == QUEUE_SEND ? send_packet : receive_packet);
}

/* Edge-triggered; each kick reads until the tap is empty or the guest's buffers are used up, and
 * then the guest's kick for new buffers goes on. */
static void tap_ready(struct loop_source *source, uint32_t events)
{
	struct net *n = (struct net *)((uint8_t *)source - offsetof(struct net, tap));

	if (events & EPOLLOUT)
		device_kick(&n->device, QUEUE_SEND);
	if (events & EPOLLIN)
		device_kick(&n->device, QUEUE_RECEIVE);
}

static int net_activate(struct device *device)
{
	device->transport->again(device->transport, QUEUE_RECEIVE); /* what came before */
	return 0;
}

static const struct device_ops net_ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.queues = QUEUES,
	.queue_size = 128,
	.kick = net_kick,
	.activate = net_activate,
	.config_moves = true, /* the guest gives the interface its new address */
};

static const uint64_t offload = 1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM |
				1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_HOST_TSO6 |
				1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6;

/* Once, before the jail: what the tap may leave to the guest. Without it packets are whole. */
static int setup_tap(int tap, uint64_t *features)
{
	int header = HEADER, r = sys_ioctl(tap, TUNSETVNETHDRSZ, &header);

	if (r < 0)
		return r;
	if (sys_ioctl(tap, TUNSETOFFLOAD,
		    (void *)(uintptr_t)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) == 0)
		*features |= offload;
	return fcntl(tap, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int net_open(struct net *n, const struct net_options *o, const struct guest_memory *memory,
	struct loop *loop, struct err *err)
{
	uint64_t features = 1ULL << VIRTIO_NET_F_MAC;
	int r = setup_tap(o->tap, &features);

	if (r < 0)
		return err_sys(err, r, "tap: not one with IFF_VNET_HDR");
	*n = (struct net){.loop = loop, .tap = {.fd = o->tap, .ready = tap_ready}};
	memcpy(n->config.mac, o->mac, sizeof(n->config.mac));
	if (o->mtu) {
		n->config.mtu = o->mtu;
		features |= 1ULL << VIRTIO_NET_F_MTU;
	}
	device_init(&n->device, &net_ops, memory, features, &n->config, sizeof(n->config));
	r = limit_open(&n->receive, o->receive, &n->device, QUEUE_RECEIVE, loop, err);
	if (r == 0)
		r = limit_open(&n->send, o->send, &n->device, QUEUE_SEND, loop, err);
	if (r < 0)
		return r;
	r = loop_add(loop, &n->tap, EPOLLIN | EPOLLOUT | EPOLLET);
	return r < 0 ? err_sys(err, r, "tap") : 0;
}

void net_close(struct net *n)
{
	limit_close(&n->receive, n->loop);
	limit_close(&n->send, n->loop);
	loop_remove(n->loop, &n->tap);
	cleanup_close(&n->tap.fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/vhost.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#define NEEDED                                                          \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_EVENT_IDX | \
		1ULL << VIRTIO_RING_F_INDIRECT_DESC)

int vhost_open(struct vhost *v, int fd, struct err *err)
{
	int r;

	*v = (struct vhost){.fd = fd};
	r = sys_ioctl(fd, VHOST_GET_FEATURES, &v->features);
	if (r < 0)
		return err_sys(err, r, "/dev/vhost-net");
	if (NEEDED & ~v->features)
		return err_set(err, -ENOTSUP, "/dev/vhost-net: too old");
	return 0;
}

void vhost_close(struct vhost *v)
{
	cleanup_close(&v->fd);
}

/* #syscalls:io,vcpu ioctl=VHOST_SET_OWNER ioctl=VHOST_SET_MEM_TABLE */
static int take(struct vhost *v, const struct guest_memory *memory)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region regions[GUEST_REGION_MAX];
	} table = {.head = {.nregions = (uint32_t)memory->count}};
	int r;

	if (v->owned)
		return 0;
	for (size_t i = 0; i < memory->count; i++)
		table.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = memory->regions[i].gpa,
			.memory_size = memory->regions[i].size,
			.userspace_addr = (uint64_t)(uintptr_t)memory->regions[i].hva,
		};
	r = sys_ioctl(v->fd, VHOST_SET_OWNER, NULL);
	if (r == 0)
		r = sys_ioctl(v->fd, VHOST_SET_MEM_TABLE, &table);
	v->owned = r == 0;
	return r;
}

/* #syscalls:io,vcpu ioctl=VHOST_SET_VRING_NUM ioctl=VHOST_SET_VRING_BASE ioctl=VHOST_SET_VRING_ADDR
 * ioctl=VHOST_SET_VRING_KICK ioctl=VHOST_SET_VRING_CALL ioctl=VHOST_NET_SET_BACKEND */
static int start_queue(const struct vhost *v, const struct virtq *q, unsigned int index,
	const struct device_wires *wires, int backend)
{
	struct vhost_vring_state size = {index, q->state.size}, base = {index, q->state.next_avail};
	struct vhost_vring_file kick = {index, wires->kicks[index]}, call = {index, wires->irq},
				file = {index, backend};
	struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uint64_t)(uintptr_t)q->desc,
		.avail_user_addr = (uint64_t)(uintptr_t)q->avail,
		.used_user_addr = (uint64_t)(uintptr_t)q->used,
	};
	const struct {
		unsigned long request;
		void *argument;
	} steps[] = {
		{VHOST_SET_VRING_NUM, &size},
		{VHOST_SET_VRING_BASE, &base},
		{VHOST_SET_VRING_ADDR, &addr},
		{VHOST_SET_VRING_KICK, &kick},
		{VHOST_SET_VRING_CALL, &call},
		{VHOST_NET_SET_BACKEND, &file},
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(steps) && r == 0; i++)
		r = sys_ioctl(v->fd, steps[i].request, steps[i].argument);
	return r;
}

/* #syscalls:io,vcpu ioctl=VHOST_SET_FEATURES */
int vhost_start(struct vhost *v, struct device *device, int backend)
{
	uint64_t features = device->features & v->features;
	struct device_wires wires;
	int r = take(v, device->memory);

	device->transport->wires(device->transport, &wires);
	if (r == 0)
		r = sys_ioctl(v->fd, VHOST_SET_FEATURES, &features);
	for (unsigned int i = 0; i < device->ops->queues && r == 0; i++)
		if (device->queues[i].memory)
			r = start_queue(v, device->queues + i, i, &wires, backend);
	return r;
}

/* #syscalls:io,vcpu ioctl=VHOST_GET_VRING_BASE */
void vhost_stop(struct vhost *v, struct device *device)
{
	for (unsigned int i = 0; i < device->ops->queues && v->owned; i++) {
		struct vhost_vring_file none = {i, -1};
		struct vhost_vring_state base = {i, 0};
		struct virtq *q = device->queues + i;

		if (!q->memory)
			continue;
		if (sys_ioctl(v->fd, VHOST_NET_SET_BACKEND, &none) < 0 ||
			sys_ioctl(v->fd, VHOST_GET_VRING_BASE, &base) < 0)
			abort();
		q->state.next_avail = (uint16_t)base.num;
		q->state.next_used = q->state.signalled =
			__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
	}
}

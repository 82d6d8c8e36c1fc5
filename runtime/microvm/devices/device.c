/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/device.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#define FEATURES_COMMON                                                 \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_EVENT_IDX | \
		1ULL << VIRTIO_RING_F_INDIRECT_DESC)

static void unlock(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

/* Holds the device's lock until the end of the scope. */
#define LOCKED(device)                                                                       \
	pthread_mutex_t *locked_ __attribute__((cleanup(unlock), unused)) = &(device)->lock; \
	pthread_mutex_lock(locked_)

void device_init(struct device *device, const struct device_ops *ops,
	const struct guest_memory *memory, uint64_t offered, void *config, uint32_t config_len)
{
	*device = (struct device){
		.ops = ops,
		.memory = memory,
		.offered = offered | FEATURES_COMMON,
		.config = config,
		.config_len = config_len,
		.config_writable = config_len,
	};
	pthread_mutex_init(&device->lock, NULL);
}

static void reset(struct device *device)
{
	if (device->status & VIRTIO_CONFIG_S_DRIVER_OK && device->ops->reset)
		device->ops->reset(device);
	for (unsigned int i = 0; i < DEVICE_QUEUES_MAX; i++)
		virtq_reset(device->queues + i);
	device->status = 0;
	device->features = 0;
}

static int map_queues(struct device *device)
{
	for (unsigned int i = 0; i < device->ops->queues; i++) {
		struct virtq *q = device->queues + i;
		int r;

		if (!q->state.ready)
			continue;
		q->state.event_idx = !!(device->features & 1ULL << VIRTIO_RING_F_EVENT_IDX);
		q->state.indirect = !!(device->features & 1ULL << VIRTIO_RING_F_INDIRECT_DESC);
		r = virtq_activate(q, device->memory);
		if (r < 0)
			return r;
	}
	return 0;
}

static void activate(struct device *device)
{
	int r = map_queues(device);

	device->status |= VIRTIO_CONFIG_S_DRIVER_OK;
	if (r == 0 && device->ops->activate)
		r = device->ops->activate(device);
	if (r < 0)
		device_fail(device);
}

void device_set_status(struct device *device, uint32_t status)
{
	LOCKED(device);
	uint32_t added = status & ~device->status;

	if (!status) {
		reset(device);
		return;
	}
	if (device->status & VIRTIO_CONFIG_S_FAILED)
		return;
	device->status |= added & (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
					  VIRTIO_CONFIG_S_FAILED);
	if (added & VIRTIO_CONFIG_S_FEATURES_OK && !(device->features & ~device->offered) &&
		device->features & 1ULL << VIRTIO_F_VERSION_1)
		device->status |= VIRTIO_CONFIG_S_FEATURES_OK;
	if (added & VIRTIO_CONFIG_S_DRIVER_OK && device->status & VIRTIO_CONFIG_S_FEATURES_OK)
		activate(device);
}

uint32_t device_features(const struct device *device, uint32_t select)
{
	return select < 2 ? (uint32_t)(device->offered >> (select * 32)) : 0;
}

void device_set_features(struct device *device, uint32_t select, uint32_t features)
{
	LOCKED(device);
	uint64_t mask = 0xffffffffULL << (select * 32 & 63);

	if (device->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	if (select < 2)
		device->features = (device->features & ~mask) | (uint64_t)features << (select * 32);
	else if (features) /* bits that nobody offered: make FEATURES_OK fail */
		device->features &= ~(1ULL << VIRTIO_F_VERSION_1);
}

void device_set_queue(struct device *device, uint32_t queue,
	void (*change)(struct virtq_state *state, const void *context), const void *context)
{
	LOCKED(device);
	uint32_t frozen =
		VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET;

	if (queue < device->ops->queues && !(device->status & frozen) &&
		device->status & VIRTIO_CONFIG_S_FEATURES_OK)
		change(&device->queues[queue].state, context);
}

bool device_queue_ready(const struct device *device, uint32_t queue)
{
	return queue < device->ops->queues && device->queues[queue].state.ready;
}

void device_config_read(struct device *device, uint32_t offset, void *ret, uint32_t len)
{
	LOCKED(device);
	memset(ret, 0, len);
	if (offset >= device->config_len)
		return;
	if (len > device->config_len - offset)
		len = device->config_len - offset;
	memcpy(ret, (uint8_t *)device->config + offset, len);
}

void device_config_write(struct device *device, uint32_t offset, const void *data, uint32_t len)
{
	LOCKED(device);
	if (offset < device->config_writable || offset >= device->config_len ||
		len > device->config_len - offset)
		return;
	memcpy((uint8_t *)device->config + offset, data, len);
	if (device->ops->config_written)
		device->ops->config_written(device, offset, len);
}

void device_kick(struct device *device, uint32_t queue)
{
	LOCKED(device);
	int r;

	if (queue >= device->ops->queues || !device_running(device) ||
		!device->queues[queue].memory)
		return;
	r = device->ops->kick(device, queue);
	if (r < 0)
		device_fail(device);
	else if (r > 0)
		device->transport->again(device->transport, queue);
}

void device_signal(struct device *device, unsigned int queue)
{
	if (virtq_must_interrupt(device->queues + queue))
		device->transport->interrupt(device->transport, DEVICE_INTERRUPT_QUEUE);
}

void device_config_changed(struct device *device)
{
	device->generation++;
	device->transport->changed(device->transport);
	if (device_running(device))
		device->transport->interrupt(device->transport, DEVICE_INTERRUPT_CONFIG);
}

void device_fail(struct device *device)
{
	device->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	device->transport->changed(device->transport);
	if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		device->transport->interrupt(device->transport, DEVICE_INTERRUPT_CONFIG);
}

/* Whether the driver can wait a little longer for what it gets back of QUEUE. */
static bool can_wait(const struct device *device, unsigned int queue)
{
	const struct virtq_state *s = &device->queues[queue].state;
	uint16_t waiting = s->next_used - s->signalled;

	return device->ops->lazy_queues >> queue & 1 && waiting < DEVICE_LAZY &&
	       waiting < s->size / 2;
}

int device_drain(struct device *device, unsigned int queue,
	int64_t (*handle)(struct device *device, struct virtq_chain *chain))
{
	struct virtq *q = device->queues + queue;
	struct virtq_chain chain;
	int left = DEVICE_BUDGET, r = 0;

	while (left > 0) {
		int64_t written;

		r = virtq_pop(q, &chain);
		if (r == 0 && virtq_rearm(q)) {
			left--; /* a driver that only moves its index gets no endless turn */
			continue;
		}
		if (r <= 0)
			break;
		left--;
		written = handle(device, &chain);
		if (written == -EAGAIN) {
			virtq_unpop(q);
			r = 0;
			break;
		}
		if (written >= 0)
			virtq_push(q, chain.head, (uint32_t)written);
		else if (written != -EINPROGRESS)
			return (int)written;
	}
	if (!can_wait(device, queue))
		device_signal(device, queue);
	return r < 0 ? r : left == 0;
}

void device_save(struct device *device, struct device_state *ret)
{
	LOCKED(device);
	*ret = (struct device_state){
		.features = device->features,
		.status = device->status,
		.generation = device->generation,
	};
	for (unsigned int i = 0; i < DEVICE_QUEUES_MAX; i++)
		ret->queues[i] = device->queues[i].state;
}

int device_restore(struct device *device, const struct device_state *state)
{
	LOCKED(device);
	if (state->features & ~device->offered ||
		(state->status & VIRTIO_CONFIG_S_DRIVER_OK &&
			!(state->status & VIRTIO_CONFIG_S_FEATURES_OK)))
		return -EINVAL;
	device->features = state->features;
	device->status = state->status;
	device->generation = state->generation;
	for (unsigned int i = 0; i < DEVICE_QUEUES_MAX; i++)
		device->queues[i].state = state->queues[i];
	if (!(state->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return 0;
	return map_queues(device);
}

int device_hold(struct device *device)
{
	LOCKED(device);
	int r = device_running(device) && device->ops->hold ? device->ops->hold(device) : 0;

	device->held = r == 0;
	return r;
}

int device_release(struct device *device)
{
	LOCKED(device);
	int r;

	device->held = false;
	if (!device_running(device))
		return 0;
	r = device->ops->release ? device->ops->release(device) : 0;
	if (r < 0)
		device_fail(device);
	/* Kicks that came meanwhile. */
	for (unsigned int i = 0; i < device->ops->queues; i++)
		if (device->queues[i].state.ready)
			device->transport->again(device->transport, i);
	return r;
}

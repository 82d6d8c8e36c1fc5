/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/mmio.h"

#include "base/cleanup.h"

#include <linux/virtio_mmio.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

static void show(struct mmio *mmio, uint32_t offset, uint32_t value)
{
	__atomic_store_n(mmio->page + offset / 4, value, __ATOMIC_SEQ_CST);
}

/* InterruptStatus. A remote device cannot set its bit: it is always set. */
static uint32_t interrupt_status(const struct mmio *mmio)
{
	return (mmio->device->ops->remote ? DEVICE_INTERRUPT_QUEUE : 0) |
	       __atomic_load_n(&mmio->state.interrupt, __ATOMIC_SEQ_CST);
}

/* Any thread: who is overtaken between both looks shows it once more. */
static void show_interrupt(struct mmio *mmio)
{
	uint32_t value;

	do {
		value = interrupt_status(mmio);
		show(mmio, VIRTIO_MMIO_INTERRUPT_STATUS, value);
	} while (interrupt_status(mmio) != value);
}

static void mmio_interrupt(struct device_transport *transport, uint32_t why)
{
	struct mmio *mmio = (struct mmio *)transport;

	__atomic_or_fetch(&mmio->state.interrupt, why, __ATOMIC_SEQ_CST);
	if (mmio->page) {
		if (why & DEVICE_INTERRUPT_CONFIG) /* the device failed; its lock is held */
			show(mmio, VIRTIO_MMIO_STATUS, mmio->device->status);
		show_interrupt(mmio);
	}
	event_signal(mmio->irq);
}

static void mmio_again(struct device_transport *transport, unsigned int queue)
{
	struct mmio *mmio = (struct mmio *)transport;

	event_signal(mmio->queues[queue].source.fd);
}

static void mmio_wires(struct device_transport *transport, struct device_wires *ret)
{
	struct mmio *mmio = (struct mmio *)transport;

	ret->irq = mmio->irq;
	for (unsigned int i = 0; i < DEVICE_QUEUES_MAX; i++)
		ret->kicks[i] = mmio->queues[i].source.fd;
}

/* Each kick is an edge, so that nobody has to read how many there were. */
static void queue_kicked(struct loop_source *source, uint32_t events)
{
	struct mmio_queue *queue = (struct mmio_queue *)source;

	(void)events;
	device_kick(queue->mmio->device, (uint32_t)(queue - queue->mmio->queues));
}

static uint32_t register_read(struct mmio *mmio, uint32_t offset);

/* All that can be read, once more. */
static void show_all(struct mmio *mmio)
{
	static const uint32_t registers[] = {VIRTIO_MMIO_MAGIC_VALUE, VIRTIO_MMIO_VERSION,
		VIRTIO_MMIO_DEVICE_ID, VIRTIO_MMIO_VENDOR_ID, VIRTIO_MMIO_DEVICE_FEATURES,
		VIRTIO_MMIO_QUEUE_NUM_MAX, VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_SHM_LEN_LOW,
		VIRTIO_MMIO_SHM_LEN_HIGH, VIRTIO_MMIO_CONFIG_GENERATION};
	uint32_t status;

	for (size_t i = 0; i < ARRAY_LEN(registers); i++)
		show(mmio, registers[i], register_read(mmio, registers[i]));
	do { /* the loop's thread may fail the device meanwhile */
		status = device_status(mmio->device);
		show(mmio, VIRTIO_MMIO_STATUS, status);
	} while (device_status(mmio->device) != status);
	show_interrupt(mmio);
	device_config_read(mmio->device, 0, (uint8_t *)mmio->page + VIRTIO_MMIO_CONFIG,
		mmio->device->config_len);
}

static int open_page(struct mmio *mmio)
{
	void *page =
		mmap(NULL, MMIO_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	mmio->page = page;
	show_all(mmio);
	return 0;
}

int mmio_init(struct mmio *mmio, struct device *device, struct loop *loop, struct err *err)
{
	int r;

	*mmio = (struct mmio){
		.transport = {.interrupt = mmio_interrupt,
			.again = mmio_again,
			.wires = mmio_wires},
		.device = device,
		.loop = loop,
		.irq = event_open(),
	};
	for (unsigned int i = 0; i < DEVICE_QUEUES_MAX; i++)
		mmio->queues[i] = (struct mmio_queue){
			.source = {.fd = -1, .ready = queue_kicked}, .mmio = mmio};
	pthread_mutex_init(&mmio->lock, NULL);
	device->transport = &mmio->transport;
	r = mmio->irq;
	for (unsigned int i = 0; i < device->ops->queues && r >= 0; i++) {
		r = mmio->queues[i].source.fd = event_open();
		if (r >= 0 && !device->ops->remote)
			r = loop_add(loop, &mmio->queues[i].source, EPOLLIN | EPOLLET);
	}
	if (r >= 0 && device->ops->remote)
		r = open_page(mmio);
	if (r >= 0)
		return 0;
	mmio_close(mmio);
	return err_sys(err, r, "virtio %s", device->ops->name);
}

void mmio_close(struct mmio *mmio)
{
	for (unsigned int i = 0; i < DEVICE_QUEUES_MAX; i++) {
		if (mmio->queues[i].source.fd >= 0)
			loop_remove(mmio->loop, &mmio->queues[i].source);
		cleanup_close(&mmio->queues[i].source.fd);
	}
	cleanup_close(&mmio->irq);
	if (mmio->page)
		munmap(mmio->page, MMIO_SIZE);
	mmio->page = NULL;
}

static uint32_t register_read(struct mmio *mmio, uint32_t offset)
{
	struct device *device = mmio->device;
	const struct mmio_state *s = &mmio->state;

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return 0x74726976; /* "virt" */
	case VIRTIO_MMIO_VERSION:
		return 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return device->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return 0x67697262; /* "brig" */
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return device_features(device, s->device_features_select);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return s->queue_select < device->ops->queues ? device->ops->queue_size : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return device_queue_ready(device, s->queue_select);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return interrupt_status(mmio);
	case VIRTIO_MMIO_STATUS:
		return device_status(device);
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
		return ~0U; /* no shared memory regions: a length of −1 */
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return device_generation(device);
	default:
		return 0;
	}
}

/* One register of a queue, as the driver wrote it. */
struct queue_write {
	uint32_t offset, value;
};

static void set_low(uint64_t *address, uint32_t value)
{
	*address = (*address & ~0xffffffffULL) | value;
}

static void set_high(uint64_t *address, uint32_t value)
{
	*address = (*address & 0xffffffffULL) | (uint64_t)value << 32;
}

static void queue_change(struct virtq_state *q, const void *context)
{
	const struct queue_write *w = context;

	if (w->offset == VIRTIO_MMIO_QUEUE_READY) {
		q->ready = w->value == 1;
		return;
	}
	if (q->ready)
		return;
	switch (w->offset) {
	case VIRTIO_MMIO_QUEUE_NUM: /* beyond 16 bits is as wrong as 0 */
		q->size = w->value > UINT16_MAX ? 0 : (uint16_t)w->value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&q->desc, w->value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&q->desc, w->value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&q->avail, w->value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&q->avail, w->value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&q->used, w->value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&q->used, w->value);
		break;
	}
}

static void set_status(struct mmio *mmio, uint32_t status)
{
	device_set_status(mmio->device, status);
	if (status)
		return;
	mmio->state.device_features_select = mmio->state.driver_features_select = 0;
	mmio->state.queue_select = 0;
	__atomic_store_n(&mmio->state.interrupt, 0, __ATOMIC_SEQ_CST);
}

static void register_write(struct mmio *mmio, uint32_t offset, uint32_t value)
{
	struct queue_write w = {.offset = offset, .value = value};

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->state.device_features_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->state.driver_features_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		device_set_features(mmio->device, mmio->state.driver_features_select, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->state.queue_select = value;
		break;
	case MMIO_QUEUE_NOTIFY: /* devices work on the loop's thread only */
		if (value < mmio->device->ops->queues)
			event_signal(mmio->queues[value].source.fd);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		__atomic_and_fetch(&mmio->state.interrupt, ~value, __ATOMIC_SEQ_CST);
		break;
	case VIRTIO_MMIO_STATUS:
		set_status(mmio, value & 0xff);
		break;
	default:
		device_set_queue(mmio->device, mmio->state.queue_select, queue_change, &w);
	}
}

void mmio_read(struct mmio *mmio, uint32_t offset, void *ret, uint32_t len)
{
	uint32_t value;

	memset(ret, 0, len);
	if (offset >= VIRTIO_MMIO_CONFIG) {
		device_config_read(mmio->device, offset - VIRTIO_MMIO_CONFIG, ret, len);
		return;
	}
	if (len != 4 || offset % 4) /* 4.2.2.2: registers are 32 bits wide */
		return;
	pthread_mutex_lock(&mmio->lock);
	value = register_read(mmio, offset);
	pthread_mutex_unlock(&mmio->lock);
	memcpy(ret, &value, sizeof(value));
}

void mmio_write(struct mmio *mmio, uint32_t offset, const void *data, uint32_t len)
{
	uint32_t value;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		device_config_write(mmio->device, offset - VIRTIO_MMIO_CONFIG, data, len);
		return;
	}
	if (len != 4 || offset % 4)
		return;
	memcpy(&value, data, sizeof(value));
	pthread_mutex_lock(&mmio->lock);
	register_write(mmio, offset, value);
	if (mmio->page)
		show_all(mmio);
	pthread_mutex_unlock(&mmio->lock);
}

void mmio_restored(struct mmio *mmio)
{
	if (mmio->page)
		show_all(mmio);
	if (mmio->state.interrupt || mmio->device->ops->remote)
		event_signal(mmio->irq);
}

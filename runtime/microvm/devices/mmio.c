/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/mmio.h"

#include "base/cleanup.h"

#include <linux/virtio_mmio.h>
#include <stddef.h>
#include <string.h>

/* What is done with the device's lock held, by whoever changes what is shown. */
static void lock(struct mmio *mmio)
{
	pthread_mutex_lock(&mmio->device->lock);
}

static void unlock(struct mmio *mmio)
{
	pthread_mutex_unlock(&mmio->device->lock);
}

static uint32_t register_read(const struct mmio *mmio, uint32_t offset);

/* Nobody writes to the page beside us, so a register never goes back to what it was. RELEASE is for
 * who sees one register and concludes on another. */
static void show(struct mmio *mmio, uint32_t offset, uint32_t value)
{
	__atomic_store_n(mmio->page + offset / 4, value, __ATOMIC_RELEASE);
}

static void show_registers(struct mmio *mmio, const uint32_t *registers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		show(mmio, registers[i], register_read(mmio, registers[i]));
}

/*
 * What changes without a write of the guest's. A guest that reads the configuration meanwhile finds
 * each four bytes of it as they were or as they are, and the generation last: who reads that before
 * and after may read the new bytes with the old generation, but never the old bytes with the new
 * one.
 */
static void mmio_changed(struct device_transport *transport)
{
	static const uint32_t registers[] = {VIRTIO_MMIO_STATUS, VIRTIO_MMIO_CONFIG_GENERATION};
	struct mmio *mmio = (struct mmio *)transport;
	const struct device *device = mmio->device;

	for (uint32_t i = 0; i < device->config_len; i += sizeof(uint32_t)) {
		uint32_t left = device->config_len - i, word = 0;

		memcpy(&word, (const uint8_t *)device->config + i,
			left < sizeof(word) ? left : sizeof(word));
		show(mmio, VIRTIO_MMIO_CONFIG + i, word);
	}
	show_registers(mmio, registers, ARRAY_LEN(registers));
}

/* All that can be read, once more; with both locks held. */
static void show_all(struct mmio *mmio)
{
	static const uint32_t registers[] = {VIRTIO_MMIO_MAGIC_VALUE, VIRTIO_MMIO_VERSION,
		VIRTIO_MMIO_DEVICE_ID, VIRTIO_MMIO_VENDOR_ID, VIRTIO_MMIO_DEVICE_FEATURES,
		VIRTIO_MMIO_QUEUE_NUM_MAX, VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_SHM_LEN_LOW,
		VIRTIO_MMIO_SHM_LEN_HIGH, VIRTIO_MMIO_INTERRUPT_STATUS};

	show_registers(mmio, registers, ARRAY_LEN(registers));
	mmio_changed(&mmio->transport);
}

/*
 * A driver reads InterruptStatus and writes what it found to InterruptACK, then looks at what the
 * bits stand for. That no change of the configuration is lost:
 *
 *  - What changed is in the page, then the bit, then the interrupt is raised: each store is a
 *    RELEASE, and raising is a system call, after which KVM hands the interrupt to the vCPU by an
 *    atomic operation on what both look at. The guest's loads are in order, as any on x86. So
 *    whoever takes the interrupt sees the bit, and who sees the bit sees what changed.
 *  - The bit comes before the driver has read: it is acknowledged with the other one, a write of 3,
 *    which is not KVM's to take but comes here. Between both there may be a further change. Its bit
 *    is cleared with the first one's, but it is in the page already, and so found by the look that
 *    comes after the write; its own interrupt then finds nothing, as it would on any device.
 *  - The bit comes after the driver has read, and before it writes 1: KVM takes that, the bit
 *    stays, and the interrupt, an edge that came after the one that is being handled, is taken
 *    afterwards.
 *  - Nothing is shown but by who has read it with the device's lock held, and has it still:
 *    otherwise what was read before the bit was set could be shown afterwards, and the interrupt be
 *    taken in that moment.
 *
 * For used buffers the driver looks at its rings, which say more than the bit ever did: it is set
 * when nothing was used, too, where the driver finds nothing. It is interrupted as often as it
 * would be: that is decided in device_signal().
 */
static void set_interrupt(struct mmio *mmio, uint32_t bits)
{
	mmio->state.interrupt = bits;
	show(mmio, VIRTIO_MMIO_INTERRUPT_STATUS, DEVICE_INTERRUPT_QUEUE | bits);
}

static void mmio_interrupt(struct device_transport *transport, uint32_t why)
{
	struct mmio *mmio = (struct mmio *)transport;

	if (why & DEVICE_INTERRUPT_CONFIG)
		set_interrupt(mmio, mmio->state.interrupt | DEVICE_INTERRUPT_CONFIG);
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

int mmio_init(
	struct mmio *mmio, struct device *device, void *page, struct loop *loop, struct err *err)
{
	int r;

	*mmio = (struct mmio){
		.transport = {.interrupt = mmio_interrupt,
			.changed = mmio_changed,
			.again = mmio_again,
			.wires = mmio_wires},
		.device = device,
		.loop = loop,
		.irq = event_open(),
		.page = page,
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
	if (r < 0) {
		mmio_close(mmio);
		return err_sys(err, r, "virtio %s", device->ops->name);
	}
	lock(mmio);
	show_all(mmio);
	unlock(mmio);
	return 0;
}

void mmio_close(struct mmio *mmio)
{
	for (unsigned int i = 0; i < DEVICE_QUEUES_MAX; i++) {
		if (mmio->queues[i].source.fd >= 0)
			loop_remove(mmio->loop, &mmio->queues[i].source);
		cleanup_close(&mmio->queues[i].source.fd);
	}
	cleanup_close(&mmio->irq);
}

/* With both locks held; what does not depend on what is selected, with the device's. */
static uint32_t register_read(const struct mmio *mmio, uint32_t offset)
{
	const struct device *device = mmio->device;
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
		return DEVICE_INTERRUPT_QUEUE | s->interrupt;
	case VIRTIO_MMIO_STATUS:
		return device->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
		return ~0U; /* no shared memory regions: a length of −1 */
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return device->generation;
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
	lock(mmio);
	set_interrupt(mmio, 0);
	unlock(mmio);
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
		lock(mmio);
		set_interrupt(mmio, mmio->state.interrupt & ~value);
		unlock(mmio);
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
	lock(mmio);
	value = register_read(mmio, offset);
	unlock(mmio);
	pthread_mutex_unlock(&mmio->lock);
	memcpy(ret, &value, sizeof(value));
}

static void any_write(struct mmio *mmio, uint32_t offset, const void *data, uint32_t len)
{
	uint32_t value;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		device_config_write(mmio->device, offset - VIRTIO_MMIO_CONFIG, data, len);
	} else if (len == 4 && offset % 4 == 0) {
		memcpy(&value, data, sizeof(value));
		register_write(mmio, offset, value);
	}
}

void mmio_write(struct mmio *mmio, uint32_t offset, const void *data, uint32_t len)
{
	pthread_mutex_lock(&mmio->lock);
	any_write(mmio, offset, data, len);
	if (offset != MMIO_QUEUE_NOTIFY) {
		lock(mmio);
		show_all(mmio);
		unlock(mmio);
	}
	pthread_mutex_unlock(&mmio->lock);
}

void mmio_restored(struct mmio *mmio)
{
	bool tell;

	pthread_mutex_lock(&mmio->lock);
	lock(mmio);
	show_all(mmio);
	tell = device_running(mmio->device) || mmio->state.interrupt;
	unlock(mmio);
	pthread_mutex_unlock(&mmio->lock);
	if (tell)
		event_signal(mmio->irq);
}

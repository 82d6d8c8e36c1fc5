/* SPDX-License-Identifier: Apache-2.0 */
/* The transport and the generic device together, with a device that counts. */
#include "tests/unit/microvm/guest.h"

#include <errno.h>

enum { BOTH = DEVICE_INTERRUPT_QUEUE | DEVICE_INTERRUPT_CONFIG };

struct counter {
	struct device device;
	uint32_t config[2];
	int kicks, activations, resets;
	int result; /* of the next kick */
};

static int64_t swallow(struct device *device, struct virtq_chain *chain)
{
	(void)device;
	return chain->write_len;
}

static int counter_kick(struct device *device, unsigned int queue)
{
	struct counter *c = (struct counter *)device;

	c->kicks++;
	return c->result ? c->result : device_drain(device, queue, swallow);
}

static int counter_activate(struct device *device)
{
	((struct counter *)device)->activations++;
	return 0;
}

static void counter_reset(struct device *device)
{
	((struct counter *)device)->resets++;
}

static const struct device_ops counter_ops = {
	.name = "counter",
	.id = 99,
	.queues = 2,
	.queue_size = 64,
	.kick = counter_kick,
	.activate = counter_activate,
	.reset = counter_reset,
};

static void counter_init(struct guest *g, struct counter *c)
{
	guest_init(g);
	*c = (struct counter){.config = {0x11223344, 0x55667788}};
	device_init(&c->device, &counter_ops, &g->memory, 1 << 3, c->config, sizeof(c->config));
	guest_attach(g, &c->device);
}

static void test_identity(void **state)
{
	struct guest g;
	struct counter c;
	uint64_t wide = 1;

	(void)state;
	counter_init(&g, &c);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_DEVICE_ID), 99);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_QUEUE_NUM_MAX), 64);
	reg_write(&g, VIRTIO_MMIO_QUEUE_SEL, 2);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_CONFIG + 4), 0x55667788);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_CONFIG + 8), 0);
	mmio_read(&g.mmio, VIRTIO_MMIO_CONFIG + 6, &wide, 8); /* partly behind the end */
	assert_int_equal(wide, 0x5566);
	mmio_read(&g.mmio, VIRTIO_MMIO_MAGIC_VALUE, &wide, 8); /* registers are 32 bits wide */
	assert_int_equal(wide, 0);
	reg_write(&g, VIRTIO_MMIO_CONFIG, 7); /* read-only */
	assert_int_equal(c.config[0], 0x11223344);
	guest_free(&g);
}

static void test_features(void **state)
{
	struct guest g;
	struct counter c;

	(void)state;
	counter_init(&g, &c);
	guest_negotiate(&g, 1 << 3);
	assert_true(reg_read(&g, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
	guest_negotiate(&g, 1 << 4); /* not offered */
	assert_false(reg_read(&g, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
	reg_write(&g, VIRTIO_MMIO_STATUS, 0xf);
	assert_int_equal(c.activations, 0);

	reg_write(&g, VIRTIO_MMIO_STATUS, 0);
	reg_write(&g, VIRTIO_MMIO_STATUS, 3);
	reg_write(&g, VIRTIO_MMIO_STATUS, 0xb); /* nothing accepted: not even version 1 */
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_STATUS), 3);
	guest_free(&g);
}

static void test_life(void **state)
{
	const struct buffer one = {DATA_GPA, 16, true};
	struct guest g;
	struct counter c;

	(void)state;
	counter_init(&g, &c);
	guest_start(&g, 0);
	assert_int_equal(c.activations, 1);
	guest_send(&g, 1, &one, 1);
	assert_int_equal(guest_used(&g, 1), 16);
	assert_true(event_take(g.mmio.irq));
	/* Always set: KVM takes the acknowledgement, and nobody hears of it. */
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_INTERRUPT_STATUS), DEVICE_INTERRUPT_QUEUE);
	reg_write(&g, VIRTIO_MMIO_INTERRUPT_ACK, DEVICE_INTERRUPT_QUEUE);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_INTERRUPT_STATUS), DEVICE_INTERRUPT_QUEUE);

	/* The queues are frozen now: changing one changes nothing. */
	guest_setup_queue(&g, 1, 4);
	assert_int_equal(c.device.queues[1].state.size, RING_SIZE);
	reg_write(&g, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_QUEUE_READY), 1);

	reg_write(&g, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(c.resets, 1);
	assert_null(c.device.queues[1].memory);
	guest_kick(&g, 1);
	assert_int_equal(c.kicks, 1); /* only the one from before */
	guest_free(&g);
}

static void test_violation(void **state)
{
	struct guest g;
	struct counter c;

	(void)state;
	counter_init(&g, &c);
	guest_start(&g, 0);
	ring_avail(&g, 0)->idx = 1000;
	guest_kick(&g, 0);
	assert_true(guest_needs_reset(&g));
	assert_int_equal(reg_shown(&g, VIRTIO_MMIO_INTERRUPT_STATUS), BOTH);
	assert_true(reg_shown(&g, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	c.kicks = 0;
	guest_kick(&g, 1);
	assert_int_equal(c.kicks, 0); /* dead until the reset */
	ring_avail(&g, 0)->idx = 0;
	guest_start(&g, 0);
	assert_false(guest_needs_reset(&g));
	guest_kick(&g, 0);
	assert_int_equal(c.kicks, 1);
	guest_free(&g);
}

static void change_config(struct counter *c, uint32_t value)
{
	pthread_mutex_lock(&c->device.lock);
	c->config[1] = value;
	device_config_changed(&c->device);
	pthread_mutex_unlock(&c->device.lock);
}

/* What the guest reads without us is true before it is told that it should. */
static void test_config_changes(void **state)
{
	struct guest g;
	struct counter c;

	(void)state;
	counter_init(&g, &c);
	change_config(&c, 1); /* nobody is there to be told */
	assert_int_equal(reg_shown(&g, VIRTIO_MMIO_CONFIG + 4), 1);
	assert_int_equal(reg_shown(&g, VIRTIO_MMIO_CONFIG_GENERATION), 1);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_INTERRUPT_STATUS), DEVICE_INTERRUPT_QUEUE);
	assert_false(event_take(g.mmio.irq));

	guest_start(&g, 0);
	change_config(&c, 2);
	assert_true(event_take(g.mmio.irq));
	assert_int_equal(reg_shown(&g, VIRTIO_MMIO_INTERRUPT_STATUS), BOTH);
	assert_int_equal(reg_shown(&g, VIRTIO_MMIO_CONFIG + 4), 2);
	assert_int_equal(reg_shown(&g, VIRTIO_MMIO_CONFIG_GENERATION), 2);
	reg_write(&g, VIRTIO_MMIO_INTERRUPT_ACK, DEVICE_INTERRUPT_QUEUE);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_INTERRUPT_STATUS), BOTH); /* not lost */
	reg_write(&g, VIRTIO_MMIO_INTERRUPT_ACK, BOTH);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_INTERRUPT_STATUS), DEVICE_INTERRUPT_QUEUE);

	change_config(&c, 3);
	reg_write(&g, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_INTERRUPT_STATUS), DEVICE_INTERRUPT_QUEUE);
	guest_free(&g);
}

/* That the bit is always set makes no interrupts of its own. */
static void test_suppressed(void **state)
{
	const struct buffer one = {DATA_GPA, 16, true};
	struct guest g;
	struct counter c;

	(void)state;
	counter_init(&g, &c);
	guest_start(&g, 0);
	ring_avail(&g, 0)->flags = VRING_AVAIL_F_NO_INTERRUPT;
	guest_send(&g, 0, &one, 1);
	assert_false(event_take(g.mmio.irq));
	ring_avail(&g, 0)->flags = 0;
	guest_send(&g, 0, &one, 1);
	assert_true(event_take(g.mmio.irq));

	reg_write(&g, VIRTIO_MMIO_STATUS, 0);
	memset(ring_avail(&g, 0), 0, 4);
	memset(ring_used(&g, 0), 0, 4);
	guest_start(&g, 1ULL << VIRTIO_RING_F_EVENT_IDX);
	ring_avail(&g, 0)->ring[RING_SIZE] = 1; /* the driver waits for the second one */
	guest_send(&g, 0, &one, 1);
	assert_false(event_take(g.mmio.irq));
	guest_send(&g, 0, &one, 1);
	assert_true(event_take(g.mmio.irq));
	guest_send(&g, 0, &one, 1);
	assert_false(event_take(g.mmio.irq));
	guest_free(&g);
}

/* After a restore the registers show the device as it was, and who was not told yet is told. */
static void test_restored(void **state)
{
	struct device_state saved;
	struct mmio_state registers;
	struct guest g;
	struct counter c;

	(void)state;
	counter_init(&g, &c);
	guest_start(&g, 0);
	change_config(&c, 2);
	reg_write(&g, VIRTIO_MMIO_QUEUE_SEL, 1);
	device_save(&c.device, &saved);
	registers = g.mmio.state;

	mmio_close(&g.mmio);
	device_init(&c.device, &counter_ops, &g.memory, 1 << 3, c.config, sizeof(c.config));
	guest_attach(&g, &c.device);
	mmio_restored(&g.mmio);
	assert_false(event_take(g.mmio.irq)); /* no driver */
	g.mmio.state = registers;
	assert_int_equal(device_restore(&c.device, &saved), 0);
	mmio_restored(&g.mmio);
	assert_true(event_take(g.mmio.irq));
	assert_int_equal(reg_shown(&g, VIRTIO_MMIO_STATUS), 0xf);
	for (uint32_t reg = 0; reg < VIRTIO_MMIO_CONFIG + sizeof(c.config); reg += 4)
		reg_read(&g, reg);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_INTERRUPT_STATUS), BOTH);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_QUEUE_READY), 1);
	assert_int_equal(reg_read(&g, VIRTIO_MMIO_CONFIG_GENERATION), 1);
	guest_free(&g);
}

/* Rings outside of memory are found when the driver starts the device. */
static void test_bad_rings(void **state)
{
	struct guest g;
	struct counter c;

	(void)state;
	counter_init(&g, &c);
	guest_negotiate(&g, 0);
	guest_setup_queue(&g, 0, RING_SIZE);
	reg_write(&g, VIRTIO_MMIO_QUEUE_READY, 0);
	reg_write(&g, VIRTIO_MMIO_QUEUE_USED_HIGH, 1);
	reg_write(&g, VIRTIO_MMIO_QUEUE_READY, 1);
	reg_write(&g, VIRTIO_MMIO_STATUS, 0xf);
	assert_true(guest_needs_reset(&g));
	assert_int_equal(c.activations, 0);
	guest_free(&g);
}

/* A driver that never stops gets its turn again, and others theirs in between. */
static void test_budget(void **state)
{
	struct guest g;
	struct counter c;

	(void)state;
	counter_init(&g, &c);
	guest_start(&g, 0);
	c.result = 1;
	reg_write(&g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	for (int i = 0; i < 10; i++)
		loop_turn(&g.loop, 0);
	assert_int_equal(c.kicks, 10);
	guest_free(&g);
}

static void test_save_restore(void **state)
{
	const struct buffer one = {DATA_GPA, 16, true};
	struct device_state saved;
	struct guest g;
	struct counter c;

	(void)state;
	counter_init(&g, &c);
	guest_start(&g, 1 << 3);
	guest_send(&g, 0, &one, 1);
	assert_int_equal(guest_used(&g, 0), 16);
	device_save(&c.device, &saved);

	mmio_close(&g.mmio);
	device_init(&c.device, &counter_ops, &g.memory, 1 << 3, c.config, sizeof(c.config));
	guest_attach(&g, &c.device);
	assert_int_equal(device_restore(&c.device, &saved), 0);
	guest_send(&g, 0, &one, 1);
	assert_int_equal(guest_used(&g, 0), 16); /* goes on where it was */

	saved.queues[0].desc = LOW_SIZE;
	assert_int_equal(device_restore(&c.device, &saved), -EINVAL);
	saved.features |= 1ULL << 60;
	assert_int_equal(device_restore(&c.device, &saved), -EINVAL);
	guest_free(&g);
}

/* Every register, in every state, with values at the edges. */
static void test_every_register(void **state)
{
	static const uint32_t values[] = {0, 1, 2, 3, 7, 8, 0xf, 0x40, 0x80, 0xff, 0x100, 0xffff,
		0x10000, 0x7fffffff, 0x80000000, 0xffffffff};
	static const uint32_t statuses[] = {0, 1, 3, 0xb, 0xf, 0x4f, 0x80};

	(void)state;
	for (size_t s = 0; s < sizeof(statuses) / sizeof(*statuses); s++) {
		struct guest g;
		struct counter c;

		counter_init(&g, &c);
		for (uint32_t reg = 0; reg < 0x120; reg++) {
			for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++) {
				for (uint32_t len = 1; len <= 8; len *= 2) {
					uint64_t value = values[v];

					mmio_write(&g.mmio, reg, &value, len);
					mmio_read(&g.mmio, reg, &value, len);
				}
			}
			guest_negotiate(&g, 0);
			for (uint32_t q = 0; q < 2; q++)
				guest_setup_queue(&g, q, RING_SIZE);
			reg_write(&g, VIRTIO_MMIO_STATUS, statuses[s]);
			guest_settle(&g);
		}
		guest_free(&g);
	}
}

static void test_fuzz(void **state)
{
	struct guest g;
	struct counter c;
	uint64_t seed = 7;

	(void)state;
	counter_init(&g, &c);
	for (int i = 0; i < 300000; i++) {
		uint32_t value =
			random_next(&seed) % 3 ? random_next(&seed) % 0x4000 : random_next(&seed);

		if (i % 200 == 0)
			guest_start(&g, 0);
		reg_write(&g, random_next(&seed) % 0x40 * 4, value);
		if (i % 16 == 0) {
			g.low[random_next(&seed) % 0x4000] = (uint8_t)value;
			loop_turn(&g.loop, 0);
		}
		c.result = 0;
	}
	guest_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_violation),
		cmocka_unit_test(test_config_changes),
		cmocka_unit_test(test_suppressed),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_bad_rings),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_save_restore),
		cmocka_unit_test(test_every_register),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/microvm/guest.h"

#include <errno.h>
#include <pthread.h>

/* A queue without a device. */
static void queue_init(struct guest *g, struct virtq *q)
{
	guest_init(g);
	*q = (struct virtq){.state = {
				    .desc = ring_gpa(0),
				    .avail = ring_gpa(0) + 0x400,
				    .used = ring_gpa(0) + 0x800,
				    .size = RING_SIZE,
				    .ready = 1,
				    .indirect = 1,
			    }};
	assert_int_equal(virtq_activate(q, &g->memory), 0);
}

static void test_activate(void **state)
{
	static const struct {
		uint64_t desc, avail, used;
		uint16_t size;
		int result;
	} cases[] = {
		{0x1000, 0x2000, 0x3000, 8, 0}, {0x1000, 0x2000, 0x3000, 256, 0},
		{0x1000, 0x2000, 0x3000, 0, -EINVAL}, {0x1000, 0x2000, 0x3000, 7, -EINVAL},
		{0x1000, 0x2000, 0x3000, 512, -EINVAL}, {0x1008, 0x2000, 0x3000, 8, -EINVAL},
		{0x1000, 0x2001, 0x3000, 8, -EINVAL}, {0x1000, 0x2000, 0x3002, 8, -EINVAL},
		{LOW_SIZE - 128, 0x2000, 0x3000, 8, 0},
		{LOW_SIZE - 112, 0x2000, 0x3000, 8, -EINVAL}, {0x1000, LOW_SIZE - 22, 0x3000, 8, 0},
		{0x1000, LOW_SIZE - 20, 0x3000, 8, -EINVAL}, {0x1000, 0x2000, LOW_SIZE - 72, 8, 0},
		{0x1000, 0x2000, LOW_SIZE - 68, 8, -EINVAL},
		{UINT64_MAX - 15, 0x2000, 0x3000, 8, -EINVAL},
		{0xd0000000, 0x2000, 0x3000, 8, -EINVAL}, /* where devices are */
	};
	struct guest g;

	(void)state;
	guest_init(&g);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct virtq q = {.state = {.desc = cases[i].desc,
					  .avail = cases[i].avail,
					  .used = cases[i].used,
					  .size = cases[i].size}};

		assert_int_equal(virtq_activate(&q, &g.memory), cases[i].result);
		assert_int_equal(q.memory != NULL, cases[i].result == 0);
	}
	guest_free(&g);
}

static void test_chain(void **state)
{
	const struct buffer buffers[] = {
		{DATA_GPA, 3, false}, {DATA_GPA + 3, 4, false}, {HIGH_GPA, 5, true}};
	struct virtq_chain chain;
	struct guest g;
	struct virtq q;
	char text[8] = {};

	(void)state;
	queue_init(&g, &q);
	memcpy(guest_at(&g, DATA_GPA), "abcdefg", 7);
	assert_int_equal(virtq_pop(&q, &chain), 0);
	guest_post(&g, 0, guest_chain(&g, 0, buffers, 3));
	assert_int_equal(virtq_pop(&q, &chain), 1);
	assert_int_equal(chain.readable, 2);
	assert_int_equal(chain.writable, 1);
	assert_int_equal(chain.read_len, 7);
	assert_int_equal(chain.write_len, 5);
	assert_int_equal(virtq_read(&chain, 2, text, 8), 5);
	assert_string_equal(text, "cdefg");
	assert_int_equal(virtq_write(&chain, 1, "123456", 6), 4);
	assert_memory_equal(g.high, "\0001234\0", 6);
	virtq_push(&q, chain.head, 5);
	assert_int_equal(guest_used(&g, 0), 5);
	assert_int_equal(virtq_pop(&q, &chain), 0);
	guest_free(&g);
}

/* Each case breaks one rule; all must be refused without touching anything outside. */
static void test_violations(void **state)
{
	const struct vring_desc cases[][3] = {
		{{DATA_GPA, 1, VRING_DESC_F_NEXT, 0}},         /* loops */
		{{DATA_GPA, 1, VRING_DESC_F_NEXT, RING_SIZE}}, /* next out of range */
		{{DATA_GPA, 1, VRING_DESC_F_NEXT, 0xffff}},
		{{LOW_SIZE - 1, 2, 0, 0}}, /* past the end */
		{{LOW_SIZE, 1, 0, 0}},     /* in the hole */
		{{HIGH_GPA - 1, 2, 0, 0}}, /* into a region */
		{{HIGH_GPA + HIGH_SIZE - 1, 2, VRING_DESC_F_WRITE, 0}},
		{{0, UINT32_MAX, VRING_DESC_F_WRITE, 0}},
		{{UINT64_MAX, 1, 0, 0}},
		{{UINT64_MAX, UINT32_MAX, 0, 0}},
		{{0xd0000050, 4, VRING_DESC_F_WRITE, 0}}, /* a register */
		{{DATA_GPA, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1},
			{DATA_GPA, 1, 0, 0}}, /* read after write */
		{{DATA_GPA, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1}, {DATA_GPA, 1, 0, 0}},
		{{DATA_GPA, 15, VRING_DESC_F_INDIRECT, 0}},
		{{DATA_GPA, 0, VRING_DESC_F_INDIRECT, 0}},
		{{DATA_GPA + 4, 16, VRING_DESC_F_INDIRECT, 0}},
		{{DATA_GPA, 16 * (VIRTQ_SEGMENTS_MAX + 1), VRING_DESC_F_INDIRECT, 0}},
		{{LOW_SIZE - 16, 32, VRING_DESC_F_INDIRECT, 0}},
	};
	struct virtq_chain chain;
	struct guest g;
	struct virtq q;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		queue_init(&g, &q);
		memcpy(ring_desc(&g, 0), cases[i], sizeof(cases[i]));
		guest_post(&g, 0, 0);
		assert_int_equal(virtq_pop(&q, &chain), -EBADMSG);
		guest_free(&g);
	}
}

static void test_indirect(void **state)
{
	struct virtq_chain chain;
	struct vring_desc *table;
	struct guest g;
	struct virtq q;

	(void)state;
	queue_init(&g, &q);
	table = guest_at(&g, DATA_GPA);
	table[0] = (struct vring_desc){DATA_GPA + 64, 8, VRING_DESC_F_NEXT, 1};
	table[1] = (struct vring_desc){DATA_GPA + 72, 8, VRING_DESC_F_WRITE, 0};
	ring_desc(&g, 0)[3] = (struct vring_desc){DATA_GPA, 32, VRING_DESC_F_INDIRECT, 0};
	guest_post(&g, 0, 3);
	assert_int_equal(virtq_pop(&q, &chain), 1);
	assert_int_equal(chain.head, 3);
	assert_int_equal(chain.read_len, 8);
	assert_int_equal(chain.write_len, 8);

	table[1].flags |= VRING_DESC_F_INDIRECT; /* not inside a table */
	guest_post(&g, 0, 3);
	assert_int_equal(virtq_pop(&q, &chain), -EBADMSG);
	table[1].flags = 0;
	table[0].next = 2; /* outside of its table, inside of the queue's */
	assert_int_equal(virtq_pop(&q, &chain), -EBADMSG);
	table[0].next = 1;
	q.state.indirect = 0; /* not negotiated */
	assert_int_equal(virtq_pop(&q, &chain), -EBADMSG);
	guest_free(&g);
}

static void test_indices(void **state)
{
	struct virtq_chain chain;
	struct guest g;
	struct virtq q;

	(void)state;
	queue_init(&g, &q);
	ring_avail(&g, 0)->idx = RING_SIZE + 1; /* more than fit */
	assert_int_equal(virtq_pop(&q, &chain), -EBADMSG);
	ring_avail(&g, 0)->idx = UINT16_MAX; /* backwards */
	assert_int_equal(virtq_pop(&q, &chain), -EBADMSG);
	ring_avail(&g, 0)->idx = 1;
	ring_avail(&g, 0)->ring[0] = RING_SIZE;
	assert_int_equal(virtq_pop(&q, &chain), -EBADMSG);
	guest_free(&g);
}

/* Indices wrap at 65536; interrupts follow the driver's event index (2.7.10). */
static void test_wrap_and_events(void **state)
{
	const struct buffer one = {DATA_GPA, 1, true};
	struct virtq_chain chain;
	struct guest g;
	struct virtq q;
	int interrupts = 0;

	(void)state;
	queue_init(&g, &q);
	q.state.event_idx = 1;
	for (int i = 0; i < 70000; i++) {
		guest_post(&g, 0, guest_chain(&g, 0, &one, 1));
		assert_true(virtq_rearm(&q));
		assert_int_equal(virtq_pop(&q, &chain), 1);
		assert_false(virtq_rearm(&q));
		assert_int_equal(
			*(uint16_t *)&ring_used(&g, 0)->ring[RING_SIZE], (uint16_t)(i + 1));
		virtq_push(&q, chain.head, 1);
		interrupts += virtq_must_interrupt(&q);
		if (i % 10 == 0) /* the driver wants the tenth from here */
			ring_avail(&g, 0)->ring[RING_SIZE] = (uint16_t)(i + 9);
	}
	assert_in_range(interrupts, 6999, 7001);
	assert_false(virtq_must_interrupt(&q)); /* nothing new */
	guest_free(&g);
}

struct racer {
	struct guest *g;
	volatile bool stop;
};

/* A guest thread that rewrites one descriptor all the time, good and evil in turn. */
static void *race(void *arg)
{
	struct racer *r = arg;
	volatile struct vring_desc *d = ring_desc(r->g, 0);

	while (!r->stop) {
		d->addr = LOW_SIZE - 1;
		d->len = UINT32_MAX;
		d->addr = DATA_GPA;
		d->len = 4;
	}
	return NULL;
}

static void test_race(void **state)
{
	struct virtq_chain chain;
	struct guest g;
	struct virtq q;
	struct racer racer = {.g = &g};
	pthread_t thread;
	char data[8];

	(void)state;
	queue_init(&g, &q);
	pthread_create(&thread, NULL, race, &racer);
	for (int i = 0; i < 200000; i++) {
		guest_post(&g, 0, 0);
		if (virtq_pop(&q, &chain) == 1) {
			/* Whatever was seen, it was checked: the address sanitizer agrees. */
			assert_int_equal(chain.read_len, chain.readable ? chain.iov[0].iov_len : 0);
			virtq_read(&chain, 0, data, sizeof(data));
		} else {
			q.state.next_avail++;
		}
	}
	racer.stop = true;
	pthread_join(thread, NULL);
	guest_free(&g);
}

/* Random rings: every pop must end, and every buffer must be in memory. */
static void test_fuzz(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct virtq_chain chain;
		struct guest g;
		struct virtq q;
		uint8_t *page;
		volatile uint8_t sum = 0;

		queue_init(&g, &q);
		page = guest_at(&g, ring_gpa(0));
		for (int i = 0; i < 0x1000; i++)
			page[i] = random_next(&seed) % 4 ? 0 : (uint8_t)random_next(&seed);
		for (int i = 0; i < RING_SIZE; i++) {
			ring_desc(&g, 0)[i].addr %= 2 * HIGH_GPA;
			ring_desc(&g, 0)[i].len %= 0x2000;
			ring_desc(&g, 0)[i].next %= RING_SIZE + 1;
		}
		ring_avail(&g, 0)->idx = (uint16_t)(random_next(&seed) % (RING_SIZE + 2));
		while (virtq_pop(&q, &chain) == 1) {
			for (int i = 0; i < chain.readable + chain.writable; i++) {
				const uint8_t *p = chain.iov[i].iov_base;

				sum = (uint8_t)(sum + p[0] + p[chain.iov[i].iov_len - 1]);
			}
			virtq_push(&q, chain.head, 0);
		}
		guest_free(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_activate),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_violations),
		cmocka_unit_test(test_indirect),
		cmocka_unit_test(test_indices),
		cmocka_unit_test(test_wrap_and_events),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

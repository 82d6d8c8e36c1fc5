/* SPDX-License-Identifier: Apache-2.0 */
/* How often the file server and its guest wake each other: a driver of virtio-fs that counts. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/sys.h"
#include "tests/unit/microvm/zoo.h"

#include <linux/virtio_mmio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 16, FORGETS = 0, REQUESTS = 1, MANY = 100, PATIENCE_MS = 60000 };

/* The driver is told of the next chain that comes back, as Linux' wants it. */
static void want_interrupt(struct zoo *z, unsigned int queue)
{
	zoo_avail(z, queue)->ring[SIZE] = zoo_used(z, queue)->idx;
}

/* Where the server wants the next kick. */
static uint16_t kick_at(struct zoo *z, unsigned int queue)
{
	return *(volatile uint16_t *)&zoo_used(z, queue)->ring[SIZE];
}

static bool came_back(struct zoo *z, unsigned int queue)
{
	volatile uint16_t *used = &zoo_used(z, queue)->idx, *sent = &zoo_avail(z, queue)->idx;

	for (int i = 0; i < PATIENCE_MS && *used != *sent; i++)
		usleep(1000);
	return *used == *sent;
}

static uint64_t look_up(struct zoo *z)
{
	static const char name[] = "file";
	struct fuse_in_header head = {.opcode = FUSE_LOOKUP,
		.nodeid = 1,
		.unique = 1,
		.len = sizeof(head) + sizeof(name)};
	struct vring_desc *d = zoo_desc(z, REQUESTS);
	uint8_t *at = zoo_at(z, ZOO_DATA_GPA), *answer = zoo_at(z, ZOO_DATA_GPA + 0x1000);
	struct fuse_entry_out entry;

	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), name, sizeof(name));
	d[0] = (struct vring_desc){ZOO_DATA_GPA, head.len, VRING_DESC_F_NEXT, 1};
	d[1] = (struct vring_desc){ZOO_DATA_GPA + 0x1000, 4096, VRING_DESC_F_WRITE, 0};
	want_interrupt(z, REQUESTS);
	want_interrupt(z, FORGETS);
	zoo_post(z, REQUESTS, 0, SIZE);
	zoo_write(z, VIRTIO_MMIO_QUEUE_NOTIFY, REQUESTS);
	assert_true(came_back(z, REQUESTS));
	memcpy(&entry, answer + sizeof(struct fuse_out_header), sizeof(entry));
	return entry.nodeid;
}

/* Without a kick. */
static void forget(struct zoo *z, uint64_t node)
{
	struct {
		struct fuse_in_header head;
		struct fuse_forget_in in;
	} request = {.head = {.opcode = FUSE_FORGET, .nodeid = node, .len = sizeof(request)},
		.in = {.nlookup = 1}};
	uint16_t head = zoo_avail(z, FORGETS)->idx % SIZE;
	uint64_t at = ZOO_DATA_GPA + 0x2000 + head * sizeof(request);

	memcpy(zoo_at(z, at), &request, sizeof(request));
	zoo_desc(z, FORGETS)[head] = (struct vring_desc){at, sizeof(request), 0, 0};
	zoo_post(z, FORGETS, head, SIZE);
}

static struct zoo *start(void)
{
	const char *why;
	struct zoo *z = zoo_open(ZOO_FS, &why);

	zoo_start(z, UINT64_MAX, SIZE);
	return z;
}

/* Interrupts since the last call. */
static uint64_t interrupts(struct zoo *z)
{
	uint64_t count = 0;

	(void)!sys_read(z->mmio.irq, &count, sizeof(count));
	return count;
}

/* Those that come with requests need neither kicks nor interrupts of their own. */
static void test_forgets_with_requests(void **state)
{
	struct zoo *z = start();
	uint64_t node = look_up(z), count = 0;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		forget(z, node);
		node = look_up(z);
		assert_int_equal(zoo_used(z, FORGETS)->idx, i + 1);
		count += interrupts(z);
	}
	zoo_write(z, VIRTIO_MMIO_STATUS, 0); /* waits for the server */
	count += interrupts(z);
	/* More only if this test was kept from running for long. */
	assert_in_range(count, MANY + 1, MANY + MANY / 4);
	zoo_close(z);
}

/* While they come, the driver need not tell before half of the queue waits; but when there is
 * nothing else to do, all come back, and the next one is told of. */
static void test_forgets_alone(void **state)
{
	struct zoo *z = start();
	uint64_t node = look_up(z), told = 0;

	(void)state;
	interrupts(z);
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < PATIENCE_MS && kick_at(z, FORGETS) != zoo_used(z, FORGETS)->idx;
			i++)
			usleep(1000);
		assert_int_equal(kick_at(z, FORGETS), round - 1);
		want_interrupt(z, FORGETS);
		forget(z, node);
		zoo_write(z, VIRTIO_MMIO_QUEUE_NOTIFY, FORGETS);
		assert_true(came_back(z, FORGETS));
		for (int i = 0; i < PATIENCE_MS && (told = interrupts(z)) == 0; i++)
			usleep(1000);
		assert_int_equal(told, 1);
	}
	zoo_close(z);
}

/* A reset, or a snapshot, finds nothing that was put off. */
static void test_forgets_before_the_end(void **state)
{
	struct zoo *z = start();
	uint64_t node = look_up(z);

	(void)state;
	forget(z, node);
	zoo_write(z, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(zoo_used(z, FORGETS)->idx, 1);
	zoo_close(z);
}

/* A kick is one system call for the server, the wait. */
static void test_kicks_are_not_read(void **state)
{
	struct zoo *z = start();
	uint64_t kicks = 0;

	(void)state;
	for (int i = 0; i < MANY; i++)
		look_up(z);
	zoo_write(z, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(
		sys_read(z->mmio.queues[REQUESTS].source.fd, &kicks, sizeof(kicks)), sizeof(kicks));
	assert_in_range(kicks, MANY, MANY + 10);
	zoo_close(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forgets_with_requests),
		cmocka_unit_test(test_forgets_alone),
		cmocka_unit_test(test_forgets_before_the_end),
		cmocka_unit_test(test_kicks_are_not_read),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

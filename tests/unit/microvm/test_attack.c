/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows H1 to H12 of docs/security.md without KVM: each device under a guest that keeps to no rule.
 * The other half, with a guest that really runs, is tests/attack/h_vmm.sh.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "tests/unit/microvm/zoo.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 64, MOST = 2000 };

/* --- what is done to each device --- */

static void on_each(void (*attack)(struct zoo *z))
{
	for (enum zoo_kind kind = 0; kind < ZOO_KINDS; kind++) {
		const char *why;
		struct zoo *z = zoo_open(kind, &why);

		if (!z) {
			print_message("%s is left out: %s\n", zoo_names[kind], why);
			continue;
		}
		attack(z);
		zoo_close(z);
	}
}

static bool needs_reset(struct zoo *z)
{
	return zoo_read(z, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* The queue on which a chain is work at once; the file server's process is asked by eventfd. */
static unsigned int busy_queue(const struct zoo *z)
{
	return z->kind == ZOO_NET || z->kind == ZOO_VSOCK || z->kind == ZOO_CONSOLE ? 1 : 0;
}

/* Posts one buffer at GPA; true when the device took offence. */
static bool offends(struct zoo *z, uint64_t gpa, uint32_t len)
{
	unsigned int queue = busy_queue(z);
	bool reads = z->kind != ZOO_RNG;

	zoo_start(z, UINT64_MAX, SIZE);
	zoo_avail(z, queue)->idx = 0;
	zoo_desc(z, queue)[0] = (struct vring_desc){
		.addr = gpa, .len = len, .flags = reads ? 0 : VRING_DESC_F_WRITE};
	zoo_post(z, queue, 0, SIZE);
	zoo_kick(z, queue, MOST);
	return needs_reset(z);
}

/* --- H1 --- */

/* Devices of which any readable (or, rng, writable) buffer in memory is a fair request. */
static bool takes_any_buffer(const struct zoo *z)
{
	return z->kind == ZOO_NET || z->kind == ZOO_CONSOLE || z->kind == ZOO_RNG ||
	       z->kind == ZOO_BALLOON;
}

static void region_ends(struct zoo *z)
{
	const uint64_t ends[] = {ZOO_LOW_SIZE, ZOO_HIGH_GPA + ZOO_HIGH_SIZE};

	if (z->kind == ZOO_FS)
		return; /* test_H1_file_server */
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		for (uint32_t len = 1; len <= 64; len += 21) {
			if (takes_any_buffer(z))
				assert_false(offends(z, ends[i] - len, len));
			assert_true(offends(z, ends[i] - len + 1, len));
			assert_true(offends(z, ends[i] - 1, UINT32_MAX));
			assert_true(offends(z, ends[i], len));
		}
	}
	assert_true(offends(z, ZOO_HIGH_GPA - 1, 2));
	assert_true(
		offends(z, ZOO_LOW_SIZE - 1, ZOO_HIGH_GPA - ZOO_LOW_SIZE + 2)); /* over the hole */
	assert_true(offends(z, UINT64_MAX - 1, 64));                            /* wraps around */
}

static void test_H1_region_ends(void **state)
{
	(void)state;
	on_each(region_ends);
}

/* Rings, too, are buffers: one that does not lie in one region starts no device. */
static void rings_at_ends(struct zoo *z)
{
	static const uint32_t at[] = {ZOO_LOW_SIZE - 16, ZOO_LOW_SIZE, ZOO_HIGH_GPA - 16,
		ZOO_HIGH_GPA + ZOO_HIGH_SIZE - 16, 0xd0000000, 0xfffffff0};
	static const uint32_t registers[] = {VIRTIO_MMIO_QUEUE_DESC_LOW,
		VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_USED_LOW};

	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		for (size_t ring = 0; ring < ARRAY_LEN(registers); ring++) {
			zoo_negotiate(z, UINT64_MAX);
			zoo_set_queue(z, 0, SIZE);
			zoo_write(z, VIRTIO_MMIO_QUEUE_READY, 0);
			zoo_write(z, registers[ring], at[i]);
			zoo_write(z, VIRTIO_MMIO_QUEUE_READY, 1);
			zoo_write(z, VIRTIO_MMIO_STATUS, 0xf);
			assert_true(needs_reset(z));
			assert_true(zoo_kick(z, 0, MOST) < MOST);
		}
	}
}

static void test_H1_rings_at_ends(void **state)
{
	(void)state;
	on_each(rings_at_ends);
}

/* --- H2 --- */

static const uint32_t values[] = {0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0x3fff0,
	0x40000, 0x7fffffff, 0x80000000, 0xd0000000, 0xffffffff};

/* Brings Z into the state in which STATUS is set, as far as a driver can. */
static void enter_state(struct zoo *z, uint32_t status)
{
	zoo_write(z, VIRTIO_MMIO_STATUS, 0);
	if (status & 0xc)
		zoo_negotiate(z, UINT64_MAX);
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		for (unsigned int i = 0; i < z->device->ops->queues; i++)
			zoo_set_queue(z, i, SIZE);
	zoo_write(z, VIRTIO_MMIO_STATUS, status);
}

/* What the guest reads without us is what it would read from us. */
static void as_shown(struct zoo *z)
{
	for (uint32_t reg = 0; reg < VIRTIO_MMIO_CONFIG + z->device->config_len; reg += 4)
		zoo_read(z, reg);
}

/* Every register with every value and of every width, in every state. */
static void every_register(struct zoo *z)
{
	static const uint32_t states[] = {0, 1, 3, 0xb, 0xf, 0x8f, 0x4f};
	uint64_t data;

	for (size_t s = 0; s < ARRAY_LEN(states); s++) {
		for (uint32_t reg = 0; reg < 0x200; reg += reg < 0x100 ? 1 : 3) {
			enter_state(z, states[s]);
			for (size_t v = 0; v < ARRAY_LEN(values); v++) {
				data = (uint64_t)values[v] << 32 | values[v];
				mmio_write(&z->mmio, reg, &data, 1U << (v % 4));
				mmio_write(&z->mmio, reg, &data, 4);
				mmio_read(&z->mmio, reg, &data, 1U << (v % 4));
				as_shown(z);
			}
			assert_true(zoo_settle(z, MOST) < MOST);
			as_shown(z);
		}
	}
	zoo_write(z, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(zoo_read(z, VIRTIO_MMIO_STATUS), 0);
}

static void test_H2_every_register_in_every_state(void **state)
{
	(void)state;
	on_each(every_register);
}

/* What changes without a write of the guest's is shown as well: failures, and what the host wants.
 */
static void events(struct zoo *z)
{
	bool fails = z->kind != ZOO_FS; /* its queues are another process's */

	for (int round = 0; round < 3; round++) {
		assert_int_equal(offends(z, UINT64_MAX - 1, 64), fails);
		assert_int_equal(!(zoo_shown(z, VIRTIO_MMIO_INTERRUPT_STATUS) & 2), !fails);
		as_shown(z);
		zoo_start(z, UINT64_MAX, SIZE);
		as_shown(z);
		if (z->kind == ZOO_BALLOON) {
			balloon_set(&z->balloon, 1);
			assert_int_equal(zoo_shown(z, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
			as_shown(z);
			zoo_write(z, VIRTIO_MMIO_CONFIG + 4, 77 + (uint32_t)round);
			assert_int_equal(zoo_shown(z, VIRTIO_MMIO_CONFIG + 4), 77 + round);
			as_shown(z);
		}
		zoo_write(z, VIRTIO_MMIO_STATUS, 0);
		as_shown(z);
		zoo_avail(z, busy_queue(z))->idx = 0;
	}
}

static void test_H2_events_are_shown(void **state)
{
	(void)state;
	on_each(events);
}

/* From DRIVER_OK until the reset nothing of a queue changes. */
static void frozen(struct zoo *z)
{
	static const uint32_t registers[] = {VIRTIO_MMIO_QUEUE_NUM, VIRTIO_MMIO_QUEUE_READY,
		VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DESC_HIGH,
		VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
		VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_QUEUE_USED_HIGH,
		VIRTIO_MMIO_DRIVER_FEATURES};
	struct device_state before, after;

	zoo_start(z, UINT64_MAX, SIZE);
	zoo_settle(z, MOST);
	device_save(z->device, &before);
	for (uint32_t queue = 0; queue <= DEVICE_QUEUES_MAX; queue++) {
		zoo_write(z, VIRTIO_MMIO_QUEUE_SEL, queue);
		for (size_t r = 0; r < ARRAY_LEN(registers); r++)
			for (size_t v = 0; v < ARRAY_LEN(values); v++)
				zoo_write(z, registers[r], values[v]);
	}
	for (uint32_t status = 1; status < 0x80; status++) /* bits stay, NEEDS_RESET is ours */
		if (!(status & VIRTIO_CONFIG_S_FAILED))
			zoo_write(z, VIRTIO_MMIO_STATUS, status);
	device_save(z->device, &after);
	assert_memory_equal(&before.queues, &after.queues, sizeof(before.queues));
	assert_int_equal(before.features, after.features);
	assert_int_equal(before.status, after.status);
}

static void test_H2_queues_are_frozen(void **state)
{
	(void)state;
	on_each(frozen);
}

/* --- H3 --- */

/* The most that chains can ask for: each entry of the ring names all memory, again and again. */
static void greedy(struct zoo *z)
{
	enum { SEGMENTS = 100 };
	size_t before = z->kind == ZOO_FS ? 0 : mallinfo2().uordblks;

	for (unsigned int queue = 0; queue < z->device->ops->queues; queue++) {
		for (int writable = 0; writable < 2; writable++) {
			struct vring_desc *table = zoo_at(z, ZOO_HIGH_GPA);

			zoo_start(z, UINT64_MAX, SIZE);
			zoo_avail(z, queue)->idx = 0;
			for (int i = 0; i < SEGMENTS; i++)
				table[i] = (struct vring_desc){.addr = 0,
					.len = ZOO_LOW_SIZE,
					.flags = (uint16_t)(writable * VRING_DESC_F_WRITE |
							    (i + 1 < SEGMENTS)),
					.next = (uint16_t)(i + 1)};
			zoo_desc(z, queue)[0] = (struct vring_desc){.addr = ZOO_HIGH_GPA,
				.len = SEGMENTS * sizeof(*table),
				.flags = VRING_DESC_F_INDIRECT};
			for (int i = 0; i < SIZE; i++)
				zoo_post(z, queue, 0, SIZE);
			assert_true(zoo_kick(z, queue, MOST) < MOST);
		}
	}
	if (z->kind != ZOO_FS)
		assert_int_equal(mallinfo2().uordblks, before);
}

static void test_H3_greedy_chains(void **state)
{
	(void)state;
	on_each(greedy);
}

/* One kick takes a budget of chains, then others get their turn. */
static void test_H3_budget(void **state)
{
	const char *why;
	struct zoo *z = zoo_open(ZOO_RNG, &why);

	(void)state;
	zoo_start(z, UINT64_MAX, 8);
	zoo_desc(z, 0)[0] =
		(struct vring_desc){.addr = ZOO_DATA_GPA, .len = 1, .flags = VRING_DESC_F_WRITE};
	for (int i = 0; i < 8; i++)
		zoo_post(z, 0, 0, 8);
	device_kick(z->device, 0);
	assert_int_equal(zoo_used(z, 0)->idx, 8);
	zoo_close(z);

	z = zoo_open(ZOO_BALLOON, &why);
	zoo_start(z, UINT64_MAX, 128);
	zoo_desc(z, 0)[0] = (struct vring_desc){.addr = ZOO_DATA_GPA, .len = 4};
	for (int i = 0; i < 128; i++)
		zoo_post(z, 0, 0, 128);
	device_kick(z->device, 0);
	assert_int_equal(zoo_used(z, 0)->idx, DEVICE_BUDGET);
	zoo_settle(z, MOST);
	assert_int_equal(zoo_used(z, 0)->idx, 128);
	zoo_close(z);
}

/* --- H4 --- */

static uint8_t block_request(struct zoo *z, uint32_t type, uint64_t sector, uint32_t len, bool in)
{
	struct virtio_blk_outhdr header = {.type = type, .sector = sector};
	struct vring_desc *d = zoo_desc(z, 0);
	uint8_t *status = zoo_at(z, ZOO_DATA_GPA + 0x100);

	*status = 0xee;
	memcpy(zoo_at(z, ZOO_DATA_GPA), &header, sizeof(header));
	d[0] = (struct vring_desc){ZOO_DATA_GPA, sizeof(header), VRING_DESC_F_NEXT, 1};
	d[1] = (struct vring_desc){ZOO_DATA_GPA + 0x200, len,
		(uint16_t)(VRING_DESC_F_NEXT | (in ? VRING_DESC_F_WRITE : 0)), 2};
	d[2] = (struct vring_desc){ZOO_DATA_GPA + 0x100, 1, VRING_DESC_F_WRITE, 0};
	zoo_post(z, 0, 0, SIZE);
	for (int i = 0; i < 1000 && *(volatile uint8_t *)status == 0xee; i++) {
		zoo_kick(z, 0, MOST);
		loop_turn(&z->loop, 10);
	}
	return *status;
}

/* Sectors whose byte offset overflows; types of SCSI and of other devices; sizes that are none. */
static void test_H4_block_headers(void **state)
{
	const uint64_t last = ZOO_DISK_SIZE / 512 - 1;
	const char *why;
	struct zoo *z = zoo_open(ZOO_BLOCK, &why);
	const uint64_t outside[] = {last + 1, last + 2, 1ULL << 32, 1ULL << 55, (1ULL << 55) - 1,
		1ULL << 63, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 512};

	(void)state;
	zoo_start(z, UINT64_MAX, SIZE);
	for (int in = 0; in < 2; in++) {
		uint32_t type = in ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;

		assert_int_equal(block_request(z, type, last, 512, in), VIRTIO_BLK_S_OK);
		assert_int_equal(block_request(z, type, last, 1024, in), VIRTIO_BLK_S_IOERR);
		assert_int_equal(block_request(z, type, 0, 511, in), VIRTIO_BLK_S_IOERR);
		for (size_t i = 0; i < ARRAY_LEN(outside); i++)
			assert_int_equal(
				block_request(z, type, outside[i], 512, in), VIRTIO_BLK_S_IOERR);
	}
	for (uint32_t type = 2; type < 40; type++) {
		bool known = type == VIRTIO_BLK_T_FLUSH || type == VIRTIO_BLK_T_GET_ID ||
			     type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES;
		uint8_t answer = block_request(z, type, 0, 512, true);

		assert_int_equal(answer == VIRTIO_BLK_S_UNSUPP, !known);
	}
	assert_int_equal(block_request(z, 0x80000000, 0, 512, true), VIRTIO_BLK_S_UNSUPP);
	assert_false(needs_reset(z));
	zoo_close(z);
}

/* --- H5 --- */

/* Requests are under way, the driver resets: afterwards nothing is written to its memory. */
static void test_H5_reset_in_flight(void **state)
{
	enum { REQUESTS = 16, LEN = 0x2000 };
	uint8_t ones[LEN];
	const char *why;
	struct zoo *z = zoo_open(ZOO_BLOCK, &why);

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (int round = 0; round < 200; round++) {
		struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN};
		struct vring_desc *d = zoo_desc(z, 0);

		zoo_start(z, UINT64_MAX, SIZE);
		zoo_avail(z, 0)->idx = 0;
		memcpy(zoo_at(z, ZOO_DATA_GPA), &header, sizeof(header));
		for (uint16_t i = 0; i < REQUESTS; i++) {
			uint16_t at = (uint16_t)(i * 3);

			d[at] = (struct vring_desc){
				ZOO_DATA_GPA, sizeof(header), 1, (uint16_t)(at + 1)};
			d[at + 1] = (struct vring_desc){
				ZOO_DATA_GPA + 0x2000, LEN, 3, (uint16_t)(at + 2)};
			d[at + 2] = (struct vring_desc){ZOO_DATA_GPA + 0x100 + i, 1, 2, 0};
			zoo_post(z, 0, at, SIZE);
		}
		device_kick(z->device, 0);
		zoo_write(z, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(z->block.under_way, 0);
		memcpy(zoo_at(z, ZOO_DATA_GPA + 0x2000), ones, LEN);
		zoo_settle(z, MOST);
		assert_memory_equal(zoo_at(z, ZOO_DATA_GPA + 0x2000), ones, LEN);
	}
	zoo_close(z);
}

/* Each device is reset between a kick and its work, and again while it has work. */
static void reset_anywhere(struct zoo *z)
{
	for (int i = 0; i < 50; i++) {
		unsigned int queue = (unsigned int)i % z->device->ops->queues;

		zoo_start(z, UINT64_MAX, SIZE);
		zoo_avail(z, queue)->idx = 0;
		zoo_desc(z, queue)[0] = (struct vring_desc){
			.addr = ZOO_DATA_GPA, .len = 256, .flags = i & 4 ? VRING_DESC_F_WRITE : 0};
		for (int n = 0; n < i; n++)
			zoo_post(z, queue, 0, SIZE);
		zoo_write(z, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
		if (i & 1)
			loop_turn(&z->loop, 0);
		zoo_write(z, VIRTIO_MMIO_STATUS, 0);
		assert_true(zoo_settle(z, MOST) < MOST);
		assert_int_equal(zoo_read(z, VIRTIO_MMIO_STATUS), 0);
	}
}

static void test_H5_reset_of_each_device(void **state)
{
	(void)state;
	on_each(reset_anywhere);
}

/* --- H6 --- */

static void at_registers(struct zoo *z)
{
	if (z->kind == ZOO_FS)
		return;
	for (uint64_t gpa = 0xd0000000; gpa < 0xd0010000; gpa += 0x1000)
		assert_true(offends(z, gpa, 16));
	assert_true(offends(z, 0xfec00000, 16)); /* the interrupt controllers */
	assert_true(offends(z, 0xfee00000, 16));
	assert_true(offends(z, 1ULL << 32, 16)); /* persistent memory */
}

static void test_H6_no_transfer_to_registers(void **state)
{
	(void)state;
	on_each(at_registers);
}

/* --- H7 --- */

/* A disk that begins as an image of another format stays bytes, also for the next start. */
static void test_H7_magic_of_another_format(void **state)
{
	static const char magic[] = "QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\x70\0\0\0\x0b/etc/passwd";
	const char *why;
	struct zoo *z = zoo_open(ZOO_BLOCK, &why);
	struct block_options o = {.file = sys_dup(z->file)};
	struct block *again = calloc(1, sizeof(*again));
	char back[sizeof(magic)];
	struct err err = {};

	(void)state;
	zoo_start(z, UINT64_MAX, SIZE);
	memcpy(zoo_at(z, ZOO_DATA_GPA + 0x200), magic, sizeof(magic));
	assert_int_equal(block_request(z, VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
	assert_int_equal(sys_pread(z->file, back, sizeof(back), 0), sizeof(back));
	assert_memory_equal(back, magic, sizeof(magic));
	assert_int_equal(block_open(again, &o, &z->memory, &z->loop, &err), 0);
	assert_int_equal(again->config.capacity, ZOO_DISK_SIZE / 512);
	block_close(again);
	free(again);
	zoo_close(z);
}

/* --- H8 --- */

/* Names for the file server through the device's queue, by a guest's driver of its own: what lies
 * above the folder is neither told of nor touched. Names in detail: test_fsd.c, fuzz_fuse.c. */
/* FIXED bytes of the request, then NAME twice. */
static int fuse_by_queue(struct zoo *z, uint32_t op, size_t fixed, const char *name)
{
	struct fuse_in_header head = {.opcode = op, .nodeid = 1, .unique = 1};
	struct vring_desc *d = zoo_desc(z, 1);
	volatile struct vring_used *used = zoo_used(z, 1);
	uint16_t before = used->idx;
	size_t len = sizeof(head) + fixed + 2 * (strlen(name) + 1);
	char *at = zoo_at(z, ZOO_DATA_GPA);
	struct fuse_out_header out;

	memset(at, 0, len);
	memcpy(at, &head, sizeof(head));
	at[sizeof(head)] = 1; /* rename: into the same folder */
	strcpy(at + sizeof(head) + fixed, name);
	strcpy(at + sizeof(head) + fixed + strlen(name) + 1, name);
	d[0] = (struct vring_desc){ZOO_DATA_GPA, (uint32_t)len, VRING_DESC_F_NEXT, 1};
	d[1] = (struct vring_desc){ZOO_DATA_GPA + 0x1000, 4096, VRING_DESC_F_WRITE, 0};
	zoo_post(z, 1, 0, SIZE);
	zoo_write(z, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	for (int i = 0; i < 60000 && used->idx == before; i++) /* a busy host */
		usleep(1000);
	assert_int_not_equal(used->idx, before);
	memcpy(&out, zoo_at(z, ZOO_DATA_GPA + 0x1000), sizeof(out));
	return out.error;
}

static void test_H8_names(void **state)
{
	static const char *const names[] = {"..", ".", "", "/", "../secret", "file/../../secret",
		"/etc/passwd", "sub/..", "a/b", "//", "./file"};
	static const struct {
		uint32_t op;
		size_t fixed;
	} ops[] = {{FUSE_LOOKUP, 0}, {FUSE_UNLINK, 0}, {FUSE_RMDIR, 0}, {FUSE_SYMLINK, 0},
		{FUSE_MKDIR, sizeof(struct fuse_mkdir_in)},
		{FUSE_MKNOD, sizeof(struct fuse_mknod_in)},
		{FUSE_CREATE, sizeof(struct fuse_create_in)},
		{FUSE_RENAME, sizeof(struct fuse_rename_in)},
		{FUSE_RENAME2, sizeof(struct fuse_rename2_in)}};
	const char *why;
	struct zoo *z = zoo_open(ZOO_FS, &why);

	(void)state;
	zoo_start(z, UINT64_MAX, SIZE);
	for (size_t op = 0; op < ARRAY_LEN(ops); op++)
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			assert_int_equal(
				fuse_by_queue(z, ops[op].op, ops[op].fixed, names[i]), -EINVAL);
	assert_int_equal(fuse_by_queue(z, FUSE_LOOKUP, 0, "file"), 0);
	zoo_write(z, VIRTIO_MMIO_STATUS, 0); /* nodes of before mean nothing afterwards */
	zoo_avail(z, 1)->idx = zoo_used(z, 1)->idx = 0;
	zoo_start(z, UINT64_MAX, SIZE);
	assert_int_equal(fuse_by_queue(z, FUSE_LOOKUP, 0, "file"), 0);
	zoo_close(z);
}

/* H1 on the other side: chains that are no requests break the queue, not the server. */
static void test_H1_file_server(void **state)
{
	static const uint64_t at[] = {ZOO_LOW_SIZE - 20, ZOO_LOW_SIZE, 0xd0000000, UINT64_MAX - 4};
	const char *why;
	struct zoo *z = zoo_open(ZOO_FS, &why);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		zoo_avail(z, 1)->idx = 0; /* first: the server looks as soon as the device starts */
		zoo_start(z, UINT64_MAX, SIZE);
		zoo_desc(z, 1)[0] = (struct vring_desc){at[i], 64, 0, 0};
		zoo_post(z, 1, 0, SIZE);
		zoo_write(z, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
		zoo_write(z, VIRTIO_MMIO_STATUS, 0); /* waits for the server */
		assert_int_equal(zoo_used(z, 1)->idx, 0);
	}
	zoo_avail(z, 1)->idx = 0;
	zoo_start(z, UINT64_MAX, SIZE);
	assert_int_equal(fuse_by_queue(z, FUSE_LOOKUP, 0, "file"), 0);
	zoo_close(z);
}

/* --- H9 --- */

static void test_H9_read_only_is_not_writable(void **state)
{
	const char *why;
	struct zoo *z = zoo_open(ZOO_PMEM, &why);
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile uint8_t *)z->pmem.hva = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_int_equal(mprotect(z->pmem.hva, 4096, PROT_READ), 0);
	zoo_close(z);
}

/* --- H12 --- */

struct racer {
	struct zoo *z;
	unsigned int queue;
	bool stop;
};

/* Swaps descriptors between what is fair and what is not, as fast as it goes. */
static void *race(void *arg)
{
	static const struct vring_desc kinds[] = {{ZOO_DATA_GPA, 64, 0, 0},
		{ZOO_DATA_GPA, 64, VRING_DESC_F_WRITE, 0}, {0xd0000000, 64, 0, 0},
		{ZOO_DATA_GPA, 64, VRING_DESC_F_NEXT, 0}, {ZOO_LOW_SIZE - 8, 64, 2, 0},
		{ZOO_DATA_GPA, 64, VRING_DESC_F_INDIRECT, 0}, {ZOO_DATA_GPA, UINT32_MAX, 3, 1},
		{ZOO_DATA_GPA, 16, VRING_DESC_F_NEXT, UINT16_MAX}};
	struct racer *r = arg;
	struct vring_desc *d = zoo_desc(r->z, r->queue);
	volatile struct vring_desc *indirect = zoo_at(r->z, ZOO_DATA_GPA);
	volatile struct vring_avail *avail = zoo_avail(r->z, r->queue);

	for (unsigned int i = 0; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); i++) {
		((volatile struct vring_desc *)d)[i % 4] = kinds[i * 7 % ARRAY_LEN(kinds)];
		indirect[i % 4] = kinds[i * 5 % ARRAY_LEN(kinds)];
		if (i % 16 == 0)
			avail->idx++;
		if (i % 1024 == 0)
			avail->ring[i / 1024 % SIZE] = (uint16_t)(i / 1024);
	}
	return NULL;
}

static void racing(struct zoo *z)
{
	for (unsigned int queue = 0; queue < z->device->ops->queues; queue++) {
		struct racer racer = {.z = z, .queue = queue};
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, race, &racer), 0);
		for (int i = 0; i < 300; i++) {
			zoo_start(z, UINT64_MAX, SIZE);
			for (int n = 0; n < 5; n++) {
				zoo_write(z, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
				loop_turn(&z->loop, 0);
			}
			zoo_write(z, VIRTIO_MMIO_STATUS, 0);
		}
		__atomic_store_n(&racer.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
}

static void test_H12_descriptors_change_meanwhile(void **state)
{
	(void)state;
	on_each(racing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_H1_region_ends),
		cmocka_unit_test(test_H1_rings_at_ends),
		cmocka_unit_test(test_H1_file_server),
		cmocka_unit_test(test_H2_every_register_in_every_state),
		cmocka_unit_test(test_H2_events_are_shown),
		cmocka_unit_test(test_H2_queues_are_frozen),
		cmocka_unit_test(test_H3_greedy_chains),
		cmocka_unit_test(test_H3_budget),
		cmocka_unit_test(test_H4_block_headers),
		cmocka_unit_test(test_H5_reset_in_flight),
		cmocka_unit_test(test_H5_reset_of_each_device),
		cmocka_unit_test(test_H6_no_transfer_to_registers),
		cmocka_unit_test(test_H7_magic_of_another_format),
		cmocka_unit_test(test_H8_names),
		cmocka_unit_test(test_H9_read_only_is_not_writable),
		cmocka_unit_test(test_H12_descriptors_change_meanwhile),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

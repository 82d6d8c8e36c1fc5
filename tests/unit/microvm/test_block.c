/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/block.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "tests/unit/microvm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

enum {
	SECTORS = 64,
	HEADER_GPA = DATA_GPA,
	STATUS_GPA = DATA_GPA + 0x100,
	BODY_GPA = DATA_GPA + 0x1000
};

struct world {
	struct guest g;
	struct block *b;
	int file; /* the same file, for looking */
};

/* FILE is taken over. */
static void world_init_on(
	struct world *w, int file, bool read_only, bool ring, const struct limit_rate *limit)
{
	struct block_options o = {
		.file = file, .read_only = read_only, .serial = "disk-0", .limit = limit};
	struct err err = {};

	*w = (struct world){.b = calloc(1, sizeof(*w->b))};
	guest_init(&w->g);
	w->file = sys_dup(o.file);
	assert_int_equal(sys_ftruncate(o.file, SECTORS * BLOCK_SECTOR + 100), 0);
	assert_int_equal(block_open(w->b, &o, &w->g.memory, &w->g.loop, &err), 0);
	if (!ring)
		uring_close(&w->b->uring);
	guest_attach(&w->g, &w->b->device);
	guest_start(&w->g, read_only ? 1ULL << VIRTIO_BLK_F_RO : 0);
}

static void world_init(struct world *w, bool read_only, bool ring, const struct limit_rate *limit)
{
	world_init_on(w, sys_memfd_create("disk", 0), read_only, ring, limit);
}

static void world_free(struct world *w)
{
	block_close(w->b);
	guest_free(&w->g);
	free(w->b);
	close(w->file);
}

static void settle(struct world *w)
{
	guest_settle(&w->g);
	for (int i = 0; i < 100 && w->b->under_way; i++)
		loop_turn(&w->g.loop, 20);
}

/* Sends one request; returns its status, or −1 when none came. BODY may be empty. */
static int request(struct world *w, uint32_t type, uint64_t sector, struct buffer body)
{
	struct virtio_blk_outhdr h = {.type = type, .sector = sector};
	struct buffer buffers[3] = {{HEADER_GPA, sizeof(h), false}};
	unsigned int n = 1;
	uint8_t *status = guest_at(&w->g, STATUS_GPA);

	memcpy(guest_at(&w->g, HEADER_GPA), &h, sizeof(h));
	*status = 0xee;
	if (body.len)
		buffers[n++] = body;
	buffers[n++] = (struct buffer){STATUS_GPA, 1, true};
	guest_send(&w->g, 0, buffers, n);
	settle(w);
	return guest_used(&w->g, 0) < 0 ? -1 : *status;
}

static void check_io(bool ring)
{
	struct buffer in = {BODY_GPA, 1024, true}, out = {BODY_GPA, 1024, false};
	struct world w;
	char data[1024];

	world_init(&w, false, ring, NULL);
	memset(guest_at(&w.g, BODY_GPA), 'x', 1024);
	assert_int_equal(request(&w, VIRTIO_BLK_T_OUT, 3, out), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(w.file, data, 1024, 3 * 512), 1024);
	assert_int_equal(data[0], 'x');
	assert_int_equal(data[1023], 'x');
	memset(guest_at(&w.g, BODY_GPA), 0, 1024);
	assert_int_equal(request(&w, VIRTIO_BLK_T_IN, 4, in), VIRTIO_BLK_S_OK);
	assert_int_equal(*(char *)guest_at(&w.g, BODY_GPA + 511), 'x');
	assert_int_equal(*(char *)guest_at(&w.g, BODY_GPA + 512), 0);
	assert_int_equal(request(&w, VIRTIO_BLK_T_FLUSH, 0, (struct buffer){}), VIRTIO_BLK_S_OK);
	in.len = VIRTIO_BLK_ID_BYTES;
	assert_int_equal(request(&w, VIRTIO_BLK_T_GET_ID, 0, in), VIRTIO_BLK_S_OK);
	assert_string_equal(guest_at(&w.g, BODY_GPA), "disk-0");
	world_free(&w);
}

static void test_io(void **state)
{
	(void)state;
	check_io(true);
	check_io(false);
}

static void test_edges(void **state)
{
	struct buffer in = {BODY_GPA, 512, true}, out = {BODY_GPA, 512, false};
	struct world w;

	(void)state;
	world_init(&w, false, true, NULL);
	assert_int_equal(w.b->config.capacity, SECTORS); /* a part of a sector does not count */
	assert_int_equal(request(&w, VIRTIO_BLK_T_IN, SECTORS - 1, in), VIRTIO_BLK_S_OK);
	assert_int_equal(request(&w, VIRTIO_BLK_T_IN, SECTORS, in), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(&w, VIRTIO_BLK_T_OUT, SECTORS, out), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(&w, VIRTIO_BLK_T_IN, UINT64_MAX, in), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(&w, VIRTIO_BLK_T_IN, UINT64_MAX / 512, in), VIRTIO_BLK_S_IOERR);
	in.len = 1024;
	assert_int_equal(request(&w, VIRTIO_BLK_T_IN, SECTORS - 1, in), VIRTIO_BLK_S_IOERR);
	in.len = 100;
	assert_int_equal(request(&w, VIRTIO_BLK_T_IN, 0, in), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(&w, VIRTIO_BLK_T_SCSI_CMD, 0, in), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(&w, 0xffffffff, 0, in), VIRTIO_BLK_S_UNSUPP);
	in.len = 5;
	assert_int_equal(request(&w, VIRTIO_BLK_T_GET_ID, 0, in), VIRTIO_BLK_S_IOERR);
	assert_false(guest_needs_reset(&w.g));
	world_free(&w);
}

static void test_read_only(void **state)
{
	struct buffer out = {BODY_GPA, 512, false};
	struct world w;
	char byte;

	(void)state;
	world_init(&w, true, true, NULL);
	memset(guest_at(&w.g, BODY_GPA), 'x', 512);
	assert_int_equal(request(&w, VIRTIO_BLK_T_OUT, 0, out), VIRTIO_BLK_S_IOERR);
	out.len = sizeof(struct virtio_blk_discard_write_zeroes);
	((struct virtio_blk_discard_write_zeroes *)guest_at(&w.g, BODY_GPA))->num_sectors = 1;
	assert_int_equal(request(&w, VIRTIO_BLK_T_DISCARD, 0, out), VIRTIO_BLK_S_UNSUPP);
	*(struct virtio_blk_discard_write_zeroes *)guest_at(&w.g, BODY_GPA) =
		(struct virtio_blk_discard_write_zeroes){.num_sectors = 1};
	assert_int_equal(request(&w, VIRTIO_BLK_T_DISCARD, 0, out), VIRTIO_BLK_S_IOERR);
	assert_int_equal(pread(w.file, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
	world_free(&w);
}

static void test_discard(void **state)
{
	struct buffer body = {BODY_GPA, sizeof(struct virtio_blk_discard_write_zeroes), false};
	struct virtio_blk_discard_write_zeroes *range;
	char data[512];
	struct world w;

	(void)state;
	world_init(&w, false, true, NULL);
	range = guest_at(&w.g, BODY_GPA);
	memset(data, 'y', sizeof(data));
	for (int i = 0; i < SECTORS; i++)
		assert_int_equal(pwrite(w.file, data, 512, i * 512), 512);
	*range = (struct virtio_blk_discard_write_zeroes){.sector = 8, .num_sectors = 8};
	assert_int_equal(request(&w, VIRTIO_BLK_T_DISCARD, 0, body), VIRTIO_BLK_S_OK);
	*range = (struct virtio_blk_discard_write_zeroes){
		.sector = 20, .num_sectors = 1, .flags = 1};
	assert_int_equal(request(&w, VIRTIO_BLK_T_WRITE_ZEROES, 0, body), VIRTIO_BLK_S_OK);
	for (int i = 0; i < SECTORS; i++) {
		assert_int_equal(pread(w.file, data, 1, i * 512), 1);
		assert_int_equal(data[0], (i >= 8 && i < 16) || i == 20 ? 0 : 'y');
	}
	*range = (struct virtio_blk_discard_write_zeroes){.sector = SECTORS - 1, .num_sectors = 2};
	assert_int_equal(request(&w, VIRTIO_BLK_T_DISCARD, 0, body), VIRTIO_BLK_S_IOERR);
	*range = (struct virtio_blk_discard_write_zeroes){.sector = UINT64_MAX, .num_sectors = 2};
	assert_int_equal(request(&w, VIRTIO_BLK_T_DISCARD, 0, body), VIRTIO_BLK_S_IOERR);
	world_free(&w);
}

/* Whether the kernel reads FILE's pages without waiting: not on every file system. */
static bool is_at_hand(int file)
{
	char data[512] = {};
	struct iovec iov = {data, sizeof(data)};

	return pwrite(file, data, sizeof(data), 0) == sizeof(data) &&
	       preadv2(file, &iov, 1, 0, RWF_NOWAIT) == sizeof(data);
}

/* What the kernel need not wait for is done in the turn of its kick, and leaves no other to do. */
static void test_one_turn(void **state)
{
	struct virtio_blk_outhdr h = {.type = VIRTIO_BLK_T_IN};
	struct buffer b[3] = {
		{HEADER_GPA, sizeof(h), false}, {BODY_GPA, 512, true}, {STATUS_GPA, 1, true}};
	int file = sys_openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600);
	struct world w;

	(void)state;
	if (file < 0 || !is_at_hand(file)) {
		print_message("files of /tmp are not read without waiting here\n");
		cleanup_close(&file);
		skip();
	}
	world_init_on(&w, file, false, true, NULL);
	assert_true(is_at_hand(w.file));
	memcpy(guest_at(&w.g, HEADER_GPA), &h, sizeof(h));
	assert_int_equal(loop_turn(&w.g.loop, 0), 0);
	for (int i = 0; i < 2; i++) {
		guest_post(&w.g, 0, guest_chain(&w.g, 0, b, 3));
		reg_write(&w.g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		assert_int_equal(loop_turn(&w.g.loop, 0), 1);
		assert_int_equal(guest_used(&w.g, 0), 513);
		assert_true(event_take(w.g.mmio.irq));
		assert_int_equal(loop_turn(&w.g.loop, 0), 0);
	}
	assert_true(
		event_take(w.g.mmio.queues[0].source.fd)); /* nor was a call spent on reading it */
	world_free(&w);
}

enum { TABLE_GPA = DATA_GPA + 0x20000 };

/* Reads the whole disk into PIECES of 128 bytes and what is left, by a table: the last buffer of
 * the chain has STATUS_LEN bytes. */
static void send_pieces(struct world *w, unsigned int pieces, uint32_t status_len)
{
	const struct virtio_blk_outhdr h = {.type = VIRTIO_BLK_T_IN};
	struct vring_desc *table = guest_at(&w->g, TABLE_GPA);
	uint16_t next = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE;

	memcpy(guest_at(&w->g, HEADER_GPA), &h, sizeof(h));
	table[0] = (struct vring_desc){HEADER_GPA, sizeof(h), VRING_DESC_F_NEXT, 1};
	for (unsigned int i = 1; i <= pieces; i++)
		table[i] =
			(struct vring_desc){BODY_GPA + (i - 1) * 128, 128, next, (uint16_t)(i + 1)};
	table[pieces].len = SECTORS * BLOCK_SECTOR - (pieces - 1) * 128 - (status_len - 1);
	table[pieces + 1] =
		(struct vring_desc){BODY_GPA + SECTORS * BLOCK_SECTOR - (status_len - 1),
			status_len, VRING_DESC_F_WRITE, 0};
	ring_desc(&w->g, 0)[0] = (struct vring_desc){
		TABLE_GPA, (uint32_t)((pieces + 2) * sizeof(*table)), VRING_DESC_F_INDIRECT, 0};
	guest_post(&w->g, 0, 0);
	guest_kick(&w->g, 0);
	settle(w);
}

/* As many buffers as seg_max says are one request, and one more breaks the rules. */
static void check_segments(bool ring)
{
	const unsigned int most = VIRTQ_SEGMENTS_MAX - 2;
	uint8_t *end;
	struct world w;

	world_init(&w, false, ring, NULL);
	assert_int_equal(w.b->config.seg_max, most);
	assert_true(reg_read(&w.g, VIRTIO_MMIO_QUEUE_NUM_MAX) >= most + 2);
	guest_start(&w.g, 1ULL << VIRTIO_RING_F_INDIRECT_DESC);
	assert_int_equal(pwrite(w.file, "end", 3, SECTORS * BLOCK_SECTOR - 3), 3);
	end = guest_at(&w.g, BODY_GPA + SECTORS * BLOCK_SECTOR);
	send_pieces(&w, most, 1);
	assert_int_equal(guest_used(&w.g, 0), SECTORS * BLOCK_SECTOR + 1);
	assert_memory_equal(end - 3, "end", 4); /* and the status, OK */
	memset(end - 3, 'x', 4);
	send_pieces(&w, most, 100); /* whose last buffer is the data's too */
	assert_int_equal(guest_used(&w.g, 0), SECTORS * BLOCK_SECTOR + 1);
	assert_memory_equal(end - 3, "end", 4);
	assert_false(guest_needs_reset(&w.g));
	send_pieces(&w, most + 1, 1);
	assert_true(guest_needs_reset(&w.g));
	world_free(&w);
}

static void test_segments(void **state)
{
	(void)state;
	check_segments(true);
	check_segments(false);
}

static void test_malformed(void **state)
{
	const struct buffer cases[][2] = {
		{{HEADER_GPA, 15, false}, {STATUS_GPA, 1, true}}, /* a short header */
		{{HEADER_GPA, 16, false}},                        /* no status */
		{{STATUS_GPA, 1, true}},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct world w;

		world_init(&w, false, true, NULL);
		guest_send(&w.g, 0, cases[i], i ? 1 : 2);
		assert_true(guest_needs_reset(&w.g));
		world_free(&w);
	}
}

/* The guest resets while requests run: afterwards nothing writes to its memory any more. */
static void test_reset_in_flight(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		struct virtio_blk_outhdr h = {.type = VIRTIO_BLK_T_IN};
		struct world w;

		world_init(&w, false, true, NULL);
		memcpy(guest_at(&w.g, HEADER_GPA), &h, sizeof(h));
		for (int i = 0; i < 2; i++) {
			struct buffer b[3] = {{HEADER_GPA, 16, false},
				{BODY_GPA + (uint64_t)i * 0x4000, 0x4000, true},
				{STATUS_GPA, 1, true}};

			guest_post(&w.g, 0, guest_chain(&w.g, 0, b, 3));
		}
		reg_write(&w.g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		loop_turn(&w.g.loop, 0);
		reg_write(&w.g, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(w.b->under_way, 0);
		world_free(&w);
	}
}

/* Two requests in the first second, the third waits for the timer. */
static void test_limit(void **state)
{
	const struct limit_rate limit = {.operations = 20};
	struct buffer in = {BODY_GPA, 512, true};
	struct world w;
	int done = 0;

	(void)state;
	world_init(&w, false, true, &limit);
	while (request(&w, VIRTIO_BLK_T_IN, 0, in) == VIRTIO_BLK_S_OK)
		done++;
	assert_in_range(done, 20, 22);
	for (int i = 0; i < 1000 && guest_used(&w.g, 0) < 0; i++) {
		loop_turn(&w.g.loop, 100);
		settle(&w);
	}
	assert_int_equal(*(uint8_t *)guest_at(&w.g, STATUS_GPA), VIRTIO_BLK_S_OK);
	world_free(&w);
}

static void test_buckets(void **state)
{
	struct limit_bucket b = {.rate = 1000, .tokens = 1000};
	uint64_t wait;

	(void)state;
	assert_true(limit_check(&b, 0, &wait));
	b.tokens -= 3000; /* one large request */
	assert_false(limit_check(&b, 1000000, &wait));
	assert_in_range(wait, 2000000000ULL - 1000000, 2002000000ULL);
	assert_false(limit_check(&b, 1999000000, &wait));
	assert_true(limit_check(&b, 2002000000, &wait));
	assert_true(limit_check(&b, UINT64_MAX / 2, &wait));
	assert_int_equal(b.tokens, 1000); /* no more than a second's worth */
	b = (struct limit_bucket){};
	assert_true(limit_check(&b, 5, &wait)); /* no limit */
}

static void test_fuzz(void **state)
{
	struct world w;
	uint64_t seed = 5;

	(void)state;
	world_init(&w, false, true, NULL);
	for (int i = 0; i < 5000; i++) {
		static const uint32_t types[] = {0, 1, 4, 8, 11, 13, 2, 0x80000000};
		struct virtio_blk_outhdr h = {
			.type = types[random_next(&seed) % 8], .sector = random_next(&seed) % 70};
		struct buffer b[3];

		memcpy(guest_at(&w.g, HEADER_GPA), &h, sizeof(h));
		for (int n = 0; n < 3; n++)
			b[n] = (struct buffer){random_next(&seed) % 8 ? BODY_GPA : LOW_SIZE - 512,
				random_next(&seed) % 3 * 256 + random_next(&seed) % 40 % 18,
				random_next(&seed) & 1};
		b[0] = (struct buffer){HEADER_GPA, 16, false};
		guest_send(&w.g, 0, b, 1 + random_next(&seed) % 3);
		if (guest_needs_reset(&w.g)) {
			memset(ring_avail(&w.g, 0), 0, 64);
			guest_start(&w.g, 0);
		}
	}
	settle(&w);
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_discard),
		cmocka_unit_test(test_one_turn),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_reset_in_flight),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The format of a saved machine, and devices that go through it, without KVM. */
#include "runtime/microvm/vmm/snapshot.h"

#include "base/sys.h"
#include "runtime/microvm/devices/balloon.h"
#include "runtime/microvm/devices/vsock.h"
#include "runtime/microvm/vmm/machine.h"
#include "tests/unit/microvm/guest.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <unistd.h>

enum { SPACE = 8192, HEADER = sizeof(struct virtio_vsock_hdr) };

static const struct snapshot_shape shape = {.memory_size = 1 << 20, .vcpus = 2, .devices = 3};

/* --- the format --- */

static size_t write_two(uint8_t *data, size_t size)
{
	struct snapshot_writer w;

	snapshot_begin(&w, data, size, &shape);
	snapshot_put(&w, 7, 0, "seven", 5);
	snapshot_put(&w, 8, 3, NULL, 0);
	return snapshot_finish(&w) == 0 ? w.len : 0;
}

/* What write_two() wrote, in full. */
static int read_two(const uint8_t *data, size_t len, const struct snapshot_shape *wanted)
{
	struct snapshot_reader r;
	struct err err = {};
	char text[5];
	int n = snapshot_open(&r, data, len, wanted, &err);

	if (n == 0)
		n = snapshot_get(&r, 7, 0, text, sizeof(text), &err);
	if (n == 0)
		assert_memory_equal(text, "seven", 5);
	if (n == 0)
		n = snapshot_get(&r, 8, 3, NULL, 0, &err);
	if (n == 0)
		n = snapshot_end(&r, &err);
	assert_true(n == 0 || (n == -EINVAL && err.text[0]));
	return n;
}

static void test_format(void **state)
{
	uint8_t data[SPACE];
	size_t len = write_two(data, sizeof(data));
	struct snapshot_shape other = shape;

	(void)state;
	assert_int_equal(read_two(data, len, &shape), 0);
	for (size_t cut = 0; cut < len; cut++) {
		assert_int_equal(read_two(data, cut, &shape), -EINVAL);
		assert_int_equal(write_two(data, cut), 0); /* does not fit */
	}
	write_two(data, sizeof(data));
	assert_int_equal(read_two(data, len + 1, &shape), -EINVAL);
	other.vcpus++;
	assert_int_equal(read_two(data, len, &other), -EINVAL);
	other = shape;
	other.memory_size *= 2;
	assert_int_equal(read_two(data, len, &other), -EINVAL);
}

/* Whatever bit of the head or of a section's head is another, it is noticed. */
static void test_every_bit_of_the_heads(void **state)
{
	uint8_t data[SPACE];
	size_t len = write_two(data, sizeof(data));
	const size_t text = len - 16 - 5;

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		if (bit / 8 >= text && bit / 8 < text + 5)
			continue;
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(read_two(data, len, &shape), -EINVAL);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void test_order(void **state)
{
	uint8_t data[SPACE];
	struct snapshot_reader r;
	struct err err = {};
	size_t len = write_two(data, sizeof(data));

	(void)state;
	assert_int_equal(snapshot_open(&r, data, len, &shape, &err), 0);
	assert_int_equal(snapshot_get(&r, 8, 3, NULL, 0, &err), -EINVAL);
	assert_int_equal(snapshot_get(&r, 7, 1, data, 5, &err), -EINVAL);
	assert_int_equal(snapshot_get(&r, 7, 0, data, 4, &err), -EINVAL);
}

/* --- devices --- */

/* Saves what FROM has, and restores it to TO, whose memory becomes a copy. */
static int move(struct guest *from, struct guest *to)
{
	uint8_t data[SPACE];
	struct snapshot_writer w;
	struct snapshot_reader r;
	struct err err = {};

	assert_int_equal(device_hold(from->device), 0);
	snapshot_begin(&w, data, sizeof(data), &shape);
	machine_save_device(&from->mmio, 0, &w);
	assert_int_equal(snapshot_finish(&w), 0);
	memcpy(to->low, from->low, LOW_SIZE);
	memcpy(to->high, from->high, HIGH_SIZE);
	memcpy(to->next_desc, from->next_desc, sizeof(to->next_desc));
	memcpy(to->seen_used, from->seen_used, sizeof(to->seen_used));
	assert_int_equal(snapshot_open(&r, data, w.len, &shape, &err), 0);
	return machine_restore_device(&to->mmio, 0, &r, &err);
}

struct end {
	struct guest g;
	struct vsock v;
	int host;
};

static void end_init(struct end *e, uint32_t cid)
{
	struct vsock_port port = {.port = 1};
	struct vsock_options options = {
		.cid = cid, .listener = -1, .ports = &port, .port_count = 1};
	struct err err = {};
	int fds[2];

	guest_init(&e->g);
	assert_int_equal(sys_socketpair(SOCK_STREAM, fds), 0);
	e->host = fds[0];
	port.fd = fds[1];
	assert_int_equal(vsock_open(&e->v, &options, &e->g.memory, &e->g.loop, &err), 0);
	guest_attach(&e->g, &e->v.device);
}

static void end_free(struct end *e)
{
	close(e->host);
	vsock_close(&e->v);
	guest_free(&e->g);
}

/* The guest connects to the host's port 1; the answer's operation, 0 for none. */
static uint16_t dial(struct end *e, uint32_t cid)
{
	struct virtio_vsock_hdr *h = guest_at(&e->g, DATA_GPA), *answer;
	struct buffer tx = {DATA_GPA, HEADER, false}, rx = {DATA_GPA + 0x1000, 4096, true};

	*h = (struct virtio_vsock_hdr){.src_cid = cid,
		.dst_cid = VMADDR_CID_HOST,
		.src_port = 99,
		.dst_port = 1,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = VIRTIO_VSOCK_OP_REQUEST,
		.buf_alloc = 65536};
	answer = guest_at(&e->g, rx.gpa);
	guest_send(&e->g, 0, &rx, 1);
	guest_send(&e->g, 1, &tx, 1);
	return guest_used(&e->g, 0) < 0 ? 0 : answer->op;
}

static void test_vsock_begins_anew(void **state)
{
	struct end old, new;
	struct buffer event = {DATA_GPA + 0x3000, sizeof(struct virtio_vsock_event), true};
	const struct virtio_vsock_event *said;
	uint64_t cid;

	(void)state;
	end_init(&old, 5);
	guest_start(&old.g, 0);
	guest_settle(&old.g);
	guest_send(&old.g, 2, &event, 1); /* a buffer for events, as the driver leaves there */
	assert_int_equal(guest_used(&old.g, 2), -1);
	assert_int_equal(dial(&old, 5), VIRTIO_VSOCK_OP_RESPONSE);

	end_init(&new, 6);
	assert_int_equal(move(&old.g, &new.g), 0);
	guest_settle(&new.g);
	said = guest_at(&new.g, event.gpa);
	assert_int_equal(guest_used(&new.g, 2), sizeof(*said));
	assert_int_equal(said->id, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
	assert_true(reg_read(&new.g, VIRTIO_MMIO_INTERRUPT_STATUS) & DEVICE_INTERRUPT_QUEUE);
	device_config_read(&new.v.device, 0, &cid, sizeof(cid));
	assert_int_equal(cid, 6);
	/* What is from before is no offence, and gets no answer. */
	assert_int_equal(dial(&new, 5), 0);
	assert_false(guest_needs_reset(&new.g));
	assert_int_equal(dial(&new, 6), VIRTIO_VSOCK_OP_RESPONSE);
	dial(&new, 7);
	assert_true(guest_needs_reset(&new.g));
	end_free(&old);
	end_free(&new);
}

static void test_balloon_keeps_the_guests_buffer(void **state)
{
	const uint64_t features = 1ULL << VIRTIO_BALLOON_F_STATS_VQ;
	struct balloon old, new;
	struct guest from, to;
	struct virtio_balloon_stat *stat;
	struct buffer b = {DATA_GPA, sizeof(*stat), false};
	uint64_t stats[BALLOON_STATS];

	(void)state;
	guest_init(&from);
	balloon_init(&old, &from.memory);
	guest_attach(&from, &old.device);
	guest_start(&from, features);
	stat = guest_at(&from, b.gpa);
	*stat = (struct virtio_balloon_stat){.tag = VIRTIO_BALLOON_S_MEMFREE, .val = 4711};
	guest_send(&from, 2, &b, 1);
	assert_int_equal(guest_used(&from, 2), -1);

	guest_init(&to);
	balloon_init(&new, &to.memory);
	guest_attach(&to, &new.device);
	assert_int_equal(move(&from, &to), 0);
	balloon_read_stats(&new, stats);
	assert_int_equal(stats[VIRTIO_BALLOON_S_MEMFREE], 4711);
	assert_int_equal(guest_used(&to, 2), 0); /* it goes back to be filled again */
	/* A buffer beyond the queue is nobody's. */
	old.stats_head = 500;
	assert_int_equal(move(&from, &to), -EINVAL);
	guest_free(&from);
	guest_free(&to);
}

static void test_queues_elsewhere_are_refused(void **state)
{
	struct rng old, new;
	struct guest from, to;

	(void)state;
	guest_init(&from);
	rng_init(&old, &from.memory);
	guest_attach(&from, &old.device);
	guest_start(&from, 0);
	guest_init(&to);
	rng_init(&new, &to.memory);
	guest_attach(&to, &new.device);
	old.device.queues[0].state.used = HIGH_GPA + HIGH_SIZE;
	assert_int_equal(move(&from, &to), -EINVAL);
	old.device.queues[0].state.used = ring_gpa(0) + 0x800;
	old.device.features |= 1ULL << 40;
	assert_int_equal(move(&from, &to), -EINVAL);
	guest_free(&from);
	guest_free(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_every_bit_of_the_heads),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_vsock_begins_anew),
		cmocka_unit_test(test_balloon_keeps_the_guests_buffer),
		cmocka_unit_test(test_queues_elsewhere_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

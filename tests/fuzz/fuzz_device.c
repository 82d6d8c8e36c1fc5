/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that does anything to a device: its registers, its rings, its memory, and the host's side
 * meanwhile. The first byte chooses the device, the rest is a program of operations.
 */
#include "base/sys.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/microvm/zoo.h"

#include <linux/virtio_mmio.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	OPERATIONS_MAX = 200,
	TURNS_MAX = 2000, /* of the loop for one kick: what a queue can hold, and some */
};

struct input {
	const uint8_t *data;
	size_t len;
};

static uint64_t take(struct input *in, size_t bytes)
{
	uint64_t value = 0;
	size_t n = bytes < in->len ? bytes : in->len;

	memcpy(&value, in->data, n);
	in->data += n;
	in->len -= n;
	return value;
}

/* Where a hostile guest would point: in memory, at the ends of its regions, at registers, beyond.
 */
static uint64_t take_gpa(struct input *in, uint32_t len)
{
	uint8_t how = (uint8_t)take(in, 1);

	switch (how % 9) {
	case 0:
		return take(in, 8);
	case 1:
		return ZOO_LOW_SIZE - len + (how & 0x10 ? 1 : 0);
	case 2:
		return ZOO_HIGH_GPA - (how & 0x10 ? 1 : 0);
	case 3:
		return ZOO_HIGH_GPA + ZOO_HIGH_SIZE - len + (how & 0x10 ? 1 : 0);
	case 4:
		return -(uint64_t)len + (how >> 4);
	case 5:
		return 0xd0000000;
	case 6:
		return ZOO_RING_GPA + take(in, 2);
	default:
		return ZOO_DATA_GPA + take(in, 1) * 0x100;
	}
}

static void write_any(struct zoo *z, struct input *in)
{
	uint32_t offset = (uint32_t)take(in, 2) % MMIO_SIZE, len = 1U << take(in, 1) % 4;
	uint64_t data = take(in, 8);

	mmio_write(&z->mmio, offset, &data, len);
}

static void read_any(struct zoo *z, struct input *in)
{
	uint32_t offset = (uint32_t)take(in, 2) % MMIO_SIZE, len = 1U << take(in, 1) % 4;
	uint64_t data = 0;

	mmio_read(&z->mmio, offset, &data, len);
}

static void fill(struct zoo *z, struct input *in, uint64_t gpa, uint32_t len)
{
	uint8_t *at = gpa_to_hva(&z->memory, gpa, len ? len : 1);

	for (uint32_t i = 0; at && i < len; i++)
		at[i] = (uint8_t)take(in, 1);
}

static void write_memory(struct zoo *z, struct input *in)
{
	uint32_t len = (uint32_t)take(in, 1);

	fill(z, in, take_gpa(in, len), len);
}

/* A chain of up to eight descriptors at a place of its own, with what the first one holds. */
static void post_chain(struct zoo *z, struct input *in)
{
	unsigned int queue = take(in, 1) % z->device->ops->queues, count = 1 + take(in, 1) % 8;
	uint16_t head = take(in, 1) & 0x7f;
	struct vring_desc *table = zoo_desc(z, queue);

	for (unsigned int i = 0; i < count; i++) {
		uint32_t len = (uint32_t)take(in, 2);
		uint8_t flags = (uint8_t)take(in, 1);

		table[head + i] = (struct vring_desc){
			.addr = take_gpa(in, len),
			.len = flags & 0x80 ? len << 16 : len,
			.flags = (flags & 0x7e) | (i + 1 < count),
			.next = flags & 0x40 ? (uint16_t)take(in, 2) : (uint16_t)(head + i + 1),
		};
		if (i == 0)
			fill(z, in, table[head].addr, (uint32_t)take(in, 1) % 96);
	}
	zoo_post(z, queue, head, 128);
}

static void set_index(struct zoo *z, struct input *in)
{
	unsigned int queue = take(in, 1) % z->device->ops->queues;

	zoo_avail(z, queue)->idx = (uint16_t)take(in, 2);
	zoo_avail(z, queue)->flags = (uint16_t)take(in, 1);
}

/* H3: what a kick brings about comes to an end. */
static void kick(struct zoo *z, struct input *in)
{
	unsigned int queue = (unsigned int)take(in, 1) % (DEVICE_QUEUES_MAX + 1);

	REQUIRE(zoo_kick(z, queue, TURNS_MAX) < TURNS_MAX);
}

static void connect_host(struct zoo *z, struct input *in)
{
	struct vsock_hello hello = {.port = (uint32_t)take(in, 1)};
	struct sockaddr_un name;
	socklen_t len = sizeof(name);
	int fd = sys_socket_unix(SOCK_STREAM);

	if (getsockname(z->listener, (struct sockaddr *)&name, &len) == 0 &&
		connect(fd, (struct sockaddr *)&name, len) == 0)
		(void)!send(
			fd, &hello, take(in, 1) % (sizeof(hello) + 1), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (z->host_out >= 0)
		close(z->host_out);
	z->host_out = fd; /* the last one stays */
}

static void host_acts(struct zoo *z, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1), data[256] = {};

	if (z->kind == ZOO_VSOCK && what & 1)
		connect_host(z, in);
	else if (z->kind == ZOO_VSOCK)
		(void)!send(
			what & 2 ? z->host : z->host_out, data, what, MSG_NOSIGNAL | MSG_DONTWAIT);
	else if (z->kind == ZOO_CONSOLE && what & 1)
		(void)!read(z->host_out, data, sizeof(data));
	else if (z->kind == ZOO_CONSOLE && what < 64)
		(void)!write(z->host, data, what);
	else if (z->kind == ZOO_BALLOON && what & 1)
		balloon_set(&z->balloon, take(in, 8));
	else if (z->kind == ZOO_BALLOON)
		balloon_read_stats(&z->balloon, (uint64_t[BALLOON_STATS]){});
	REQUIRE(zoo_settle(z, TURNS_MAX) < TURNS_MAX);
}

static void operate(struct zoo *z, struct input *in)
{
	switch (take(in, 1) % 12) {
	case 0:
		write_any(z, in);
		break;
	case 1:
		read_any(z, in);
		break;
	case 2:
		zoo_write(z, (uint32_t)take(in, 1) * 4, (uint32_t)take(in, 4));
		break;
	case 3: /* with the ways that hostile drivers take before DRIVER_OK still open */
		zoo_start(z, take(in, 4) | take(in, 1) << 32, 128);
		break;
	case 4:
	case 5:
	case 6:
		post_chain(z, in);
		break;
	case 7:
		write_memory(z, in);
		break;
	case 8:
		set_index(z, in);
		break;
	case 9:
		host_acts(z, in);
		break;
	case 10:
		zoo_write(z, VIRTIO_MMIO_STATUS, 0);
		break;
	default:
		kick(z, in);
	}
}

/* H3: nothing is allocated, whatever the guest does. (0 with a sanitizer's allocator.) The file
 * server is another process, not looked at here. */
static size_t allocated(const struct zoo *z)
{
	return z->kind == ZOO_FS ? 0 : mallinfo2().uordblks;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	const char *why;
	struct zoo *z = zoo_open((enum zoo_kind)(take(&in, 1) % ZOO_KINDS), &why);
	size_t before;

	if (!z)
		return 0; /* a tap that cannot be had */
	before = allocated(z);
	for (int i = 0; i < OPERATIONS_MAX && in.len; i++)
		operate(z, &in);
	REQUIRE(allocated(z) == before);
	zoo_close(z);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The network device on a real tap, in a network namespace of the test's own. */
#include "runtime/microvm/devices/net.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "tests/unit/microvm/guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { RX, TX, HEADER = 12, FRAME = 64, PROTOCOL = 0x88b5 /* for local experiments */ };

static int packets; /* a packet socket: the host's side of the tap */

struct world {
	struct guest g;
	struct net n;
};

static int open_tap(void)
{
	struct ifreq r = {.ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int tap = sys_openat(AT_FDCWD, "/dev/net/tun", O_RDWR, 0);
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(tap >= 0 && sock >= 0);
	assert_int_equal(ioctl(tap, TUNSETIFF, &r), 0);
	r.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(sock, SIOCSIFFLAGS, &r), 0);
	close(sock);
	return tap;
}

static void world_init(struct world *w, const struct limit_rate *receive)
{
	struct net_options o = {
		.tap = open_tap(), .mac = {2, 0, 0, 0, 0, 1}, .mtu = 1400, .receive = receive};
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(PROTOCOL),
		.sll_ifindex = (int)if_nametoindex("tap0")};
	struct err err = {};

	*w = (struct world){};
	guest_init(&w->g);
	assert_int_equal(net_open(&w->n, &o, &w->g.memory, &w->g.loop, &err), 0);
	guest_attach(&w->g, &w->n.device);
	guest_start(&w->g, 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_MTU);
	packets = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(PROTOCOL));
	assert_int_equal(bind(packets, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void world_free(struct world *w)
{
	close(packets);
	net_close(&w->n);
	guest_free(&w->g);
}

static void make_frame(uint8_t *frame, uint8_t mark)
{
	memset(frame, 0, FRAME);
	memset(frame, 0xff, 6);
	frame[12] = PROTOCOL >> 8;
	frame[13] = PROTOCOL & 0xff;
	frame[20] = mark;
}

/* Lets the loop work until RX has something, or WAIT_MS. */
static int64_t wait_rx(struct world *w, int wait_ms)
{
	int64_t n;

	for (int i = 0; (n = guest_used(&w->g, RX)) < 0 && i < wait_ms / 10; i++)
		loop_turn(&w->g.loop, 10);
	return n;
}

static void test_both_ways(void **state)
{
	const struct buffer out[2] = {{DATA_GPA, HEADER, false}, {DATA_GPA + HEADER, FRAME, false}};
	const struct buffer in = {DATA_GPA + 0x1000, 2048, true};
	uint8_t frame[2048];
	struct world w;

	(void)state;
	world_init(&w, NULL);
	assert_int_equal(reg_read(&w.g, VIRTIO_MMIO_CONFIG), 2); /* the first bytes of the MAC */
	make_frame(guest_at(&w.g, DATA_GPA + HEADER), 77);
	guest_send(&w.g, TX, out, 2);
	assert_int_equal(guest_used(&w.g, TX), 0);
	assert_int_equal(recv(packets, frame, sizeof(frame), 0), FRAME);
	assert_int_equal(frame[20], 77);

	make_frame(frame, 88);
	assert_int_equal(send(packets, frame, FRAME, 0), FRAME); /* before there is a buffer */
	guest_settle(&w.g);
	guest_send(&w.g, RX, &in, 1);
	assert_int_equal(wait_rx(&w, 1000), HEADER + FRAME);
	assert_int_equal(*(uint8_t *)guest_at(&w.g, DATA_GPA + 0x1000 + HEADER + 20), 88);
	assert_int_equal(*(uint16_t *)guest_at(&w.g, DATA_GPA + 0x1000 + 10), 1); /* num_buffers */
	world_free(&w);
}

/* What is no packet is dropped; what is no receive buffer needs a reset. */
static void test_malformed(void **state)
{
	const struct buffer small = {DATA_GPA, HEADER, false}, tiny = {DATA_GPA, HEADER, true};
	struct virtio_net_hdr_v1 wrong = {.gso_type = 0xff, .gso_size = 1, .hdr_len = 0xffff};
	const struct buffer out[2] = {{DATA_GPA, HEADER, false}, {DATA_GPA + HEADER, FRAME, false}};
	uint8_t frame[128];
	struct world w;

	(void)state;
	world_init(&w, NULL);
	guest_send(&w.g, TX, &small, 1);
	assert_int_equal(guest_used(&w.g, TX), 0);
	memcpy(guest_at(&w.g, DATA_GPA), &wrong, sizeof(wrong));
	guest_send(&w.g, TX, out, 2); /* the tap refuses it */
	assert_int_equal(guest_used(&w.g, TX), 0);
	assert_int_equal(recv(packets, frame, sizeof(frame), 0), -1);
	assert_false(guest_needs_reset(&w.g));
	guest_send(&w.g, RX, &tiny, 1);
	assert_true(guest_needs_reset(&w.g));
	world_free(&w);
}

static void test_limit(void **state)
{
	const struct limit_rate limit = {.operations = 20};
	const struct buffer in = {DATA_GPA, 2048, true};
	uint8_t frame[FRAME];
	struct world w;
	int got = 0;

	(void)state;
	world_init(&w, &limit);
	make_frame(frame, 1);
	for (int i = 0; i < 30; i++)
		assert_int_equal(send(packets, frame, FRAME, 0), FRAME);
	do
		guest_send(&w.g, RX, &in, 1);
	while (guest_used(&w.g, RX) > 0 && ++got < 30);
	assert_in_range(got, 19, 22);
	assert_true(wait_rx(&w, 1000) > 0); /* the timer brings the next one */
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_limit),
	};

	/* Without IPv6 the host's kernel sends nothing of its own. */
	if (sys_unshare(CLONE_NEWNET) < 0 ||
		fd_write_file(AT_FDCWD, "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1") < 0 ||
		access("/dev/net/tun", R_OK | W_OK) < 0) {
		printf("skipped: needs a network namespace and /dev/net/tun\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

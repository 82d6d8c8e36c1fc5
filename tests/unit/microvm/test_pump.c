/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes arrive whole and in order, ends are passed on both ways, nobody is ever waited for. */
#include "runtime/microvm/host/pump.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include "tests/unit/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { TOTAL = 3 << 20 };

/* The kinds of descriptors that an engine gives. */
enum kind { PIPE, SOCKET };

static void open_pair(enum kind kind, int fds[2])
{
	if (kind == PIPE)
		assert_int_equal(sys_pipe(fds), 0);
	else
		assert_int_equal(sys_socketpair(SOCK_STREAM, fds), 0);
}

struct rig {
	struct pump pump;
	int source, sink; /* the far ends */
};

static void rig_open(struct rig *rig, enum kind from, enum kind to)
{
	int in[2], out[2];

	open_pair(from, in);
	open_pair(to, out);
	rig->source = in[1];
	rig->sink = out[0];
	assert_int_equal(fcntl(rig->source, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(rig->sink, F_SETFL, O_NONBLOCK), 0);
	/* Those towards the guest are. */
	if (from == SOCKET)
		assert_int_equal(fcntl(in[0], F_SETFL, O_NONBLOCK), 0);
	if (to == SOCKET)
		assert_int_equal(fcntl(out[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(pump_start(&rig->pump, in[0], out[1]), 0);
}

static void test_all_arrives(void **state)
{
	(void)state;
	for (int way = 0; way < 4; way++) {
		static uint8_t sent[TOTAL], got[TOTAL + 1];
		size_t in = 0, out = 0;
		struct rig rig;
		bool ended = false;

		for (size_t i = 0; i < TOTAL; i++)
			sent[i] = (uint8_t)(i * 7 + i / 251);
		rig_open(&rig, way & 1 ? SOCKET : PIPE, way & 2 ? SOCKET : PIPE);
		while (!ended) {
			ssize_t n = in < TOTAL ? write(rig.source, sent + in, TOTAL - in) : 0;

			in += n > 0 ? (size_t)n : 0;
			if (in == TOTAL)
				cleanup_close(&rig.source);
			pump_move(&rig.pump);
			n = read(rig.sink, got + out, sizeof(got) - out);
			out += n > 0 ? (size_t)n : 0;
			ended = n == 0;
		}
		assert_int_equal(out, TOTAL);
		assert_memory_equal(sent, got, TOTAL);
		assert_int_equal(rig.pump.total, TOTAL);
		assert_int_equal(rig.pump.from, -1);
		cleanup_close(&rig.sink);
	}
}

static void test_waits_for_the_right_side(void **state)
{
	struct pollfd fd;
	struct rig rig;
	char bytes[65536] = {};

	(void)state;
	rig_open(&rig, SOCKET, PIPE);
	pump_move(&rig.pump); /* nothing there: does not wait */
	fd = pump_poll(&rig.pump);
	assert_int_equal(fd.fd, rig.pump.from);
	while (write(rig.source, bytes, sizeof(bytes)) > 0)
		pump_move(&rig.pump);
	pump_move(&rig.pump);
	fd = pump_poll(&rig.pump);
	assert_int_equal(fd.fd, rig.pump.to);
	assert_int_equal(fd.events, POLLOUT);
	pump_close(&rig.pump);
	cleanup_close(&rig.source);
	cleanup_close(&rig.sink);
}

static void test_nobody_reads(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	for (int kind = PIPE; kind <= SOCKET; kind++) {
		struct rig rig;

		rig_open(&rig, SOCKET, (enum kind)kind);
		cleanup_close(&rig.sink);
		assert_int_equal(write(rig.source, "x", 1), 1);
		pump_move(&rig.pump);
		assert_int_equal(rig.pump.from, -1);
		assert_int_equal(pump_poll(&rig.pump).fd, -1);
		cleanup_close(&rig.source);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_arrives),
		cmocka_unit_test(test_waits_for_the_right_side),
		cmocka_unit_test(test_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes arrive whole and in order, ends are passed on both ways, nobody is ever waited for. */
#include "runtime/microvm/host/pump.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/devices/vsock.h"

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

/* The VMM gets a descriptor of its own, so that the flags which the engine sees stay as they are,
 * and of nothing but the writing ends of pipes. */
static void test_only_writing_ends_go(void **state)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fds[2], pair[2], fd, fifo;
	int wrong[7];

	(void)state;
	assert_int_equal(sys_pipe(fds), 0);
	fd = pump_open_pipe(proc, fds[1]);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY | O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);

	assert_int_equal(sys_socketpair(SOCK_STREAM, pair), 0);
	assert_int_equal(mkfifo("both", 0600), 0);
	fifo = open("both", O_RDWR | O_CLOEXEC);
	unlink("both");
	wrong[0] = fds[0];
	wrong[1] = fifo;
	wrong[2] = pair[0];
	wrong[3] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	wrong[4] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	wrong[5] = open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	wrong[6] = -1;
	unlink("file");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(pump_open_pipe(proc, wrong[i]), -1);
		cleanup_close(wrong + i);
	}
	close(fds[1]);
	close(pair[1]);
	close(proc);
}

static void test_marks(void **state)
{
	struct vsock_mark mark;
	struct pump pump;
	int fds[2];

	(void)state;
	assert_int_equal(sys_socketpair(SOCK_STREAM, fds), 0);
	pump_hand(&pump, fds[0]);
	assert_int_equal(pump_poll(&pump).fd, fds[0]);
	assert_int_equal(pump_poll(&pump).events, POLLIN);
	pump_expect(&pump, 0); /* which it is */
	assert_int_equal(recv(fds[1], &mark, sizeof(mark), MSG_DONTWAIT), -1);
	pump_expect(&pump, 7);
	assert_int_equal(read(fds[1], &mark, sizeof(mark)), sizeof(mark));
	assert_int_equal(mark.bytes, 7);
	pump_move(&pump);
	assert_int_equal(pump.total, 0);
	assert_int_equal(write(fds[1], &mark, sizeof(mark)), sizeof(mark));
	pump_move(&pump);
	assert_int_equal(pump.total, 7);
	assert_true(pump_leave(&pump));
	assert_int_equal(read(fds[1], &mark, sizeof(mark)), sizeof(mark));
	assert_true(mark.bytes == VSOCK_MARK_LEAVE);
	assert_int_equal(read(fds[1], &mark, sizeof(mark)), 0);
	close(fds[1]);

	for (int what = 0; what < 2; what++) { /* an end, and what is no mark */
		assert_int_equal(sys_socketpair(SOCK_STREAM, fds), 0);
		pump_hand(&pump, fds[0]);
		if (what)
			assert_int_equal(write(fds[1], "abc", 3), 3);
		else
			close(fds[1]);
		pump_move(&pump);
		assert_int_equal(pump.from, -1);
		pump_expect(&pump, 9);
		if (what)
			close(fds[1]);
	}
	assert_int_equal(sys_socketpair(SOCK_STREAM, fds), 0);
	pump_hand(&pump, fds[0]);
	close(fds[1]);
	pump_expect(&pump, 9); /* the connection has ended: nothing will come */
	assert_int_equal(pump.from, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_arrives),
		cmocka_unit_test(test_waits_for_the_right_side),
		cmocka_unit_test(test_nobody_reads),
		cmocka_unit_test(test_only_writing_ends_go),
		cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

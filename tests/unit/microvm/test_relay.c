/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's relays when the host's end of a stream is gone: closed, or of a machine's first life.
 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/guest/guest.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void turn(struct relay *relay)
{
	struct pollfd fds[2];
	int n;

	for (int i = 0; i < 4 && (n = relay_prepare(relay, fds)) > 0; i++)
		if (sys_poll(fds, (nfds_t)n, 0) > 0)
			relay_move(relay, fds, n);
}

/* A connection whose other end is torn down, as vsock's are when the transport is reset. */
static void reset(int sock, int other)
{
	(void)!sys_write(sock, "unread", 6);
	close(other);
}

static void read_all(int fd, const char *wanted)
{
	char text[64] = {};

	assert_int_equal(read(fd, text, sizeof(text) - 1), strlen(wanted));
	assert_string_equal(text, wanted);
}

static void test_output_waits_for_a_new_host(void **state)
{
	int sock[2], again[2], p[2];
	struct relay relay;

	(void)state;
	assert_int_equal(sys_pipe(p), 0);
	assert_int_equal(sys_socketpair(SOCK_STREAM, sock), 0);
	assert_int_equal(relay_start(&relay, p[0], sock[0]), 0);
	relay.keeps = RELAY_KEEPS_FROM;
	assert_int_equal(write(p[1], "one", 3), 3);
	turn(&relay);
	read_all(sock[1], "one");
	reset(sock[0], sock[1]);
	assert_int_equal(write(p[1], "two", 3), 3);
	turn(&relay);
	assert_int_equal(relay.to, -1);
	assert_true(relay.from >= 0); /* the process has noticed nothing */
	assert_int_equal(write(p[1], "three", 5), 5);

	assert_int_equal(sys_socketpair(SOCK_STREAM, again), 0);
	relay_join(&relay, again[0]);
	turn(&relay);
	read_all(again[1], "twothree");
	assert_int_equal(relay_written(&relay), 8); /* that the new host has to pass on */
	close(p[1]);
	turn(&relay);
	assert_int_equal(relay.from, -1);
	close(again[1]);
}

/* That the host has closed it is still what the process has to hear. */
static void test_output_that_nobody_wants(void **state)
{
	int sock[2], p[2];
	struct relay relay;

	(void)state;
	assert_int_equal(sys_pipe(p), 0);
	assert_int_equal(sys_socketpair(SOCK_STREAM, sock), 0);
	assert_int_equal(relay_start(&relay, p[0], sock[0]), 0);
	relay.keeps = RELAY_KEEPS_FROM;
	close(sock[1]);
	turn(&relay); /* once: poll(2) would say so again and again, until something is written */
	assert_int_equal(relay.from, -1);
	assert_int_equal(write(p[1], "x", 1), -1);
	close(p[1]);
}

static void test_input_goes_on(void **state)
{
	int sock[2], again[2], p[2];
	struct relay relay;
	char byte;

	(void)state;
	assert_int_equal(sys_pipe(p), 0);
	assert_int_equal(sys_socketpair(SOCK_STREAM, sock), 0);
	assert_int_equal(relay_start(&relay, sock[0], p[1]), 0);
	relay.keeps = RELAY_KEEPS_TO;
	reset(sock[0], sock[1]);
	turn(&relay);
	assert_int_equal(relay.from, -1);
	assert_true(relay.to >= 0);
	assert_int_equal(sys_socketpair(SOCK_STREAM, again), 0);
	relay_join(&relay, again[0]);
	assert_int_equal(write(again[1], "more", 4), 4);
	turn(&relay);
	read_all(p[0], "more");
	close(again[1]); /* the end is the end */
	turn(&relay);
	assert_int_equal(read(p[0], &byte, 1), 0);
	close(p[0]);
}

static void test_without_a_new_stream(void **state)
{
	int sock[2], p[2];
	struct relay relay;
	char byte;

	(void)state;
	assert_int_equal(sys_pipe(p), 0);
	assert_int_equal(sys_socketpair(SOCK_STREAM, sock), 0);
	assert_int_equal(relay_start(&relay, p[0], sock[0]), 0);
	relay.keeps = RELAY_KEEPS_FROM;
	reset(sock[0], sock[1]);
	turn(&relay);
	relay_join(&relay, -1);
	for (int i = 0; i < 100; i++) { /* more than a pipe holds: it goes nowhere */
		char block[4096] = {};

		assert_int_equal(write(p[1], block, sizeof(block)), sizeof(block));
		turn(&relay);
	}
	close(p[1]);
	turn(&relay);
	assert_int_equal(sys_pipe(p), 0);
	assert_int_equal(sys_socketpair(SOCK_STREAM, sock), 0);
	assert_int_equal(relay_start(&relay, sock[0], p[1]), 0);
	relay.keeps = RELAY_KEEPS_TO;
	relay_join(&relay, -1);
	assert_int_equal(read(p[0], &byte, 1), 0);
	close(p[0]);
	close(sock[1]);
}

/* A connection whose kernel takes pages from pipes. */
static void connect_tcp(int ret[2])
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(address);

	assert_int_equal(bind(listener, (void *)&address, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (void *)&address, &len), 0);
	ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ret[0], (void *)&address, len), 0);
	ret[1] = accept(listener, NULL, NULL);
	close(listener);
}

static void test_output_is_spliced(void **state)
{
	static uint8_t data[65536], back[65536];
	size_t sent = 0, got = 0;
	int sock[2], p[2], turns = 0;
	struct pollfd fds[2];
	struct relay relay;
	ssize_t n;

	(void)state;
	connect_tcp(sock);
	assert_int_equal(sys_pipe(p), 0);
	assert_int_equal(relay_start(&relay, p[0], sock[0]), 0);
	assert_true(relay.splices);
	assert_null(relay.buffer); /* it is never copied here */
	assert_int_equal(fcntl(p[1], F_SETFL, O_NONBLOCK), 0);
	while (!relay.full) { /* nobody reads: that is waited for, and nothing else */
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)((sent + i) * 7 >> 3);
		n = write(p[1], data, sizeof(data));
		sent += n > 0 ? (size_t)n : 0;
		turn(&relay);
		assert_true(turns++ < 1000);
	}
	assert_int_equal(relay_prepare(&relay, fds), 1);
	assert_int_equal(fds[0].events, POLLOUT);
	assert_int_equal(relay_written(&relay), sent);
	close(p[1]);
	while ((n = read(sock[1], back, sizeof(back))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(back[i], (uint8_t)((got + (size_t)i) * 7 >> 3));
		got += (size_t)n;
		turn(&relay);
	}
	assert_int_equal(got, sent);
	assert_int_equal(relay.total, sent);
	assert_int_equal(relay.from, -1);
	close(sock[1]);

	connect_tcp(sock);
	assert_int_equal(sys_pipe(p), 0);
	assert_int_equal(relay_start(&relay, p[0], sock[0]), 0);
	assert_true(relay.splices);
	assert_int_equal(fcntl(sock[0], F_SETFL, O_NONBLOCK | O_APPEND), 0); /* refused after all */
	assert_int_equal(write(p[1], "copied", 6), 6);
	turn(&relay);
	assert_false(relay.splices);
	read_all(sock[1], "copied");
	assert_int_equal(relay_written(&relay), 6);
	close(p[1]);
	turn(&relay);
	close(sock[1]);

	assert_int_equal(sys_socketpair(SOCK_STREAM, sock), 0); /* takes none */
	assert_int_equal(sys_pipe(p), 0);
	assert_int_equal(relay_start(&relay, p[0], sock[0]), 0);
	assert_false(relay.splices);
	close(p[1]);
	turn(&relay);
	close(sock[1]);
}

/* What the old host did not take is still in the pipe for the new one. */
static void test_spliced_output_waits_for_a_new_host(void **state)
{
	const struct linger now = {.l_onoff = 1};
	int sock[2], again[2], p[2];
	struct relay relay;

	(void)state;
	connect_tcp(sock);
	connect_tcp(again);
	assert_int_equal(sys_pipe(p), 0);
	assert_int_equal(relay_start(&relay, p[0], sock[0]), 0);
	relay.keeps = RELAY_KEEPS_FROM;
	assert_int_equal(setsockopt(sock[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(sock[1]); /* a reset */
	turn(&relay);
	assert_int_equal(relay.to, -1);
	assert_int_equal(write(p[1], "two", 3), 3);
	relay_join(&relay, again[0]);
	turn(&relay);
	read_all(again[1], "two");
	assert_int_equal(relay_written(&relay), 3);
	close(again[1]);
	close(p[1]);
	turn(&relay);
	assert_int_equal(relay.from, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_is_spliced),
		cmocka_unit_test(test_spliced_output_waits_for_a_new_host),
		cmocka_unit_test(test_output_waits_for_a_new_host),
		cmocka_unit_test(test_output_that_nobody_wants),
		cmocka_unit_test(test_input_goes_on),
		cmocka_unit_test(test_without_a_new_stream),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

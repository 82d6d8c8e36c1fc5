/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest may say, whole, in pieces, and wrongly. */
#include "runtime/microvm/host/link.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include "tests/unit/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct wire {
	struct link link;
	int guest;
};

static void wire_open(struct wire *w)
{
	int fds[2];

	*w = (struct wire){.link = {.fd = -1}};
	assert_int_equal(sys_socketpair(SOCK_STREAM, fds), 0);
	w->link.fd = fds[0];
	w->guest = fds[1];
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
}

static void wire_close(struct wire *w)
{
	link_close(&w->link);
	cleanup_close(&w->guest);
}

static void say(const struct wire *w, uint32_t type, const void *payload, uint32_t len)
{
	const struct proto_frame frame = {.type = type, .len = len};

	assert_int_equal(write(w->guest, &frame, sizeof(frame)), sizeof(frame));
	if (len)
		assert_int_equal(write(w->guest, payload, len), len);
}

static void test_whole(void **state)
{
	const struct proto_exited exited = {.id = 7, .status = 256, .written = {1, 2, 3}};
	struct link_message m;
	struct wire w;

	(void)state;
	wire_open(&w);
	assert_int_equal(link_next(&w.link, &m), 0);
	say(&w, PROTO_DONE, "abc", 3);
	say(&w, PROTO_EXITED, &exited, sizeof(exited));
	assert_int_equal(link_read(&w.link), 0);
	assert_int_equal(link_next(&w.link, &m), 1);
	assert_int_equal(m.type, PROTO_DONE);
	assert_int_equal(m.len, 3);
	assert_memory_equal(m.data, "abc", 3);
	assert_int_equal(link_next(&w.link, &m), 1);
	assert_int_equal(m.type, PROTO_EXITED);
	assert_int_equal(m.exited.id, 7);
	assert_int_equal(m.exited.written[2], 3);
	assert_int_equal(link_next(&w.link, &m), 0);
	assert_int_equal(link_read(&w.link), 0); /* nothing there, and not the end */
	cleanup_close(&w.guest);
	assert_int_equal(link_read(&w.link), -EPIPE);
	wire_close(&w);
}

static void test_in_pieces(void **state)
{
	struct {
		struct proto_frame frame;
		struct proto_failed failed;
	} all = {{PROTO_FAILED, sizeof(struct proto_failed)}, {.error = -ENOENT, .text = "no"}};
	struct link_message m;
	struct wire w;

	(void)state;
	wire_open(&w);
	for (size_t i = 0; i < sizeof(all); i++) {
		assert_int_equal(link_next(&w.link, &m), 0);
		assert_int_equal(write(w.guest, (const char *)&all + i, 1), 1);
		assert_int_equal(link_read(&w.link), 0);
	}
	assert_int_equal(link_next(&w.link, &m), 1);
	assert_int_equal(m.failed.error, -ENOENT);
	assert_string_equal(m.failed.text, "no");
	wire_close(&w);
}

/* A text goes to terminals and logs, an error becomes a return value. */
static void test_failure_is_cleaned(void **state)
{
	struct proto_failed failed = {.error = 5};
	struct link_message m;
	struct err err = {};
	struct wire w;

	(void)state;
	memset(failed.text, 'x', sizeof(failed.text));
	memcpy(failed.text, "\x1b[2J\n\xff", 6);
	wire_open(&w);
	say(&w, PROTO_FAILED, &failed, sizeof(failed));
	assert_int_equal(link_answer(&w.link, &m, &err), -EPROTO);
	assert_int_equal(strlen(m.failed.text), sizeof(failed.text) - 1);
	assert_memory_equal(m.failed.text, "?[2J??x", 7);
	wire_close(&w);
}

static void test_nonsense(void **state)
{
	static const struct {
		uint32_t type, len;
	} cases[] = {
		{0, 0},
		{PROTO_CREATE, 0},
		{UINT32_MAX, 0},
		{PROTO_DONE, PROTO_REPLY_MAX + 1},
		{PROTO_DONE, UINT32_MAX},
		{PROTO_EXITED, 0},
		{PROTO_EXITED, sizeof(struct proto_exited) + 1},
		{PROTO_FAILED, 4},
		{PROTO_READY, sizeof(struct proto_ready) - 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct proto_frame frame = {cases[i].type, cases[i].len};
		struct link_message m;
		struct wire w;

		wire_open(&w);
		assert_int_equal(write(w.guest, &frame, sizeof(frame)), sizeof(frame));
		assert_int_equal(link_read(&w.link), 0);
		assert_int_equal(link_next(&w.link, &m), -EPROTO);
		assert_int_equal(link_next(&w.link, &m), -EPROTO); /* and stays so */
		wire_close(&w);
	}
}

/* The longest reply fits, and what comes behind it waits. */
static void test_longest(void **state)
{
	static uint8_t data[PROTO_REPLY_MAX];
	struct link_message m;
	struct wire w;

	(void)state;
	memset(data, 7, sizeof(data));
	wire_open(&w);
	say(&w, PROTO_DONE, data, sizeof(data));
	say(&w, PROTO_DONE, "x", 1);
	while (link_next(&w.link, &m) == 0)
		assert_int_equal(link_read(&w.link), 0);
	assert_int_equal(m.len, sizeof(data));
	assert_int_equal(m.data[sizeof(data) - 1], 7);
	while (link_next(&w.link, &m) == 0)
		assert_int_equal(link_read(&w.link), 0);
	assert_int_equal(m.len, 1);
	wire_close(&w);
}

static void test_ready(void **state)
{
	struct proto_ready ready = {.version = PROTO_VERSION, .modules = 3};
	struct err err = {};
	struct wire w;

	(void)state;
	wire_open(&w);
	say(&w, PROTO_READY, &ready, sizeof(ready));
	assert_int_equal(link_wait_ready(&w.link, -1, &ready, &err), 0);
	assert_int_equal(ready.modules, 3);
	ready.version++;
	say(&w, PROTO_READY, &ready, sizeof(ready));
	assert_int_equal(link_wait_ready(&w.link, -1, &ready, &err), -EPROTO);
	err_clear(&err);
	assert_int_equal(link_wait_ready(&w.link, 0, &ready, &err), -ETIMEDOUT);
	wire_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_failure_is_cleaned),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sync.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "tests/unit/unit.h"

#include <stddef.h>

struct fixture {
	int ours, theirs;
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	*state = f;
	if (sys_socketpair(SOCK_SEQPACKET, fds) < 0)
		return -1;
	f->ours = fds[0], f->theirs = fds[1];
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	cleanup_close(&f->ours);
	cleanup_close(&f->theirs);
	free(f);
	return 0;
}

static void test_messages(void **state)
{
	struct fixture *f = *state;
	struct sync_message message;

	assert_int_equal(sync_send(f->theirs, SYNC_INIT_PID, 4711, &f->err), 0);
	assert_int_equal(sync_expect(f->ours, SYNC_INIT_PID, &message, &f->err), 0);
	assert_int_equal(message.pid, 4711);
	assert_int_equal(sync_send(f->theirs, SYNC_HOOKS, 0, &f->err), 0);
	assert_int_equal(sync_expect(f->ours, SYNC_CREATED, NULL, &f->err), -EPROTO);
	assert_non_null(strstr(f->err.text, "\"hooks\""));
	assert_non_null(strstr(f->err.text, "\"created\""));
}

static void test_last_words_of_one_who_did_not_listen(void **state)
{
	struct fixture *f = *state;
	struct err sent = {.code = -EXDEV, .text = "why"};

	assert_int_equal(sync_send(f->ours, SYNC_START, 0, &f->err), 0);
	sync_send_failure(f->theirs, &sent);
	cleanup_close(&f->theirs);
	assert_int_equal(sync_expect_end(f->ours, &f->err), -EXDEV);
	assert_string_equal(f->err.text, "why");
	assert_int_equal(sync_expect_end(f->ours, &f->err), 0);
}

/* The other stage's sentence and code arrive as they were, the longest too. */
static void test_failures(void **state)
{
	struct fixture *f = *state;
	struct err sent = {.code = -EXDEV};

	memset(sent.text, 'x', sizeof(sent.text) - 1);
	sync_send_failure(f->theirs, &sent);
	assert_int_equal(sync_expect(f->ours, SYNC_CREATED, NULL, &f->err), -EXDEV);
	assert_string_equal(f->err.text, sent.text);
	sent = (struct err){.code = -ENOENT};
	sync_send_failure(f->theirs, &sent);
	assert_int_equal(sync_expect_end(f->ours, &f->err), -ENOENT);
	assert_string_equal(f->err.text, "");
}

static void test_end(void **state)
{
	struct fixture *f = *state;

	cleanup_close(&f->theirs);
	assert_int_equal(sync_expect_end(f->ours, &f->err), 0);
	assert_int_equal(sync_expect(f->ours, SYNC_CREATED, NULL, &f->err), -EPIPE);
	assert_non_null(strstr(f->err.text, "ended"));
	assert_int_equal(sync_send(f->ours, SYNC_START, 0, &f->err), -EPIPE);
}

static void test_only_failure_may_end_it(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(sync_send(f->theirs, SYNC_CREATED, 0, &f->err), 0);
	assert_int_equal(sync_expect_end(f->ours, &f->err), -EPROTO);
}

/* Whoever took over the other stage cannot make us believe much. */
static void test_what_is_no_message(void **state)
{
	struct fixture *f = *state;
	struct sync_message bad = {.type = SYNC_CREATED}, got;
	const size_t head = offsetof(struct sync_message, err.text);

	assert_true(sys_write(f->theirs, &bad, head - 1) > 0);
	assert_int_equal(sync_recv(f->ours, &got), -EPROTO);
	bad.type = 0;
	assert_true(sys_write(f->theirs, &bad, head) > 0);
	assert_int_equal(sync_recv(f->ours, &got), -EPROTO);
	bad.type = SYNC_FAILED + 1;
	assert_true(sys_write(f->theirs, &bad, head) > 0);
	assert_int_equal(sync_recv(f->ours, &got), -EPROTO);
	bad.type = SYNC_FAILED; /* with a code that says success */
	assert_true(sys_write(f->theirs, &bad, head) > 0);
	assert_int_equal(sync_recv(f->ours, &got), -EPROTO);
	/* A text without an end is ended. */
	bad.err.code = -EIO;
	memset(bad.err.text, 'y', sizeof(bad.err.text));
	assert_true(sys_write(f->theirs, &bad, sizeof(bad)) > 0);
	assert_int_equal(sync_recv(f->ours, &got), 0);
	assert_true(strlen(got.err.text) < sizeof(got.err.text));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_messages),
		TEST(test_failures),
		TEST(test_last_words_of_one_who_did_not_listen),
		TEST(test_end),
		TEST(test_only_failure_may_end_it),
		TEST(test_what_is_no_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

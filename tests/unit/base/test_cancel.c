/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cancel.h"

#include "base/sys.h"
#include "tests/unit/unit.h"

#include <signal.h>

static void test_nothing_is_taken_without_a_signal(void **state)
{
	struct cancel *cancel = *state;
	struct err err = {};

	assert_int_equal(cancel_take(cancel, &err), 0);
	assert_int_equal(cancel_take(NULL, &err), 0);
	assert_int_equal(cancel_take(&(struct cancel){-1}, &err), 0);
	assert_int_equal(cancel_wait(NULL, -1, &err), 0);
}

static void test_each_signal_is_taken_once(void **state)
{
	static const struct {
		int sig;
		const char *text;
	} signals[] = {
		{SIGHUP, "interrupted by SIGHUP"},
		{SIGINT, "interrupted by SIGINT"},
		{SIGQUIT, "interrupted by SIGQUIT"},
		{SIGTERM, "interrupted by SIGTERM"},
	};
	struct cancel *cancel = *state;

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		struct err err = {};

		raise(signals[i].sig);
		assert_int_equal(cancel_take(cancel, &err), -EINTR);
		assert_string_equal(err.text, signals[i].text);
		assert_int_equal(cancel_take(cancel, &err), 0);
	}
}

static void test_a_wait_ends_with_the_data_or_the_signal(void **state)
{
	struct cancel *cancel = *state;
	struct err err = {};
	int fds[2];

	assert_int_equal(sys_pipe(fds), 0);
	raise(SIGTERM);
	assert_int_equal(cancel_wait(cancel, fds[0], &err), -EINTR);
	/* What is there already comes first; the signal is for the next wait. */
	assert_int_equal(sys_write(fds[1], "x", 1), 1);
	raise(SIGTERM);
	assert_int_equal(cancel_wait(cancel, fds[0], &err), 0);
	close(fds[1]);
	assert_int_equal(cancel_wait(cancel, fds[0], &err), 0);
	assert_int_equal(cancel_take(cancel, &err), -EINTR);
	close(fds[0]);
}

static int setup(void **state)
{
	static struct cancel cancel;
	struct err err = {};

	*state = &cancel;
	return cancel_open(&cancel, &err);
}

static int teardown(void **state)
{
	cancel_close(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_taken_without_a_signal),
		cmocka_unit_test(test_each_signal_is_taken_once),
		cmocka_unit_test(test_a_wait_ends_with_the_data_or_the_signal),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

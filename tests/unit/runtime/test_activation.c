/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/activation.h"

#include "tests/unit/unit.h"

static struct activation parse(struct activation_environment environment)
{
	struct activation a = {};
	struct err err = {};

	assert_int_equal(activation_parse(&environment, 77, &a, &err), 0);
	return a;
}

static void test_descriptors(void **state)
{
	struct activation a = parse((struct activation_environment){
		.listen_fds = "2", .listen_pid = "77", .listen_fdnames = "a:b"});

	(void)state;
	assert_int_equal(a.fds, 2);
	assert_string_equal(a.fd_names, "a:b");
	/* conmon and people leave the pid out. */
	assert_int_equal(parse((struct activation_environment){.listen_fds = "3"}).fds, 3);
	/* For somebody else. */
	a = parse((struct activation_environment){
		.listen_fds = "2", .listen_pid = "78", .listen_fdnames = "a:b"});
	assert_true(a.fds == 0 && !a.fd_names);
	assert_int_equal(
		parse((struct activation_environment){.listen_fds = "2", .listen_pid = "x"}).fds,
		0);
	assert_int_equal(parse((struct activation_environment){}).fds, 0);
	assert_int_equal(parse((struct activation_environment){.listen_fds = ""}).fds, 0);
}

static void test_what_is_no_number(void **state)
{
	static const char *const bad[] = {"x", "-1", "3x", "4294967296", "100000", " 1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct activation_environment environment = {.listen_fds = bad[i]};
		struct activation a = {};
		struct err err = {};

		assert_int_equal(activation_parse(&environment, 1, &a, &err), -EINVAL);
		assert_non_null(strstr(err.text, "LISTEN_FDS"));
	}
}

static void test_notify_socket(void **state)
{
	(void)state;
	assert_string_equal(
		parse((struct activation_environment){.notify_socket = "/run/n"}).notify_socket,
		"/run/n");
	assert_null(parse((struct activation_environment){.notify_socket = "@n"}).notify_socket);
	assert_null(parse((struct activation_environment){.notify_socket = ""}).notify_socket);
}

static void test_variables(void **state)
{
	const char *items[] = {"A=1", "LISTEN_FDS=9", "NOTIFY_SOCKET=/x", "LISTEN_PID=3",
		"LISTEN_FDNAMES=n", "LISTEN_FDSX=1"};
	const struct strings env = {items, ARRAY_LEN(items)};
	const struct activation all = {2, "a:b", "/run/n"}, none = {};
	autoarena struct arena arena = {};
	struct strings got;

	(void)state;
	assert_int_equal(activation_env(&all, 1, &env, &arena, &got), 0);
	assert_int_equal(got.count, 6);
	assert_string_equal(got.items[0], "A=1");
	assert_string_equal(got.items[1], "LISTEN_FDSX=1");
	assert_string_equal(got.items[2], "LISTEN_FDS=2");
	assert_string_equal(got.items[3], "LISTEN_PID=1");
	assert_string_equal(got.items[4], "LISTEN_FDNAMES=a:b");
	assert_string_equal(got.items[5], "NOTIFY_SOCKET=/run/notify/notify.sock");
	/* What the configuration says stays when there is nothing to say instead. */
	assert_int_equal(activation_env(&none, 1, &env, &arena, &got), 0);
	assert_int_equal(got.count, ARRAY_LEN(items));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_what_is_no_number),
		cmocka_unit_test(test_notify_socket),
		cmocka_unit_test(test_variables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

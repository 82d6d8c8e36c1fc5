/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/hooks.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct fixture {
	char dir[64];
	int top;
	struct hooks_output output;
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/brig-hooks-%d", (int)getpid());
	sys_mkdirat(AT_FDCWD, f->dir, 0700);
	f->top = sys_openat(AT_FDCWD, f->dir, O_RDONLY | O_DIRECTORY, 0);
	f->output.stdout_fd = sys_openat(f->top, "out", O_WRONLY | O_CREAT | O_APPEND, 0600);
	f->output.stderr_fd = f->output.stdout_fd;
	*state = f;
	return f->output.stdout_fd < 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close(f->output.stdout_fd);
	path_remove_tree(AT_FDCWD, f->dir);
	close(f->top);
	free(f);
	return 0;
}

static int run(struct fixture *f, const struct spec_hook *hooks, size_t count)
{
	/* The list is only read. */
	const struct spec_hook_list list = {.items = (struct spec_hook *)hooks, .count = count};

	return hooks_run(&list, "prestart", "{\"id\":\"box\"}", &f->output, NULL, &f->err);
}

/* A hook that is a shell script. */
#define SCRIPT(text, ...)                                                                         \
	{                                                                                         \
		.path = "/bin/sh", .args = {(const char *[]){"name", "-c", text}, 3}, __VA_ARGS__ \
	}

static void assert_output(struct fixture *f, const char *want)
{
	autobuf struct buf text = {};

	assert_int_equal(fd_read_file(f->top, "out", 65536, &text), 0);
	assert_string_equal(buf_str(&text), want);
}

static void test_state_arguments_and_environment(void **state)
{
	const char *env[] = {"ONE=1", "TWO=2"};
	const struct spec_hook hooks[] = {
		SCRIPT("cat; echo; echo $0 $ONE $TWO $HOME; pwd", .env = {env, 2}),
		SCRIPT("echo second"),
	};
	struct fixture *f = *state;

	setenv("HOME", "/ours", 1);
	assert_int_equal(run(f, hooks, 2), 0);
	assert_output(f, "{\"id\":\"box\"}\nname 1 2\n/\nsecond\n");
}

static void test_path_is_the_name_without_arguments(void **state)
{
	const struct spec_hook hook = {.path = "/bin/cat"};
	struct fixture *f = *state;

	assert_int_equal(run(f, &hook, 1), 0);
	assert_output(f, "{\"id\":\"box\"}");
}

static void test_the_first_failure_ends_the_list(void **state)
{
	const struct spec_hook hooks[] = {SCRIPT("exit 0"), SCRIPT("exit 3"), SCRIPT("echo third")};
	struct fixture *f = *state;

	assert_true(run(f, hooks, 3) < 0);
	assert_non_null(strstr(f->err.text, "prestart hook 1: /bin/sh: exit status 3"));
	assert_output(f, "");
}

static void test_killed_and_missing(void **state)
{
	const struct spec_hook killed = SCRIPT("kill -9 $$"), missing = {.path = "/nowhere/hook"};
	struct fixture *f = *state;

	assert_true(run(f, &killed, 1) < 0);
	assert_non_null(strstr(f->err.text, "killed by signal 9"));
	f->err = (struct err){};
	assert_true(run(f, &missing, 1) < 0);
	assert_non_null(strstr(f->err.text, "/nowhere/hook"));
}

static void test_timeout(void **state)
{
	const struct spec_hook slow = SCRIPT("sleep 600", .timeout = {true, 1});
	const struct spec_hook long_ones[] = {
		SCRIPT("echo a", .timeout = {true, 2147484}),
		SCRIPT("echo b", .timeout = {true, 3000000000}),
		SCRIPT("echo c", .timeout = {true, INT64_MAX}),
	};
	struct fixture *f = *state;

	assert_int_equal(run(f, &slow, 1), -ETIMEDOUT);
	assert_non_null(strstr(f->err.text, "still running after 1000 ms"));
	/* More milliseconds than an int has. */
	assert_int_equal(run(f, long_ones, ARRAY_LEN(long_ones)), 0);
	assert_output(f, "a\nb\nc\n");
}

static void test_all_go_on_after_a_failure(void **state)
{
	const struct spec_hook hooks[] = {SCRIPT("echo first; exit 1"), SCRIPT("echo second")};
	const struct spec_hook_list list = {.items = (struct spec_hook *)hooks, .count = 2};
	struct fixture *f = *state;

	hooks_run_all(&list, "poststop", "{}", &f->output, NULL);
	assert_output(f, "first\nsecond\n");
}

static void test_a_hook_that_does_not_read(void **state)
{
	const struct spec_hook hook = SCRIPT("exec 0<&-; echo done");
	const struct spec_hook_list list = {.items = (struct spec_hook *)&hook, .count = 1};
	struct fixture *f = *state;
	autobuf struct buf large = {};

	for (int i = 0; i < 300000; i++)
		buf_puts(&large, "{}");
	assert_int_equal(hooks_run(&list, "x", buf_str(&large), &f->output, NULL, &f->err), 0);
	assert_output(f, "done\n");
}

static void test_output_of_the_annotations(void **state)
{
	struct fixture *f = *state;
	struct spec_config *config = NULL;
	struct hooks_output output = {-2, -2};
	autobuf struct buf text = {};

	buf_printf(&text,
		"{\"ociVersion\": \"1.3.0\", \"root\": {\"path\": \"r\"}, \"annotations\": {"
		"\"run.oci.hooks.stdout\": \"%s/new\", \"run.oci.hooks.stderr\": \"%s/no/no\"}}",
		f->dir, f->dir);
	assert_int_equal(spec_config_parse("c", text.data, text.len, &config, &f->err), 0);
	assert_int_equal(hooks_open_output(config, &output, &f->err), -ENOENT);
	assert_non_null(strstr(f->err.text, "run.oci.hooks.stderr"));
	assert_int_equal(output.stdout_fd, -2);
	sys_mkdirat(f->top, "no", 0700);
	assert_int_equal(hooks_open_output(config, &output, &f->err), 0);
	assert_true(output.stdout_fd > 2 && output.stderr_fd > 2);
	close(output.stdout_fd);
	close(output.stderr_fd);
	spec_config_free(config);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_state_arguments_and_environment),
		TEST(test_path_is_the_name_without_arguments),
		TEST(test_the_first_failure_ends_the_list),
		TEST(test_killed_and_missing),
		TEST(test_timeout),
		TEST(test_all_go_on_after_a_failure),
		TEST(test_a_hook_that_does_not_read),
		TEST(test_output_of_the_annotations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

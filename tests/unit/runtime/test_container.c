/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/container.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>

struct fixture {
	char dir[64];
	struct runtime rt;
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct runtime_options options = {.root = f->dir, .cgroup_driver = CGROUP_DISABLED};

	snprintf(f->dir, sizeof(f->dir), "/tmp/brig-container-%d", (int)getpid());
	*state = f;
	return runtime_open(&options, &f->rt, &f->err);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	path_remove_tree(AT_FDCWD, f->dir);
	runtime_close(&f->rt);
	free(f);
	return 0;
}

static json_t *record(pid_t pid, unsigned long long start_time)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:I}", "bundle", "/b", "rootfs", "/b/r",
		"created", "2026-01-01T00:00:00Z", "owner", "root", "pid", (int)pid, "startTime",
		(json_int_t)start_time);
}

static void test_ids(void **state)
{
	static const char *const good[] = {"a", "A-b_c.d+e", "0"};
	static const char *const bad[] = {
		"", ".", "..", ".a", "a/b", "a b", "a\n", "\xc3\xa4", "a:b"};
	char longest[257];
	struct err err = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(container_check_id(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(container_check_id(bad[i], &err), -EINVAL);
	memset(longest, 'x', sizeof(longest));
	longest[255] = '\0';
	assert_int_equal(container_check_id(longest, &err), 0);
	longest[255] = 'x', longest[256] = '\0';
	assert_int_equal(container_check_id(longest, &err), -EINVAL);
}

static void test_record_and_status(void **state)
{
	struct fixture *f = *state;
	struct container c, again;
	unsigned long long start_time;

	assert_int_equal(container_new(&f->rt, "box", &c, &f->err), 0);
	assert_int_equal(container_status(&c), CONTAINER_CREATING);
	assert_int_equal(container_new(&f->rt, "box", &again, &f->err), -EEXIST);
	assert_int_equal(process_start_time(f->rt.procfd, getpid(), &start_time, NULL), 0);
	assert_int_equal(container_record(&c, record(getpid(), start_time), &f->err), 0);
	container_close(&c);
	assert_int_equal(container_open(&f->rt, "box", true, &c, &f->err), 0);
	assert_int_equal(container_status(&c), CONTAINER_RUNNING);
	assert_string_equal(c.bundle, "/b");
	/* The same number, another process. */
	assert_int_equal(container_record(&c, record(getpid(), start_time + 1), &f->err), 0);
	container_close(&c);
	assert_int_equal(container_open(&f->rt, "box", true, &c, &f->err), 0);
	assert_int_equal(container_status(&c), CONTAINER_STOPPED);
	assert_int_equal(container_signal(&c, 0, &f->err), -ESRCH);
	assert_int_equal(container_remove(&c, &f->err), 0);
	container_close(&c);
	assert_int_equal(container_open(&f->rt, "box", false, &c, &f->err), -ENOENT);
	assert_non_null(strstr(f->err.text, "does not exist"));
}

#define RECORD(members) \
	"{\"bundle\":\"b\",\"rootfs\":\"r\",\"created\":\"c\",\"owner\":\"o\"" members "}"

static void test_damaged_records(void **state)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"bundle\": 3}", "null",
		RECORD(",\"pid\":-1"), RECORD(",\"pid\":4294967297"), RECORD(",\"pid\":\"1\""),
		RECORD(",\"startTime\":1.5"), RECORD(",\"cgroup\":[]"),
		RECORD(",\"cgroup\":{\"driver\":3}"), RECORD(",\"cgroup\":{\"driver\":-1}")};
	struct fixture *f = *state;
	struct container c;

	assert_int_equal(container_new(&f->rt, "box", &c, &f->err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct container read;

		assert_int_equal(
			fd_replace_file(c.dirfd, "state.json", bad[i], strlen(bad[i]), 0600), 0);
		assert_int_equal(container_open(&f->rt, "box", false, &read, &f->err), -EINVAL);
	}
	assert_int_equal(
		fd_replace_file(c.dirfd, "state.json", RECORD(""), strlen(RECORD("")), 0600), 0);
	container_close(&c);
	assert_int_equal(container_open(&f->rt, "box", false, &c, &f->err), 0);
	container_close(&c);
}

/* A container of which that cannot be found out is not "stopped": delete would end what runs. */
static void test_unknown_status_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct runtime blind = f->rt;
	struct container c;

	assert_int_equal(container_new(&f->rt, "box", &c, &f->err), 0);
	assert_int_equal(container_record(&c, record(getpid(), 1), &f->err), 0);
	container_close(&c);
	blind.procfd = -1;
	assert_int_equal(container_open(&blind, "box", false, &c, &f->err), -EBADF);
	assert_non_null(strstr(f->err.text, "look for its process"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		TEST(test_record_and_status),
		TEST(test_damaged_records),
		TEST(test_unknown_status_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

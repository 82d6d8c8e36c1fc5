/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a checkpoint, as somebody may have made it. */
#include "runtime/microvm/host/saved.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "tests/unit/microvm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static char folder[] = "/tmp/test-saved.XXXXXX";
static int dir;

#define GOOD \
	"{\"version\":\"" BRIG_VERSION "\",\"terminal\":false,\"macs\":[\"02:00:00:00:00:01\"]}"

static int setup(void **state)
{
	static const char *const names[] = {"state", "memory", "files"};

	(void)state;
	strcpy(folder, "/tmp/test-saved.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	dir = sys_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
	for (size_t i = 0; i < 3; i++)
		fd_replace_file(dir, names[i], "x", 1, 0600);
	return fd_replace_file(dir, "machine.json", GOOD, strlen(GOOD), 0600);
}

static int teardown(void **state)
{
	(void)state;
	close(dir);
	return path_remove_tree(AT_FDCWD, folder);
}

static int open_with(const char *text, struct saved *ret)
{
	struct err err = {};
	int r;

	fd_replace_file(dir, "machine.json", text, strlen(text), 0600);
	r = saved_open(folder, ret, &err);
	assert_true(r == 0 || err.text[0]);
	return r;
}

static void test_as_it_was_written(void **state)
{
	struct proto_setup setup_ = {.net_count = 1};
	struct saved saved;
	struct err err = {};

	(void)state;
	assert_int_equal(open_with(GOOD, &saved), 0);
	assert_false(saved.terminal);
	assert_int_equal(saved.net_count, 1);
	assert_true(saved.files.state > 2 && saved.files.memory > 2 && saved.files.files > 2);
	assert_int_equal(saved_apply(&saved, false, &setup_, &err), 0);
	assert_int_equal(setup_.nets[0].hardware[5], 1);
	assert_int_equal(saved_apply(&saved, true, &setup_, &err), -EINVAL);
	err_clear(&err);
	setup_.net_count = 0;
	assert_int_equal(saved_apply(&saved, false, &setup_, &err), -EINVAL);
	saved_close(&saved);
	/* What the attendant leaves is what is read. */
	setup_ = (struct proto_setup){.net_count = 1, .nets = {{.mac = {2, 1, 2, 3, 4, 5}}}};
	assert_int_equal(saved_describe(dir, true, &setup_, &err), 0);
	assert_int_equal(saved_open(folder, &saved, &err), 0);
	assert_true(saved.terminal);
	assert_memory_equal(saved.macs[0], setup_.nets[0].mac, 6);
	saved_close(&saved);
}

static void test_what_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"{\"version\":\"0\",\"terminal\":false,\"macs\":[]}",
		"{\"version\":\"" BRIG_VERSION "\",\"macs\":[]}",
		"{\"version\":\"" BRIG_VERSION
		"\",\"terminal\":false,\"macs\":[\"02:00:00:00:00\"]}",
		"{\"version\":\"" BRIG_VERSION
		"\",\"terminal\":false,\"macs\":[\"02:00:00:00:00:0g\"]}",
		"{\"version\":\"" BRIG_VERSION "\",\"terminal\":false,\"macs\":[1]}",
		"{\"version\":\"" BRIG_VERSION "\",\"terminal\":false,\"macs\":["
		"\"02:00:00:00:00:01\",\"02:00:00:00:00:01\",\"02:00:00:00:00:01\","
		"\"02:00:00:00:00:01\",\"02:00:00:00:00:01\",\"02:00:00:00:00:01\","
		"\"02:00:00:00:00:01\",\"02:00:00:00:00:01\",\"02:00:00:00:00:01\"]}",
	};
	struct saved saved;
	struct err err = {};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(open_with(bad[i], &saved), -EINVAL);
	fd_replace_file(dir, "machine.json", GOOD, strlen(GOOD), 0600);
	sys_unlinkat(dir, "memory", 0);
	assert_int_equal(saved_open(folder, &saved, &err), -ENOENT);
	err_clear(&err);
	sys_symlinkat("state", dir, "memory");
	assert_int_equal(saved_open(folder, &saved, &err), -ELOOP);
	err_clear(&err);
	sys_unlinkat(dir, "machine.json", 0);
	assert_int_equal(saved_open(folder, &saved, &err), -ENOENT);
	assert_non_null(strstr(err.text, "holds no virtual machine"));
	err_clear(&err);
	assert_int_equal(saved_open("/nonexistent", &saved, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_as_it_was_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_none, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/isolation.h"

#include "spec/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LIST(...)                                                 \
	((struct strings){.items = (const char *[]){__VA_ARGS__}, \
		.count = sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)})

static void assert_settled(const char *annotation, int asked, int expected)
{
	struct record record = {
		.options = {.isolation = asked, .annotations = LIST("other=1", annotation)}};
	struct err err = {};

	if (expected < 0) {
		assert_int_equal(isolation_settle(&record, &err), expected);
		return;
	}
	assert_int_equal(isolation_settle(&record, &err), 0);
	assert_int_equal(record.options.isolation, expected);
}

static void test_settle(void **state)
{
	(void)state;
	assert_settled("org.brig.other=vm", 0, 0);
	assert_settled("org.brig.other=vm", SPEC_ISOLATION_VM, SPEC_ISOLATION_VM);
	assert_settled("org.brig.isolation=vm", 0, SPEC_ISOLATION_VM);
	assert_settled("org.brig.isolation=vm", SPEC_ISOLATION_VM, SPEC_ISOLATION_VM);
	assert_settled("org.brig.isolation=container", SPEC_ISOLATION_VM, -EINVAL);
	assert_settled("org.brig.isolation=jail", 0, -EINVAL);
}

static void assert_refused(const struct run_options *options, const char *word)
{
	struct record record = {.options = *options};
	struct err err = {};

	assert_int_equal(isolation_check(&record, false, &err), 0); /* of a container */
	record.options.isolation = SPEC_ISOLATION_VM;
	assert_int_equal(isolation_check(&record, false, &err), -EINVAL);
	assert_non_null(strstr(err.text, word));
	assert_non_null(strstr(err.text, "not with --isolation vm"));
}

static void test_refused(void **state)
{
	(void)state;
	assert_refused(&(struct run_options){.pid = "host"}, "--pid");
	assert_refused(&(struct run_options){.ipc = "container:x"}, "--ipc");
	assert_refused(&(struct run_options){.cgroupns = "host"}, "--cgroupns");
	assert_refused(&(struct run_options){.uts = "container:x"}, "--uts");
	assert_refused(&(struct run_options){.network = LIST("host")}, "--network");
	assert_refused(&(struct run_options){.network = LIST("container:x")}, "--network");
	assert_refused(&(struct run_options){.devices = LIST("/dev/fuse")}, "--device");
	assert_refused(
		&(struct run_options){.device_rules = LIST("c *:* r")}, "--device-cgroup-rule");
	assert_refused(&(struct run_options){.gpus = "all"}, "--gpus");
	assert_refused(&(struct run_options){.allow_connect = LIST("x:1")}, "--allow-connect");
	assert_refused(&(struct run_options){.deny_connect = LIST("x")}, "--deny-connect");
	assert_refused(&(struct run_options){.userns = "auto"}, "--userns");
	assert_refused(&(struct run_options){.uidmap = LIST("0:1000:1")}, "--userns");
	assert_refused(&(struct run_options){.record_seccomp = "/f"}, "--record-seccomp");
	assert_refused(&(struct run_options){.security = LIST("apparmor=mine")}, "apparmor");
}

static void test_allowed(void **state)
{
	const struct run_options options = {
		.isolation = SPEC_ISOLATION_VM,
		.pid = "private",
		.ipc = "shareable",
		.uts = "host",
		.network = LIST("ours"),
		.security = LIST("apparmor=unconfined", "no-new-privileges"),
		.privileged = true,
	};
	const struct record record = {.options = options};
	struct err err = {};

	(void)state;
	assert_int_equal(isolation_check(&record, false, &err), 0);
	assert_int_equal(isolation_check(&record, true, &err), -EPERM);
	assert_true(isolation_is_vm(&record));
	assert_string_equal(isolation_name(&record), "vm");
}

static void test_passthrough(void **state)
{
	struct record record = {.options = {.devices = LIST("vfio:0000:03:00.0")}};
	struct err err = {};

	(void)state;
	assert_int_equal(isolation_check(&record, false, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--isolation vm"));
	record.options.devices = (struct strings){};
	record.options.template_ = true;
	assert_int_equal(isolation_check(&record, false, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--template"));
	record.options.devices = LIST("vfio:0000:03:00.0");
	record.options.isolation = SPEC_ISOLATION_VM;
	assert_int_equal(isolation_check(&record, false, &err), 0);
	record.options.devices = LIST("/dev/vfio/3");
	assert_int_equal(isolation_check(&record, false, &err), 0);
	record.options.devices = LIST("/dev/vfio/3", "/dev/fuse");
	assert_int_equal(isolation_check(&record, false, &err), -EINVAL);
}

static void test_mounts(void **state)
{
	struct record_mount mounts[] = {
		{.type = RECORD_MOUNT_BIND, .source = "/", .target = "/a"},
		{.type = RECORD_MOUNT_BIND, .source = "/no-such-file", .target = "/b"},
		{.type = RECORD_MOUNT_BIND, .source = "/dev/null", .target = "/c"},
		{.type = RECORD_MOUNT_TMPFS, .target = "/d"},
		{.type = RECORD_MOUNT_BIND, .source = "/dev/tty", .target = "/e"},
	};
	struct record record = {.options = {.isolation = SPEC_ISOLATION_VM},
		.mounts = {.items = mounts, .count = 4}};
	struct err err = {};

	(void)state;
	assert_int_equal(isolation_check(&record, false, &err), 0);
	record.mounts.count = 5;
	assert_int_equal(isolation_check(&record, false, &err), -EINVAL);
	assert_non_null(strstr(err.text, "/dev/tty"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_passthrough),
		cmocka_unit_test(test_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

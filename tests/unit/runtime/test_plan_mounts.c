/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/runtime/plan_fixture.h"

#include <sys/mount.h>
#include <sys/stat.h>

static const char user_namespace[] = ", {\"type\": \"user\"}";
static const char user_maps[] =
	", \"uidMappings\": [{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}],"
	"\"gidMappings\": [{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}]";

/* Plans one mount, whose members besides the destination are given. */
static const struct plan_mount *mount_of(
	struct plan_fixture *f, const char *destination, const char *members)
{
	autobuf struct buf text = {};

	buf_printf(&text, ", \"mounts\": [{\"destination\": \"%s\"%s}]", destination, members);
	plan_ok(f, buf_str(&text), "", "");
	assert_int_equal(f->plan.nmounts, 1);
	return &f->plan.mounts[0];
}

static void test_kinds(void **state)
{
	static const struct {
		const char *members;
		enum plan_mount_kind kind;
	} cases[] = {
		{", \"type\": \"proc\"", PLAN_MOUNT_PROC},
		{", \"type\": \"sysfs\"", PLAN_MOUNT_SYSFS},
		{", \"type\": \"tmpfs\"", PLAN_MOUNT_TMPFS},
		{", \"type\": \"devpts\"", PLAN_MOUNT_DEVPTS},
		{", \"type\": \"cgroup\"", PLAN_MOUNT_CGROUP},
		{", \"type\": \"cgroup2\"", PLAN_MOUNT_CGROUP},
		{", \"type\": \"mqueue\"", PLAN_MOUNT_FS},
		{", \"type\": \"bind\", \"source\": \"/s\"", PLAN_MOUNT_BIND},
		{", \"type\": \"none\", \"source\": \"/s\", \"options\": [\"rbind\"]",
			PLAN_MOUNT_BIND},
		/* The options tell more than the type. */
		{", \"type\": \"proc\", \"source\": \"/s\", \"options\": [\"bind\"]",
			PLAN_MOUNT_BIND},
		{", \"options\": [\"remount\", \"ro\"]", PLAN_MOUNT_REMOUNT},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(mount_of(*state, "/x", cases[i].members)->kind, cases[i].kind);
}

static void test_sources(void **state)
{
	assert_string_equal(
		mount_of(*state, "/x", ", \"type\": \"bind\", \"source\": \"data\"")->source,
		"/bundle/data");
	assert_string_equal(
		mount_of(*state, "/x", ", \"type\": \"bind\", \"source\": \"/data\"")->source,
		"/data");
}

static void test_dev_is_known(void **state)
{
	struct plan_fixture *f = *state;

	assert_true(mount_of(f, "/dev/", ", \"type\": \"tmpfs\"")->is_dev);
	assert_true(f->plan.has_dev);
	assert_int_equal(f->plan.ndevices, 6);
	assert_false(mount_of(f, "/dev", ", \"type\": \"bind\", \"source\": \"/dev\"")->is_dev);
	assert_false(f->plan.has_dev);
	assert_int_equal(f->plan.ndevices, 0);
	assert_false(mount_of(f, "/device", ", \"type\": \"tmpfs\"")->is_dev);
}

static void test_mount_label(void **state)
{
	static const struct {
		const char *members;
		const char *want;
	} cases[] = {
		{"\"type\": \"tmpfs\"", "system_u:object_r:t:s0:c1,c2"},
		{"\"type\": \"devpts\"", "system_u:object_r:t:s0:c1,c2"},
		{"\"type\": \"mqueue\"", "system_u:object_r:t:s0:c1,c2"},
		{"\"type\": \"tmpfs\", \"options\": [\"context=other\"]", NULL},
		{"\"type\": \"proc\"", NULL},
		{"\"type\": \"sysfs\"", NULL},
		{"\"type\": \"cgroup\"", NULL},
		{"\"type\": \"ext4\", \"source\": \"/dev/x\"", NULL},
		{"\"type\": \"bind\", \"source\": \"/s\"", NULL},
	};
	struct plan_fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autobuf struct buf text = {};

		buf_printf(
			&text, ", \"mounts\": [{\"destination\": \"/x\", %s}]", cases[i].members);
		plan_ok(f, buf_str(&text), "",
			", \"mountLabel\": \"system_u:object_r:t:s0:c1,c2\"");
		if (cases[i].want)
			assert_string_equal(f->plan.mounts[0].context, cases[i].want);
		else
			assert_null(f->plan.mounts[0].context);
	}
	assert_null(mount_of(f, "/x", ", \"type\": \"tmpfs\"")->context);
	assert_string_equal(f->plan.context_key, "context");
	plan_ok(f,
		", \"mounts\": [{\"destination\": \"/x\", \"type\": \"tmpfs\"}, {\"destination\": "
		"\"/y\", \"type\": \"tmpfs\", \"options\": [\"rootcontext=other\"]}], "
		"\"annotations\": {\"run.oci.mount_context_type\": \"rootcontext\"}",
		"", ", \"mountLabel\": \"l\"");
	assert_string_equal(f->plan.context_key, "rootcontext");
	assert_string_equal(f->plan.mounts[0].context_key, "rootcontext");
	assert_string_equal(f->plan.mounts[0].context, "l");
	assert_null(f->plan.mounts[1].context);
	plan_refused(f, "", "", ", \"mountLabel\": \"a\\\"b\"", "linux.mountLabel");
	plan_refused(f, "", "", ", \"mountLabel\": \"a\\nb\"", "linux.mountLabel");
}

static void test_id_maps(void **state)
{
	struct plan_fixture *f = *state;
	const char own[] =
		", \"mounts\": [{\"destination\": \"/x\", \"type\": \"bind\", \"source\": \"/s\","
		"\"options\": [\"idmap\"],"
		"\"uidMappings\": [{\"containerID\": 0, \"hostID\": 7, \"size\": 1}],"
		"\"gidMappings\": [{\"containerID\": 0, \"hostID\": 8, \"size\": 2}]}]";
	const char plain[] =
		", \"mounts\": [{\"destination\": \"/x\", \"type\": \"bind\", \"source\": \"/s\","
		"\"options\": [\"idmap\"]}]";

	plan_ok(f, own, user_namespace, user_maps);
	assert_string_equal(f->plan.mounts[0].uid_map, "0 7 1\n");
	assert_string_equal(f->plan.mounts[0].gid_map, "0 8 2\n");
	plan_ok(f, plain, user_namespace, user_maps);
	assert_string_equal(f->plan.mounts[0].uid_map, "0 100000 65536\n");
	assert_null(mount_of(f, "/x", ", \"type\": \"bind\", \"source\": \"/s\"")->uid_map);
}

static void test_id_map_of_an_option(void **state)
{
	static const char format[] =
		", \"mounts\": [{\"destination\": \"/x\", \"type\": \"bind\", \"source\": \"/s\","
		"\"options\": [\"idmap=uids=%s;gids=0-1-10\"]}]";
	struct plan_fixture *f = *state;
	char members[256];

	snprintf(members, sizeof(members), format, "0-1-10");
	plan_ok(f, members, user_namespace, user_maps);
	assert_string_equal(f->plan.mounts[0].uid_map, "0 1 10\n");
	/* Ids of the container's namespace become the host's. */
	snprintf(members, sizeof(members), format, "@0-1-10");
	plan_ok(f, members, user_namespace, user_maps);
	assert_string_equal(f->plan.mounts[0].uid_map, "0 100001 10\n");
	snprintf(members, sizeof(members), format, "@0-65530-10");
	plan_refused(f, members, user_namespace, user_maps, "/x");
}

static void test_devices(void **state)
{
	static const char dev[] =
		", \"mounts\": [{\"destination\": \"/dev\", \"type\": \"tmpfs\"}]";
	struct plan_fixture *f = *state;
	const struct plan_device *last;

	plan_ok(f, dev, "",
		", \"devices\": [{\"path\": \"/dev/null\", \"type\": \"c\", \"major\": 1, "
		"\"minor\": 3,"
		"\"fileMode\": 384, \"uid\": 5, \"gid\": 6}, {\"path\": \"/dev/f\", \"type\": "
		"\"p\"},"
		"{\"path\": \"/dev/d\", \"type\": \"b\", \"major\": 8, \"minor\": 1}]");
	/* The listed null takes the place of the default one. */
	assert_int_equal(f->plan.ndevices, 8);
	assert_false(f->plan.devices_by_bind);
	last = &f->plan.devices[5];
	assert_string_equal(last[0].path, "/dev/null");
	assert_int_equal(last[0].mode, S_IFCHR | 0600);
	assert_true(last[0].uid == 5 && last[0].gid == 6 && !last[0].is_default);
	assert_int_equal(last[1].mode, S_IFIFO | 0666);
	assert_int_equal(last[2].mode, S_IFBLK | 0666);
	f->host.privileged = false;
	plan_ok(f, dev, "", "");
	assert_true(f->plan.devices_by_bind);
	f->host.privileged = true;
	plan_ok(f, dev, user_namespace, user_maps);
	assert_true(f->plan.devices_by_bind);
}

static void test_sysfs_of_the_host_only_where_its_own_may_be_refused(void **state)
{
	struct plan_fixture *f = *state;

	plan_ok(f, "", "", "");
	assert_false(f->plan.sysfs_by_bind);
	plan_ok(f, "", user_namespace, user_maps);
	assert_true(f->plan.sysfs_by_bind);
	f->host.privileged = false;
	plan_ok(f, "", "", "");
	assert_true(f->plan.sysfs_by_bind);
}

static void test_propagation(void **state)
{
	struct plan_fixture *f = *state;

	plan_ok(f, "", "", ", \"rootfsPropagation\": \"rslave\"");
	assert_true(f->plan.rootfs_propagation == (MS_SLAVE | MS_REC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAN_TEST(test_kinds),
		PLAN_TEST(test_sources),
		PLAN_TEST(test_dev_is_known),
		PLAN_TEST(test_mount_label),
		PLAN_TEST(test_id_maps),
		PLAN_TEST(test_id_map_of_an_option),
		PLAN_TEST(test_devices),
		PLAN_TEST(test_sysfs_of_the_host_only_where_its_own_may_be_refused),
		PLAN_TEST(test_propagation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/runtime/plan_fixture.h"

#include <sys/mount.h>

static const char maps[] =
	", \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 1}],"
	"\"gidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 1}]";
static const char wide_maps[] =
	", \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 1},"
	"{\"containerID\": 1, \"hostID\": 100000, \"size\": 10}],"
	"\"gidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 1}]";

static void test_new_namespaces(void **state)
{
	struct plan_fixture *f = *state;

	plan_ok(f, "", ", {\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"cgroup\"}",
		"");
	assert_int_equal(f->plan.new_namespaces, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET);
	assert_true(f->plan.new_cgroup_namespace);
	assert_int_equal(f->plan.njoins, 0);
	assert_false(f->plan.relay);
	assert_int_equal(f->plan.id_map, PLAN_ID_MAP_NONE);
	assert_string_equal(f->plan.rootfs, "/bundle/rootfs");
}

static void test_joins(void **state)
{
	struct plan_fixture *f = *state;

	plan_ok(f, "",
		", {\"type\": \"uts\", \"path\": \"/u\"}, {\"type\": \"network\", \"path\": "
		"\"/n\"}",
		"");
	assert_int_equal(f->plan.njoins, 2);
	/* In the order of joining, not of the file. */
	assert_string_equal(f->plan.joins[0].path, "/n");
	assert_string_equal(f->plan.joins[1].path, "/u");
	assert_false(f->plan.relay);
	plan_ok(f, "", ", {\"type\": \"pid\", \"path\": \"/p\"}", "");
	assert_true(f->plan.relay);
	plan_ok(f, "", ", {\"type\": \"user\", \"path\": \"/u\"}", "");
	assert_true(f->plan.relay);
	assert_int_equal(f->plan.id_map, PLAN_ID_MAP_NONE);
	plan_ok(f, "", ", {\"type\": \"user\"}, {\"type\": \"network\", \"path\": \"/n\"}", maps);
	assert_true(f->plan.relay);
}

static void test_a_mount_namespace_is_joined_last_and_alone(void **state)
{
	static const char config[] =
		"{\"ociVersion\": \"1.3.0\", \"root\": {\"path\": \"/r\"}, \"linux\": "
		"{\"namespaces\": [{\"type\": \"mount\", \"path\": \"/m\"}, %s]%s}, "
		"\"process\": {\"cwd\": \"/\", \"args\": [\"a\"], \"user\": {\"uid\": 0, \"gid\": "
		"0}}}";
	struct plan_fixture *f = *state;
	const struct plan_request request = {.id = "box", .bundle = "/bundle"};
	const struct plan_host root = {.privileged = true}, user = {.uid = 7, .gid = 7};
	char text[1024];

	snprintf(text, sizeof(text), config, "{\"type\": \"ipc\", \"path\": \"/i\"}", "");
	assert_int_equal(spec_config_parse("c", text, strlen(text), &f->config, &f->err), 0);
	assert_int_equal(plan_make(f->config, &request, &root, &f->arena, &f->plan, &f->err), 0);
	assert_string_equal(f->plan.mount_namespace, "/m");
	assert_int_equal(f->plan.new_namespaces & CLONE_NEWNS, 0);
	assert_string_equal(f->plan.joins[f->plan.njoins - 1].path, "/m");
	spec_config_free(f->config);

	snprintf(text, sizeof(text), config, "{\"type\": \"user\"}", maps);
	assert_int_equal(spec_config_parse("c", text, strlen(text), &f->config, &f->err), 0);
	assert_int_equal(
		plan_make(f->config, &request, &root, &f->arena, &f->plan, &f->err), -EINVAL);
	assert_non_null(strstr(f->err.text, "new user namespace"));
	spec_config_free(f->config);

	snprintf(text, sizeof(text), config, "{\"type\": \"user\", \"path\": \"/u\"}", "");
	assert_int_equal(spec_config_parse("c", text, strlen(text), &f->config, &f->err), 0);
	assert_int_equal(
		plan_make(f->config, &request, &user, &f->arena, &f->plan, &f->err), -EPERM);
	assert_non_null(strstr(f->err.text, "only root"));
}

static void test_a_mount_namespace_is_needed(void **state)
{
	static const char text[] =
		"{\"ociVersion\": \"1.3.0\", \"root\": {\"path\": \"/r\"}, \"linux\": "
		"{\"namespaces\": "
		"[{\"type\": \"pid\"}]}, \"process\": {\"cwd\": \"/\", \"args\": [\"a\"],"
		"\"user\": {\"uid\": 0, \"gid\": 0}}}";
	struct plan_fixture *f = *state;
	const struct plan_request request = {.id = "box", .bundle = "/bundle"};

	assert_int_equal(spec_config_parse("c", text, sizeof(text) - 1, &f->config, &f->err), 0);
	assert_int_equal(
		plan_make(f->config, &request, &f->host, &f->arena, &f->plan, &f->err), -EINVAL);
	assert_non_null(strstr(f->err.text, "mount"));
}

static void test_who_writes_id_maps(void **state)
{
	static const char user[] = ", {\"type\": \"user\"}";
	struct plan_fixture *f = *state;

	plan_ok(f, "", user, wide_maps);
	assert_int_equal(f->plan.id_map, PLAN_ID_MAP_DIRECT);
	assert_false(f->plan.deny_setgroups);
	assert_string_equal(f->plan.uid_map, "0 1000 1\n1 100000 10\n");
	assert_string_equal(f->plan.gid_map, "0 1000 1\n");
	f->host = (struct plan_host){.uid = 1000, .gid = 1000};
	plan_ok(f, "", user, maps);
	assert_int_equal(f->plan.id_map, PLAN_ID_MAP_DIRECT);
	assert_true(f->plan.deny_setgroups);
	plan_ok(f, "", user, wide_maps);
	assert_int_equal(f->plan.id_map, PLAN_ID_MAP_HELPER);
	assert_false(f->plan.deny_setgroups);
	/* Somebody else's id is no map of one's own. */
	f->host = (struct plan_host){.uid = 1001, .gid = 1000};
	plan_ok(f, "", user, maps);
	assert_int_equal(f->plan.id_map, PLAN_ID_MAP_HELPER);
}

static void test_time_offsets(void **state)
{
	struct plan_fixture *f = *state;

	plan_ok(f, "", ", {\"type\": \"time\"}", "");
	assert_null(f->plan.time_offsets);
	assert_false(f->plan.relay);
	plan_ok(f, "", ", {\"type\": \"time\"}",
		", \"timeOffsets\": {\"monotonic\": {\"secs\": -3, \"nanosecs\": 7},"
		"\"boottime\": {\"secs\": 5}}");
	assert_string_equal(f->plan.time_offsets, "monotonic -3 7\nboottime 5 0\n");
	assert_true(f->plan.relay);
}

static void test_sysctls(void **state)
{
	static const struct {
		const char *key, *want;
	} cases[] = {
		{"net.ipv4.ip_forward", "net/ipv4/ip_forward"},
		{"net/ipv4/ip_forward", "net/ipv4/ip_forward"},
		{"net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"},
		{"net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"},
	};
	struct plan_fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[128];

		snprintf(text, sizeof(text), ", \"sysctl\": {\"%s\": \"1\"}", cases[i].key);
		plan_ok(f, "", ", {\"type\": \"network\"}", text);
		assert_int_equal(f->plan.nsysctls, 1);
		assert_string_equal(f->plan.sysctls[0].path, cases[i].want);
		assert_string_equal(f->plan.sysctls[0].value, "1");
	}
}

static void test_bundle_paths(void **state)
{
	struct plan_fixture *f = *state;

	plan_ok(f, "", "", "");
	assert_string_equal(plan_bundle_path(&f->plan, &f->arena, "a/b"), "/bundle/a/b");
	assert_string_equal(plan_bundle_path(&f->plan, &f->arena, "/a/b"), "/a/b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAN_TEST(test_new_namespaces),
		PLAN_TEST(test_joins),
		PLAN_TEST(test_a_mount_namespace_is_joined_last_and_alone),
		PLAN_TEST(test_a_mount_namespace_is_needed),
		PLAN_TEST(test_who_writes_id_maps),
		PLAN_TEST(test_time_offsets),
		PLAN_TEST(test_sysctls),
		PLAN_TEST(test_bundle_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

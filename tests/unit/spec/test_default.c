/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/default.h"

#include "tests/unit/spec/mutate.h"

#include <linux/capability.h>
#include <sched.h>

static struct spec_config *build(const struct spec_default_options *options)
{
	struct spec_config *config = NULL;
	autojson json_t *json = NULL;
	struct err err = {};

	assert_int_equal(spec_default_build(options, &json, &err), 0);
	if (parse_json(json, &config, &err) < 0)
		fail_msg("%s", err.text);
	return config;
}

static const struct spec_mount *find_mount(const struct spec_config *config, const char *path)
{
	for (size_t i = 0; i < config->mounts.count; i++)
		if (strcmp(config->mounts.items[i].destination, path) == 0)
			return &config->mounts.items[i];
	fail_msg("no mount at %s", path);
	return NULL;
}

static void check_common(const struct spec_config *config)
{
	const struct spec_capabilities *caps = config->process->capabilities;
	const uint64_t three =
		1ULL << CAP_AUDIT_WRITE | 1ULL << CAP_KILL | 1ULL << CAP_NET_BIND_SERVICE;
	static const char *const paths[] = {
		"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"};
	static const int types[] = {
		CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWNS, CLONE_NEWCGROUP};

	assert_string_equal(config->process->args.items[0], "sh");
	assert_true(config->process->terminal && config->process->no_new_privileges);
	assert_true(config->root->readonly);
	assert_true(caps->bounding == three && caps->permitted == three);
	assert_true(caps->effective == three && !caps->inheritable && !caps->ambient);
	assert_int_equal(config->process->rlimits.items[0].hard, 1024);
	assert_int_equal(config->linux_.masked_paths.count, 12);
	assert_int_equal(config->linux_.readonly_paths.count, 6);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		find_mount(config, paths[i]);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		assert_non_null(spec_find_namespace(config, types[i]));
}

static void test_root(void **state)
{
	struct spec_config *config = build(&(struct spec_default_options){});
	(void)state;

	check_common(config);
	assert_non_null(spec_find_namespace(config, CLONE_NEWNET));
	assert_null(spec_find_namespace(config, CLONE_NEWUSER));
	assert_string_equal(find_mount(config, "/sys")->type, "sysfs");
	assert_int_equal(config->linux_.resources->devices.count, 1);
	assert_false(config->linux_.resources->devices.items[0].allow);
	spec_config_free(config);
}

static void test_rootless(void **state)
{
	struct spec_config *config = build(
		&(struct spec_default_options){.rootless = true, .uid = 4000000000, .gid = 7});
	(void)state;

	check_common(config);
	assert_null(spec_find_namespace(config, CLONE_NEWNET));
	assert_non_null(spec_find_namespace(config, CLONE_NEWUSER));
	assert_int_equal(config->linux_.uid_mappings.items[0].host_id, 4000000000);
	assert_int_equal(config->linux_.gid_mappings.items[0].host_id, 7);
	assert_int_equal(
		find_mount(config, "/sys")->options.extra, SPEC_MOUNT_BIND | SPEC_MOUNT_RBIND);
	assert_true(find_mount(config, "/sys")->options.rec_attr_set);
	for (size_t i = 0; i < find_mount(config, "/dev/pts")->options.data.count; i++)
		assert_string_not_equal(
			find_mount(config, "/dev/pts")->options.data.items[i], "gid=5");
	assert_null(config->linux_.resources);
	spec_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_rootless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "cgroups/cgroup.h"
#include "tests/unit/cgroups/check.h"

struct fixture {
	struct arena arena;
	struct spec_config config;
	struct pair annotations[4];
	struct cgroup_facts facts;
	struct cgroup_plan plan;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->config.annotations.items = f->annotations;
	f->facts.own = "/user.slice/session.scope";
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	arena_free(&f->arena);
	free(f);
	return 0;
}

static void annotate(struct fixture *f, const char *key, const char *value)
{
	f->annotations[f->config.annotations.count++] = (struct pair){key, value};
}

static int make(struct fixture *f, enum cgroup_driver driver, struct err *err)
{
	return cgroup_plan_make(&f->config, "box", driver, &f->facts, &f->arena, &f->plan, err);
}

static const char *path_for(struct fixture *f, const char *given, bool rootless)
{
	f->config.linux_.cgroups_path = given;
	f->facts.rootless = rootless;
	ok(make, f, CGROUP_CGROUPFS);
	return f->plan.path;
}

static const char *property(const struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->plan.properties.count; i++)
		if (strcmp(f->plan.properties.items[i].key, name) == 0)
			return f->plan.properties.items[i].value;
	return "";
}

static void test_paths_of_cgroupfs(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(path_for(f, NULL, false), "/brig-box");
	assert_string_equal(path_for(f, "", false), "/brig-box");
	assert_string_equal(path_for(f, "/a//b/./c/", false), "/a/b/c");
	assert_string_equal(path_for(f, "a/b", false), "/a/b");
	assert_string_equal(path_for(f, "/a", true), "/a");
	assert_string_equal(path_for(f, "a/b", true), "/user.slice/a/b");
	assert_string_equal(path_for(f, NULL, true), "/user.slice/brig-box");
	f->facts.own = "/";
	assert_string_equal(path_for(f, NULL, true), "/brig-box");
}

static void test_paths_out_of_the_tree_are_refused(void **state)
{
	static const char *const bad[] = {"/..", "../x", "/a/../../x", "a/..", "/", ".", "//"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		f->config.linux_.cgroups_path = bad[i];
		refused(-EINVAL, "linux.cgroupsPath", make, f, CGROUP_CGROUPFS);
	}
	f->config.linux_.cgroups_path = "x";
	f->facts.rootless = true, f->facts.own = "/../outside/own";
	refused(-EINVAL, "linux.cgroupsPath", make, f, CGROUP_CGROUPFS);
}

static void test_units(void **state)
{
	struct fixture *f = *state;

	f->config.linux_.cgroups_path = "machine.slice:libpod:abc";
	ok(make, f, CGROUP_SYSTEMD);
	assert_string_equal(f->plan.slice, "machine.slice");
	assert_string_equal(f->plan.unit, "libpod-abc.scope");
	assert_string_equal(f->plan.subgroup, "container");
	assert_string_equal(f->plan.description, "brig\\x20container\\x20box");
	f->config.linux_.cgroups_path = "::abc";
	ok(make, f, CGROUP_SYSTEMD);
	assert_null(f->plan.slice);
	assert_string_equal(f->plan.unit, "abc.scope");
	f->config.linux_.cgroups_path = NULL;
	ok(make, f, CGROUP_SYSTEMD);
	assert_string_equal(f->plan.unit, "brig-box.scope");
	assert_string_equal(property(f, "Delegate"), "b true");
}

static void test_bad_units_are_refused(void **state)
{
	static const char *const bad[] = {"/a/b", "a", "a:b", "a.slice:b:", "a:b:c",
		"a.slice:b:c:d", "a/b.slice:c:d", "a.slice:b:c/d", "a.slice:b:c d", ".slice:a:b",
		"a.slice:b:c\nproperty X b true"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		f->config.linux_.cgroups_path = bad[i];
		refused(-EINVAL, "linux.cgroupsPath", make, f, CGROUP_SYSTEMD);
	}
}

static void test_annotations(void **state)
{
	struct fixture *f = *state;

	annotate(f, "org.systemd.property.TimeoutStopSec", "uint64 90");
	annotate(f, "org.systemd.property.CollectMode", "'a\nproperty Evil b true'");
	annotate(f, "run.oci.systemd.subgroup", "");
	annotate(f, "run.oci.delegate-cgroup", "payload");
	ok(make, f, CGROUP_SYSTEMD);
	assert_string_equal(property(f, "TimeoutStopUSec"), "t 90000000");
	/* The later word wins, and stays one line. */
	assert_string_equal(property(f, "CollectMode"), "s a\\x0aproperty\\x20Evil\\x20b\\x20true");
	assert_null(f->plan.subgroup);
	assert_string_equal(f->plan.delegated, "payload");
}

static void test_bad_annotations_are_named(void **state)
{
	static const struct pair bad[] = {
		{"org.systemd.property.", "true"},
		{"org.systemd.property.A b", "true"},
		{"org.systemd.property.TasksMax", "many"},
		{"org.systemd.property.TimeoutStopSec", "'x'"},
		{"run.oci.systemd.subgroup", "a/b"},
		{"run.oci.systemd.subgroup", ".."},
		{"run.oci.delegate-cgroup", "../x"},
	};
	struct fixture *f = *state;

	f->config.annotations.count = 1;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		f->annotations[0] = bad[i];
		refused(-EINVAL, bad[i].key, make, f, CGROUP_SYSTEMD);
	}
}

static void test_controllers_follow_from_resources(void **state)
{
	struct fixture *f = *state;
	struct spec_cpu cpu = {.cpus = "0"};
	struct spec_resources resources = {.cpu = &cpu, .pids_limit = {true, 5}};

	f->config.linux_.resources = &resources;
	ok(make, f, CGROUP_CGROUPFS);
	assert_int_equal(f->plan.needed, CGROUP_CPUSET | CGROUP_PIDS);
	assert_true(f->plan.wanted & CGROUP_MEMORY);
	ok(make, f, CGROUP_SYSTEMD);
	assert_string_equal(property(f, "TasksMax"), "t 5");
	assert_string_equal(property(f, "AllowedCPUs"), "ay 01");
}

static void test_disabled_needs_nothing(void **state)
{
	struct fixture *f = *state;

	f->facts.own = NULL;
	f->config.linux_.cgroups_path = "/../x";
	ok(make, f, CGROUP_DISABLED);
	assert_null(f->plan.path);
	assert_int_equal(f->plan.needed | f->plan.wanted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_paths_of_cgroupfs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_paths_out_of_the_tree_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_units, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_units_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_annotations, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_annotations_are_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_controllers_follow_from_resources, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_disabled_needs_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

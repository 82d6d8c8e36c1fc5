/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/assemble.h"

#include "spec/config.h"

#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LIST(...)                                                 \
	((struct strings){.items = (const char *[]){__VA_ARGS__}, \
		.count = sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)})

/* What assemble() makes, as the runtime reads it. */
static struct spec_config *make(
	const struct run_options *options, const struct assemble_facts *more)
{
	struct assemble_facts facts = more ? *more : (struct assemble_facts){};
	const struct record record = {
		.id = "1",
		.name = "n",
		.image = "i",
		.options = *options,
		.args = LIST("sh"),
		.env = LIST("A=b"),
		.cwd = "/",
	};
	autojson json_t *json = NULL;
	autobuf struct buf text = {};
	struct spec_config *config = NULL;
	struct err err = {};

	facts.rootfs = "/rootfs";
	facts.hostname = "host";
	if (!facts.user.home)
		facts.user.home = "/root";
	if (assemble(&record, &facts, &json, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(json_write(json, JSON_COMPACT, &text), 0);
	if (spec_config_parse("config", text.data, text.len, &config, &err) < 0)
		fail_msg("%s", err.text);
	return config;
}

static const struct spec_mount *mount_at(const struct spec_config *config, const char *destination)
{
	for (size_t i = 0; i < config->mounts.count; i++)
		if (strcmp(config->mounts.items[i].destination, destination) == 0)
			return &config->mounts.items[i];
	return NULL;
}

static bool has_option(const struct spec_mount *mount, const char *word)
{
	return strings_have(&mount->option_names, word);
}

static void test_defaults(void **state)
{
	static const int namespaces[] = {CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS,
		CLONE_NEWNET, CLONE_NEWCGROUP};
	autospec struct spec_config *c = make(&(struct run_options){}, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
		assert_non_null(spec_find_namespace(c, namespaces[i]));
	assert_null(spec_find_namespace(c, CLONE_NEWUSER));
	assert_int_equal(c->process->capabilities->effective, 0xa80425fb);
	assert_int_equal(c->process->capabilities->inheritable, 0);
	assert_int_equal(c->process->capabilities->ambient, 0);
	assert_non_null(c->linux_.seccomp);
	assert_true(c->linux_.masked_paths.count > 5);
	assert_true(strings_have(&c->linux_.readonly_paths, "/proc/sys"));
	assert_true(has_option(mount_at(c, "/sys"), "ro"));
	assert_true(has_option(mount_at(c, "/sys/fs/cgroup"), "ro"));
	assert_true(strings_have(&c->process->env, "HOME=/root"));
	assert_true(strings_have(&c->process->env, "HOSTNAME=host"));
	assert_false(c->linux_.resources->devices.items[0].allow);
}

static void test_privileged(void **state)
{
	autospec struct spec_config *c = make(&(struct run_options){.privileged = true}, NULL);

	(void)state;
	assert_true(c->process->capabilities->effective & 1ULL << CAP_SYS_ADMIN);
	assert_null(c->linux_.seccomp);
	assert_int_equal(c->linux_.masked_paths.count, 0);
	assert_int_equal(c->linux_.readonly_paths.count, 0);
	assert_false(has_option(mount_at(c, "/sys"), "ro"));
	assert_true(c->linux_.resources->devices.items[0].allow);
}

static void test_user_without_root(void **state)
{
	const struct assemble_facts facts = {.user = {.uid = 1000, .gid = 1000, .home = "/h"}};
	const struct run_options options = {.cap_add = LIST("NET_ADMIN", "cap_chown")};
	autospec struct spec_config *plain = make(&(struct run_options){}, &facts);
	autospec struct spec_config *more = make(&options, &facts);

	(void)state;
	assert_int_equal(plain->process->capabilities->effective, 0);
	assert_int_equal(plain->process->capabilities->bounding, 0xa80425fb);
	assert_int_equal(
		more->process->capabilities->ambient, 1ULL << CAP_NET_ADMIN | 1ULL << CAP_CHOWN);
}

static void test_namespaces(void **state)
{
	const struct assemble_facts facts = {
		.net.host = true, .ipc.host = true, .pid.path = "/proc/9/ns/pid"};
	autospec struct spec_config *c = make(&(struct run_options){}, &facts);

	(void)state;
	assert_null(spec_find_namespace(c, CLONE_NEWNET));
	assert_null(spec_find_namespace(c, CLONE_NEWIPC));
	assert_string_equal(spec_find_namespace(c, CLONE_NEWPID)->path, "/proc/9/ns/pid");
	assert_int_equal(c->linux_.sysctl.count, 0);
	assert_string_equal(mount_at(c, "/dev/shm")->source, "/dev/shm");
	assert_null(mount_at(c, "/dev/mqueue"));
}

static void test_limits(void **state)
{
	const struct run_options options = {
		.memory = {true, 64 << 20},
		.cpus = "1.5",
		.cpuset_cpus = "0-1",
		.pids_limit = {true, 10},
		.ulimits = LIST("nofile=10:20", "core=-1"),
		.sysctls = LIST("net.ipv4.ip_forward=1"),
		.device_rules = LIST("c 42:* rw"),
		.oom_score_adj = {true, 5},
	};
	autospec struct spec_config *c = make(&options, NULL);
	const struct spec_resources *r = c->linux_.resources;

	(void)state;
	assert_int_equal(r->memory->limit.value, 64 << 20);
	assert_int_equal(r->memory->swap.value, 128 << 20);
	assert_int_equal(r->cpu->quota.value, 150000);
	assert_int_equal(r->cpu->period.value, 100000);
	assert_int_equal(r->pids_limit.value, 10);
	assert_int_equal(c->process->rlimits.items[0].soft, 10);
	assert_int_equal(c->process->rlimits.items[0].hard, 20);
	assert_int_equal(c->process->rlimits.items[1].hard, UINT64_MAX);
	assert_int_equal(r->devices.items[r->devices.count - 1].major, 42);
	assert_int_equal(r->devices.items[r->devices.count - 1].minor, -1);
	assert_int_equal(c->process->oom_score_adj.value, 5);
}

static void refused(struct run_options options, const char *word)
{
	static const struct assemble_facts facts = {.rootfs = "/r", .user = {.home = "/"}};
	const struct record record = {.image = "i", .options = options, .cwd = "/"};
	autojson json_t *json = NULL;
	struct err err = {};

	assert_int_equal(assemble(&record, &facts, &json, &err), -EINVAL);
	if (!strstr(err.text, word))
		fail_msg("\"%s\" is not in \"%s\"", word, err.text);
}

static void test_disks(void **state)
{
	static const struct assemble_throttle throttles[] = {
		{"throttleReadBpsDevice", 8, 0, 1 << 20},
		{"throttleReadBpsDevice", 8, 16, 5},
		{"throttleWriteIOPSDevice", 8, 0, 50},
	};
	const struct assemble_facts facts = {.throttles = throttles, .throttle_count = 3};
	autospec struct spec_config *c =
		make(&(struct run_options){.blkio_weight = {true, 300}}, &facts);
	const struct spec_block_io *block = c->linux_.resources->block_io;

	(void)state;
	assert_int_equal(block->weight.value, 300);
	assert_int_equal(block->read_bps.count, 2);
	assert_int_equal(block->read_bps.items[1].minor, 16);
	assert_int_equal(block->write_iops.items[0].rate, 50);
	assert_int_equal(block->write_bps.count, 0);
}

static void test_refused(void **state)
{
	(void)state;
	refused((struct run_options){.cap_add = LIST("odd")}, "--cap-add");
	refused((struct run_options){.cap_drop = LIST("odd")}, "--cap-drop");
	refused((struct run_options){.cpus = "0"}, "--cpus");
	refused((struct run_options){.cpus = "1.2.3"}, "--cpus");
	refused((struct run_options){.cpus = "1", .cpu_quota = {true, 5}}, "--cpu-quota");
	refused((struct run_options){.memory = {true, 1024}}, "--memory");
	refused((struct run_options){.memory_swap = {true, 1 << 30}}, "--memory-swap");
	refused((struct run_options){.ulimits = LIST("nofile")}, "--ulimit");
	refused((struct run_options){.ulimits = LIST("nofile=2:1")}, "--ulimit");
	refused((struct run_options){.sysctls = LIST("odd")}, "--sysctl");
	refused((struct run_options){.annotations = LIST("odd")}, "--annotation");
	refused((struct run_options){.security = LIST("odd=x")}, "--security-opt");
	refused((struct run_options){.device_rules = LIST("c 1 r")}, "--device-cgroup-rule");
	refused((struct run_options){.blkio_weight = {true, 5}}, "--blkio-weight");
}

static void test_drop_all(void **state)
{
	uint64_t caps = 1;
	struct err err = {};

	(void)state;
	assert_int_equal(assemble_capabilities(&(struct run_options){.cap_drop = LIST("all"),
						       .cap_add = LIST("KILL")},
				 &caps, &err),
		0);
	assert_int_equal(caps, 1ULL << CAP_KILL);
	assert_int_equal(assemble_capabilities(&(struct run_options){.cap_add = LIST("ALL"),
						       .cap_drop = LIST("KILL")},
				 &caps, &err),
		0);
	assert_false(caps & 1ULL << CAP_KILL);
	assert_true(caps & 1ULL << CAP_SYS_ADMIN);
}

/* A call is in one rule without arguments only, or the filter would be ambiguous. */
static void test_profile_names_each_call_once(void **state)
{
	autojson json_t *profile = seccomp_default_profile(1ULL << CAP_SYS_CHROOT);
	autojson json_t *seen = json_object();
	size_t i, n;
	json_t *rule, *name;

	(void)state;
	json_array_foreach (json_object_get(profile, "syscalls"), i, rule) {
		if (json_object_get(rule, "args"))
			continue;
		json_array_foreach (json_object_get(rule, "names"), n, name) {
			if (json_object_get(seen, json_string_value(name)))
				fail_msg("%s is there twice", json_string_value(name));
			json_object_set_new(seen, json_string_value(name),
				json_incref(json_object_get(rule, "action")));
		}
	}
	assert_string_equal(json_string_value(json_object_get(seen, "chroot")), "SCMP_ACT_ALLOW");
	assert_string_equal(json_string_value(json_object_get(seen, "mount")), "SCMP_ACT_ERRNO");
	assert_string_equal(json_string_value(json_object_get(seen, "read")), "SCMP_ACT_ALLOW");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_privileged),
		cmocka_unit_test(test_user_without_root),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_drop_all),
		cmocka_unit_test(test_profile_names_each_call_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

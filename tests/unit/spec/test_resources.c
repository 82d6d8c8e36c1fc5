/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/spec/mutate.h"

#include <linux/bpf.h>

#define R "linux resources "
#define P "linux.resources."

static const struct mutation mutations[] = {
	{R "devices 0 allow", NULL, P "devices[0].allow: is missing"},
	{R "devices 0 allow", "\"a\"", P "devices[0].allow: must be true or false"},
	{R "devices 1 type", "\"x\"", P "devices[1].type: \"x\" must be a (all)"},
	{R "devices 1 type", "\"bc\"", P "devices[1].type: \"bc\" must be"},
	{R "devices 1 type", "\"\"", NULL},
	{R "devices 1 access", "\"rx\"", P "devices[1].access: \"rx\" must be made of r"},
	{R "devices 1 access", "7", P "devices[1].access: must be a string"},
	{R "devices 1 major", "-2", P "devices[1].major: must be a device number"},
	{R "devices 1 minor", "4294967296", P "devices[1].minor: must be a device number"},
	{R "memory limit", "-2", P "memory.limit: must be bytes, or -1"},
	{R "memory limit", "\"1g\"", P "memory.limit: must be a number, not a string"},
	{R "memory reservation", "-9", P "memory.reservation: must be bytes"},
	{R "memory kernelTCP", "-9", P "memory.kernelTCP: must be bytes"},
	{R "memory swap", "5", P "memory.swap: must not be below \"limit\""},
	{R "memory swap", "0", NULL},
	{R "memory swappiness", "101", P "memory.swappiness: must be from 0 to 100"},
	{R "memory disableOOMKiller", "0", P "memory.disableOOMKiller: must be true or false"},
	{R "cpu cpus", "\"0-\"", P "cpu.cpus: \"0-\" is no list of CPUs"},
	{R "cpu cpus", "\"all\"", P "cpu.cpus: \"all\" is no list of CPUs"},
	{R "cpu cpus", "\"0,,1\"", P "cpu.cpus: \"0,,1\" is no list of CPUs"},
	{R "cpu cpus", "\"0-7:1/2\"", NULL},
	{R "cpu cpus", "\"\"", NULL},
	{R "cpu mems", "\"-1\"", P "cpu.mems: \"-1\" is no list of memory nodes"},
	{R "cpu quota", "-2", P "cpu.quota: must be microseconds"},
	{R "cpu quota", "-1", NULL},
	{R "cpu idle", "2", P "cpu.idle: must be 0 or 1"},
	{R "cpu shares", "-1", P "cpu.shares: must not be negative"},
	{R "cpu period", "1.5", P "cpu.period: must be an integer"},
	{R "pids limit", NULL, P "pids.limit: is missing"},
	{R "pids limit", "\"max\"", P "pids.limit: must be a number, not a string"},
	{R "pids limit", "-1", NULL},
	{R "blockIO weight", "1001", P "blockIO.weight: must be from 10 to 1000"},
	{R "blockIO leafWeight", "2000", P "blockIO.leafWeight: must be from 10"},
	{R "blockIO weightDevice 0", "{\"major\": 8, \"minor\": 0}", "needs weight or leafWeight"},
	{R "blockIO weightDevice 0 weight", "5000", "weightDevice[0].weight: must be from"},
	{R "blockIO weightDevice 0 major", "-1", "weightDevice[0]: major and minor must be"},
	{R "blockIO throttleReadBpsDevice 0 major", NULL,
		"throttleReadBpsDevice[0].major: is missing"},
	{R "blockIO throttleReadIOPSDevice 0 rate", NULL,
		"throttleReadIOPSDevice[0].rate: is miss"},
	{R "blockIO throttleWriteIOPSDevice 0 rate", "-1", "rate: must not be negative"},
	{R "blockIO throttleWriteBpsDevice 0 minor", "-5", "[0]: major and minor must be"},
	{R "hugepageLimits 0 pageSize", NULL, P "hugepageLimits[0].pageSize: is missing"},
	{R "hugepageLimits 0 pageSize", "\"64kB\"", "\"64kB\" must be a number with KB"},
	{R "hugepageLimits 0 pageSize", "\"2M\"", "\"2M\" must be a number with KB"},
	{R "hugepageLimits 0 pageSize", "\"02MB\"", "\"02MB\" must be a number with KB"},
	{R "hugepageLimits 0 pageSize", "\"MB\"", "\"MB\" must be a number with KB"},
	{R "hugepageLimits 0 pageSize", "\"2\"", "\"2\" must be a number with KB"},
	{R "hugepageLimits 0 limit", NULL, P "hugepageLimits[0].limit: is missing"},
	{R "rdma mlx5_1 hcaHandles", "-1", P "rdma.mlx5_1.hcaHandles: must not be negative"},
	{R "rdma", "[]", P "rdma: must be an object"},
	{R "rdma", "{\"a b\": {}}", "\"a b\" is no name of an RDMA device"},
	{R "network priorities 0 name", NULL, P "network.priorities[0].name: is missing"},
	{R "network classID", "4294967296", P "network.classID: out of range"},
	{R "unified memory.high", "5", P "unified.memory.high: must be a string"},
	{R "unified memory/high", "\"5\"", P "unified: \"memory/high\" must be the name"},
	{R "unified ../memory.max", "\"5\"", "must be the name of a cgroup v2 file"},
	{R "unified tasks", "\"5\"", P "unified: \"tasks\" must be the name"},
	{R "unified cgroup.procs", "\"1\"", "\"cgroup.procs\" belongs to the runtime"},
	{R "unified cgroup.freeze", "\"1\"", "\"cgroup.freeze\" belongs to the runtime"},
	{R "unified .hidden", "\"1\"", "\".hidden\" must be the name"},
};

static void test_mutations(void **state)
{
	(void)state;
	check_mutations(mutations, ARRAY_LEN(mutations));
}

static void test_values(void **state)
{
	struct spec_config *config = parse_data("spec/full.json");
	const struct spec_resources *r = config->linux_.resources;
	const unsigned int all = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
	(void)state;

	assert_int_equal(r->devices.count, 3);
	assert_false(r->devices.items[0].allow);
	assert_int_equal(r->devices.items[0].type, 'a');
	assert_int_equal(r->devices.items[0].major, -1);
	assert_int_equal(r->devices.items[0].access, all);
	assert_int_equal(r->devices.items[1].minor, 229);
	assert_int_equal(r->devices.items[1].access, BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE);
	assert_int_equal(r->devices.items[2].type, 'b');
	assert_int_equal(r->devices.items[2].minor, -1);
	assert_int_equal(r->devices.items[2].access, BPF_DEVCG_ACC_MKNOD);
	assert_int_equal(r->memory->limit.value, 9223372036854771712);
	assert_int_equal(r->memory->swap.value, -1);
	assert_int_equal(r->memory->swappiness.value, 60);
	assert_true(r->memory->disable_oom_killer.set && !r->memory->disable_oom_killer.value);
	assert_true(r->memory->check_before_update);
	assert_int_equal(r->cpu->quota.value, 50000);
	assert_true(r->cpu->idle.set);
	assert_string_equal(r->cpu->cpus, "0-3,7");
	assert_true(r->pids_limit.set && r->pids_limit.value == 100);
	assert_int_equal(r->block_io->weight_device.items[0].leaf_weight.value, 200);
	assert_true(r->block_io->write_bps.items[0].rate == UINT64_MAX);
	assert_int_equal(r->block_io->read_iops.items[0].minor, 16);
	assert_int_equal(r->hugepage_limits.count, 2);
	assert_string_equal(r->hugepage_limits.items[1].page_size, "1GB");
	assert_string_equal(r->rdma.items[0].device, "mlx5_1");
	assert_false(r->rdma.items[1].hca_handles.set);
	assert_int_equal(r->network->class_id.value, 1048577);
	assert_int_equal(r->network->priorities.items[0].priority, 500);
	assert_string_equal(r->unified.items[1].value, "max");
	spec_config_free(config);
}

static void test_resources_alone(void **state)
{
	static const char good[] = "{\"pids\": {\"limit\": 0}}", bad[] = "{\"cpu\": {\"idle\": 3}}";
	struct spec_resources *resources = NULL;
	autoarena struct arena arena = {};
	autojson json_t *json = NULL;
	struct err err = {};
	(void)state;

	assert_int_equal(
		spec_resources_parse("-", bad, strlen(bad), &arena, &json, &resources, &err),
		-EINVAL);
	assert_string_equal(err.text, "-: cpu.idle: must be 0 or 1");
	assert_null(resources);
	assert_int_equal(
		spec_resources_parse("-", good, strlen(good), &arena, &json, &resources, &err), 0);
	assert_true(resources->pids_limit.set);
	assert_null(resources->memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_resources_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

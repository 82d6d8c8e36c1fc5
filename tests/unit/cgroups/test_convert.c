/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "cgroups/cgroup.h"
#include "cgroups/convert.h"
#include "tests/unit/cgroups/check.h"

#define I64(v)                            \
	{                                 \
		.set = true, .value = (v) \
	}

static const struct convert_now nothing;

static const char *value_of(const struct convert_writes *writes, const char *file)
{
	const char *value = NULL;

	for (size_t i = 0; i < writes->count; i++)
		if (strcmp(writes->items[i].file, file) == 0)
			value = writes->items[i].value;
	return value;
}

static int index_of(const struct convert_writes *writes, const char *file)
{
	for (size_t i = 0; i < writes->count; i++)
		if (strcmp(writes->items[i].file, file) == 0)
			return (int)i;
	return -1;
}

#define assert_write(writes, file, value)                      \
	do {                                                   \
		const char *found = value_of(&(writes), file); \
		assert_non_null(found);                        \
		assert_string_equal(found, value);             \
	} while (0)

static void test_shares_keep_both_ends_and_the_default(void **state)
{
	uint64_t last = 0;

	(void)state;
	assert_int_equal(convert_shares(2), 1);
	assert_int_equal(convert_shares(1024), 100);
	assert_int_equal(convert_shares(262144), 10000);
	assert_int_equal(convert_shares(0), 1);
	assert_int_equal(convert_shares(UINT64_MAX), 10000);
	for (uint64_t s = 2; s <= 262144; s++) {
		uint64_t weight = convert_shares(s);

		assert_true(weight >= last && weight >= 1 && weight <= 10000);
		last = weight;
	}
}

static void test_io_weight_keeps_both_ends(void **state)
{
	(void)state;
	assert_int_equal(convert_io_weight(10), 1);
	assert_int_equal(convert_io_weight(500), 4950);
	assert_int_equal(convert_io_weight(1000), 10000);
}

static void test_swap_is_what_goes_beyond_memory(void **state)
{
	autoarena struct arena arena = {};
	struct spec_memory memory = {.limit = I64(1000), .swap = I64(1500)};
	struct spec_resources resources = {.memory = &memory};
	struct convert_writes w = {};

	(void)state;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "memory.max", "1000");
	assert_write(w, "memory.swap.max", "500");
	assert_int_equal(w.controllers, CGROUP_MEMORY);

	memory.swap.value = 1000;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "memory.swap.max", "0");

	memory.swap.value = -1;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "memory.swap.max", "max");

	memory.limit.value = -1, memory.swap.set = false;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "memory.max", "max");
	assert_write(w, "memory.swap.max", "max");

	memory = (struct spec_memory){.swap = I64(0), .limit = I64(0)};
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_int_equal(w.count, 0);
}

static void test_swap_below_memory_is_refused(void **state)
{
	autoarena struct arena arena = {};
	struct spec_memory memory = {.limit = I64(1000), .swap = I64(999)};
	struct spec_resources resources = {.memory = &memory};
	struct convert_writes w = {};

	(void)state;
	refused(-EINVAL, "memory.swap", convert_resources, &resources, &nothing, &arena, &w);
	memory.limit.set = false;
	refused(-EINVAL, "memory.limit", convert_resources, &resources, &nothing, &arena, &w);
	assert_null(w.items);
}

static void test_an_update_of_swap_counts_from_the_present_limit(void **state)
{
	autoarena struct arena arena = {};
	struct spec_memory memory = {.swap = I64(5000)};
	struct spec_resources resources = {.memory = &memory};
	struct convert_now now = {.memory_max = I64(2000), .swap_max = I64(100)};
	struct convert_writes w = {};

	(void)state;
	ok(convert_resources, &resources, &now, &arena, &w);
	assert_write(w, "memory.swap.max", "3000");
	now.memory_max.value = UINT64_MAX;
	refused(-EINVAL, "memory.limit", convert_resources, &resources, &now, &arena, &w);
}

static void test_more_swap_comes_before_less_memory(void **state)
{
	autoarena struct arena arena = {};
	struct spec_memory memory = {.limit = I64(1000), .swap = I64(3000)};
	struct spec_resources resources = {.memory = &memory};
	struct convert_now now = {.memory_max = I64(2000), .swap_max = I64(100)};
	struct convert_writes w = {};

	(void)state;
	ok(convert_resources, &resources, &now, &arena, &w);
	assert_true(index_of(&w, "memory.swap.max") < index_of(&w, "memory.max"));
	now.swap_max.value = 9000;
	ok(convert_resources, &resources, &now, &arena, &w);
	assert_true(index_of(&w, "memory.swap.max") > index_of(&w, "memory.max"));
}

static void test_memory_that_v2_cannot_do_is_refused(void **state)
{
	const struct {
		const char *field;
		struct spec_memory memory;
	} cases[] = {
		{"memory.kernel:", {.kernel = I64(1)}},
		{"memory.kernelTCP", {.kernel_tcp = I64(1)}},
		{"memory.swappiness", {.swappiness = I64(60)}},
		{"memory.disableOOMKiller", {.disable_oom_killer = {true, true}}},
	};
	autoarena struct arena arena = {};
	struct convert_writes w = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct spec_memory memory = cases[i].memory;
		struct spec_resources resources = {.memory = &memory};

		refused(-EOPNOTSUPP, cases[i].field, convert_resources, &resources, &nothing,
			&arena, &w);
	}
	/* Without swap there is nothing to be swappy with; v2 is hierarchical always. */
	{
		struct spec_memory memory = {.swappiness = I64(0),
			.limit = I64(5),
			.swap = I64(5),
			.kernel = I64(-1),
			.use_hierarchy = {true, true}};
		struct spec_resources resources = {.memory = &memory};

		ok(convert_resources, &resources, &nothing, &arena, &w);
	}
}

static void test_cpu(void **state)
{
	autoarena struct arena arena = {};
	struct spec_cpu cpu = {.shares = I64(1024),
		.quota = I64(50000),
		.period = I64(200000),
		.burst = I64(1000),
		.cpus = "0-1",
		.mems = "0"};
	struct spec_resources resources = {.cpu = &cpu};
	struct convert_writes w = {};

	(void)state;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "cpu.weight", "100");
	assert_write(w, "cpu.max", "50000 200000");
	assert_write(w, "cpu.max.burst", "1000");
	assert_write(w, "cpuset.cpus", "0-1");
	assert_write(w, "cpuset.mems", "0");
	assert_int_equal(w.controllers, CGROUP_CPU | CGROUP_CPUSET);
	assert_true(index_of(&w, "cpu.max") < index_of(&w, "cpu.max.burst"));

	cpu = (struct spec_cpu){.quota = I64(-1)};
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "cpu.max", "max");
	cpu = (struct spec_cpu){.realtime_runtime = I64(5)};
	refused(-EOPNOTSUPP, "realtime", convert_resources, &resources, &nothing, &arena, &w);
}

static void test_a_period_alone_keeps_the_quota(void **state)
{
	autoarena struct arena arena = {};
	struct spec_cpu cpu = {.period = I64(50000)};
	struct spec_resources resources = {.cpu = &cpu};
	struct convert_now now = {.cpu_max = "20000 100000"};
	struct convert_writes w = {};

	(void)state;
	ok(convert_resources, &resources, &now, &arena, &w);
	assert_write(w, "cpu.max", "20000 50000");
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "cpu.max", "max 50000");
}

static void test_less_burst_comes_before_less_quota(void **state)
{
	autoarena struct arena arena = {};
	struct spec_cpu cpu = {.quota = I64(10000), .burst = I64(5000)};
	struct spec_resources resources = {.cpu = &cpu};
	struct convert_now now = {.cpu_max = "90000 100000", .cpu_burst = I64(80000)};
	struct convert_writes w = {};

	(void)state;
	ok(convert_resources, &resources, &now, &arena, &w);
	assert_true(index_of(&w, "cpu.max.burst") < index_of(&w, "cpu.max"));
}

static void test_idle_and_weight_do_not_meet(void **state)
{
	autoarena struct arena arena = {};
	struct spec_cpu cpu = {.shares = I64(512), .idle = I64(1)};
	struct spec_resources resources = {.cpu = &cpu};
	struct convert_writes w = {};

	(void)state;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "cpu.idle", "1");
	assert_null(value_of(&w, "cpu.weight"));
	cpu.idle.value = 0;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_true(index_of(&w, "cpu.idle") < index_of(&w, "cpu.weight"));
}

static void test_io(void **state)
{
	autoarena struct arena arena = {};
	struct spec_throttle throttle = {8, 16, 1048576};
	struct spec_weight_device device = {8, 0, {true, 10}, {}};
	struct spec_block_io io = {.weight = {true, 1000},
		.weight_device = {&device, 1},
		.read_bps = {&throttle, 1},
		.write_iops = {&throttle, 1}};
	struct spec_resources resources = {.block_io = &io};
	struct convert_writes w = {};

	(void)state;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_int_equal(w.controllers, CGROUP_IO);
	assert_string_equal(w.items[0].file, "io.bfq.weight");
	assert_string_equal(w.items[0].value, "default 1000");
	assert_int_equal(w.items[0].flags, CONVERT_EITHER);
	assert_string_equal(w.items[1].file, "io.weight");
	assert_string_equal(w.items[1].value, "default 10000");
	assert_string_equal(w.items[3].value, "8:0 1");
	assert_string_equal(w.items[4].value, "8:16 rbps=1048576");
	assert_string_equal(w.items[5].value, "8:16 wiops=1048576");
	assert_int_equal(w.count, 6);
	io.leaf_weight = (struct opt_u32){true, 10};
	refused(-EOPNOTSUPP, "leafWeight", convert_resources, &resources, &nothing, &arena, &w);
}

static void test_pids_hugetlb_rdma(void **state)
{
	autoarena struct arena arena = {};
	struct spec_hugepage_limit huge = {"2MB", 4194304};
	struct spec_rdma rdma = {"mlx5_1", {true, 3}, {}};
	struct spec_resources resources = {
		.pids_limit = I64(64), .hugepage_limits = {&huge, 1}, .rdma = {&rdma, 1}};
	struct convert_writes w = {};

	(void)state;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "pids.max", "64");
	assert_write(w, "hugetlb.2MB.max", "4194304");
	assert_write(w, "hugetlb.2MB.rsvd.max", "4194304");
	assert_write(w, "rdma.max", "mlx5_1 hca_handle=3 hca_object=max");
	assert_int_equal(w.controllers, CGROUP_PIDS | CGROUP_HUGETLB | CGROUP_RDMA);
	resources.pids_limit.value = -1;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "pids.max", "max");
	resources.pids_limit.value = 0;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_write(w, "pids.max", "1");
	huge.page_size = "../2MB";
	refused(-EINVAL, "hugepageLimits", convert_resources, &resources, &nothing, &arena, &w);
}

static void test_network_is_refused(void **state)
{
	autoarena struct arena arena = {};
	struct spec_network network = {.class_id = {true, 5}};
	struct spec_resources resources = {.network = &network};
	struct convert_writes w = {};

	(void)state;
	refused(-EOPNOTSUPP, "classID", convert_resources, &resources, &nothing, &arena, &w);
}

static void test_unified_comes_last_line_by_line(void **state)
{
	autoarena struct arena arena = {};
	struct pair pairs[] = {
		{"memory.high", "500"}, {"io.max", "8:0 rbps=1\n8:16 rbps=2\n"}, {"pids.max", "7"}};
	struct spec_resources resources = {.pids_limit = I64(64), .unified = {pairs, 3}};
	struct convert_writes w = {};

	(void)state;
	ok(convert_resources, &resources, &nothing, &arena, &w);
	assert_int_equal(w.count, 5);
	assert_string_equal(w.items[0].file, "pids.max");
	assert_string_equal(w.items[1].field, "unified.memory.high");
	assert_string_equal(w.items[2].value, "8:0 rbps=1");
	assert_string_equal(w.items[3].value, "8:16 rbps=2");
	assert_string_equal(w.items[4].value, "7");
	assert_int_equal(w.controllers, CGROUP_PIDS | CGROUP_MEMORY | CGROUP_IO);
}

static void test_unified_names_are_checked(void **state)
{
	static const char *const bad[] = {"memory", "../memory.max", "a/b.c", "cgroup.procs",
		"cgroup.kill", "cgroup.subtree_control", "", ".", "..", "averyverylongprefix.max"};
	autoarena struct arena arena = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct pair pair = {bad[i], "1"};
		struct spec_resources resources = {.unified = {&pair, 1}};
		struct convert_writes w = {};

		refused(-EINVAL, "unified", convert_resources, &resources, &nothing, &arena, &w);
	}
}

static const char *property(const struct pairs *properties, const char *name)
{
	for (size_t i = 0; i < properties->count; i++)
		if (strcmp(properties->items[i].key, name) == 0)
			return properties->items[i].value;
	return "";
}

static void test_properties_of_a_unit(void **state)
{
	autoarena struct arena arena = {};
	struct spec_memory memory = {.limit = I64(1000), .swap = I64(-1), .reservation = I64(10)};
	struct spec_cpu cpu = {
		.shares = I64(1024), .quota = I64(33333), .period = I64(100000), .cpus = "0-3,7,9"};
	struct spec_block_io io = {.weight = {true, 10}};
	struct spec_resources resources = {
		.memory = &memory, .cpu = &cpu, .block_io = &io, .pids_limit = I64(5)};
	struct pairs properties = {};

	(void)state;
	ok(convert_properties, &resources, &nothing, &arena, &properties);
	assert_string_equal(property(&properties, "MemoryMax"), "t 1000");
	assert_string_equal(property(&properties, "MemorySwapMax"), "t 18446744073709551615");
	assert_string_equal(property(&properties, "MemoryLow"), "t 10");
	assert_string_equal(property(&properties, "CPUWeight"), "t 100");
	/* 333330 µs a second, rounded up to what systemd can keep */
	assert_string_equal(property(&properties, "CPUQuotaPerSecUSec"), "t 340000");
	assert_string_equal(property(&properties, "AllowedCPUs"), "ay 8f02");
	assert_string_equal(property(&properties, "IOWeight"), "t 1");
	assert_string_equal(property(&properties, "TasksMax"), "t 5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares_keep_both_ends_and_the_default),
		cmocka_unit_test(test_io_weight_keeps_both_ends),
		cmocka_unit_test(test_swap_is_what_goes_beyond_memory),
		cmocka_unit_test(test_swap_below_memory_is_refused),
		cmocka_unit_test(test_an_update_of_swap_counts_from_the_present_limit),
		cmocka_unit_test(test_more_swap_comes_before_less_memory),
		cmocka_unit_test(test_memory_that_v2_cannot_do_is_refused),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_a_period_alone_keeps_the_quota),
		cmocka_unit_test(test_less_burst_comes_before_less_quota),
		cmocka_unit_test(test_idle_and_weight_do_not_meet),
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_pids_hugetlb_rdma),
		cmocka_unit_test(test_network_is_refused),
		cmocka_unit_test(test_unified_comes_last_line_by_line),
		cmocka_unit_test(test_unified_names_are_checked),
		cmocka_unit_test(test_properties_of_a_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/stats.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "tests/unit/unit.h"

/* The member at PATH ("a.b.0") of VALUE as compact text. */
static void assert_member(const json_t *value, const char *path, const char *want)
{
	autobuf struct buf text = {};
	char copy[128], *save;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *key = strtok_r(copy, ".", &save); key; key = strtok_r(NULL, ".", &save))
		value = json_is_array(value) ? json_array_get(value, (size_t)atoi(key))
					     : json_object_get(value, key);
	if (!value)
		fail_msg("%s is missing", path);
	assert_int_equal(
		json_write(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS, &text), 0);
	assert_string_equal(buf_str(&text), want);
}

static void test_units_and_limits(void **state)
{
	struct pair_u64 raw[] = {{"anon", 1}, {"file", 4096}, {"kernel", 77}};
	struct cgroup_stats_io_device device = {.major = 8, .minor = 16, .rbytes = 5, .wios = 6};
	struct cgroup_stats stats = {
		.pids_present = true,
		.pids = 3,
		.pids_limit = UINT64_MAX,
		.cpu = {.usage = 7,
			.user = 5,
			.system = 2,
			.throttled_time = 9,
			.pressure = {.present = true, .some = {.avg10 = 1.5, .total = 8}}},
		.cpuset_cpus = "0-2,5",
		.memory = {.present = true,
			.usage = 100,
			.peak = 300,
			.limit = UINT64_MAX,
			.swap_usage = 20,
			.swap_limit = UINT64_MAX,
			.oom_kill = 2,
			.stat = {raw, ARRAY_LEN(raw)}},
		.io = {.present = true, .items = &device, .count = 1},
	};
	autojson json_t *data = stats_json(&stats, NULL, NULL);

	(void)state;
	assert_member(data, "cpu.usage", "{\"kernel\":2000,\"total\":7000,\"user\":5000}");
	assert_member(data, "cpu.throttling.throttledTime", "9000");
	assert_member(
		data, "cpu.psi.some", "{\"avg10\":1.5,\"avg300\":0.0,\"avg60\":0.0,\"total\":8}");
	assert_member(data, "cpuset.cpus", "[0,1,2,5]");
	assert_member(data, "cpuset.mems", "[]");
	assert_member(data, "memory.usage.limit", "18446744073709551615");
	assert_member(data, "memory.usage.max", "300");
	assert_member(data, "memory.swap.usage", "120");
	assert_member(data, "memory.swap.limit", "18446744073709551615");
	assert_member(data, "memory.cache", "4096");
	assert_member(data, "memory.kernel.usage", "77");
	assert_member(data, "memory.raw", "{\"anon\":1,\"file\":4096,\"kernel\":77}");
	assert_member(data, "memory.oom.kills", "2");
	assert_null(json_object_get(json_object_get(data, "memory"), "psi"));
	assert_member(data, "pids.limit", "0");
	assert_member(data, "blkio.ioServiceBytesRecursive.0",
		"{\"major\":8,\"minor\":16,\"op\":\"Read\",\"value\":5}");
	assert_member(data, "blkio.ioServicedRecursive.1.value", "6");
	assert_member(data, "hugetlb", "{}");
	assert_member(data, "intel_rdt", "{}");
	assert_member(data, "network_interfaces", "[]");
}

static void test_limits_of_both(void **state)
{
	struct cgroup_stats stats = {
		.memory = {.present = true, .limit = 1000, .usage = 10, .swap_limit = 500}};
	autojson json_t *data = stats_json(&stats, NULL, NULL);

	(void)state;
	assert_member(data, "memory.swap.limit", "1500");
	assert_member(data, "memory.swap_only.limit", "500");
	assert_member(data, "pids", "{}");
}

static void test_links(void **state)
{
	static const char text[] =
		"Inter-|   Receive                |  Transmit\n"
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes ...\n"
		"    lo: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n"
		"  eth0: 18446744073709551615 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
		"\x01integer:17 2\n"
		"cut:";
	autojson json_t *links = stats_parse_links(text), *none = stats_parse_links("");

	(void)state;
	assert_int_equal(json_array_size(links), 3);
	assert_int_equal(json_array_size(none), 0);
	assert_member(links, "0.Name", "\"eth0\"");
	assert_member(links, "0.RxBytes", "18446744073709551615");
	assert_member(links, "0.RxDropped", "4");
	assert_member(links, "0.TxBytes", "9");
	assert_member(links, "0.TxCompressed", "16");
	/* A name that the writer would take for a number is none any more. */
	assert_member(links, "1.Name", "\"?integer\"");
	assert_member(links, "1.RxBytes", "17");
	assert_member(links, "2.Name", "\"cut\"");
	assert_member(links, "2.TxBytes", "0");
}

static void test_lists(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {{"0", "[0]"}, {"0-3,7", "[0,1,2,3,7]"}, {"", "[]"}, {NULL, "[]"}, {"x", "[]"},
		{"3-1", "[]"}, {"1,x", "[1]"}, {"2-", "[]"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autojson json_t *list = stats_parse_list(cases[i].text);

		assert_member(list, "", cases[i].want);
	}
	{
		autojson json_t *list = stats_parse_list("0-4294967295");

		assert_int_equal(json_array_size(list), 8192);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_and_limits),
		cmocka_unit_test(test_limits_of_both),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

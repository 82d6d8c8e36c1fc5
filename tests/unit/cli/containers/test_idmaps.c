/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/idmaps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct store_id_range own[] = {{0, 1000, 1}, {1, 100000, 65536}};

/* "0:5:1 …" of what TEXT plans, or the error. */
static const char *plan(const char *mode, bool rootless, uint32_t keep, struct arena *arena)
{
	struct run_options options = {.userns = mode};
	struct idmaps_facts facts = {.keep = keep, .range = {0, 2000000, IDMAPS_AUTO_SIZE}};
	struct idmaps_wants wants;
	struct store_id_range *ranges = NULL;
	struct strings texts;
	struct err err = {};
	const char *line = "";
	size_t count = 0;

	if (rootless) {
		facts.own = own;
		facts.own_count = 2;
	}
	if (idmaps_parse(&options, rootless, arena, &wants, &err) < 0 ||
		idmaps_plan(&wants, true, &facts, arena, &ranges, &count, &err) < 0)
		return "error";
	assert_int_equal(idmaps_write(ranges, count, arena, &texts), 0);
	for (size_t i = 0; i < texts.count; i++)
		line = arena_printf(arena, "%s%s%s", line, i ? " " : "", texts.items[i]);
	return line;
}

static void test_modes(void **state)
{
	static const struct {
		const char *mode;
		bool rootless;
		uint32_t keep;
		const char *wanted;
	} cases[] = {
		{NULL, false, 0, ""},
		{"host", true, 0, ""},
		{"auto", false, 0, "0:2000000:65536"},
		{"auto:size=10,uidmapping=0:7:1,uidmapping=5:9:2", false, 0,
			"1:2000001:4 7:2000007:3 0:7:1 5:9:2"},
		{"keep-id", false, 0, "0:0:4294967295"},
		{"keep-id", true, 1000, "0:100000:1000 1000:1000:1 1001:101000:64536"},
		{"keep-id", true, 0, "0:1000:1 1:100000:65536"},
		{"keep-id", true, 70000, "0:100000:65536 70000:1000:1"},
		{"nomap", true, 0, "0:100000:65536"},
		{"nomap", false, 0, "error"},
		{"keep-id:uid=3", false, 0, "error"},
		{"auto:size=0", false, 0, "error"},
		{"auto:size=4294967296", false, 0, "error"},
		{"auto:uidmapping=0:1", false, 0, "error"},
		{"auto:uidmapping=4294967295:0:2", false, 0, "error"},
		{"autos", false, 0, "error"},
		{"container", false, 0, "error"},
		{"ns:../x", false, 0, "error"},
		{"auto:size=10,uidmapping=0:2000003:1", false, 0, "error"},
	};
	autoarena struct arena arena = {};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(plan(cases[i].mode, cases[i].rootless, cases[i].keep, &arena),
			cases[i].wanted);
}

static void test_allot(void **state)
{
	static const struct store_id_range pool[] = {{0, 100, 50}, {0, 1000, 100}};
	static const struct store_id_range taken[] = {{0, 120, 10}, {0, 100, 5}, {0, 90, 12}};
	struct store_id_range range;

	(void)state;
	assert_int_equal(idmaps_allot(pool, 2, taken, 3, 15, &range), 0);
	assert_int_equal(range.outside, 105);
	assert_int_equal(idmaps_allot(pool, 2, taken, 3, 16, &range), 0);
	assert_int_equal(range.outside, 130);
	assert_int_equal(idmaps_allot(pool, 2, taken, 3, 60, &range), 0);
	assert_int_equal(range.outside, 1000);
	assert_int_equal(idmaps_allot(pool, 2, taken, 3, 101, &range), -ENOSPC);
	assert_int_equal(idmaps_allot(pool, 2, taken, 3, UINT32_MAX, &range), -ENOSPC);
}

static void test_both_ways(void **state)
{
	(void)state;
	assert_int_equal(idmaps_outside(own, 2, 0), 1000);
	assert_int_equal(idmaps_outside(own, 2, 65536), 165535);
	assert_int_equal(idmaps_outside(own, 2, 65537), UINT32_MAX);
	assert_int_equal(idmaps_inside(own, 2, 100000), 1);
	assert_int_equal(idmaps_inside(own, 2, 99999), UINT32_MAX);
	assert_int_equal(idmaps_inside(NULL, 0, 7), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_allot),
		cmocka_unit_test(test_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

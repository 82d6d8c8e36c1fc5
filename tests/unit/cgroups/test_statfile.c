/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "cgroups/statfile.h"
#include "tests/unit/cgroups/check.h"

static void test_numbers_and_keys(void **state)
{
	const char text[] = "low 1\noom 22\noom_kill 333\nmax max\n";

	(void)state;
	assert_int_equal(statfile_number("17\n"), 17);
	assert_true(statfile_number("max\n") == UINT64_MAX);
	assert_int_equal(statfile_number("-5"), 0);
	assert_int_equal(statfile_number(""), 0);
	assert_int_equal(statfile_key(text, "low"), 1);
	assert_int_equal(statfile_key(text, "oom"), 22);
	assert_int_equal(statfile_key(text, "oom_kill"), 333);
	assert_true(statfile_key(text, "max") == UINT64_MAX);
	assert_int_equal(statfile_key(text, "oo"), 0);
	assert_int_equal(statfile_key("", "low"), 0);
}

static void test_flat(void **state)
{
	autoarena struct arena arena = {};
	struct pairs_u64 pairs = {};

	(void)state;
	assert_int_equal(statfile_flat("anon 5\nbroken\nfile 7", &arena, &pairs), 0);
	assert_int_equal(pairs.count, 2);
	assert_string_equal(pairs.items[1].key, "file");
	assert_int_equal(pairs.items[1].value, 7);
	assert_int_equal(statfile_flat("", &arena, &pairs), 0);
	assert_int_equal(pairs.count, 0);
}

static void test_pressure(void **state)
{
	struct cgroup_pressure pressure = {};

	(void)state;
	statfile_pressure("some avg10=1.50 avg60=0.25 avg300=0.00 total=12345678901\n"
			  "full avg10=0.75 avg60=0.00 avg300=0.01 total=9\n",
		&pressure);
	assert_true(pressure.present);
	assert_true(pressure.some.avg10 > 1.49 && pressure.some.avg10 < 1.51);
	assert_true(pressure.some.total == 12345678901ULL);
	assert_true(pressure.full.avg300 > 0.009);
	statfile_pressure("", &pressure);
	assert_false(pressure.present);
	assert_int_equal(pressure.some.total, 0);
}

static void test_io(void **state)
{
	autoarena struct arena arena = {};
	struct cgroup_stats_io io = {};

	(void)state;
	assert_int_equal(statfile_io("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
				     "253:1 \n"
				     "nonsense\n"
				     "8:16 wbytes=9 cost.usage=7\n",
				 &arena, &io),
		0);
	assert_int_equal(io.count, 3);
	assert_int_equal(io.items[0].rbytes, 1);
	assert_int_equal(io.items[0].wbytes, 2);
	assert_int_equal(io.items[0].dios, 6);
	assert_int_equal(io.items[1].major, 253);
	assert_int_equal(io.items[1].rbytes, 0);
	assert_int_equal(io.items[2].minor, 16);
	assert_int_equal(io.items[2].wbytes, 9);
	assert_int_equal(io.items[2].rios, 0);
}

static void test_nested_stays_in_its_line(void **state)
{
	const char text[] = "mlx hca_handle=2\nmly hca_object=max hca_handle=5\n";

	(void)state;
	assert_int_equal(statfile_nested(text, "hca_handle"), 2);
	assert_int_equal(statfile_nested(text, "hca_object"), 0);
	assert_int_equal(statfile_nested(statfile_line(text, "mly"), "hca_handle"), 5);
	assert_true(statfile_nested(statfile_line(text, "mly"), "hca_object") == UINT64_MAX);
	assert_null(statfile_line(text, "ml"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_and_keys),
		cmocka_unit_test(test_flat),
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_nested_stays_in_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

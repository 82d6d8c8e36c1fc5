/* SPDX-License-Identifier: Apache-2.0 */
/* Groups in a plain directory tree: the files are there, the kernel's judgement is not. */
#include "runtime/rdt.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>

struct fixture {
	char dir[64];
	int top;
	struct arena arena;
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/brig-rdt-%d", (int)getpid());
	sys_mkdirat(AT_FDCWD, f->dir, 0700);
	f->top = sys_openat(AT_FDCWD, f->dir, O_RDONLY | O_DIRECTORY, 0);
	*state = f;
	return f->top < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close(f->top);
	path_remove_tree(AT_FDCWD, f->dir);
	arena_free(&f->arena);
	free(f);
	return 0;
}

/* A group as the kernel would make it. */
static void make_group(struct fixture *f, const char *name, const char *schemata)
{
	autoclose int fd = -1;

	sys_mkdirat(f->top, name, 0700);
	fd = sys_openat(f->top, name, O_RDONLY | O_DIRECTORY, 0);
	sys_mkdirat(fd, "mon_groups", 0700);
	assert_int_equal(fd_replace_file(fd, "schemata", schemata, strlen(schemata), 0600), 0);
	assert_int_equal(fd_replace_file(fd, "tasks", "", 0, 0600), 0);
}

static void assert_file(struct fixture *f, const char *name, const char *want)
{
	autobuf struct buf text = {};

	assert_int_equal(fd_read_file(f->top, name, 4096, &text), 0);
	assert_string_equal(buf_str(&text), want);
}

static void test_schemata(void **state)
{
	const char *more[] = {"L2:0=3", "MBA_MAX:0=9\n"};
	struct spec_intel_rdt rdt = {
		.l3_cache_schema = "L3:0=ff\n MB:0=10",
		.schemata = {more, ARRAY_LEN(more)},
	};
	struct fixture *f = *state;
	const char *text;

	assert_int_equal(rdt_schemata(&rdt, &f->arena, &text), 0);
	assert_string_equal(text, "L3:0=ff\nMB:0=10\nL2:0=3\nMBA_MAX:0=9\n");
	rdt.mem_bw_schema = "MB:0=50";
	assert_int_equal(rdt_schemata(&rdt, &f->arena, &text), 0);
	assert_string_equal(text, "L3:0=ff\nMB:0=50\nL2:0=3\nMBA_MAX:0=9\n");
	assert_int_equal(rdt_schemata(&(struct spec_intel_rdt){}, &f->arena, &text), 0);
	assert_null(text);
}

static void test_match(void **state)
{
	static const char have[] = "    L3:0=00ff;1=ffff\n    MB:0=100;1= 50\n";

	(void)state;
	assert_true(rdt_schemata_match(have, "L3:1=ffff\n"));
	assert_true(rdt_schemata_match(have, "MB:0=100\n"));
	assert_true(rdt_schemata_match(have, ""));
	assert_false(rdt_schemata_match(have, "L3:1=fff0\n"));
	assert_false(rdt_schemata_match(have, "L3:1=ffff;2=1\n"));
	assert_false(rdt_schemata_match(have, "L2:1=ffff\n"));
	assert_false(rdt_schemata_match("", "L3:1=ffff\n"));
}

static void test_existing_class(void **state)
{
	struct fixture *f = *state;
	struct spec_intel_rdt rdt = {.clos_id = "gold"};
	const char *path = "untouched";

	assert_int_equal(rdt_create(f->top, "box", &rdt, &f->arena, &path, &f->err), -ENOENT);
	assert_non_null(strstr(f->err.text, "gold"));
	make_group(f, "gold", "L3:0=ff;1=f\n");
	assert_int_equal(rdt_create(f->top, "box", &rdt, &f->arena, &path, &f->err), 0);
	assert_null(path); /* it stays when the container goes */
	rdt.l3_cache_schema = "L3:1=f";
	assert_int_equal(rdt_create(f->top, "box", &rdt, &f->arena, &path, &f->err), 0);
	rdt.l3_cache_schema = "L3:1=1";
	assert_int_equal(rdt_create(f->top, "box", &rdt, &f->arena, &path, &f->err), -EEXIST);
	assert_file(f, "gold/schemata", "L3:0=ff;1=f\n");
	assert_int_equal(rdt_enter(f->top, "box", &rdt, 4711, &f->err), 0);
	assert_file(f, "gold/tasks", "4711");
	assert_int_equal(
		rdt_update(f->top, "box", &rdt,
			&(struct spec_intel_rdt){.l3_cache_schema = "L3:0=ff;1=2"}, &f->err),
		0);
	assert_file(f, "gold/schemata", "L3:0=ff;1=2\n");
}

static void test_monitoring_and_removal(void **state)
{
	struct fixture *f = *state;
	struct spec_intel_rdt rdt = {.clos_id = "gold", .enable_monitoring = true};
	struct stat st;
	const char *path;

	make_group(f, "gold", "L3:0=ff\n");
	assert_int_equal(rdt_create(f->top, "box", &rdt, &f->arena, &path, &f->err), 0);
	assert_string_equal(path, "gold/mon_groups/box");
	assert_int_equal(sys_fstatat(f->top, path, &st, 0), 0);
	assert_int_equal(rdt_remove(f->top, path, &f->err), 0);
	assert_int_equal(rdt_remove(f->top, path, &f->err), 0);
	assert_int_equal(sys_fstatat(f->top, path, &st, 0), -ENOENT);
}

static void make_cache(struct fixture *f, const char *mon_data, const char *cache,
	const char *total, const char *occupancy)
{
	autoclose int dir = -1;
	char path[128];

	sys_mkdirat(f->top, mon_data, 0700);
	snprintf(path, sizeof(path), "%s/%s", mon_data, cache);
	sys_mkdirat(f->top, path, 0700);
	dir = sys_openat(f->top, path, O_RDONLY | O_DIRECTORY, 0);
	assert_true(dir >= 0);
	assert_int_equal(fd_replace_file(dir, "mbm_total_bytes", total, strlen(total), 0600), 0);
	assert_int_equal(fd_replace_file(dir, "mbm_local_bytes", "7\n", 2, 0600), 0);
	assert_int_equal(
		fd_replace_file(dir, "llc_occupancy", occupancy, strlen(occupancy), 0600), 0);
}

static void assert_stats(struct fixture *f, const struct spec_intel_rdt *rdt, const char *want)
{
	autojson json_t *have = NULL, *json = json_loads(want, 0, NULL);

	assert_int_equal(rdt_stats(f->top, "box", rdt, &have, &f->err), 0);
	if (!json_equal(have, json))
		fail_msg("%s", json_dumps(have, 0));
}

static void test_statistics(void **state)
{
	struct fixture *f = *state;
	struct spec_intel_rdt rdt = {.clos_id = "gold", .enable_monitoring = true};
	const char *path;

	make_group(f, "gold", "    L3:0=ff;1=f\n    MB:0=50\n");
	assert_int_equal(rdt_create(f->top, "box", &rdt, &f->arena, &path, &f->err), 0);
	make_cache(f, "gold/mon_groups/box/mon_data", "mon_L3_00", "100\n", "4096\n");
	make_cache(f, "gold/mon_groups/box/mon_data", "mon_L3_01", "Unavailable\n", "8192\n");
	make_cache(f, "gold/mon_data", "mon_L3_00", "999\n", "999\n");
	assert_int_equal(fd_replace_file(f->top, "schemata", "L3:0=fff\n", 9, 0600), 0);
	assert_stats(f, &rdt,
		"{\"l3_cache_schema_root\":\"L3:0=fff\",\"l3_cache_schema\":\"L3:0=ff;1=f\","
		"\"mem_bw_schema\":\"MB:0=50\",\"mbm_stats\":[{\"mbm_total_bytes\":100,"
		"\"mbm_local_bytes\":7},{\"mbm_local_bytes\":7}],"
		"\"cmt_stats\":[{\"llc_occupancy\":4096},{\"llc_occupancy\":8192}]}");
	/* What is counted for a class that others are in too is not the container's. */
	rdt.enable_monitoring = false;
	assert_stats(f, &rdt,
		"{\"l3_cache_schema_root\":\"L3:0=fff\",\"l3_cache_schema\":\"L3:0=ff;1=f\","
		"\"mem_bw_schema\":\"MB:0=50\"}");
	make_group(f, "box", "L3:0=1\n");
	make_cache(f, "box/mon_data", "mon_L3_00", "5\n", "6\n");
	rdt.clos_id = NULL;
	assert_stats(f, &rdt,
		"{\"l3_cache_schema_root\":\"L3:0=fff\",\"l3_cache_schema\":\"L3:0=1\","
		"\"mbm_stats\":[{\"mbm_total_bytes\":5,\"mbm_local_bytes\":7}],"
		"\"cmt_stats\":[{\"llc_occupancy\":6}]}");
	rdt.clos_id = "none";
	{
		json_t *none = NULL;

		assert_int_equal(rdt_stats(f->top, "box", &rdt, &none, &f->err), -ENOENT);
	}
}

static void test_own_class(void **state)
{
	struct fixture *f = *state;
	struct spec_intel_rdt plain = {}, schemata = {.l3_cache_schema = "L3:0=f"};
	const char *path;
	struct stat st;

	assert_int_equal(rdt_create(f->top, "box", &plain, &f->arena, &path, &f->err), 0);
	assert_string_equal(path, "box");
	/* Somebody else's of the container's own name is no place to go. */
	assert_int_equal(rdt_create(f->top, "box", &plain, &f->arena, &path, &f->err), -EEXIST);
	/* A plain directory gets no file schemata: what was made goes again. */
	assert_true(rdt_create(f->top, "other", &schemata, &f->arena, &path, &f->err) < 0);
	assert_int_equal(sys_fstatat(f->top, "other", &st, 0), -ENOENT);
	plain.clos_id = "/";
	assert_int_equal(rdt_create(f->top, "box", &plain, &f->arena, &path, &f->err), 0);
	assert_null(path);
	plain.clos_id = "../x";
	assert_int_equal(rdt_create(f->top, "box", &plain, &f->arena, &path, &f->err), -EINVAL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_schemata),
		TEST(test_match),
		TEST(test_existing_class),
		TEST(test_monitoring_and_removal),
		TEST(test_statistics),
		TEST(test_own_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

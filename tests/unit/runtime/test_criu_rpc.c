/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criu.h"

#include "tests/unit/unit.h"

#include <string.h>

static const struct criu_flags no_flags;

/* Whether BYTES are somewhere in BUF. */
#define HAS(buf, bytes) (memmem((buf).data, (buf).len, (bytes), sizeof(bytes) - 1) != NULL)

static void test_encode_dump(void **state)
{
	const char *external[] = {"mnt[/a]:/a"};
	const struct criu_request request = {
		.type = CRIU_DUMP,
		.flags = &no_flags,
		.images_fd = 5,
		.work_fd = 300,
		.log_file = "dump.log",
		.pid = 77,
		.leave_running = true,
		.external = {.items = external, .count = 1},
	};
	autobuf struct buf out = {};

	(void)state;
	criu_encode(&request, &out);
	assert_false(out.failed);
	/* type 1 = DUMP, then opts (2) with a length of one byte */
	assert_memory_equal(out.data, "\x08\x01\x12", 3);
	assert_int_equal((unsigned char)out.data[3], out.len - 4);
	assert_true(HAS(out, "\x08\x05"));         /* images_dir_fd */
	assert_true(HAS(out, "\x88\x01\xac\x02")); /* work_dir_fd = 300 */
	assert_true(HAS(out, "\x10\x4d"));         /* pid */
	assert_true(HAS(out, "\x18\x01"));         /* leave_running */
	assert_true(HAS(out, "\x52\x08"
			     "dump.log")); /* log_file */
	assert_true(HAS(out, "\xaa\x02\x0a"
			     "mnt[/a]:/a"));
	assert_true(HAS(out, "\x90\x02\x00"));  /* manage_cgroups_mode = IGNORE */
	assert_false(HAS(out, "\xd0\x01\x01")); /* rst_sibling */
	assert_false(HAS(out, "\x28\x01\x40"));
}

static void test_encode_restore(void **state)
{
	const struct criu_flags flags = {.tcp_established = true, .lsm_profile = "selinux:l"};
	struct criu_inherit inherits[] = {{"pipe:[1]", 0}, {"pipe:[2]", 1}};
	struct criu_join joins[] = {{"ipc", "/n"}};
	const struct criu_request request = {
		.type = CRIU_RESTORE,
		.flags = &flags,
		.root = "/r",
		.inherits = inherits,
		.ninherits = 2,
		.joins = joins,
		.njoins = 1,
	};
	autobuf struct buf out = {};

	(void)state;
	criu_encode(&request, &out);
	assert_memory_equal(out.data, "\x08\x02\x12", 3);
	assert_true(HAS(out, "\xd0\x01\x01")); /* rst_sibling */
	assert_true(HAS(out, "\x60\x01"));     /* notify_scripts */
	assert_true(HAS(out, "\x6a\x02/r"));   /* root */
	/* by the numbers that they have in criu, and not by ours */
	assert_true(HAS(out, "\xda\x01\x0c\x0a\x08pipe:[1]\x10\x04"));
	assert_true(HAS(out, "\xda\x01\x0c\x0a\x08pipe:[2]\x10\x05"));
	assert_true(HAS(out, "\xba\x02\x09\x0a\x03ipc\x12\x02/n"));
	assert_true(HAS(out, "\x28\x01"));
	assert_true(HAS(out, "\xaa\x03\x09selinux:l"));
}

/* Every option of the command line by the number that criu has for it, and none without it. */
static void test_encode_flags(void **state)
{
	static const struct {
		struct criu_flags flags;
		const char *bytes;
		size_t len;
	} cases[] = {
		{{.ext_unix_sk = true}, "\x20\x01", 2},
		{{.tcp_established = true}, "\x28\x01", 2},
		{{.shell_job = true}, "\x38\x01", 2},
		{{.file_locks = true}, "\x40\x01", 2},
		{{.auto_dedup = true}, "\x80\x01\x01", 3},
		{{.link_remap = true}, "\x90\x01\x01", 3},
		{{.cgroups = CRIU_CGROUPS_SOFT}, "\xc0\x01\x01", 3},
		{{.cgroups = CRIU_CGROUPS_SOFT}, "\x90\x02\x03", 3},
		{{.cgroups = CRIU_CGROUPS_STRICT}, "\x90\x02\x05", 3},
		{{.tcp_skip_in_flight = true}, "\xf0\x02\x01", 3},
		{{.tcp_close = true}, "\xa0\x03\x01", 3},
		{{.lsm_mount_context = "c"}, "\xfa\x03\x01\x63", 4},
		{{.lazy_pages = true}, "\x80\x03\x01", 3},
		{{.page_server = {"::1", 300}}, "\x5a\x08\x0a\x03::1\x10\xac\x02", 10},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct criu_request request = {.type = CRIU_DUMP, .flags = &cases[i].flags};
		autobuf struct buf with = {}, without = {};

		criu_encode(&request, &with);
		request.flags = &no_flags;
		criu_encode(&request, &without);
		assert_non_null(memmem(with.data, with.len, cases[i].bytes, cases[i].len));
		assert_null(memmem(without.data, without.len, cases[i].bytes, cases[i].len));
	}
}

static void test_answer(void **state)
{
	autobuf struct buf yes = {}, no = {};

	(void)state;
	criu_encode_answer(true, &yes);
	criu_encode_answer(false, &no);
	assert_int_equal(yes.len, 4);
	assert_memory_equal(yes.data, "\x08\x06\x18\x01", 4);
	assert_memory_equal(no.data, "\x08\x06\x18\x00", 4);
}

static void test_decode(void **state)
{
	static const char notify[] = "\x08\x06\x10\x01\x2a\x09\x0a\x04name\x10\xac\x02";
	static const char restored[] = "\x08\x02\x10\x01\x22\x02\x08\x07";
	static const char failed[] = "\x08\x01\x10\x00\x38\x10\x4a\x04oops\x9a\x06\x01x";
	struct criu_response r;

	(void)state;
	assert_int_equal(criu_decode(notify, sizeof(notify) - 1, &r), 0);
	assert_int_equal(r.type, CRIU_NOTIFY);
	assert_string_equal(r.script, "name");
	assert_int_equal(r.pid, 300);
	assert_int_equal(criu_decode(restored, sizeof(restored) - 1, &r), 0);
	assert_true(r.success);
	assert_int_equal(r.pid, 7);
	assert_int_equal(criu_decode(failed, sizeof(failed) - 1, &r), 0);
	assert_false(r.success);
	assert_int_equal(r.error, 16);
	assert_string_equal(r.message, "oops");
}

static void test_decode_refuses(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} bad[] = {
		{"", 0},
		{"\x08", 1},             /* no value */
		{"\x08\x80\x80", 3},     /* an endless number */
		{"\x4a\x05oops", 6},     /* longer than what is there */
		{"\x2a\x02\x0a\x05", 4}, /* the same, within a message */
		{"\x0b\x01", 2},         /* an unknown wire type */
		{"\x00\x01", 2},         /* field 0 */
		{"\x10\x01", 2},         /* no type */
		{"\x4a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
	};
	struct criu_response r = {.pid = 42};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(criu_decode(bad[i].data, bad[i].len, &r), -EPROTO);
	assert_int_equal(r.pid, 42);
}

static void test_log_errors(void **state)
{
	autobuf struct buf some = {}, none = {};

	(void)state;
	criu_log_errors(
		"(00.1) fine\n(00.2) Error (a.c:1): one\n(00.3)      7: Error (a.c:2): two\n"
		"(00.4) Error (a.c:3): three\n(00.5) more\n(00.6) Error (a.c:4): four",
		&some);
	assert_string_equal(
		buf_str(&some), "Error (a.c:2): two; Error (a.c:3): three; Error (a.c:4): four");
	criu_log_errors("(00.1) fine\n", &none);
	assert_string_equal(buf_str(&none), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode_dump),
		cmocka_unit_test(test_encode_restore),
		cmocka_unit_test(test_encode_flags),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_decode_refuses),
		cmocka_unit_test(test_log_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

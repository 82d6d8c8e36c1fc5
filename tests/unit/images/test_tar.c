/* SPDX-License-Identifier: Apache-2.0 */
#include "images/unpack/tar.h"
#include "images/unpack/tar_write.h"
#include "tests/unit/images/tars.h"

#include "base/fd.h"
#include "base/sys.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_bad(const struct buf *tar, const char *word)
{
	struct tars_input in = {.data = tar->data, .len = tar->len, .step = 100};
	autotar struct tar *t = NULL;
	struct tar_entry e;
	struct err err = {};
	int r;

	assert_int_equal(tar_open(tars_read, &in, &t), 0);
	while ((r = tar_next(t, &e, &err)) > 0)
		;
	if (r != -EINVAL || !strstr(err.text, word))
		fail_msg("%d: %s (expected: %s)", r, err.text, word);
}

/* Two readers would see two archives. */
static void refuses_contradictions(void **state)
{
	const char *size[] = {"size=512", NULL}, *twice[] = {"path=a", "path=b", NULL};
	const char *nul[] = {"path=", NULL};
	autobuf struct buf a = {}, b = {}, c = {}, d = {};

	(void)state;
	tars_pax(&a, size);
	tars_header(&a, '0', "f", "", 0);
	tars_end(&a);
	expect_bad(&a, "extended header is not the size");
	tars_pax(&b, twice);
	tars_file(&b, "f", "");
	expect_bad(&b, "twice");
	tars_pax(&c, nul);
	tars_file(&c, "f", "");
	expect_bad(&c, "no or too many");
	tars_pax(&d, twice + 1);
	tars_pax(&d, twice + 1);
	tars_file(&d, "f", "");
	expect_bad(&d, "two extended headers");
}

static void refuses_broken_archives(void **state)
{
	autobuf struct buf cut = {}, sum = {}, link = {}, after = {}, name = {}, global = {};

	(void)state;
	tars_file(&cut, "f", "hello");
	cut.len -= 100;
	expect_bad(&cut, "cut off");
	tars_file(&sum, "f", "hello");
	sum.data[0] = 'g';
	expect_bad(&sum, "checksum");
	tars_header(&link, '1', "f", "g", 512);
	tars_content(&link, "x", 1);
	expect_bad(&link, "content");
	buf_add(&after, (char[512]){}, 512);
	tars_file(&after, "f", "");
	expect_bad(&after, "follows");
	tars_header(&name, 'L', "././@LongLink", "", 3);
	tars_content(&name, "longer", 7);
	tars_file(&name, "f", "");
	expect_bad(&name, "after its end");
	tars_pax(&global, (const char *const[]){"comment=of git", "path=everywhere", NULL});
	((struct tar_header *)(void *)global.data)->type = 'g';
	tars_seal((struct tar_header *)(void *)global.data);
	tars_file(&global, "f", "");
	expect_bad(&global, "global header");
}

static void reads_long_names(void **state)
{
	autobuf struct buf tar = {};
	char name[201];
	struct tars_input in;
	autotar struct tar *t = NULL;
	struct tar_entry e;
	struct err err = {};

	(void)state;
	memset(name, 'n', 200);
	name[200] = '\0';
	tars_header(&tar, 'L', "././@LongLink", "", 201);
	tars_content(&tar, name, 201);
	tars_header(&tar, '5', "short", "", 0);
	tars_end(&tar);
	in = (struct tars_input){.data = tar.data, .len = tar.len, .step = 7};
	assert_int_equal(tar_open(tars_read, &in, &t), 0);
	assert_int_equal(tar_next(t, &e, &err), 1);
	assert_string_equal(e.path, name);
	assert_int_equal(tar_next(t, &e, &err), 0);
}

/* What the writer writes the reader reads, whatever needs an extended header. */
static void writes_what_it_reads(void **state)
{
	static const struct tar_xattr attribute = {"user.x", "a\0b\n", 4};
	char path[600];
	autoclose int fd = sys_memfd_create("tar", 0);
	autotarwriter struct tar_writer w = {.fd = fd};
	struct tar_entry in = {.type = TAR_FILE,
		.path = path,
		.target = "",
		.mode = 04755,
		.uid = 3000000,
		.gid = 7,
		.mtime = {.tv_sec = 12345},
		.size = 5,
		.xattrs = &attribute,
		.xattr_count = 1};
	autobuf struct buf bytes = {};
	autotar struct tar *t = NULL;
	struct tars_input source;
	struct tar_entry out;
	struct err err = {};
	const void *content;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(tar_write_entry(&w, &in, &err), 0);
	assert_int_equal(tar_write_data(&w, "hello", 5, &err), 0);
	assert_int_equal(tar_write_data(&w, "x", 1, &err), -EINVAL);
	assert_int_equal(tar_write_end(&w, &err), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(fd_read_all(fd, 1 << 20, &bytes), 0);
	assert_int_equal(bytes.len % 512, 0);
	source = (struct tars_input){.data = bytes.data, .len = bytes.len};
	assert_int_equal(tar_open(tars_read, &source, &t), 0);
	assert_int_equal(tar_next(t, &out, &err), 1);
	assert_string_equal(out.path, path);
	assert_int_equal(out.uid, 3000000);
	assert_int_equal(out.mode, 04755);
	assert_int_equal(out.mtime.tv_sec, 12345);
	assert_int_equal(out.xattr_count, 1);
	assert_string_equal(out.xattrs[0].name, "user.x");
	assert_memory_equal(out.xattrs[0].value, "a\0b\n", 4);
	assert_int_equal(tar_read(t, UINT64_MAX, &content, &err), 5);
	assert_memory_equal(content, "hello", 5);
	assert_int_equal(tar_next(t, &out, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_contradictions),
		cmocka_unit_test(refuses_broken_archives),
		cmocka_unit_test(reads_long_names),
		cmocka_unit_test(writes_what_it_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/store.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char hello[] =
	"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
static char dir[64];

static struct store *open_store(void)
{
	const struct store_options options = {.root = dir, .helper = "/bin/true"};
	struct store *store = NULL;
	struct err err = {};

	assert_int_equal(store_open(&options, &store, &err), 0);
	return store;
}

static int make_folder(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_store.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return path_remove_tree(AT_FDCWD, dir);
}

static void blobs(void **state)
{
	autostore struct store *store = open_store();
	autobuf struct buf text = {};
	struct err err = {};
	uint64_t size = 0;
	char path[200];
	int fd;

	(void)state;
	assert_false(store_blob_exists(store, hello));
	assert_int_equal(store_blob_put(store, hello, "hell", 4, &err), -EBADMSG);
	assert_int_equal(store_blob_put(store, "sha256:../../x", "hello", 5, &err), -EINVAL);
	assert_int_equal(store_blob_put(store, hello, "hello", 5, &err), 0);
	assert_int_equal(store_blob_put(store, hello, "hello", 5, &err), 0);
	fd = store_blob_open(store, hello, &size);
	assert_true(fd >= 0 && size == 5);
	close(fd);
	assert_int_equal(store_blob_read(store, hello, 100, &text, &err), 0);
	assert_string_equal(buf_str(&text), "hello");
	assert_int_equal(store_blob_read(store, hello, 4, &text, &err), -EFBIG);
	/* What the disk did to it is noticed. */
	store_blob_path(hello, path);
	fd = openat(store_root(store), path, O_WRONLY);
	if (fd < 0)
		fd = sys_openat(store_root(store), path, O_RDWR, 0);
	assert_true(fd >= 0 && pwrite(fd, "J", 1, 0) == 1);
	close(fd);
	assert_int_equal(store_blob_read(store, hello, 100, &text, &err), -EBADMSG);
}

static void names(void **state)
{
	autostore struct store *store = open_store();
	autonames struct store_names list = {};
	struct store_name name = {}, found;
	struct reference other;
	struct err err = {};

	(void)state;
	assert_int_equal(reference_parse("example.com/a/b:1", &name.reference, &err), 0);
	strcpy(name.digest, hello);
	assert_int_equal(store_name_get(store, &name.reference, &found, &err), -ENOENT);
	assert_int_equal(store_name_set(store, &name, &err), 0);
	assert_int_equal(store_name_get(store, &name.reference, &found, &err), 0);
	assert_string_equal(found.digest, hello);
	assert_true(strlen(found.created) >= 20);
	other = name.reference;
	*other.tag = '\0';
	strcpy(other.digest, hello);
	assert_int_equal(store_name_get(store, &other, &found, &err), 0);
	assert_string_equal(found.reference.tag, "1");
	assert_int_equal(store_names_list(store, &list, &err), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(store_name_remove(store, &name.reference, &err), 0);
	assert_int_equal(store_name_remove(store, &name.reference, &err), -ENOENT);
}

static void layers(void **state)
{
	autostore struct store *store = open_store();
	autoclose int stage = -1, diff = -1;
	struct err err = {};
	uint64_t size = 0;

	(void)state;
	assert_false(store_layer_exists(store, hello));
	stage = store_layer_stage(store, hello, &err);
	assert_true(stage >= 0);
	assert_int_equal(fd_create_file(stage, "diff/file", "x", 1, 0644), 0);
	assert_false(store_layer_exists(store, hello));
	assert_int_equal(store_layer_commit(store, hello, &err), 0);
	assert_true(store_layer_exists(store, hello));
	assert_int_equal(store_layer_stage(store, hello, &err), -EEXIST);
	diff = store_layer_open(store, hello);
	assert_true(diff >= 0);
	assert_int_equal(sys_faccessat(diff, "file", F_OK, 0), 0);
	assert_int_equal(store_layer_size(store, hello, &size), -ENOENT);
	store_layer_set_size(store, hello, 42);
	assert_int_equal(store_layer_size(store, hello, &size), 0);
	assert_int_equal(size, 42);
}

/* An abandoned layer leaves nothing, and what a crash left is cleared by the next try. */
static void stages(void **state)
{
	autostore struct store *store = open_store();
	struct err err = {};
	int stage = store_layer_stage(store, hello, &err);

	(void)state;
	assert_int_equal(fd_create_file(stage, "diff/half", "x", 1, 0644), 0);
	close(stage);
	stage = store_layer_stage(store, hello, &err);
	assert_true(stage >= 0);
	assert_int_equal(sys_faccessat(stage, "diff/half", F_OK, 0), -ENOENT);
	close(stage);
	store_layer_abandon(store, hello);
	assert_int_equal(sys_faccessat(store_root(store), "staging", F_OK, 0), 0);
	char path[256];
	snprintf(path, sizeof(path), "staging/%s", digest_hex(hello));
	assert_int_equal(sys_faccessat(store_root(store), path, F_OK, 0), -ENOENT);
}

static void locks(void **state)
{
	autostore struct store *store = open_store();
	struct store_collected count;
	struct err err = {};
	int hold = store_hold(store, &err);

	(void)state;
	assert_true(hold >= 0);
	assert_int_equal(store_collect(store, false, &count, &err), -EBUSY);
	close(hold);
	assert_int_equal(store_collect(store, false, &count, &err), 0);
	assert_int_equal(count.blobs, 0);
	assert_int_equal(store_blob_put(store, hello, "hello", 5, &err), 0);
	assert_int_equal(store_collect(store, true, &count, &err), 0);
	assert_int_equal(count.blobs, 1);
	assert_int_equal(count.bytes, 5);
	assert_false(store_blob_exists(store, hello));
}

static void formats(void **state)
{
	const struct store_options options = {.root = dir, .helper = "/bin/true"};
	struct store *store = open_store();
	struct err err = {};
	struct stat st;

	(void)state;
	assert_int_equal(fstat(store_root(store), &st), 0);
	assert_int_equal(
		fd_replace_file(store_root(store), "format", "brig-store 9\n", 13, 0600), 0);
	store_close(store);
	assert_int_equal(store_open(&options, &store, &err), -EPROTO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(blobs),
		TEST(names),
		TEST(layers),
		TEST(stages),
		TEST(locks),
		TEST(formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

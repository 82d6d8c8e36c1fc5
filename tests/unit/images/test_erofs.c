/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of file system images, without its jail; tests/microvm/erofs.sh has the kernel read
 * them. */
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/unpack/erofs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include <cmocka.h>

struct place {
	char path[64];
	int top, tree;
};

static const struct unpack_limits limits = {
	.bytes = 1 << 20, .entries = 3000, .depth = 8, .ratio = 1, .seconds = 1};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->path, "/var/tmp/brig-erofs-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->top = sys_openat(AT_FDCWD, p->path, O_RDONLY | O_DIRECTORY, 0);
	assert_int_equal(sys_mkdirat(p->top, "tree", 0755), 0);
	p->tree = sys_openat(p->top, "tree", O_RDONLY | O_DIRECTORY, 0);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	close(p->tree);
	close(p->top);
	path_remove_tree(AT_FDCWD, p->path);
	free(p);
	return 0;
}

/* The image as bytes in RET; the caller frees. */
static int write_image(struct place *p, uint8_t **ret, size_t *ret_len, struct err *err)
{
	const struct unpack_request request = {.role = UNPACK_EROFS, .limits = limits};
	autoclose int out = sys_openat(p->top, "image", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct unpack_reply reply = {};
	struct stat st;
	int r;

	*err = (struct err){};
	r = erofs_run(p->tree, out, &request, &reply, err);
	if (r < 0)
		return r;
	assert_int_equal(sys_fstat(out, &st), 0);
	*ret_len = (size_t)st.st_size;
	*ret = malloc(*ret_len);
	assert_int_equal(sys_pread(out, *ret, *ret_len, 0), *ret_len);
	return 0;
}

static void test_equal_trees_give_equal_bytes(void **state)
{
	struct place *p = *state;
	struct err err;
	uint8_t *one = NULL, *two = NULL;
	size_t one_len, two_len;
	autoclose int file = -1;

	for (int i = 0; i < 500; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%d", i * 7919 % 500);
		assert_int_equal(fd_replace_file(p->tree, name, name, strlen(name), 0644), 0);
	}
	file = sys_openat(p->tree, "7", O_RDONLY, 0);
	assert_int_equal(fsetxattr(file, "user.b", "2", 1, 0), 0);
	assert_int_equal(fsetxattr(file, "user.a", "1", 1, 0), 0);
	assert_int_equal(write_image(p, &one, &one_len, &err), 0);
	assert_int_equal(one_len % 4096, 0);
	assert_memory_equal(one + 1024, "\xe2\xe1\xf5\xe0", 4);
	assert_int_equal(write_image(p, &two, &two_len, &err), 0);
	assert_int_equal(one_len, two_len);
	assert_memory_equal(one, two, one_len);
	free(one);
	free(two);
}

/* A hole takes no room, and counts as content all the same. */
static void test_limits(void **state)
{
	struct place *p = *state;
	autoclose int file = sys_openat(p->tree, "sparse", O_RDWR | O_CREAT, 0644);
	uint8_t *image = NULL;
	struct err err;
	struct stat st;
	size_t len;

	assert_int_equal(sys_ftruncate(file, 1 << 20), 0);
	assert_int_equal(sys_pwrite(file, "x", 1, 700000), 1);
	assert_int_equal(write_image(p, &image, &len, &err), 0);
	assert_int_equal(sys_fstatat(p->top, "image", &st, 0), 0);
	assert_true(st.st_blocks * 512 < st.st_size / 4);
	assert_int_equal(image[4096 + 700000], 'x');
	free(image);
	assert_int_equal(sys_ftruncate(file, (1 << 20) + 1), 0);
	assert_int_equal(write_image(p, &image, &len, &err), -EFBIG);
	assert_non_null(strstr(err.text, "sparse"));
	assert_int_equal(sys_ftruncate(file, 0), 0);
	for (unsigned int i = 0; i < limits.entries; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(sys_mknodat(p->tree, name, S_IFREG | 0600, 0), 0);
	}
	assert_int_equal(write_image(p, &image, &len, &err), -EFBIG);
}

static void test_depth(void **state)
{
	struct place *p = *state;
	uint8_t *image = NULL;
	struct err err;
	size_t len;

	assert_true(path_mkdir(p->tree, "1/2/3/4/5/6/7/8/9", 0755, (uid_t)-1, (gid_t)-1) >= 0);
	assert_int_equal(write_image(p, &image, &len, &err), -ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_equal_trees_give_equal_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_depth, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

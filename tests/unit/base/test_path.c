/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>

/* outer/ has the directory root/ and the file canary; nothing may get from root/ to it. */
struct fixture {
	char path[64];
	int outer, root;
};

static int setup(void **state)
{
	static struct fixture f;
	int fd;

	snprintf(f.path, sizeof(f.path), "/tmp/brig-path-XXXXXX");
	if (!mkdtemp(f.path))
		return -1;
	f.outer = open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	mkdirat(f.outer, "root", 0755);
	fd = openat(f.outer, "canary", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	f.root = openat(f.outer, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = &f;
	return f.root < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->root);
	close(f->outer);
	return path_remove_tree(AT_FDCWD, f->path);
}

static bool is_dir(int root, const char *path)
{
	struct stat st;

	return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int drop(int fd)
{
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void test_mkdir(void **state)
{
	int root = ((struct fixture *)*state)->root;
	mode_t mask = umask(077);
	struct stat st;

	assert_int_equal(drop(path_mkdir(root, "/a//b/c/", 01777, -1, -1)), 0);
	umask(mask);
	assert_int_equal(fstatat(root, "a/b/c", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
	assert_int_equal(drop(path_mkdir(root, "a/b/c", 0700, -1, -1)), 0);
	assert_int_equal(fstatat(root, "a/b/c", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 01777); /* was there: left alone */
	assert_int_equal(drop(path_mkdir(root, "", 0700, -1, -1)), 0);
	assert_int_equal(drop(path_mkdir(root, "/", 0700, -1, -1)), 0);
}

static void test_mkdir_stays_inside(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(drop(path_mkdir(f->root, "../../x1/../x2", 0755, -1, -1)), 0);
	assert_true(is_dir(f->root, "x1") && is_dir(f->root, "x2"));
	assert_false(is_dir(f->outer, "x1") || is_dir(f->outer, "x2"));

	assert_int_equal(symlinkat("/", f->root, "up"), 0);
	assert_int_equal(symlinkat("../../..", f->root, "dots"), 0);
	assert_int_equal(drop(path_mkdir(f->root, "up/x3", 0755, -1, -1)), 0);
	assert_int_equal(drop(path_mkdir(f->root, "dots/x4", 0755, -1, -1)), 0);
	assert_true(is_dir(f->root, "x3") && is_dir(f->root, "x4"));
	assert_false(is_dir(f->outer, "x3") || is_dir(f->outer, "x4"));
	assert_int_equal(path_open(f->root, "up/canary", O_PATH), -ENOENT);
	assert_int_equal(path_open(f->root, "../canary", O_PATH), -ENOENT);
}

static void test_dangling_and_foreign(void **state)
{
	int root = ((struct fixture *)*state)->root;

	assert_int_equal(symlinkat("nowhere/at/all", root, "dangling"), 0);
	assert_int_equal(path_mkdir(root, "dangling", 0755, -1, -1), -ENOENT);
	assert_int_equal(path_mkdir(root, "dangling/deep", 0755, -1, -1), -ENOENT);
	assert_int_equal(path_mkfile(root, "dangling", 0644), -ENOENT);
	assert_int_equal(drop(path_mkfile(root, "plain", 0644)), 0);
	assert_int_equal(path_mkdir(root, "plain", 0755, -1, -1), -ENOTDIR);
	assert_int_equal(path_mkdir(root, "plain/x", 0755, -1, -1), -ENOTDIR);
	assert_int_equal(symlinkat("loop", root, "loop"), 0);
	assert_int_equal(path_mkdir(root, "loop/x", 0755, -1, -1), -ELOOP);
}

static void test_mkfile(void **state)
{
	int root = ((struct fixture *)*state)->root;
	struct stat st;

	assert_int_equal(drop(path_mkfile(root, "/f/g/file", 0640)), 0);
	assert_int_equal(fstatat(root, "f/g/file", &st, 0), 0);
	assert_true(S_ISREG(st.st_mode) && st.st_size == 0);
	assert_int_equal(drop(path_mkfile(root, "/f/g/file", 0600)), 0);
	assert_int_equal(path_mkfile(root, "new/", 0600), -EINVAL);
	assert_int_equal(path_mkfile(root, "new/..", 0600), -EINVAL);
	assert_int_equal(
		drop(path_mkfile(root, "f", 0600)), 0); /* a directory is there: as it is */
}

static void test_nofollow_and_magic_links(void **state)
{
	int root = ((struct fixture *)*state)->root;
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(drop(path_mkfile(root, "target", 0600)), 0);
	assert_int_equal(symlinkat("target", root, "to-target"), 0);
	assert_int_equal(drop(path_open(root, "to-target", O_RDONLY)), 0);
	assert_int_equal(path_open_nofollow(root, "to-target", O_RDONLY), -ELOOP);
	assert_int_equal(path_open_nofollow(root, "to-target", O_PATH), -ELOOP);
	assert_int_equal(drop(path_open_nofollow(root, "target", O_PATH)), 0);
	assert_int_equal(path_open(proc, "self/exe", O_PATH), -ELOOP);
	assert_int_equal(path_open(proc, "self/cwd/etc", O_PATH), -ELOOP);
}

static void test_parent(void **state)
{
	int root = ((struct fixture *)*state)->root;
	const char *name = NULL;

	assert_int_equal(drop(path_open_parent(root, "p/q/r", true, &name)), 0);
	assert_string_equal(name, "r");
	assert_true(is_dir(root, "p/q"));
	assert_false(is_dir(root, "p/q/r"));
	assert_int_equal(drop(path_open_parent(root, "/top", false, &name)), 0);
	assert_string_equal(name, "top");
	assert_int_equal(path_open_parent(root, "missing/r", false, &name), -ENOENT);
	assert_int_equal(path_open_parent(root, "/", true, &name), -EINVAL);
	assert_int_equal(path_open_parent(root, "a/..", true, &name), -EINVAL);
}

static void test_long_paths(void **state)
{
	int root = ((struct fixture *)*state)->root;
	char path[6000];

	memset(path, 'n', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(path_mkdir(root, path, 0755, -1, -1), -ENAMETOOLONG);
	path[300] = '\0';
	assert_int_equal(path_mkdir(root, path, 0755, -1, -1), -ENAMETOOLONG);
	path[255] = '\0';
	assert_int_equal(drop(path_mkdir(root, path, 0755, -1, -1)), 0);
}

static void test_components(void **state)
{
	(void)state;
	assert_true(path_is_component("a"));
	assert_true(path_is_component("..."));
	assert_false(path_is_component(""));
	assert_false(path_is_component("."));
	assert_false(path_is_component(".."));
	assert_false(path_is_component("a/b"));
	assert_false(path_is_component("a/"));
}

/* CONTEXT: how many names are wanted. */
static int count_down(void *context, int dirfd, const char *name)
{
	int *left = context;
	struct stat st;

	assert_true(path_is_component(name));
	assert_int_equal(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return --*left == 0 ? 7 : 0;
}

static void test_each(void **state)
{
	struct fixture *f = *state;
	int left = 9, fd, dir;

	mkdirat(f->root, "each", 0755);
	dir = openat(f->root, "each", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(path_each(dir, count_down, &left), 0);
	assert_int_equal(left, 9);
	mkdirat(dir, "dir", 0755);
	assert_int_equal(sys_symlinkat("nowhere", dir, "link"), 0);
	close(openat(dir, ".file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	/* It is O_PATH, and read twice. */
	assert_int_equal(path_each(dir, count_down, &left), 0);
	assert_int_equal(left, 6);
	assert_int_equal(path_each(dir, count_down, &left), 0);
	assert_int_equal(left, 3);
	left = 2;
	assert_int_equal(path_each(dir, count_down, &left), 7);
	fd = openat(dir, ".file", O_RDONLY | O_CLOEXEC);
	assert_int_equal(path_each(fd, count_down, &left), -ENOTDIR);
	close(fd);
	close(dir);
}

static void test_remove_tree(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(drop(path_mkdir(f->root, "tree/a/b/c", 0755, -1, -1)), 0);
	assert_int_equal(drop(path_mkfile(f->root, "tree/a/file", 0600)), 0);
	assert_int_equal(symlinkat("../../..", f->root, "tree/a/out"), 0);
	assert_int_equal(path_remove_tree(f->root, "tree"), 0);
	assert_false(is_dir(f->root, "tree"));
	assert_int_equal(faccessat(f->outer, "canary", F_OK, 0), 0);
	assert_int_equal(path_remove_tree(f->root, "tree"), 0);
	/* A link in the tree's place is not followed. */
	assert_int_equal(symlinkat("..", f->root, "link"), 0);
	assert_int_equal(path_remove_tree(f->root, "link"), -ENOTDIR);
	assert_int_equal(faccessat(f->outer, "canary", F_OK, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mkdir),
		cmocka_unit_test(test_mkdir_stays_inside),
		cmocka_unit_test(test_dangling_and_foreign),
		cmocka_unit_test(test_mkfile),
		cmocka_unit_test(test_nofollow_and_magic_links),
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_components),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_remove_tree),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "runtime/mounts.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct fixture {
	char dir[64];
	int top, from, to;
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/brig-copyup-%d", (int)getpid());
	sys_mkdirat(AT_FDCWD, f->dir, 0700);
	f->top = sys_openat(AT_FDCWD, f->dir, O_RDONLY | O_DIRECTORY, 0);
	sys_mkdirat(f->top, "from", 0755);
	sys_mkdirat(f->top, "to", 0755);
	f->from = sys_openat(f->top, "from", O_RDONLY | O_DIRECTORY, 0);
	f->to = sys_openat(f->top, "to", O_RDONLY | O_DIRECTORY, 0);
	*state = f;
	return f->to < 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close(f->from);
	close(f->to);
	path_remove_tree(AT_FDCWD, f->dir);
	close(f->top);
	free(f);
	return 0;
}

static void put(int dirfd, const char *name, const char *text, mode_t mode)
{
	assert_int_equal(fd_create_file(dirfd, name, text, strlen(text), 0600), 0);
	assert_int_equal(sys_fchmodat(dirfd, name, mode), 0);
}

static void assert_text(int dirfd, const char *name, const char *want)
{
	autobuf struct buf text = {};

	assert_int_equal(fd_read_file(dirfd, name, 1 << 20, &text), 0);
	assert_string_equal(buf_str(&text), want);
}

static struct stat look(int dirfd, const char *name)
{
	struct stat st;

	assert_int_equal(sys_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static void test_every_kind(void **state)
{
	struct fixture *f = *state;
	char target[32] = "";

	put(f->from, "file", "text", 0640);
	put(f->from, "empty", "", 0400);
	assert_int_equal(sys_mkdirat(f->from, "dir", 0711), 0);
	put(f->from, "dir/deep", "below", 0600);
	assert_int_equal(sys_symlinkat("/etc/shadow", f->from, "link"), 0);
	assert_int_equal(sys_symlinkat("nowhere", f->from, "dir/dangling"), 0);
	assert_int_equal(sys_mknodat(f->from, "fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(copyup(f->from, f->to, &f->err), 0);
	assert_text(f->to, "file", "text");
	assert_text(f->to, "empty", "");
	assert_text(f->to, "dir/deep", "below");
	assert_int_equal(look(f->to, "file").st_mode, S_IFREG | 0640);
	assert_int_equal(look(f->to, "empty").st_mode, S_IFREG | 0400);
	assert_int_equal(look(f->to, "dir").st_mode, S_IFDIR | 0711);
	assert_int_equal(look(f->to, "fifo").st_mode, S_IFIFO | 0600);
	/* As a link: what it names is somebody else's. */
	assert_true(sys_readlinkat(f->to, "link", target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "/etc/shadow");
	assert_true(S_ISLNK(look(f->to, "dir/dangling").st_mode));
}

static void test_owners_modes_and_times(void **state)
{
	const struct timespec times[2] = {{1000, 0}, {2000, 5}};
	struct fixture *f = *state;
	struct stat st;

	if (getuid() != 0)
		skip();
	put(f->from, "setuid", "x", 0600);
	assert_int_equal(sys_fchownat(f->from, "setuid", 12, 34, 0), 0);
	assert_int_equal(sys_fchmodat(f->from, "setuid", 06751), 0);
	assert_int_equal(sys_mkdirat(f->from, "sticky", 0700), 0);
	put(f->from, "sticky/x", "x", 0600);
	assert_int_equal(sys_fchmodat(f->from, "sticky", 01777), 0);
	assert_int_equal(utimensat(f->from, "setuid", times, 0), 0);
	assert_int_equal(utimensat(f->from, "sticky", times, 0), 0);
	assert_int_equal(sys_fchownat(f->from, "", 56, 78, AT_EMPTY_PATH), 0);
	assert_int_equal(copyup(f->from, f->to, &f->err), 0);
	st = look(f->to, "setuid");
	assert_int_equal(st.st_mode, S_IFREG | 06751);
	assert_true(st.st_uid == 12 && st.st_gid == 34);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
	/* Also of a directory that was filled afterwards. */
	st = look(f->to, "sticky");
	assert_int_equal(st.st_mode, S_IFDIR | 01777);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
	assert_int_equal(sys_fstat(f->to, &st), 0);
	assert_true(st.st_uid == 56 && st.st_gid == 78);
}

static void test_what_is_there_is_not_written_through(void **state)
{
	struct fixture *f = *state;

	put(f->top, "victim", "mine", 0600);
	put(f->from, "file", "theirs", 0600);
	assert_int_equal(sys_symlinkat("../victim", f->to, "file"), 0);
	assert_int_equal(copyup(f->from, f->to, &f->err), -EEXIST);
	assert_non_null(strstr(f->err.text, "tmpcopyup: file"));
	assert_text(f->top, "victim", "mine");
}

/* Whether WHAT, in the place of something that this process made there, is taken for it. */
static void test_what_others_put_in_its_place(void **state)
{
	struct fixture *f = *state;
	int fd;

	put(f->top, "victim", "mine", 0600);
	assert_int_equal(sys_mknodat(f->to, "fifo", S_IFIFO | 0600, 0), 0);
	fd = path_open_made(f->to, "fifo", S_IFIFO);
	assert_true(fd >= 0);
	close(fd);
	/* A link, another name of a file, and nothing at all */
	assert_int_equal(sys_unlinkat(f->to, "fifo", 0), 0);
	assert_int_equal(path_open_made(f->to, "fifo", S_IFIFO), -ESTALE);
	assert_int_equal(sys_symlinkat("../victim", f->to, "fifo"), 0);
	assert_int_equal(path_open_made(f->to, "fifo", S_IFIFO), -ESTALE);
	assert_int_equal(path_open_made(f->to, "fifo", S_IFDIR), -ESTALE);
	assert_int_equal(sys_unlinkat(f->to, "fifo", 0), 0);
	assert_int_equal(linkat(f->top, "victim", f->to, "file", 0), 0);
	assert_int_equal(path_open_made(f->to, "file", S_IFREG), -ESTALE);
	if (getuid() != 0)
		return;
	assert_int_equal(sys_mkdirat(f->to, "dir", 0700), 0);
	fd = path_open_made(f->to, "dir", S_IFDIR);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sys_fchownat(f->to, "dir", 12, 34, 0), 0);
	assert_int_equal(path_open_made(f->to, "dir", S_IFDIR), -ESTALE);
}

static void test_large_file(void **state)
{
	struct fixture *f = *state;
	autobuf struct buf text = {};

	for (int i = 0; i < 300000; i++)
		buf_printf(&text, "%d\n", i);
	put(f->from, "large", buf_str(&text), 0600);
	assert_int_equal(copyup(f->from, f->to, &f->err), 0);
	assert_int_equal(look(f->to, "large").st_size, text.len);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_kind),
		TEST(test_owners_modes_and_times),
		TEST(test_what_is_there_is_not_written_through),
		TEST(test_what_others_put_in_its_place),
		TEST(test_large_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include "base/path.h"
#include "base/sys.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

struct fixture {
	char path[64];
	int dir;
};

static int setup(void **state)
{
	static struct fixture f;

	snprintf(f.path, sizeof(f.path), "/tmp/brig-fd-XXXXXX");
	if (!mkdtemp(f.path))
		return -1;
	f.dir = open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = &f;
	return f.dir < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->dir);
	return path_remove_tree(AT_FDCWD, f->path);
}

/* Whether a file whose name begins with PREFIX is left in DIRFD. */
static bool has_leftover(int dirfd, const char *prefix)
{
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	bool found = false;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		found |= strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	closedir(dir);
	return found;
}

static void test_replace_and_read(void **state)
{
	int dir = ((struct fixture *)*state)->dir;
	autobuf struct buf buf = {};
	char line[8];

	assert_int_equal(fd_replace_file(dir, "a", "first\n", 6, 0600), 0);
	assert_int_equal(fd_read_file(dir, "a", 100, &buf), 0);
	assert_string_equal(buf_str(&buf), "first\n");
	assert_int_equal(fd_replace_file(dir, "a", "second", 6, 0600), 0);
	assert_int_equal(fd_read_file(dir, "a", 5, &buf), -EFBIG);
	assert_int_equal(fd_read_line(dir, "a", line, sizeof(line)), 6);
	assert_string_equal(line, "second");
	assert_int_equal(fd_read_line(dir, "a", line, 7), 6);
	assert_int_equal(fd_read_line(dir, "a", line, 6), -EFBIG);
	assert_int_equal(fd_replace_file(dir, "a", "x\n\n", 3, 0600), 0);
	assert_int_equal(fd_read_line(dir, "a", line, sizeof(line)), 2);
	assert_string_equal(line, "x\n");
	assert_false(has_leftover(dir, ".a."));
}

static void test_write_file(void **state)
{
	int dir = ((struct fixture *)*state)->dir;
	char line[16];

	assert_int_equal(fd_write_file(dir, "missing", "x"), -ENOENT);
	assert_int_equal(fd_replace_file(dir, "b", "", 0, 0600), 0);
	assert_int_equal(fd_write_file(dir, "b", "42"), 0);
	assert_int_equal(fd_read_line(dir, "b", line, sizeof(line)), 2);
}

static void test_odd_files_are_refused(void **state)
{
	int dir = ((struct fixture *)*state)->dir;
	autobuf struct buf buf = {};
	char line[16];

	assert_int_equal(symlinkat("/etc/passwd", dir, "link"), 0);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(fd_read_file(dir, "link", 1 << 20, &buf), -ELOOP);
	assert_int_equal(fd_read_line(dir, "link", line, sizeof(line)), -ELOOP);
	assert_int_equal(fd_write_file(dir, "link", "x"), -ELOOP);
	assert_int_equal(fd_read_file(dir, "fifo", 100, &buf), -EINVAL);
	assert_int_equal(fd_read_file(dir, ".", 100, &buf), -EISDIR);
	assert_int_equal(fd_read_file(dir, "none", 100, &buf), -ENOENT);
	assert_int_equal(buf.len, 0);
}

static void test_read_all_from_a_pipe(void **state)
{
	autobuf struct buf buf = {};
	static char data[50000];
	int fds[2];
	(void)state;

	memset(data, 'p', sizeof(data));
	assert_int_equal(sys_pipe(fds), 0);
	assert_int_equal(fd_write_all(fds[1], data, sizeof(data)), 0);
	close(fds[1]);
	assert_int_equal(fd_read_all(fds[0], sizeof(data), &buf), 0);
	assert_int_equal(buf.len, sizeof(data));
	assert_memory_equal(buf.data, data, sizeof(data));
	close(fds[0]);
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_descriptors(void **state)
{
	int socks[2], sent[3], got[3];
	size_t count = 3;
	char data[8] = "";
	(void)state;

	assert_int_equal(sys_socketpair(SOCK_SEQPACKET, socks), 0);
	for (int i = 0; i < 3; i++)
		sent[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(fd_send(socks[0], "hello", 5, sent, 3), 0);
	assert_int_equal(fd_recv(socks[1], data, sizeof(data), got, &count), 5);
	assert_int_equal(count, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
		close(got[i]);
	}
	/* More than there is room for: none is kept. */
	assert_int_equal(fd_send(socks[0], "hello", 5, sent, 3), 0);
	int before = count_descriptors();
	count = 2;
	assert_int_equal(fd_recv(socks[1], data, sizeof(data), got, &count), -EMSGSIZE);
	assert_int_equal(count_descriptors(), before);
	/* None expected, one sent. */
	assert_int_equal(fd_send(socks[0], "x", 1, sent, 1), 0);
	assert_int_equal(fd_recv(socks[1], data, sizeof(data), NULL, NULL), -EMSGSIZE);
	/* A message longer than the buffer. */
	assert_int_equal(fd_send(socks[0], "longer than 8", 13, NULL, 0), 0);
	assert_int_equal(fd_recv(socks[1], data, sizeof(data), NULL, NULL), -EMSGSIZE);
	assert_int_equal(fd_send(socks[0], "x", 1, sent, FD_SEND_MAX + 1), -EMSGSIZE);
	close(socks[0]);
	assert_int_equal(fd_recv(socks[1], data, sizeof(data), NULL, NULL), 0);
	close(socks[1]);
	for (int i = 0; i < 3; i++)
		close(sent[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replace_and_read),
		cmocka_unit_test(test_write_file),
		cmocka_unit_test(test_odd_files_are_refused),
		cmocka_unit_test(test_read_all_from_a_pipe),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

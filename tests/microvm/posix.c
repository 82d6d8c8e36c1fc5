/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posix FOLDER: does to files in the empty FOLDER what POSIX and Linux's manual pages promise
 * something about, and prints what happened, one line each. Two file systems that behave the same
 * print the same. As root; uses the users 1000 and 1001.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *area;

static void say(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const char *what, const char *format, ...)
{
	va_list args;

	printf("%s: %s: ", area, what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

/* "ok", or the errno's name. */
static const char *result(long r)
{
	return r >= 0 ? "ok" : strerrorname_np(errno);
}

#define TRY(call) say(#call, "%s", result((long)(call)))

static int make(const char *name, const char *content, mode_t mode)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, mode);

	if (fd < 0 || write(fd, content, strlen(content)) < 0)
		say(name, "cannot be made: %s", strerrorname_np(errno));
	return fd;
}

static void file(const char *name, const char *content, mode_t mode)
{
	close(make(name, content, mode));
}

/* Type, mode, links, owner and size. */
static void show(const char *name)
{
	struct stat s;

	if (lstat(name, &s) < 0)
		return say(name, "%s", strerrorname_np(errno));
	say(name, "%06o links %d owner %d:%d size %lld", s.st_mode, (int)s.st_nlink, (int)s.st_uid,
		(int)s.st_gid, S_ISDIR(s.st_mode) ? 0LL : (long long)s.st_size);
}

static void content(const char *name)
{
	char data[128];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, data, sizeof(data) - 1);

	if (n < 0)
		return say(name, "%s", strerrorname_np(errno));
	data[n] = 0;
	say(name, "\"%s\"", data);
	close(fd);
}

/* CALLS in a process of that user; nothing that they change in the process stays. */
static void as(uid_t uid, gid_t gid, gid_t group, void (*calls)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (setgroups(group ? 1 : 0, &group) < 0 || setgid(gid) < 0 || setuid(uid) < 0)
			say("user", "%s", strerrorname_np(errno));
		calls();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		say("process", "ended with %d", status);
}

/* --- names --- */

static void names(void)
{
	char name[NAME_MAX + 3] = {}, target[PATH_MAX] = {}, back[PATH_MAX] = {};
	struct stat a, b;

	file("a", "aaa", 0644);
	file("b", "bbb", 0644);
	TRY(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
	TRY(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
	TRY(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", RENAME_EXCHANGE));
	content("b");
	content("c");
	TRY(renameat2(AT_FDCWD, "c", AT_FDCWD, "nothing", RENAME_EXCHANGE));
	TRY(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
	TRY(rename("c", "b"));
	content("b");
	TRY(rename("nothing", "b"));
	TRY(mkdir("d", 0755));
	TRY(mkdir("d/e", 0755));
	TRY(rename("b", "d"));
	TRY(rename("d", "b"));
	TRY(rename("d", "d/e/f"));
	TRY(mkdir("g", 0755));
	TRY(rename("g", "d"));
	TRY(rmdir("d"));
	TRY(unlink("d"));
	TRY(rmdir("b"));
	TRY(rename("d", "g"));
	TRY(renameat2(AT_FDCWD, "g", AT_FDCWD, "b", RENAME_EXCHANGE));
	show("b");
	show("g");
	TRY(link("g", "hard"));
	stat("g", &a);
	stat("hard", &b);
	say("one file", "%d", a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	show("hard");
	TRY(rename("g", "hard"));
	show("g");
	TRY(link("b", "of-a-folder"));
	TRY(link("nothing", "x"));
	TRY(link("g", "hard"));
	TRY(unlink("g"));
	show("hard");
	memset(name, 'n', NAME_MAX);
	say("255", "%s", result(mkdir(name, 0755)));
	name[NAME_MAX] = 'n';
	say("256", "%s", result(mkdir(name, 0755)));
	say("256", "%s", result(stat(name, &a)));
	say("256", "%s", result(rename("hard", name)));
	memset(target, 't', PATH_MAX - 1);
	say("4095", "%s", result(symlink(target, "long")));
	say("4095", "%zd", readlink("long", back, sizeof(back)));
	TRY(symlink("", "empty"));
	TRY(symlink("loop", "loop"));
	TRY(open("loop", O_RDONLY));
	TRY(open("hard/x", O_RDONLY));
	TRY(open("long", O_RDONLY | O_NOFOLLOW));
	TRY(symlink("new", "dangling"));
	TRY(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644));
	TRY(open("dangling", O_CREAT | O_WRONLY, 0644));
	show("new");
	show("dangling");
	TRY(open("hard", O_CREAT | O_EXCL, 0644));
	TRY(open("b", O_WRONLY));
	TRY(open("hard", O_DIRECTORY));
	TRY(linkat(AT_FDCWD, "dangling", AT_FDCWD, "hard-to-link", 0));
	show("hard-to-link");
	TRY(rename("dangling", "moved"));
	show("moved");
	TRY(mkdir("trailing/", 0755));
	TRY(rmdir("trailing/."));
	TRY(rename("trailing", "trailing/.."));
}

static void special(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int pipe_r, pipe_w, server, client;
	char data[8] = {};

	TRY(mkfifo("fifo", 0640));
	show("fifo");
	pipe_r = open("fifo", O_RDONLY | O_NONBLOCK);
	pipe_w = open("fifo", O_WRONLY | O_NONBLOCK);
	say("through", "%zd %zd", write(pipe_w, "hey", 3), read(pipe_r, data, sizeof(data)));
	server = socket(AF_UNIX, SOCK_STREAM, 0);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	TRY(bind(server, (struct sockaddr *)&address, sizeof(address)));
	TRY(listen(server, 1));
	TRY(connect(client, (struct sockaddr *)&address, sizeof(address)));
	TRY(open("socket", O_RDONLY));
	show("socket");
	TRY(mknod("regular", S_IFREG | 0604, 0));
	show("regular");
	TRY(mknod("set-id", S_IFREG | 06755, 0));
	show("set-id");
	TRY(mknod("whiteout", S_IFCHR, makedev(0, 0)));
	show("whiteout");
	TRY(unlink("fifo"));
	TRY(unlink("socket"));
}

/* --- open files --- */

static void open_files(void)
{
	struct stat s;
	char data[16] = {}, path[64];
	int fd = make("gone", "content", 0644), other;

	TRY(unlink("gone"));
	TRY(fstat(fd, &s));
	say("unlinked", "links %d size %d", (int)s.st_nlink, (int)s.st_size);
	say("pread", "%zd %s", pread(fd, data, 7, 0), data);
	TRY(ftruncate(fd, 3));
	TRY(fchmod(fd, 0600));
	TRY(fchown(fd, 1000, 1000));
	fstat(fd, &s);
	say("unlinked", "%o %d %d", s.st_mode, (int)s.st_uid, (int)s.st_size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_RDWR);
	say("again", "%s", result(other));
	say("pread", "%zd", pread(other, data, 7, 0));
	file("over", "x", 0644);
	close(fd);
	fd = make("victim", "old", 0644);
	TRY(rename("over", "victim"));
	say("pread", "%zd %.3s", pread(fd, data, 7, 0), data);
	close(fd);
	mkdir("folder", 0755);
	fd = open("folder", O_RDONLY);
	TRY(rmdir("folder"));
	TRY(openat(fd, "x", O_CREAT | O_WRONLY, 0644));
	TRY(fstat(fd, &s));
	close(fd);

	fd = open(".", O_TMPFILE | O_RDWR, 0640);
	say("tmpfile", "%s", result(fd));
	say("write", "%zd", write(fd, "temporary", 9));
	fstat(fd, &s);
	say("tmpfile", "%o links %d", s.st_mode, (int)s.st_nlink);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TRY(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	content("named");
	show("named");
	close(fd);
	fd = open(".", O_TMPFILE | O_EXCL | O_RDWR, 0640);
	say("exclusive", "%s", result(fd));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TRY(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
	close(fd);
}

static void data(void)
{
	static const struct {
		const char *name;
		int mode;
	} modes[] = {{"allocate", 0}, {"keep-size", FALLOC_FL_KEEP_SIZE},
		{"punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
		{"punch-alone", FALLOC_FL_PUNCH_HOLE}, {"zero", FALLOC_FL_ZERO_RANGE}};
	static char block[65536] __attribute__((aligned(4096)));
	int fd = make("sparse", "", 0644), other, third;
	struct stat s;
	loff_t from = 0, to = 0;
	char text[64] = {};
	char *map;

	memset(block, 'b', sizeof(block));
	TRY(pwrite(fd, block, sizeof(block), 1 << 20));
	say("data", "%lld", (long long)lseek(fd, 0, SEEK_DATA));
	say("hole", "%lld", (long long)lseek(fd, 1 << 20, SEEK_HOLE));
	say("data beyond", "%s", result(lseek(fd, 2 << 20, SEEK_DATA)));
	say("end", "%lld", (long long)lseek(fd, 0, SEEK_END));
	say("set", "%s", result(lseek(fd, -1, SEEK_SET)));
	fstat(fd, &s);
	say("sparse", "%d", s.st_blocks * 512 < s.st_size);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		say(modes[i].name, "%s", result(fallocate(fd, modes[i].mode, 1 << 20, 1 << 17)));
		fstat(fd, &s);
		say("size", "%lld", (long long)s.st_size);
	}
	say("read of zeroes", "%zd %d", pread(fd, block, 4096, 1 << 20), block[0]);
	TRY(ftruncate(fd, 100));
	TRY(ftruncate(fd, -1));
	fstat(fd, &s);
	say("size", "%lld", (long long)s.st_size);

	TRY(pwrite(fd, "0123456789", 10, 0));
	other = make("copy", "", 0644);
	say("copy_file_range", "%zd", copy_file_range(fd, &from, other, &to, 10, 0));
	content("copy");
	from = 3, to = 20;
	say("copy_file_range", "%zd", copy_file_range(fd, &from, other, &to, 4, 0));
	fstat(other, &s);
	say("size", "%lld", (long long)s.st_size);
	from = 0, to = 4;
	say("overlapping", "%s", result(copy_file_range(other, &from, other, &to, 10, 0)));
	say("flags", "%s", result(copy_file_range(other, &from, other, &to, 10, 1)));

	close(other);
	other = make("log", "begin ", 0644);
	third = open("log", O_WRONLY | O_APPEND);
	say("append", "%zd", write(third, "one ", 4));
	TRY(pwrite(other, "long enough to be longer ", 25, 10));
	say("append", "%zd", write(third, "two ", 4));
	say("place", "%lld", (long long)lseek(third, 0, SEEK_CUR));
	say("fcntl", "%s", result(fcntl(other, F_SETFL, O_APPEND)));
	lseek(other, 0, SEEK_SET);
	say("append", "%zd", write(other, "three", 5));
	content("log");

	close(fd);
	fd = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0644);
	say("O_DIRECT", "%s", result(fd));
	memset(block, 'd', sizeof(block));
	say("write", "%zd", pwrite(fd, block, 8192, 0));
	memset(block, 0, sizeof(block));
	say("read", "%zd %c", pread(fd, block, 8192, 0), block[8191]);
	TRY(fsync(fd));
	TRY(fdatasync(fd));
	TRY(sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE));
	TRY(syncfs(fd));
	close(fd);

	fd = make("mapped", "", 0644);
	TRY(ftruncate(fd, 10000));
	map = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memcpy(map + 4090, "across pages", 12);
	say("before sync", "%zd %.12s", pread(fd, text, 12, 4090), text);
	TRY(msync(map, 10000, MS_SYNC));
	TRY(pwrite(fd, "by write", 8, 9000));
	say("in the map", "%.8s", map + 9000);
	close(fd);
	memcpy(map, "after close", 11);
	TRY(munmap(map, 10000));
	content("mapped");
	TRY(truncate("mapped", 5));
	content("mapped");
	fd = open("mapped", O_RDONLY);
	TRY(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	TRY(write(fd, "x", 1));
	TRY(open("mapped", O_WRONLY | O_TRUNC));
	show("mapped");
}

static void times(void)
{
	const struct timespec both[2] = {{1000, 123456789}, {-5, 7}};
	const struct timespec one[2] = {{.tv_nsec = UTIME_OMIT}, {4000000000, 1}};
	const struct timespec bad[2] = {{0, 1000000000}, {0, 0}};
	struct stat s, after;

	file("f", "x", 0644);
	TRY(symlink("f", "l"));
	TRY(utimensat(AT_FDCWD, "f", both, 0));
	stat("f", &s);
	say("times", "%lld.%09ld %lld.%09ld", (long long)s.st_atime, s.st_atim.tv_nsec,
		(long long)s.st_mtime, s.st_mtim.tv_nsec);
	TRY(utimensat(AT_FDCWD, "f", one, 0));
	stat("f", &s);
	say("times", "%lld.%09ld %lld.%09ld", (long long)s.st_atime, s.st_atim.tv_nsec,
		(long long)s.st_mtime, s.st_mtim.tv_nsec);
	TRY(utimensat(AT_FDCWD, "f", bad, 0));
	TRY(utimensat(AT_FDCWD, "l", both, AT_SYMLINK_NOFOLLOW));
	lstat("l", &s);
	say("link", "%lld", (long long)s.st_mtime);
	stat("f", &s);
	usleep(20000);
	TRY(chmod("f", 0600));
	stat("f", &after);
	say("chmod", "ctime %d mtime %d",
		after.st_ctim.tv_nsec != s.st_ctim.tv_nsec || after.st_ctime != s.st_ctime,
		after.st_mtime != s.st_mtime);
	TRY(utimensat(AT_FDCWD, "f", NULL, 0));
	stat("f", &after);
	say("now", "%d", after.st_mtime > 1000000000 && after.st_mtime < 4000000000);
	s = after;
	usleep(20000);
	file("f", "longer", 0644);
	stat("f", &after);
	say("write", "mtime %d", after.st_mtim.tv_nsec != s.st_mtim.tv_nsec);
	stat(".", &s);
	usleep(20000);
	file("g", "", 0644);
	stat(".", &after);
	say("folder", "mtime %d", after.st_mtim.tv_nsec != s.st_mtim.tv_nsec);
}

/* --- permissions --- */

static void user_permissions(void)
{
	TRY(open("p/owner", O_RDONLY));
	TRY(open("p/group", O_RDONLY));
	TRY(open("p/group", O_WRONLY));
	TRY(open("p/others", O_RDONLY));
	TRY(open("p/others", O_WRONLY));
	TRY(open("p/new", O_CREAT | O_WRONLY, 0644));
	TRY(access("p/group", W_OK));
	TRY(access("p/owner", R_OK));
	TRY(open("closed/inside", O_RDONLY));
	TRY(unlink("sticky/others"));
	TRY(rename("sticky/others", "sticky/mine"));
	TRY(open("sticky/own", O_CREAT | O_WRONLY, 0644));
	TRY(unlink("sticky/own"));
	TRY(chmod("p/group", 0777));
	TRY(chown("p/group", 1000, 1000));
	TRY(truncate("p/others", 0));
	TRY(link("p/owner", "sticky/linked"));
	TRY(mkdir("sgid/sub", 0755));
	show("sgid/sub");
	TRY(open("sgid/file", O_CREAT | O_WRONLY, 02755));
	show("sgid/file");
	TRY(mkfifo("sgid/fifo", 0644));
	show("sgid/fifo");
	TRY(symlink("x", "sgid/link"));
	show("sgid/link");
	TRY(open("mine", O_RDWR));
	TRY(chmod("mine", 02755));
	show("mine");
	TRY(chmod("mine", 04755));
	show("mine");
	TRY(chown("mine", 1001, -1));
	TRY(chown("mine", -1, 50));
	show("mine");
	TRY(utimensat(AT_FDCWD, "p/others", NULL, 0));
}

static void user_writes(void)
{
	int fd = open("set-id", O_WRONLY);

	say("open", "%s", result(fd));
	say("write", "%zd", write(fd, "x", 1));
	show("set-id");
	TRY(truncate("set-id-2", 0));
	show("set-id-2");
	TRY(open("set-id-3", O_WRONLY | O_TRUNC));
	show("set-id-3");
}

static void permissions(void)
{
	mkdir("p", 0755);
	mkdir("closed", 0700);
	mkdir("sticky", 01777);
	mkdir("sgid", 02777);
	chmod("sgid", 02777);
	chmod("sticky", 01777);
	TRY(chown("sgid", 0, 60));
	show("sgid");
	show("sticky");
	file("p/owner", "x", 0600);
	file("p/group", "x", 0);
	chmod("p/group", 0660);
	TRY(chown("p/group", 0, 50));
	file("p/others", "x", 0604);
	file("closed/inside", "x", 0644);
	file("sticky/others", "x", 0644);
	file("mine", "x", 0644);
	TRY(chown("mine", 1000, 1000));
	for (int i = 0; i < 3; i++) {
		static const char *const set[] = {"set-id", "set-id-2", "set-id-3"};

		file(set[i], "xyz", 0644);
		chmod(set[i], 06777);
		show(set[i]);
	}
	as(1000, 1000, 50, user_permissions);
	show("set-id"); /* by root: nothing goes */
	file("set-id", "root", 0);
	show("set-id");
	as(1001, 1001, 0, user_writes);
	file("chowned", "x", 0);
	chmod("chowned", 06755);
	TRY(chown("chowned", 5, 6));
	show("chowned");
	chmod("chowned", 02644);
	TRY(chown("chowned", 7, 8));
	show("chowned");
	umask(027);
	file("masked", "x", 0666);
	mkdir("masked-folder", 0777);
	mkfifo("masked-fifo", 0666);
	umask(022);
	show("masked");
	show("masked-folder");
	show("masked-fifo");
	TRY(open("with-set-id", O_CREAT | O_WRONLY, 06755));
	show("with-set-id");
	TRY(fchmodat(AT_FDCWD, "p", 01770, 0));
	show("p");
	TRY(lchown("p/owner", 1, -1));
	show("p/owner");
}

/* --- extended attributes --- */

static void get(const char *name, const char *key)
{
	char value[256] = {};
	ssize_t n = lgetxattr(name, key, value, sizeof(value) - 1);

	if (n < 0)
		say(key, "%s", strerrorname_np(errno));
	else
		say(key, "%zd %s", n, value);
}

static void try_acl(void)
{
	TRY(open("acl", O_RDONLY));
	TRY(open("acl", O_WRONLY));
	file("defaults/file", "x", 0666);
	mkdir("defaults/sub", 0777);
	show("defaults/file");
}

/* The kernel's form (linux/posix_acl_xattr.h): user::rw-, user:1000:r--, group::---, mask::rw-,
 * other::---. */
static size_t make_acl(uint8_t *ret)
{
	static const struct {
		uint16_t tag, perm;
		uint32_t id;
	} entries[] = {{1, 6, ~0U}, {2, 4, 1000}, {4, 0, ~0U}, {16, 6, ~0U}, {32, 0, ~0U}};

	memcpy(ret, &(uint32_t){2}, 4);
	memcpy(ret + 4, entries, sizeof(entries));
	return 4 + sizeof(entries);
}

static void attributes(void)
{
	/* Version 2 of linux/capability.h, effective: CAP_NET_RAW. */
	static const uint32_t capability[5] = {0x02000001, 1 << 13};
	static char big[65536];
	char list[512] = {};
	uint8_t acl[64];
	size_t len = make_acl(acl);
	ssize_t n;
	int fd;

	file("f", "x", 0755);
	TRY(symlink("f", "l"));
	TRY(setxattr("f", "user.one", "1", 1, XATTR_CREATE));
	TRY(setxattr("f", "user.one", "2", 1, XATTR_CREATE));
	TRY(setxattr("f", "user.one", "three", 5, XATTR_REPLACE));
	TRY(setxattr("f", "user.none", "", 0, XATTR_REPLACE));
	TRY(setxattr("f", "user.empty", "", 0, 0));
	get("f", "user.one");
	get("f", "user.empty");
	get("f", "user.nothing");
	say("size", "%zd", getxattr("f", "user.one", NULL, 0));
	say("small", "%s", result(getxattr("f", "user.one", list, 2)));
	n = listxattr("f", list, sizeof(list));
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1)
		say("list", "%s", list + i);
	memset(big, 'b', sizeof(big));
	TRY(setxattr("f", "user.big", big, 2000, 0));
	say("big", "%zd", getxattr("f", "user.big", big, sizeof(big)));
	TRY(lsetxattr("l", "user.link", "x", 1, 0));
	TRY(setxattr("f", "odd.name", "x", 1, 0));
	TRY(setxattr("f", "user.", "x", 1, 0));
	TRY(removexattr("f", "user.one"));
	TRY(removexattr("f", "user.one"));
	TRY(setxattr("f", "security.capability", capability, sizeof(capability), 0));
	say("capability", "%zd", getxattr("f", "security.capability", list, sizeof(list)));
	fd = open("f", O_WRONLY);
	TRY(write(fd, "y", 1));
	close(fd);
	say("written", "%s", result(getxattr("f", "security.capability", list, sizeof(list))));
	TRY(setxattr("f", "security.capability", capability, sizeof(capability), 0));
	TRY(chown("f", 1, 1));
	say("given", "%s", result(getxattr("f", "security.capability", list, sizeof(list))));

	file("acl", "x", 0640);
	TRY(setxattr("acl", "system.posix_acl_access", acl, len, 0));
	show("acl");
	say("acl", "%zd", getxattr("acl", "system.posix_acl_access", list, sizeof(list)));
	mkdir("defaults", 0777);
	chmod("defaults", 0777);
	TRY(setxattr("defaults", "system.posix_acl_default", acl, len, 0));
	umask(077); /* a default ACL takes its place */
	as(1000, 1000, 0, try_acl);
	umask(022);
	say("inherited", "%zd",
		getxattr("defaults/file", "system.posix_acl_access", list, sizeof(list)));
	say("inherited", "%zd",
		getxattr("defaults/sub", "system.posix_acl_default", list, sizeof(list)));
	as(1001, 1001, 0, try_acl);
	TRY(chmod("acl", 0600));
	as(1000, 1000, 0, try_acl);
	TRY(removexattr("acl", "system.posix_acl_access"));
	show("acl");
}

/* --- the rest --- */

static void lock_as_other(void)
{
	int fd = open("lock", O_RDWR);
	struct flock range = {.l_type = F_WRLCK, .l_len = 10};

	TRY(flock(fd, LOCK_EX | LOCK_NB));
	TRY(fcntl(fd, F_SETLK, &range));
	range.l_start = 20;
	TRY(fcntl(fd, F_SETLK, &range));
	TRY(fcntl(fd, F_OFD_SETLK, &(struct flock){.l_type = F_RDLCK, .l_len = 5}));
}

static void locks(void)
{
	int fd = make("lock", "", 0666);
	struct flock range = {.l_type = F_WRLCK, .l_len = 10};

	TRY(flock(fd, LOCK_EX | LOCK_NB));
	TRY(fcntl(fd, F_SETLK, &range));
	as(0, 0, 0, lock_as_other);
	TRY(flock(fd, LOCK_UN));
	range.l_type = F_UNLCK;
	TRY(fcntl(fd, F_SETLK, &range));
	as(0, 0, 0, lock_as_other);
}

static void folders(void)
{
	enum { MANY = 3000 };
	struct dirent *entry;
	struct statvfs v;
	long sum = 0, place = 0;
	int count = 0, types = 0;
	char name[32];
	DIR *dir;

	mkdir("many", 0755);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
	dir = opendir("many");
	while ((entry = readdir(dir))) {
		sum += atol(entry->d_name);
		types += entry->d_type == DT_REG;
		if (++count == 1000)
			place = telldir(dir);
	}
	say("entries", "%d sum %ld files %d", count, sum, types);
	seekdir(dir, place);
	for (count = 0; readdir(dir); count++)
		;
	say("from the thousandth", "%d", count);
	file("many/late", "", 0644);
	unlink("many/5");
	rewinddir(dir);
	for (count = 0, sum = 0; (entry = readdir(dir)); count++)
		sum += atol(entry->d_name);
	say("again", "%d sum %ld", count, sum);
	closedir(dir);
	/* Removed while it is read: every one is met. */
	dir = opendir("many");
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	TRY(rmdir("many"));
	TRY(statvfs(".", &v));
	say("statvfs", "%d %d %lu", v.f_blocks > 0, v.f_bfree <= v.f_blocks, v.f_namemax);
}

static void watches(void)
{
	char events[4096];
	int fd = inotify_init1(IN_NONBLOCK);
	ssize_t n;

	TRY(inotify_add_watch(fd, ".", IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_CLOSE_WRITE));
	file("a", "x", 0644);
	rename("a", "b");
	unlink("b");
	n = read(fd, events, sizeof(events));
	for (ssize_t at = 0; at < n;) {
		struct inotify_event *e = (void *)(events + at);

		say("event", "%#x %s", e->mask, e->len ? e->name : "");
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} areas[] = {{"names", names}, {"special", special}, {"open-files", open_files},
		{"data", data}, {"times", times}, {"permissions", permissions},
		{"attributes", attributes}, {"locks", locks}, {"folders", folders},
		{"watches", watches}};

	umask(022);
	if (argc != 2 || chdir(argv[1]) < 0)
		return 2;
	for (size_t i = 0; i < sizeof(areas) / sizeof(*areas); i++) {
		area = areas[i].name;
		if (mkdir(area, 0755) < 0 || chdir(area) < 0)
			return 2;
		areas[i].run();
		if (chdir("..") < 0)
			return 2;
	}
	return 0;
}

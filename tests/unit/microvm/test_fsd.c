/* SPDX-License-Identifier: Apache-2.0 */
/* The file server under a raw FUSE client that keeps to no rule. */
#include "runtime/microvm/fsd/fsd.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "tests/unit/microvm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static struct {
	char folder[64], outside[64];
	int dir, above; /* the shared folder, and the one that it is in */
	struct fsd fsd;
	uid_t caller; /* in the guest */
	uint8_t in[65536], out[65536];
} t;

static int setup(void **state)
{
	struct err err = {};

	(void)state;
	umask(022);
	t.caller = geteuid();
	strcpy(t.outside, "/tmp/test-fsd.XXXXXX");
	if (!mkdtemp(t.outside))
		return -1;
	snprintf(t.folder, sizeof(t.folder), "%s/shared", t.outside);
	mkdir(t.folder, 0755);
	t.dir = sys_openat(AT_FDCWD, t.folder, O_RDONLY | O_DIRECTORY, 0);
	t.above = sys_openat(AT_FDCWD, t.outside, O_RDONLY | O_DIRECTORY, 0);
	fd_replace_file(t.dir, "file", "content", 7, 0644);
	fd_replace_file(t.above, "secret", "secret", 6, 0644);
	sys_symlinkat("../secret", t.dir, "link");
	sys_mkdirat(t.dir, "sub", 0755);
	if (sys_chdir("/proc/self/fd") < 0)
		return -1;
	return fsd_open(&t.fsd, sys_openat(AT_FDCWD, t.folder, O_PATH | O_DIRECTORY, 0),
		sys_openat(AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY, 0), false, &err);
}

static int teardown(void **state)
{
	(void)state;
	cleanup_close(&t.fsd.proc);
	fsd_close(&t.fsd);
	cleanup_close(&t.dir);
	cleanup_close(&t.above);
	return path_remove_tree(AT_FDCWD, t.outside);
}

/* Sends OP for NODE with BODY; the error, and in RET (of SIZE) what came behind the header. */
static int call(uint32_t op, uint64_t node, const void *body, size_t len, void *ret, size_t size)
{
	struct fuse_in_header in = {.len = (uint32_t)(sizeof(in) + len),
		.opcode = op,
		.unique = 7,
		.nodeid = node,
		.uid = t.caller,
		.gid = getegid()};
	struct fuse_out_header out;
	struct virtq_chain chain = {.readable = 1,
		.writable = 1,
		.read_len = (uint32_t)(sizeof(in) + len),
		.write_len = (uint32_t)(sizeof(out) + size)};
	int64_t n;

	memcpy(t.in, &in, sizeof(in));
	if (len)
		memcpy(t.in + sizeof(in), body, len);
	chain.iov[0] = (struct iovec){t.in, chain.read_len};
	chain.iov[1] = (struct iovec){t.out, chain.write_len};
	n = fsd_handle(&t.fsd, &chain);
	assert_true(n >= (int64_t)sizeof(out) && n <= chain.write_len);
	memcpy(&out, t.out, sizeof(out));
	assert_int_equal(out.len, n);
	assert_int_equal(out.unique, 7);
	if (size && out.error == 0)
		memcpy(ret, t.out + sizeof(out), (size_t)n - sizeof(out));
	return out.error;
}

static int lookup(uint64_t parent, const char *name, uint64_t *ret)
{
	struct fuse_entry_out entry = {};
	int r = call(FUSE_LOOKUP, parent, name, strlen(name) + 1, &entry, sizeof(entry));

	if (r == 0)
		*ret = entry.nodeid;
	return r;
}

static uint64_t find(const char *name)
{
	uint64_t node = 0;

	assert_int_equal(lookup(1, name, &node), 0);
	return node;
}

static int open_node(uint64_t node, uint32_t flags, uint64_t *ret)
{
	struct fuse_open_in in = {.flags = flags};
	struct fuse_open_out out = {};
	int r = call(FUSE_OPEN, node, &in, sizeof(in), &out, sizeof(out));

	*ret = out.fh;
	return r;
}

static void test_names(void **state)
{
	char too_long[258];
	static const char *const bad[] = {"", ".", "..", "../secret", "sub/../file", "/", "/etc"};
	struct {
		struct fuse_rename_in in;
		char names[32];
	} rename = {.in.newdir = 1, .names = "file\0../stolen"};
	char unterminated[] = {'f', 'i', 'l', 'e'};
	uint64_t node;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(lookup(1, bad[i], &node), -EINVAL);
		assert_int_equal(
			call(FUSE_UNLINK, 1, bad[i], strlen(bad[i]) + 1, NULL, 0), -EINVAL);
		assert_int_equal(call(FUSE_RMDIR, 1, bad[i], strlen(bad[i]) + 1, NULL, 0), -EINVAL);
	}
	memset(too_long, 'n', 257);
	too_long[257] = 0;
	assert_int_equal(lookup(1, too_long, &node), -ENAMETOOLONG);
	assert_int_equal(call(FUSE_LOOKUP, 1, unterminated, 4, NULL, 0), -EINVAL);
	assert_int_equal(call(FUSE_LOOKUP, 1, "", 0, NULL, 0), -EINVAL);
	assert_int_equal(call(FUSE_RENAME, 1, &rename, sizeof(rename), NULL, 0), -EINVAL);
	assert_int_equal(lookup(1, "nothing", &node), -ENOENT);
	assert_int_equal(lookup(999, "file", &node), -EINVAL); /* no such node */
	assert_int_equal(lookup(0, "file", &node), -EINVAL);
	assert_int_equal(lookup(UINT64_MAX, "file", &node), -EINVAL);
	assert_int_equal(lookup(find("file"), "x", &node), -ENOTDIR);
}

/* A link is what the guest may read, never what we follow. */
static void test_links(void **state)
{
	uint64_t link = find("link"), node, handle;
	struct fuse_setattr_in size = {.valid = FATTR_SIZE};
	struct {
		struct fuse_create_in in;
		char name[8];
	} create = {.in = {.flags = O_WRONLY | O_TRUNC, .mode = 0644}, .name = "link"};
	char target[64] = {}, secret[16] = {};

	(void)state;
	assert_int_equal(call(FUSE_READLINK, link, NULL, 0, target, sizeof(target)), 0);
	assert_string_equal(target, "../secret");
	assert_int_equal(open_node(link, O_RDONLY, &handle), -ELOOP);
	assert_int_equal(call(FUSE_SETATTR, link, &size, sizeof(size), NULL, 0), -ELOOP);
	assert_int_equal(lookup(link, "secret", &node), -ENOTDIR);
	assert_int_equal(call(FUSE_CREATE, 1, &create, sizeof(create), NULL, 0), -ELOOP);
	assert_int_equal(fd_read_line(t.above, "secret", secret, sizeof(secret)), 6);
}

static void test_files(void **state)
{
	struct fuse_read_in in = {.size = 4096};
	struct {
		struct fuse_write_in in;
		char data[8];
	} write = {.in = {.offset = 3, .size = 4}, .data = "WXYZ"};
	struct fuse_write_out written;
	struct fuse_release_in release = {};
	char data[4096] = {};
	uint64_t node = find("file");

	(void)state;
	assert_int_equal(open_node(node, O_RDWR, &in.fh), 0);
	assert_int_equal(call(FUSE_READ, node, &in, sizeof(in), data, sizeof(data)), 0);
	assert_string_equal(data, "content");
	in.offset = UINT64_MAX;
	assert_int_equal(call(FUSE_READ, node, &in, sizeof(in), data, sizeof(data)), -EINVAL);
	write.in.fh = in.fh;
	assert_int_equal(call(FUSE_WRITE, node, &write, sizeof(write.in) + 4, &written, 8), 0);
	assert_int_equal(written.size, 4);
	write.in.size = 5; /* more than was sent */
	assert_int_equal(
		call(FUSE_WRITE, node, &write, sizeof(write.in) + 4, &written, 8), -EINVAL);
	write.in.size = UINT32_MAX;
	assert_int_equal(
		call(FUSE_WRITE, node, &write, sizeof(write.in) + 4, &written, 8), -EINVAL);
	assert_int_equal(fd_read_line(t.dir, "file", data, sizeof(data)), 7);
	assert_string_equal(data, "conWXYZ");
	release.fh = in.fh;
	assert_int_equal(call(FUSE_RELEASE, node, &release, sizeof(release), NULL, 0), 0);
	in.offset = 0;
	assert_int_equal(call(FUSE_READ, node, &in, sizeof(in), data, sizeof(data)), -EBADF);
	in.fh = UINT64_MAX;
	assert_int_equal(call(FUSE_READ, node, &in, sizeof(in), data, sizeof(data)), -EBADF);
}

static void test_special(void **state)
{
	struct {
		struct fuse_mknod_in in;
		char name[8];
	} mknod = {.in = {.mode = S_IFCHR | 0666, .rdev = 0x103}, .name = "null"};
	struct fuse_entry_out entry;
	uint64_t handle;

	(void)state;
	assert_int_equal(call(FUSE_MKNOD, 1, &mknod, sizeof(mknod), &entry, sizeof(entry)), -EPERM);
	mknod.in.mode = S_IFIFO | 0666;
	assert_int_equal(call(FUSE_MKNOD, 1, &mknod, sizeof(mknod), &entry, sizeof(entry)), 0);
	assert_int_equal(open_node(entry.nodeid, O_RDONLY, &handle), -ENXIO);
}

/* What the guest may set and see of a file beside its content. */
static void test_attributes(void **state)
{
	static const struct {
		const char *name;
		int set, get;
	} names[] = {
		{"user.good", 0, 0},
		{"trusted.overlay.opaque", -EPERM, -ENODATA},
		{"security.selinux", -EPERM, -ENODATA},
		{"security.capability.x", -EPERM, -ENODATA},
		{"system.other", -EOPNOTSUPP, -EOPNOTSUPP},
		{"", -EOPNOTSUPP, -EOPNOTSUPP},
	};
	struct {
		struct fuse_setxattr_in in;
		char rest[64];
	} set = {.in.size = 5};
	struct {
		struct fuse_getxattr_in in;
		char name[64];
	} get = {.in.size = 64};
	uint64_t node = find("file"), link = find("link");
	char back[64] = {};

	(void)state;
	t.fsd.setxattr_ext = true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t len = strlen(names[i].name) + 1;

		memcpy(set.rest, names[i].name, len);
		memcpy(set.rest + len, "value", 5);
		strcpy(get.name, names[i].name);
		assert_int_equal(call(FUSE_SETXATTR, node, &set, sizeof(set.in) + len + 5, NULL, 0),
			names[i].set);
		assert_int_equal(call(FUSE_GETXATTR, node, &get, sizeof(get), back, sizeof(back)),
			names[i].get);
	}
	strcpy(set.rest, "user.good");
	set.in.size = 60; /* more than was sent */
	assert_int_equal(call(FUSE_SETXATTR, node, &set, sizeof(set.in) + 15, NULL, 0), -EINVAL);
	set.in.size = UINT32_MAX;
	assert_int_equal(call(FUSE_SETXATTR, node, &set, sizeof(set.in) + 15, NULL, 0), -E2BIG);
	get.in.size = 3; /* less than there is */
	strcpy(get.name, "user.good");
	assert_int_equal(call(FUSE_GETXATTR, node, &get, sizeof(get), back, sizeof(back)), -ERANGE);
	/* The link's own, not those of what it names. */
	set.in.size = 5;
	strcpy(set.rest, "user.good");
	assert_int_equal(call(FUSE_SETXATTR, link, &set, sizeof(set.in) + 15, NULL, 0), -EPERM);
	assert_int_equal(call(FUSE_LISTXATTR, node, &get, sizeof(get.in), back, 64), -ERANGE);
	get.in.size = 64;
	assert_int_equal(call(FUSE_LISTXATTR, node, &get, sizeof(get.in), back, 64), 0);
	assert_string_equal(back, "user.good");
}

/* No other owner ever has a set-id file: not even one that is there for a moment. */
static void test_creation(void **state)
{
	struct {
		struct fuse_create_in in;
		char name[8];
	} create = {.in = {.flags = O_RDWR, .mode = S_IFREG | 06755, .umask = 022}, .name = "made"};
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = {};

	(void)state;
	assert_int_equal(call(FUSE_CREATE, 1, &create, sizeof(create), &out, sizeof(out)), 0);
	assert_int_equal(out.entry.attr.mode, S_IFREG | 06755);
	assert_int_equal(out.entry.attr.uid, geteuid());
	strcpy(create.name, "/");
	assert_int_equal(call(FUSE_CREATE, 1, &create, sizeof(create), &out, sizeof(out)), -EINVAL);
	assert_int_equal(call(FUSE_TMPFILE, 1, &create, sizeof(create), &out, sizeof(out)), 0);
	assert_int_equal(out.entry.attr.nlink, 0);
	assert_int_equal(
		call(FUSE_TMPFILE, find("file"), &create, sizeof(create), &out, sizeof(out)),
		-ENOTDIR);
}

/* The umask is each request's own. */
static void test_umask(void **state)
{
	static const uint32_t masks[] = {022, 077, 0, 022};
	struct {
		struct fuse_mkdir_in in;
		char name[8];
	} make = {.in.mode = 0777};
	struct fuse_entry_out entry;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		make.in.umask = masks[i];
		snprintf(make.name, sizeof(make.name), "new%zu", i);
		assert_int_equal(
			call(FUSE_MKDIR, 1, &make, sizeof(make), &entry, sizeof(entry)), 0);
		assert_int_equal(entry.attr.mode, S_IFDIR | (0777 & ~masks[i]));
	}
}

/* Whether the guest may keep what it has of NODE, which is opened anew. */
static bool is_kept(uint64_t node)
{
	struct fuse_open_in in = {.flags = O_RDONLY};
	struct fuse_open_out out = {};

	assert_int_equal(call(FUSE_OPEN, node, &in, sizeof(in), &out, sizeof(out)), 0);
	return out.open_flags & FOPEN_KEEP_CACHE;
}

/* What somebody else changed, at any time since it was found, is not taken from the cache. */
static void test_kept_contents(void **state)
{
	uint64_t node, other;

	(void)state;
	fd_replace_file(t.dir, "other", "content", 7, 0644);
	usleep(2100000); /* then the change times are trusted */
	node = find("file");
	other = find("other");
	assert_int_equal(sys_fchmodat(t.dir, "other", 0600), 0);
	assert_false(is_kept(node)); /* there is nothing yet */
	assert_true(is_kept(node));
	assert_true(is_kept(node));
	assert_false(is_kept(other));
	assert_false(is_kept(other));
	assert_int_equal(sys_fchmodat(t.dir, "file", 0600), 0);
	assert_false(is_kept(node));
	assert_false(is_kept(node)); /* too young */
}

enum { VICTIM = 4711, SWAPS = 20000 };

/* Somebody else who may write to the folder puts a name of a file of root's in the place of what
 * was just made. */
static void swap_names(void)
{
	for (int i = 0; i < SWAPS; i++) {
		if (sys_faccessat(t.dir, "new", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		(void)!linkat(t.above, "secret", t.dir, "bait", 0);
		sys_renameat2(t.dir, "bait", t.dir, "new", 0);
	}
	_exit(0);
}

static void test_what_was_made_is_swapped(void **state)
{
	struct {
		struct fuse_mknod_in in;
		char name[4];
	} make = {.in = {.mode = S_IFREG | 0644, .umask = 022}, .name = "new"};
	struct fuse_entry_out entry;
	struct stat st;
	pid_t swapper;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip(); /* nothing could be given away */
	t.caller = VICTIM;
	swapper = fork();
	if (swapper == 0)
		swap_names();
	while (waitpid(swapper, &status, WNOHANG) == 0) {
		int r = call(FUSE_MKNOD, 1, &make, sizeof(make), &entry, sizeof(entry));

		assert_true(r == 0 || r == -ESTALE || r == -EEXIST);
		sys_unlinkat(t.dir, "new", 0);
		sys_unlinkat(t.dir, "bait", 0);
		assert_int_equal(sys_fstatat(t.above, "secret", &st, 0), 0);
		assert_int_equal(st.st_uid, 0);
	}
}

static void test_listing(void **state)
{
	struct fuse_open_out open = {};
	struct fuse_read_in in = {.size = 128};
	int found = 0;

	(void)state;
	assert_int_equal(call(FUSE_OPENDIR, 1, "\0\0\0\0\0\0\0", 8, &open, sizeof(open)), 0);
	in.fh = open.fh;
	for (int turns = 0; turns < 100; turns++) { /* a few entries at a time */
		uint8_t data[128] = {};
		const struct fuse_dirent *d = (void *)data;

		assert_int_equal(call(FUSE_READDIR, 1, &in, sizeof(in), data, sizeof(data)), 0);
		if (!d->namelen)
			break;
		for (size_t at = 0; at + FUSE_NAME_OFFSET < sizeof(data);) {
			d = (const void *)(data + at);
			if (!d->namelen)
				break;
			found += d->namelen == 4 &&
				 (!memcmp(d->name, "file", 4) || !memcmp(d->name, "link", 4));
			in.offset = d->off;
			at += FUSE_DIRENT_SIZE(d);
		}
	}
	assert_int_equal(found, 2);
}

/* Each entry is a lookup, and told whole or not at all. */
static void test_listing_with_attributes(void **state)
{
	struct fuse_open_out open = {};
	struct fuse_read_in in = {.size = 4096};
	struct fuse_forget_in forget = {.nlookup = 1};
	struct fuse_in_header header = {.opcode = FUSE_FORGET};
	struct virtq_chain chain = {.readable = 1, .read_len = 48};
	uint8_t data[4096] = {};
	uint64_t node = 0;

	(void)state;
	assert_int_equal(call(FUSE_OPENDIR, 1, "\0\0\0\0\0\0\0", 8, &open, sizeof(open)), 0);
	in.fh = open.fh;
	assert_int_equal(call(FUSE_READDIRPLUS, 1, &in, sizeof(in), data, 128), -ERANGE);
	assert_int_equal(call(FUSE_READDIRPLUS, 1, &in, sizeof(in), data, sizeof(data)), 0);
	for (size_t at = 0; at < sizeof(data);) {
		const struct fuse_direntplus *d = (const void *)(data + at);

		if (!d->dirent.namelen)
			break;
		if (d->dirent.name[0] == '.')
			assert_int_equal(d->entry_out.nodeid, 0);
		else
			assert_int_not_equal(d->entry_out.nodeid, 0);
		if (!memcmp(d->dirent.name, "file", 4))
			node = d->entry_out.nodeid;
		at += FUSE_DIRENTPLUS_SIZE(d);
	}
	header.nodeid = node;
	chain.iov[0] = (struct iovec){t.in, 48};
	memcpy(t.in, &header, sizeof(header));
	memcpy(t.in + sizeof(header), &forget, sizeof(forget));
	assert_int_equal(fsd_handle(&t.fsd, &chain), 0);
	assert_int_equal(call(FUSE_GETATTR, node, NULL, 0, NULL, 0), -EINVAL);
}

/* Two files of two mounts that have one number have two in the guest; a folder says the same. */
static void test_mounts(void **state)
{
	struct fuse_entry_out first = {}, second = {};

	(void)state;
	t.fsd.mounts[0] = 12345; /* as if another mount had been met before */
	t.fsd.mount_count = 1;
	assert_int_equal(call(FUSE_LOOKUP, 1, "sub", 4, &first, sizeof(first)), 0);
	assert_int_equal(first.attr.ino >> 48, 1);
	assert_int_equal(call(FUSE_LOOKUP, 1, "file", 5, &second, sizeof(second)), 0);
	assert_int_equal(second.attr.ino >> 48, 1);
	assert_int_equal(t.fsd.mount_count, 2);
}

/* A node lives as long as the guest remembers it; forgetting more than that frees it once. */
static void test_forget(void **state)
{
	struct fuse_forget_in in = {.nlookup = 1};
	uint64_t a = find("file"), b = find("file"), c;
	struct virtq_chain chain = {.readable = 1, .read_len = 48};
	struct fuse_in_header header = {.opcode = FUSE_FORGET, .nodeid = a};

	(void)state;
	assert_int_equal(a, b);
	chain.iov[0] = (struct iovec){t.in, 48};
	for (int i = 0; i < 3; i++) {
		in.nlookup = i == 1 ? UINT64_MAX : 1;
		memcpy(t.in, &header, sizeof(header));
		memcpy(t.in + sizeof(header), &in, sizeof(in));
		assert_int_equal(fsd_handle(&t.fsd, &chain), 0);
	}
	assert_int_equal(call(FUSE_GETATTR, a, NULL, 0, NULL, 0), -EINVAL);
	header.nodeid = 1; /* the root stays */
	memcpy(t.in, &header, sizeof(header));
	assert_int_equal(fsd_handle(&t.fsd, &chain), 0);
	assert_int_equal(lookup(1, "file", &c), 0);
}

/* A guest's kernel remembers every file that it ever saw, as long as it has memory. */
static void test_many(void **state)
{
	enum { FILES = (1 << 16) + 100 };
	struct rlimit limit;
	uint64_t node, first = 0;
	char name[16];

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max < FILES + 100 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
		skip();
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(sys_mknodat(t.dir, name, S_IFREG | 0600, 0), 0);
		assert_int_equal(lookup(1, name, &node), 0);
		if (i == 0)
			first = node;
	}
	assert_int_equal(find("0"), first);
	assert_int_equal(call(FUSE_DESTROY, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(call(FUSE_GETATTR, first, NULL, 0, NULL, 0), -EINVAL);
	assert_int_equal(lookup(1, "file", &node), 0);
}

static void test_read_only(void **state)
{
	uint64_t node = find("file"), handle;
	struct fuse_setattr_in size = {.valid = FATTR_SIZE};

	(void)state;
	t.fsd.read_only = true;
	assert_int_equal(open_node(node, O_RDWR, &handle), -EROFS);
	assert_int_equal(open_node(node, O_RDONLY | O_TRUNC, &handle), -EROFS);
	assert_int_equal(call(FUSE_UNLINK, 1, "file", 5, NULL, 0), -EROFS);
	assert_int_equal(call(FUSE_SETATTR, node, &size, sizeof(size), NULL, 0), -EROFS);
	assert_int_equal(open_node(node, O_RDONLY, &handle), 0);
	t.fsd.read_only = false;
}

static void test_fuzz(void **state)
{
	uint64_t seed = 9;
	char secret[16] = {};

	(void)state;
	for (int i = 0; i < 50000; i++) {
		uint8_t body[200], back[600];
		size_t len = random_next(&seed) % sizeof(body);
		uint32_t op;

		for (size_t n = 0; n < len; n++)
			body[n] = random_next(&seed) % 3 ? 0 : (uint8_t)random_next(&seed) % 64;
		if (random_next(&seed) % 2 && len > 70)
			strcpy((char *)body + random_next(&seed) % 64, "sub");
		op = FUSE_GETATTR + random_next(&seed) % 49;
		/* One of these gets no answer; the other would wait for the host's disk. */
		if (op != FUSE_BATCH_FORGET && op != FUSE_SYNCFS)
			(void)call(op, random_next(&seed) % 6, body, len, back,
				random_next(&seed) % sizeof(back));
	}
	assert_int_equal(fd_read_line(t.above, "secret", secret, sizeof(secret)), 6);
}

/* Another server of the same folder in the place of T's, with what T's knew. */
static int restart(int saved, struct err *err)
{
	autoclose int proc = sys_dup(t.fsd.proc);
	int r;

	cleanup_close(&t.fsd.proc);
	fsd_close(&t.fsd);
	assert_int_equal(fsd_open(&t.fsd, sys_openat(AT_FDCWD, t.folder, O_PATH | O_DIRECTORY, 0),
				 take_fd(&proc), false, err),
		0);
	r = lseek(saved, 0, SEEK_SET) < 0 ? -errno : fsd_restore(&t.fsd, saved, err);
	assert_true(r == 0 || err->text[0]);
	return r;
}

static void test_save_and_restore(void **state)
{
	autoclose int saved = sys_memfd_create("saved", 0);
	struct fuse_read_in in = {.size = 4096};
	struct fuse_open_out folder = {};
	struct fuse_open_in open_in = {.flags = O_DIRECTORY};
	uint64_t sub = find("sub"), link = find("link"), gone, node = find("file"), other, handle;
	char data[4096] = {};
	struct err err = {};

	(void)state;
	fd_replace_file(t.dir, "gone", "x", 1, 0644);
	gone = find("gone");
	assert_int_equal(open_node(node, O_RDWR, &handle), 0);
	assert_int_equal(open_node(node, O_RDONLY, &in.fh), 0);
	assert_int_equal(
		call(FUSE_OPENDIR, sub, &open_in, sizeof(open_in), &folder, sizeof(folder)), 0);
	call(FUSE_RELEASE, node, &(struct fuse_release_in){.fh = handle},
		sizeof(struct fuse_release_in), NULL, 0);
	sys_unlinkat(t.dir, "gone", 0); /* known, but not open */
	assert_int_equal(fsd_save(&t.fsd, saved), 0);

	assert_int_equal(restart(saved, &err), 0);
	assert_int_equal(call(FUSE_READ, node, &in, sizeof(in), data, sizeof(data)), 0);
	assert_string_equal(data, "content");
	assert_int_equal(find("file"), node);
	assert_int_equal(find("sub"), sub);
	assert_int_equal(call(FUSE_READLINK, link, NULL, 0, data, sizeof(data)), 0);
	assert_true(call(FUSE_GETATTR, gone, &(struct fuse_getattr_in){},
			    sizeof(struct fuse_getattr_in), NULL, 0) < 0);
	assert_int_equal(open_node(node, O_RDWR, &other), 0);
	assert_int_equal(other, handle); /* numbers that were free are used again */
	/* Twice in a row is the same. */
	assert_int_equal(sys_ftruncate(saved, 0), 0);
	lseek(saved, 0, SEEK_SET);
	assert_int_equal(fsd_save(&t.fsd, saved), 0);
	assert_int_equal(restart(saved, &err), 0);
	assert_int_equal(find("sub"), sub);

	/* A file that is gone meanwhile, and one that is open and removed. */
	sys_renameat2(t.dir, "file", t.dir, "elsewhere", 0);
	assert_int_equal(restart(saved, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/file"));
	node = find("elsewhere");
	assert_int_equal(open_node(node, O_RDONLY, &in.fh), 0);
	sys_unlinkat(t.dir, "elsewhere", 0);
	assert_int_equal(fsd_save(&t.fsd, saved), -ESTALE);
}

/* Prefixes, and bytes that are others: refused, or nothing but the folder is open. */
static void test_hostile_saved_files(void **state)
{
	autoclose int saved = sys_memfd_create("saved", 0);
	struct fuse_read_in in = {.size = 4096};
	char bytes[4096], data[4096], secret[16] = {};
	uint64_t node = find("file");
	ssize_t len;

	(void)state;
	assert_int_equal(open_node(node, O_RDONLY, &in.fh), 0);
	find("link");
	assert_int_equal(fsd_save(&t.fsd, saved), 0);
	len = pread(saved, bytes, sizeof(bytes), 0);
	assert_in_range(len, 100, sizeof(bytes) - 1);
	for (ssize_t at = 0; at < len; at += 31) {
		struct err err = {};

		assert_int_equal(sys_ftruncate(saved, at), 0);
		assert_true(restart(saved, &err) < 0);
		assert_int_equal(pwrite(saved, bytes, (size_t)len, 0), len);
		for (int i = 0; i < 2; i++) {
			const char value = (char)(i == 0 ? ~bytes[at] : '/');

			err = (struct err){};
			(void)!pwrite(saved, &value, 1, at);
			if (restart(saved, &err) == 0)
				call(FUSE_READ, node, &in, sizeof(in), data, sizeof(data));
		}
		(void)!pwrite(saved, bytes + at, 1, at);
	}
	assert_int_equal(fd_read_line(t.above, "secret", secret, sizeof(secret)), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_special, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_creation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_umask, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept_contents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_made_is_swapped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listing_with_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mounts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fuzz, setup, teardown),
		cmocka_unit_test_setup_teardown(test_save_and_restore, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_saved_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extractor, without its jail: what keeps an archive inside of its directory here is the way it
 * walks, so that the jail is the second wall and not the first.
 */
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/unpack/extract.h"
#include "tests/unit/images/tars.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cmocka.h>

struct place {
	char path[64];
	int top, dest;
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->path, "/var/tmp/brig-extract-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->top = sys_openat(AT_FDCWD, p->path, O_RDONLY | O_DIRECTORY, 0);
	assert_int_equal(sys_mkdirat(p->top, "dest", 0755), 0);
	p->dest = sys_openat(p->top, "dest", O_RDONLY | O_DIRECTORY, 0);
	assert_true(p->dest >= 0);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	close(p->dest);
	close(p->top);
	path_remove_tree(AT_FDCWD, p->path);
	free(p);
	return 0;
}

static int extract_as(struct place *p, const struct buf *tar, enum unpack_format format, bool owned,
	struct err *err)
{
	struct tars_input in = {.data = tar->data, .len = tar->len};
	const struct unpack_request request = {.role = UNPACK_EXTRACT,
		.format = format,
		.owned = owned,
		.limits = {.bytes = 1 << 20, .ratio = 100, .entries = 1000, .depth = 16}};
	struct unpack_reply reply = {};
	autotar struct tar *t = NULL;

	*err = (struct err){};
	assert_int_equal(tar_open(tars_read, &in, &t), 0);
	return extract_run(t, p->dest, -1, &request, &reply, err);
}

static int extract(struct place *p, const struct buf *tar, struct err *err)
{
	return extract_as(p, tar, UNPACK_LAYER, false, err);
}

static void expect(struct place *p, const struct buf *tar, int code, const char *word)
{
	struct err err;
	int r = extract(p, tar, &err);

	if (r != code || (word && !strstr(err.text, word)))
		fail_msg("%d: %s (expected %d, %s)", r, err.text, code, word ? word : "");
}

static bool is_opaque(struct place *p, const char *name)
{
	autoclose int fd = sys_openat(p->dest, name, O_RDONLY | O_DIRECTORY, 0);
	char value;

	return fgetxattr(fd, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

static bool is_whiteout(struct place *p, const char *name)
{
	struct stat st;

	return sys_fstatat(p->dest, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(0, 0);
}

static void takes_all_kinds(void **state)
{
	struct place *p = *state;
	autobuf struct buf tar = {}, text = {};
	struct stat st, other;

	tars_header(&tar, '5', "./", "", 0);
	tars_header(&tar, '5', "d/", "", 0);
	tars_file(&tar, "d/f", "hello");
	tars_header(&tar, '2', "d/l", "/nowhere", 0);
	tars_header(&tar, '1', "d/h", "d/f", 0);
	tars_header(&tar, '6', "p", "", 0);
	tars_header(&tar, '3', "null", "", 0);
	tars_end(&tar);
	expect(p, &tar, 0, NULL);
	assert_int_equal(fd_read_file(p->dest, "d/f", 100, &text), 0);
	assert_string_equal(buf_str(&text), "hello");
	assert_int_equal(sys_fstatat(p->dest, "d/f", &st, 0), 0);
	assert_int_equal(st.st_mtime, 1);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(sys_fstatat(p->dest, "d/h", &other, 0), 0);
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(sys_fstatat(p->dest, "p", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(sys_fstatat(p->dest, "null", &st, AT_SYMLINK_NOFOLLOW), -ENOENT);
	assert_int_equal(sys_fstatat(p->dest, "d", &st, 0), 0);
	assert_int_equal(st.st_mtime, 1);
}

static void makes_whiteouts(void **state)
{
	struct place *p = *state;
	autobuf struct buf tar = {};

	tars_file(&tar, "gone/.wh.x", "");
	tars_header(&tar, '5', "o", "", 0);
	tars_file(&tar, "o/.wh..wh..opq", "");
	tars_file(&tar, "o/new", "1");
	tars_file(&tar, ".wh..wh.plnk", "");
	tars_end(&tar);
	expect(p, &tar, 0, NULL);
	assert_true(is_whiteout(p, "gone/x"));
	assert_true(is_opaque(p, "o"));
	assert_int_equal(sys_faccessat(p->dest, "o/new", F_OK, 0), 0);
}

/* A whiteout hides what is below, never what came with it, whatever comes first. */
static void whiteouts_have_no_order(void **state)
{
	struct place *p = *state;
	autobuf struct buf tar = {};

	tars_file(&tar, ".wh.a", "");
	tars_header(&tar, '5', "a", "", 0);
	tars_file(&tar, "a/f", "1");
	tars_header(&tar, '5', "b", "", 0);
	tars_file(&tar, "b/f", "1");
	tars_file(&tar, ".wh.b", "");
	tars_file(&tar, "c", "1");
	tars_file(&tar, ".wh.c", "");
	tars_end(&tar);
	expect(p, &tar, 0, NULL);
	assert_true(is_opaque(p, "a"));
	assert_true(is_opaque(p, "b"));
	assert_int_equal(sys_faccessat(p->dest, "a/f", F_OK, 0), 0);
	assert_int_equal(sys_faccessat(p->dest, "b/f", F_OK, 0), 0);
	assert_false(is_whiteout(p, "c"));
}

static void refuse_one(
	void **state, char type, const char *name, const char *target, const char *word)
{
	autobuf struct buf tar = {};

	tars_header(&tar, '5', "d", "", 0);
	tars_header(&tar, '2', "l", "d", 0);
	tars_header(&tar, '2', "up", "..", 0);
	tars_header(&tar, type, name, target, 0);
	tars_end(&tar);
	expect(*state, &tar, -EINVAL, word);
}

static void refuses_bad_names(void **state)
{
	refuse_one(state, '0', "../x", "", "\"..\"");
	refuse_one(state, '0', "d/../x", "", "\"..\"");
	refuse_one(state, '0', "l/x", "", "symbolic link");
	refuse_one(state, '5', "up/x/", "", "symbolic link");
	refuse_one(state, '0', "up/.wh.x", "", "symbolic link");
	refuse_one(state, '0', "l/.wh..wh..opq", "", "symbolic link");
	refuse_one(state, '1', "h", "up/canary", "hard link");
	refuse_one(state, '1', "h", "d", "hard link");
	refuse_one(state, '1', "h", "../canary", "\"..\"");
	refuse_one(state, '1', "h", ".", "hard link");
	refuse_one(state, '0', ".wh.", "", "whiteout");
	refuse_one(state, '0', ".wh...", "", "whiteout");
	refuse_one(state, '0', ".wh.a/b", "", "whiteout");
	refuse_one(state, '2', ".wh.a", "x", "whiteout");
	refuse_one(state, '2', ".", "/", "root");
	refuse_one(state, '0', "d/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", "", "deep");
	refuse_one(state, 'V', "label", "", "type");
}

/* Overlay's and the store's own marks cannot be brought along. */
static void refuses_reserved_attributes(void **state)
{
	static const char *const names[] = {"SCHILY.xattr.trusted.overlay.redirect=/etc",
		"SCHILY.xattr.user.overlay.opaque=y",
		"SCHILY.xattr.user.containers.override_stat=0:0:04755"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autobuf struct buf tar = {};
		const char *records[] = {names[i], NULL};

		tars_pax(&tar, records);
		tars_file(&tar, "f", "x");
		tars_end(&tar);
		expect(*state, &tar, -EINVAL, "reserved");
	}
}

static void keeps_limits(void **state)
{
	autobuf struct buf many = {}, big = {};
	char name[16];

	for (int i = 0; i < 1001; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		tars_file(&many, name, "");
	}
	tars_end(&many);
	expect(*state, &many, -EFBIG, "entries");
	tars_header(&big, '0', "big", "", 2 << 20);
	expect(*state, &big, -EFBIG, "limit");
}

/* What stands for a hole is not written, but the file has its size. */
static void makes_sparse_files(void **state)
{
	static const char *const records[] = {"GNU.sparse.major=1", "GNU.sparse.minor=0",
		"GNU.sparse.name=holes", "GNU.sparse.realsize=100000", NULL};
	struct place *p = *state;
	autobuf struct buf tar = {}, text = {};
	char map[512] = "2\n0\n3\n50000\n4\n";

	tars_pax(&tar, records);
	tars_header(&tar, '0', "GNUSparseFile/x", "", 512 + 7);
	buf_add(&tar, map, sizeof(map));
	tars_content(&tar, "abcdefg", 7);
	tars_end(&tar);
	expect(p, &tar, 0, NULL);
	assert_int_equal(fd_read_file(p->dest, "holes", 200000, &text), 0);
	assert_int_equal(text.len, 100000);
	assert_memory_equal(text.data, "abc\0", 4);
	assert_memory_equal(text.data + 50000, "defg\0", 5);
}

/* ---- generated archives ---- */

static unsigned long long seed;

static unsigned int pick(unsigned int n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(seed >> 33) % n;
}

static const char *pick_name(const struct place *p, char ret[128])
{
	static const char *const parts[] = {"a", "b", "l", "d", "..", ".", "", "canary", ".wh.a",
		".wh.canary", ".wh..wh..opq", ".wh.", ".wh...", "f"};
	size_t count = 1 + pick(4);

	*ret = '\0';
	if (pick(4)) { /* mostly harmless, or nothing would ever get far */
		snprintf(ret, 128, "%s", pick(2) ? parts[pick(4)] : "b/f");
		return ret;
	}
	if (pick(8) == 0)
		snprintf(ret, 128, "%s/canary/", p->path);
	else if (pick(6) == 0)
		strcpy(ret, "/");
	for (size_t i = 0; i < count; i++) {
		strncat(ret, parts[pick(ARRAY_LEN(parts))], 100 - strlen(ret));
		if (i + 1 < count || pick(4) == 0)
			strncat(ret, "/", 100 - strlen(ret));
	}
	return ret;
}

static void generate(const struct place *p, struct buf *tar)
{
	static const char types[] = "000011222225555346gLK7S";
	char name[128], target[128], path[140];

	for (unsigned int n = 2 + pick(8); n; n--) {
		char type = types[pick(sizeof(types) - 1)];

		pick_name(p, name);
		pick_name(p, target);
		if (pick(3) == 0)
			strcpy(target, pick(2) ? ".." : "../canary");
		if (pick(10) == 0) {
			const char *records[] = {path, NULL};

			snprintf(
				path, sizeof(path), "%s=%s", pick(2) ? "path" : "linkpath", target);
			tars_pax(tar, records);
		}
		if (type == '0' && pick(2))
			tars_file(tar, name, target);
		else
			tars_header(tar, type, name, target, 0);
	}
	tars_end(tar);
}

/* Everything beneath FD as text: names, kinds, modes, owners, times, content. */
static void fingerprint(int dir, const char *name, struct buf *ret)
{
	autoclose int fd = sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	static const char *const inside[] = {"file", "dir", "link", "fifo"};
	struct stat st;

	if (sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	buf_printf(ret, "%s %o %u %lu %ld.%09ld %ld\n", name, st.st_mode, st.st_uid, st.st_nlink,
		(long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long)st.st_size);
	if (S_ISREG(st.st_mode))
		fd_read_all(fd, 4096, ret);
	for (size_t i = 0; S_ISDIR(st.st_mode) && i < ARRAY_LEN(inside); i++)
		fingerprint(fd, inside[i], ret);
}

static void make_canary(struct place *p)
{
	autoclose int fd = -1, file = -1;

	assert_int_equal(sys_mkdirat(p->top, "canary", 0755), 0);
	fd = sys_openat(p->top, "canary", O_RDONLY | O_DIRECTORY, 0);
	file = sys_openat(fd, "file", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(fd_write_all(file, "sing", 4), 0);
	assert_int_equal(sys_mkdirat(fd, "dir", 0755), 0);
	assert_int_equal(sys_symlinkat("file", fd, "link"), 0);
	assert_int_equal(sys_mknodat(fd, "fifo", S_IFIFO | 0644, 0), 0);
}

/* Of cp(1): into a folder that has files and an owner of its own. */
static void fills_a_folder(void **state)
{
	struct place *p = *state;
	autobuf struct buf tar = {}, over = {}, under = {};
	struct stat st;
	struct err err;

	assert_int_equal(sys_fchmod(p->dest, 0750), 0);
	assert_int_equal(sys_mkdirat(p->dest, "there", 0711), 0);
	tars_header(&tar, '5', "./", "", 0);
	tars_file(&tar, "there/.wh.name", "x");
	tars_file(&tar, "new/file", "y");
	tars_end(&tar);
	assert_int_equal(extract_as(p, &tar, UNPACK_PLAIN, true, &err), 0);
	assert_int_equal(extract_as(p, &tar, UNPACK_PLAIN, true, &err), 0);
	assert_int_equal(sys_fstat(p->dest, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(sys_fstatat(p->dest, "there", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(sys_fstatat(p->dest, "there/.wh.name", &st, 0), 0);
	assert_int_equal(st.st_uid, 0);
	tars_file(&over, "there", "z");
	tars_end(&over);
	assert_int_equal(extract_as(p, &over, UNPACK_PLAIN, true, &err), -EISDIR);
	tars_header(&under, '5', "new/file/", "", 0);
	tars_end(&under);
	assert_int_equal(extract_as(p, &under, UNPACK_PLAIN, true, &err), -ENOTDIR);
}

/* HOSTILE_TARS says how many; the slow suite runs more. */
static void stays_inside(void **state)
{
	struct place *p = *state;
	const char *count = getenv("HOSTILE_TARS");
	autobuf struct buf before = {};
	unsigned int whole = 0, rounds = count ? (unsigned int)atoi(count) : 1000;

	make_canary(p);
	fingerprint(p->top, "canary", &before);
	for (unsigned int i = 0; i < rounds; i++) {
		autobuf struct buf tar = {}, after = {};
		struct err err;

		seed = i + 1;
		generate(p, &tar);
		whole += extract(p, &tar, &err) == 0;
		fingerprint(p->top, "canary", &after);
		if (strcmp(buf_str(&before), buf_str(&after)) != 0)
			fail_msg("archive %u changed the canary", i);
		close(p->dest);
		assert_int_equal(path_remove_tree(p->top, "dest"), 0);
		assert_int_equal(sys_mkdirat(p->top, "dest", 0755), 0);
		p->dest = sys_openat(p->top, "dest", O_RDONLY | O_DIRECTORY, 0);
	}
	/* A generator that only makes refused archives tests the first check alone. */
	assert_true(whole > rounds / 50);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(takes_all_kinds),
		TEST(makes_whiteouts),
		TEST(whiteouts_have_no_order),
		TEST(refuses_bad_names),
		TEST(refuses_reserved_attributes),
		TEST(keeps_limits),
		TEST(makes_sparse_files),
		TEST(fills_a_folder),
		TEST(stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

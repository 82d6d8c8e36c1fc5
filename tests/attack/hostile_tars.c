/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that nobody means well with, many and always the same ones.
 *
 *   hostile_tars escape SEED COUNT DIR CANARY   extracts each into DIR without the jail: the
 * extractor alone has to stay inside. Prints how many it took and refused. hostile_tars unclear
 * SEED COUNT DIR         writes archives whose headers can be read in several ways as DIR/N.tar,
 * and what brig sees in them as DIR/N.list, unless it refuses.
 */
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/unpack/extract.h"
#include "tests/unit/images/tars.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t state;

static unsigned int pick(unsigned int n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned int)(state >> 33) % n;
}

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(2);
}

/* ---- archives that want to get out ---- */

static const char *canary;

/* One to four components, now and then absolute. */
static void make_name(char ret[100])
{
	static const char *const plain[] = {"a", "b", "c", "l", "m", "file", "dir", "dir/sub"};
	static const char *const odd[] = {
		"..", ".", "", ".wh.a", ".wh.l", ".wh..wh..opq", ".wh...", ".wh.", ".wh..wh.x"};
	unsigned int count = 1 + pick(3);
	size_t n = 0;

	ret[0] = '\0';
	if (pick(40) == 0) {
		snprintf(ret, 100, "%s%s", canary, pick(2) ? "/file" : "/new");
		return;
	}
	if (pick(30) == 0)
		ret[n++] = '/';
	for (unsigned int i = 0; i < count && n < 80; i++)
		n += (size_t)snprintf(ret + n, 100 - n, "%s%s", i ? "/" : "",
			pick(12) ? plain[pick(8)] : odd[pick(9)]);
}

static void make_target(char ret[100])
{
	static const char *const targets[] = {"..", "../..", "../../..", ".", "/", "a", "l", "m/..",
		"../canary", "../canary/file", "dir/../..", "/proc/self/root", "/proc/self/cwd/..",
		"/proc/self/fd/3", "/dev/null"};

	if (pick(3) == 0)
		snprintf(ret, 100, "%s%s", canary, pick(2) ? "" : "/file");
	else if (pick(3) == 0)
		make_name(ret);
	else
		snprintf(ret, 100, "%s", targets[pick(sizeof(targets) / sizeof(targets[0]))]);
}

static void add_pax(struct buf *b, const char *name)
{
	char path[160];
	const char *const keys[] = {"path", "linkpath", "SCHILY.xattr.user.overlay.redirect",
		"SCHILY.xattr.trusted.overlay.redirect", "SCHILY.xattr.user.overlay.opaque"};
	const char *const records[] = {path, NULL};

	snprintf(path, sizeof(path), "%s=%s", keys[pick(5)], name);
	tars_pax(b, records);
}

static void make_escape(struct buf *b)
{
	static const char types[] = "000001122225553467";
	unsigned int count = 1 + pick(10);

	for (unsigned int i = 0; i < count; i++) {
		char name[100], target[100], type = types[pick(sizeof(types) - 1)];

		make_name(name);
		make_target(target);
		if (pick(16) == 0)
			add_pax(b, pick(2) ? target : name);
		if (type == '0')
			tars_file(b, name, "owned");
		else
			tars_header(b, type, name, type == '1' || type == '2' ? target : "", 0);
	}
	tars_end(b);
}

/* Extracts into the empty directory FD as brig-unpack does in its jail. */
static int extract(const struct buf *b, int fd)
{
	const struct unpack_request request = {.role = UNPACK_EXTRACT,
		.format = b->len / 512 % 4 ? UNPACK_LAYER : UNPACK_PLAIN,
		.limits = {.bytes = 1 << 20, .ratio = 100, .entries = 1000, .depth = 16}};
	struct tars_input in = {.data = b->data, .len = b->len, .step = b->len / 512 % 2 ? 0 : 100};
	struct unpack_reply reply = {};
	autotar struct tar *tar = NULL;
	struct err err = {};

	if (tar_open(tars_read, &in, &tar) < 0)
		die("tar_open");
	return extract_run(tar, fd, -1, &request, &reply, &err);
}

static void write_tar(const struct buf *b, unsigned long number)
{
	char file[32];

	snprintf(file, sizeof(file), "%lu.tar", number);
	if (fd_create_file(AT_FDCWD, file, b->data, b->len, 0600) < 0)
		die(file);
}

static void write_escapes(const char *dir, unsigned long count)
{
	if (chdir(dir) < 0)
		die(dir);
	for (unsigned long i = 0; i < count; i++) {
		autobuf struct buf b = {};

		make_escape(&b);
		write_tar(&b, i);
	}
}

static void escape(const char *dir, unsigned long count)
{
	unsigned long taken = 0, refused = 0;

	if (chdir(dir) < 0)
		die(dir);
	for (unsigned long i = 0; i < count; i++) {
		autobuf struct buf b = {};
		autoclose int fd = -1;

		make_escape(&b);
		if (sys_mkdirat(AT_FDCWD, "x", 0755) < 0)
			die("x");
		fd = sys_openat(AT_FDCWD, "x", O_RDONLY | O_DIRECTORY, 0);
		if (extract(&b, fd) < 0)
			refused++;
		else
			taken++;
		if (path_remove_tree(AT_FDCWD, "x") < 0)
			die("remove x");
	}
	printf("taken %lu refused %lu\n", taken, refused);
}

/* ---- archives that say two things ---- */

/* A whole small archive as the content of a file: who is wrong about the size reads it as entries.
 */
static void smuggle(struct buf *b)
{
	tars_file(b, "hidden", "smuggled");
}

static struct tar_header *last_header(struct buf *b, size_t at)
{
	return (struct tar_header *)(void *)(b->data + at);
}

/* The header at AT gets FIELD's bytes, and its checksum again. */
static void set_size(struct buf *b, size_t at, const char *size, size_t len)
{
	struct tar_header *h = last_header(b, at);

	memset(h->size, 0, sizeof(h->size));
	memcpy(h->size, size, len);
	tars_seal(h);
}

static void add_inner(struct buf *b, char type, unsigned long long said, const char *const *records)
{
	autobuf struct buf inner = {};

	smuggle(&inner);
	if (records)
		tars_pax(b, records);
	tars_header(b, type, "outer", type == '1' || type == '2' ? "first" : "", said);
	tars_content(b, inner.data, inner.len);
}

static void add_long_name(struct buf *b, const char *name, size_t said)
{
	tars_header(b, 'L', "././@LongLink", "", said);
	tars_content(b, name, strlen(name) + 1);
}

static void add_unclear(struct buf *b)
{
	static const char *const sizes[] = {"size=0", "size=512", "size=1024", "size=1536",
		"size=-1", "size=0x400", "size= 1024", "size=18446744073709551616"};
	static const char types[] = "0123456789\0AVMNDKSgxZ";
	const char *const one[] = {sizes[pick(8)], NULL};
	const char *const two[] = {sizes[pick(8)], sizes[pick(8)], "path=renamed", NULL};
	const char *const names[] = {"path=one", "path=two", NULL};
	size_t at;

	switch (pick(12)) {
	case 0: /* pax against octal */
		return add_inner(b, '0', pick(2) ? 1024 : 0, one);
	case 1: /* twice in one header, and a name */
		return add_inner(b, '0', 1024, two);
	case 2: /* kinds that have no content, and say they have */
		return add_inner(b, types[pick(sizeof(types) - 1)], 1024, NULL);
	case 3: /* a header between a header and its entry */
		tars_pax(b, one);
		add_long_name(b, "longname", 9);
		return add_inner(b, '0', 1024, NULL);
	case 4:
		add_long_name(b, "longname", pick(2) ? 9 : 3);
		return tars_file(b, "short", "x");
	case 5: /* forms of numbers */
		at = b->len;
		add_inner(b, '0', 1024, NULL);
		switch (pick(5)) {
		case 0:
			return set_size(b, at, "\x80\0\0\0\0\0\0\0\0\0\x04\0", 12);
		case 1:
			return set_size(b, at, "   2000 ", 8);
		case 2:
			return set_size(b, at, "00000002000 ", 12);
		case 3:
			return set_size(b, at, "2000x", 5);
		default:
			return set_size(
				b, at, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfc\0", 12);
		}
	case 6: /* a single zero block */
		buf_add(b, (const char[512]){}, 512);
		return tars_file(b, "after-zeros", "x");
	case 7: /* a wrong checksum */
		at = b->len;
		tars_file(b, "wrong", "x");
		last_header(b, at)->mode[1] ^= 1;
		return;
	case 8: /* a name in two halves */
		at = b->len;
		tars_file(b, "half", "x");
		memcpy(last_header(b, at)->prefix, "prefix", 6);
		if (pick(2))
			memcpy(last_header(b, at)->magic, "ustar  ", 8);
		tars_seal(last_header(b, at));
		return;
	case 9:
		tars_pax(b, names);
		return tars_file(b, "name", "x");
	case 10: /* for all that follows */
		at = b->len;
		tars_pax(b, pick(2) ? one : names);
		last_header(b, at)->type = 'g';
		tars_seal(last_header(b, at));
		return add_inner(b, '0', 1024, NULL);
	default: /* a pax header that is longer or shorter than its records */
		at = b->len;
		tars_pax(b, one);
		set_size(b, at, pick(2) ? "00000000005" : "00000000100", 11);
		return tars_file(b, "name", "x");
	}
}

static void make_unclear(struct buf *b)
{
	tars_file(b, "first", "x");
	for (unsigned int i = 0; i <= pick(2); i++)
		add_unclear(b);
	tars_file(b, "last", "x");
	tars_end(b);
}

/* The names that brig's reader sees; false when it refuses. */
static bool list(const struct buf *b, struct buf *ret)
{
	struct tars_input in = {.data = b->data, .len = b->len};
	autotar struct tar *tar = NULL;
	struct tar_entry e;
	struct err err = {};
	int r;

	if (tar_open(tars_read, &in, &tar) < 0)
		die("tar_open");
	while ((r = tar_next(tar, &e, &err)) > 0)
		buf_printf(ret, "%s\n", e.path);
	return r == 0 && tar_drain(tar, &err) == 0;
}

static void unclear(const char *dir, unsigned long count)
{
	if (chdir(dir) < 0)
		die(dir);
	for (unsigned long i = 0; i < count; i++) {
		autobuf struct buf b = {}, names = {};
		char file[32];

		make_unclear(&b);
		write_tar(&b, i);
		snprintf(file, sizeof(file), "%lu.list", i);
		if (list(&b, &names) &&
			fd_create_file(AT_FDCWD, file, names.data, names.len, 0600) < 0)
			die(file);
	}
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr,
			"usage: hostile_tars escape|write|unclear SEED COUNT DIR [CANARY]\n");
		return 2;
	}
	state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ULL + 1;
	canary = argc > 5 ? argv[5] : "/canary";
	if (strcmp(argv[1], "escape") == 0)
		escape(argv[4], strtoul(argv[3], NULL, 10));
	else if (strcmp(argv[1], "write") == 0)
		write_escapes(argv[4], strtoul(argv[3], NULL, 10));
	else
		unclear(argv[4], strtoul(argv[3], NULL, 10));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and extended headers of tar archives. */
#include "images/unpack/tar_private.h"

#include "base/parse.h"

#include <string.h>

int tar_signed(const char *field, size_t len, int64_t *ret)
{
	const unsigned char *p = (const unsigned char *)field;
	uint64_t n = 0;
	size_t i = 0;

	if (p[0] & 0x80) { /* base 256, two's complement (GNU) */
		bool negative = p[0] & 0x40;

		n = negative ? ~0ULL : 0;
		for (i = 0; i < len; i++) {
			unsigned char byte =
				i ? p[i] : (unsigned char)((p[0] & 0x3f) | (negative ? 0xc0 : 0));

			if (i + 8 < len && byte != (negative ? 0xff : 0))
				return -ERANGE;
			n = n << 8 | byte;
		}
		*ret = (int64_t)n;
		return (*ret < 0) == negative ? 0 : -ERANGE;
	}
	while (i < len && p[i] == ' ')
		i++;
	for (; i < len && p[i] >= '0' && p[i] <= '7'; i++)
		n = n << 3 | (uint64_t)(p[i] - '0'); /* at most twelve digits: 36 bits */
	for (; i < len; i++)
		if (p[i] != ' ' && p[i] != '\0')
			return -EINVAL;
	*ret = (int64_t)n;
	return 0;
}

int tar_number(const char *field, size_t len, uint64_t *ret)
{
	int64_t n;
	int r = tar_signed(field, len, &n);

	if (r < 0 || n < 0)
		return -EINVAL;
	*ret = (uint64_t)n;
	return 0;
}

void tar_pax_reset(struct tar_pax *pax)
{
	struct tar_pax empty = {
		.text = pax->text, .xattrs = pax->xattrs, .xattr_room = pax->xattr_room};

	empty.text.len = 0;
	*pax = empty;
}

static int parse_time(const char *value, struct timespec *ret)
{
	bool negative = *value == '-';
	size_t whole = strcspn(value, ".");
	char seconds[24];
	int64_t s;
	long nanos = 0, unit = 100000000;

	if (whole >= sizeof(seconds))
		return -EINVAL;
	memcpy(seconds, value, whole);
	seconds[whole] = '\0';
	if (parse_i64(seconds, &s) < 0)
		return -EINVAL;
	for (const char *p = value[whole] ? value + whole + 1 : ""; *p; p++, unit /= 10) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		nanos += (*p - '0') * unit;
	}
	if (negative && nanos) {
		s--;
		nanos = 1000000000 - nanos;
	}
	*ret = (struct timespec){.tv_sec = s, .tv_nsec = nanos};
	return 0;
}

static int add_xattr(
	struct tar *tar, const char *name, const char *value, size_t len, struct err *err)
{
	struct tar_pax *pax = &tar->pax;

	if (!*name || strlen(name) > 255 || len > 65536)
		return tar_bad(tar, err, "an extended attribute that no file system could hold");
	if (pax->xattr_count == pax->xattr_room) {
		size_t room = pax->xattr_room ? 2 * pax->xattr_room : 16;
		struct tar_xattr *more = reallocarray(pax->xattrs, room, sizeof(*more));

		if (!more)
			return err_sys(err, -ENOMEM, "tar");
		pax->xattrs = more;
		pax->xattr_room = room;
	}
	pax->xattrs[pax->xattr_count++] = (struct tar_xattr){name, value, len};
	return 0;
}

static int take_number(struct tar *tar, const char *value, struct opt_u64 *ret, struct err *err)
{
	if (ret->set)
		return tar_bad(tar, err, "a record stands twice in an extended header");
	if (parse_u64(value, &ret->value) < 0)
		return tar_bad(tar, err, "a record of an extended header is not a number");
	ret->set = true;
	return 0;
}

static int take_text(
	struct tar *tar, const char *value, size_t len, const char **ret, struct err *err)
{
	if (*ret)
		return tar_bad(tar, err, "a record stands twice in an extended header");
	if (strlen(value) != len)
		return tar_bad(tar, err, "a name in an extended header has a NUL in it");
	if (len == 0 || len > TAR_PATH_MAX)
		return tar_bad(tar, err, "a name has no or too many bytes");
	*ret = value;
	return 0;
}

/* Sparse format 0.0: pieces as pairs of records, in order. */
static int take_piece(struct tar *tar, bool is_len, const char *value, struct err *err)
{
	uint64_t n;

	if (parse_u64(value, &n) < 0)
		return tar_bad(tar, err, "a piece of a sparse file is not a number");
	if (!tar->pax.sparse_pairs)
		tar->piece_count = 0;
	tar->pax.sparse_pairs = true;
	if (!is_len)
		return tar_add_piece(tar, n, UINT64_MAX, err);
	if (!tar->piece_count || tar->pieces[tar->piece_count - 1].len != UINT64_MAX)
		return tar_bad(tar, err, "a sparse file's map is out of order");
	tar->pieces[tar->piece_count - 1].len = n;
	return 0;
}

static int take_record(
	struct tar *tar, const char *key, const char *value, size_t len, struct err *err)
{
	struct tar_pax *pax = &tar->pax;
	const char *name;

	if (parse_has_prefix(key, "SCHILY.xattr.", &name))
		return add_xattr(tar, name, value, len, err);
	if (strcmp(key, "path") == 0)
		return take_text(tar, value, len, &pax->path, err);
	if (strcmp(key, "linkpath") == 0)
		return take_text(tar, value, len, &pax->target, err);
	if (strcmp(key, "GNU.sparse.name") == 0)
		return take_text(tar, value, len, &pax->sparse_name, err);
	if (strcmp(key, "size") == 0)
		return take_number(tar, value, &pax->size, err);
	if (strcmp(key, "uid") == 0)
		return take_number(tar, value, &pax->uid, err);
	if (strcmp(key, "gid") == 0)
		return take_number(tar, value, &pax->gid, err);
	if (strcmp(key, "GNU.sparse.major") == 0)
		return take_number(tar, value, &pax->sparse_major, err);
	if (strcmp(key, "GNU.sparse.realsize") == 0 || strcmp(key, "GNU.sparse.size") == 0)
		return take_number(tar, value, &pax->sparse_size, err);
	if (strcmp(key, "GNU.sparse.offset") == 0 || strcmp(key, "GNU.sparse.numbytes") == 0)
		return take_piece(tar, key[11] == 'n', value, err);
	if (strcmp(key, "GNU.sparse.map") == 0)
		pax->sparse_map = value;
	if (strcmp(key, "mtime") == 0) {
		if (parse_time(value, &pax->mtime) < 0)
			return tar_bad(tar, err, "a time in an extended header is not a number");
		pax->mtime_set = true;
	}
	/* Everything else (atime, ctime, names of owners, comments) is nothing of a layer's. */
	return 0;
}

struct record {
	const char *key, *value;
	size_t len; /* of the value, which may hold any byte */
};

/* "LENGTH KEY=VALUE\n", LENGTH counting all of it. Moves *AT on. */
static int next_record(
	struct tar *tar, char **at, const char *end, struct record *ret, struct err *err)
{
	char *p = *at, *space = memchr(p, ' ', (size_t)(end - p)), *equal, *last;
	uint64_t len;

	if (!space || space - p > 7)
		return tar_bad(tar, err, "an extended header has no length");
	*space = '\0';
	if (parse_u64(p, &len) < 0 || len > (uint64_t)(end - p) || len < (uint64_t)(space - p) + 4)
		return tar_bad(tar, err, "an extended header's length is wrong");
	last = p + len - 1;
	equal = memchr(space + 1, '=', (size_t)(last - space - 1));
	if (*last != '\n' || !equal || equal == space + 1)
		return tar_bad(tar, err, "an extended header has no key=value");
	*equal = *last = '\0';
	*ret = (struct record){space + 1, equal + 1, (size_t)(last - equal - 1)};
	*at = last + 1;
	return 0;
}

int tar_pax_parse(struct tar *tar, struct err *err)
{
	char *p = tar->pax.text.data, *end = p + tar->pax.text.len;
	int r = 0;

	tar->pax.present = true;
	while (r == 0 && p < end) {
		struct record record;

		r = next_record(tar, &p, end, &record, err);
		if (r == 0)
			r = take_record(tar, record.key, record.value, record.len, err);
	}
	return r;
}

int tar_pax_check_global(struct tar *tar, struct buf *text, struct err *err)
{
	static const char *const telling[] = {"path", "linkpath", "size"};
	char *p = text->data, *end = p + text->len;
	const char *rest;

	while (p < end) {
		struct record record;
		int r = next_record(tar, &p, end, &record, err);

		if (r < 0)
			return r;
		for (size_t i = 0; i < ARRAY_LEN(telling); i++)
			if (strcmp(record.key, telling[i]) == 0)
				r = -EINVAL;
		if (r < 0 || parse_has_prefix(record.key, "GNU.sparse.", &rest))
			return tar_bad(
				tar, err, "a global header says what only some readers believe");
	}
	return 0;
}

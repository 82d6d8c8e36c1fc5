/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparse files: GNU's old format (type S) and its three PAX formats. See "Storing Sparse Files" in
 * the GNU tar manual. All end as one list of pieces that is checked once.
 */
#include "images/unpack/tar_private.h"

#include "base/parse.h"

#include <string.h>

int tar_add_piece(struct tar *tar, uint64_t offset, uint64_t len, struct err *err)
{
	if (tar->piece_count == TAR_SPARSE_MAX)
		return tar_bad(tar, err, "a sparse file has more than 65536 pieces");
	if (tar->piece_count == tar->piece_room) {
		size_t room = tar->piece_room ? 2 * tar->piece_room : 64;
		struct tar_piece *more = reallocarray(tar->pieces, room, sizeof(*more));

		if (!more)
			return err_sys(err, -ENOMEM, "tar");
		tar->pieces = more;
		tar->piece_room = room;
	}
	tar->pieces[tar->piece_count++] = (struct tar_piece){offset, len};
	return 0;
}

static int add_fields(struct tar *tar, const char *offset, const char *len, struct err *err)
{
	uint64_t o, l;

	if (tar_number(offset, 12, &o) < 0 || tar_number(len, 12, &l) < 0)
		return tar_bad(tar, err, "a sparse file's map is not of numbers");
	return tar_add_piece(tar, o, l, err);
}

/* Four pieces in the header, 21 in each block that follows while .extended is set. */
static int read_old(struct tar *tar, const struct tar_header *h, struct err *err)
{
	struct {
		struct {
			char offset[12], len[12];
		} sparse[21];
		char extended, pad[7];
	} more;
	bool extended = h->gnu.extended;
	int r = 0;

	_Static_assert(sizeof(more) == 512, "a block");
	for (size_t i = 0; r == 0 && i < 4 && h->gnu.sparse[i].len[0]; i++)
		r = add_fields(tar, h->gnu.sparse[i].offset, h->gnu.sparse[i].len, err);
	while (r == 0 && extended) {
		r = tar_get(tar, &more, sizeof(more), err);
		if (r == 0)
			return tar_bad(tar, err, "the archive is cut off");
		if (r < 0)
			return r;
		r = 0;
		for (size_t i = 0; r == 0 && i < 21 && more.sparse[i].len[0]; i++)
			r = add_fields(tar, more.sparse[i].offset, more.sparse[i].len, err);
		extended = more.extended;
	}
	return r;
}

/* "offset,length,offset,length…" */
static int read_map(struct tar *tar, const char *map, struct err *err)
{
	char number[24];
	uint64_t pair[2];

	for (size_t i = 0; *map; i++) {
		size_t n = strcspn(map, ",");

		if (n >= sizeof(number))
			return tar_bad(tar, err, "a sparse file's map is not of numbers");
		memcpy(number, map, n);
		number[n] = '\0';
		if (parse_u64(number, &pair[i % 2]) < 0)
			return tar_bad(tar, err, "a sparse file's map is not of numbers");
		if (i % 2) {
			int r = tar_add_piece(tar, pair[0], pair[1], err);

			if (r < 0)
				return r;
		}
		map += n + (map[n] == ',');
	}
	return 0;
}

/* One decimal line of the map at the start of the content. */
static int read_line(struct tar *tar, uint64_t *ret, struct err *err)
{
	char line[24];
	size_t n = 0;

	for (;;) {
		const void *byte;
		ssize_t r;

		if (!tar->left)
			return tar_bad(tar, err, "a sparse file's map is cut off");
		r = tar_take(tar, 1, &byte, err);
		if (r <= 0)
			return r < 0 ? (int)r : tar_bad(tar, err, "the archive is cut off");
		tar->left--;
		if (*(const char *)byte == '\n')
			break;
		if (n == sizeof(line) - 1)
			return tar_bad(tar, err, "a sparse file's map is not of numbers");
		line[n++] = *(const char *)byte;
	}
	line[n] = '\0';
	if (parse_u64(line, ret) < 0)
		return tar_bad(tar, err, "a sparse file's map is not of numbers");
	return 0;
}

/* Format 1.0: count, then offset and length, a line each, filled up to a block. */
static int read_content_map(struct tar *tar, struct err *err)
{
	uint64_t count, before = tar->left, offset, len;
	int r = read_line(tar, &count, err);

	if (r == 0 && count > TAR_SPARSE_MAX)
		return tar_bad(tar, err, "a sparse file has more than 65536 pieces");
	for (uint64_t i = 0; r == 0 && i < count; i++) {
		r = read_line(tar, &offset, err);
		if (r == 0)
			r = read_line(tar, &len, err);
		if (r == 0)
			r = tar_add_piece(tar, offset, len, err);
	}
	while (r == 0 && (before - tar->left) % 512) {
		const void *bytes;
		size_t rest = 512 - (before - tar->left) % 512;
		ssize_t n;

		if (rest > tar->left)
			return tar_bad(tar, err, "a sparse file's map is cut off");
		n = tar_take(tar, rest, &bytes, err);
		if (n <= 0)
			return n < 0 ? (int)n : tar_bad(tar, err, "the archive is cut off");
		tar->left -= (uint64_t)n;
	}
	return r;
}

/* In order, without overlap, within the file, and exactly the content that follows. */
static int check_pieces(struct tar *tar, uint64_t size, struct err *err)
{
	uint64_t end = 0, sum = 0;

	for (size_t i = 0; i < tar->piece_count; i++) {
		const struct tar_piece *p = &tar->pieces[i];

		if (p->offset < end || __builtin_add_overflow(p->offset, p->len, &end) ||
			end > size)
			return tar_bad(tar, err, "a sparse file's map is out of order");
		sum += p->len;
	}
	if (sum != tar->left)
		return tar_bad(tar, err, "a sparse file's map is not its content");
	return 0;
}

int tar_sparse(struct tar *tar, const struct tar_header *h, struct tar_entry *e, struct err *err)
{
	const struct tar_pax *pax = &tar->pax;
	bool pax_sparse = pax->sparse_size.set || pax->sparse_map || pax->sparse_pairs ||
			  pax->sparse_major.set;
	uint64_t size = pax->sparse_size.value;
	int r = 0;

	if (h->type != 'S' && !pax_sparse) {
		tar->piece_count = 0;
		return 0;
	}
	if (e->type != TAR_FILE || (h->type == 'S' && pax_sparse) ||
		(pax_sparse && !pax->sparse_size.set))
		return tar_bad(tar, err, "a sparse file that contradicts itself");
	if (!pax->sparse_pairs)
		tar->piece_count = 0;
	if (h->type == 'S') {
		if (tar_number(h->gnu.real_size, sizeof(h->gnu.real_size), &size) < 0)
			return tar_bad(tar, err, "a size is not a number");
		r = read_old(tar, h, err);
	} else if (pax->sparse_major.set && pax->sparse_major.value == 1) {
		r = read_content_map(tar, err);
	} else if (pax->sparse_map) {
		r = read_map(tar, pax->sparse_map, err);
	}
	if (r < 0)
		return r;
	if (size > INT64_MAX)
		return tar_bad(tar, err, "a size is out of range");
	r = check_pieces(tar, size, err);
	if (r < 0)
		return r;
	if (pax->sparse_name) {
		tar->path.len = 0;
		buf_puts(&tar->path, pax->sparse_name);
		if (tar->path.failed)
			return err_sys(err, -ENOMEM, "tar");
	}
	e->size = size;
	e->pieces = tar->pieces;
	e->piece_count = tar->piece_count;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the tar reader share; not for anyone else. */
#pragma once

#include "base/json.h"
#include "images/unpack/tar.h"

#include <stddef.h>

/* The largest size plus one that eleven octal digits hold. */
#define TAR_OCTAL_SIZE_MAX (1ULL << 33)

/* One block of 512 bytes; POSIX.1-2017 pax, "ustar Interchange Format". */
struct tar_header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
	char type;
	char target[100], magic[6], version[2], uname[32], gname[32], major[8], minor[8];
	union {
		char prefix[155];
		struct {
			char atime[12], ctime[12], offset[12], longnames[4], unused;
			struct {
				char offset[12], len[12];
			} sparse[4];
			char extended, real_size[12];
		} gnu;
	};
	char end[12];
};
_Static_assert(sizeof(struct tar_header) == 512, "a header is one block");

struct tar_pax {
	bool present;
	struct buf text; /* what the strings point into */
	const char *path, *target;
	struct opt_u64 size, uid, gid;
	bool mtime_set;
	struct timespec mtime;
	struct tar_xattr *xattrs;
	size_t xattr_count, xattr_room;
	/* GNU.sparse.*: version 0.0 (offset and numbytes by turns), 0.1 (map), 1.0 (in content) */
	struct opt_u64 sparse_major, sparse_size;
	const char *sparse_map, *sparse_name;
	bool sparse_pairs;
};

struct tar {
	tar_source *source;
	void *context;
	char *window;
	size_t start, end; /* of what is unread in the window */
	uint64_t at, header_at;
	uint64_t left, pad; /* content of the present entry, and what fills its last block */
	struct buf path, target;
	struct tar_pax pax;
	struct tar_piece *pieces;
	size_t piece_count, piece_room;
};

int tar_bad(struct tar *tar, struct err *err, const char *what);
ssize_t tar_take(struct tar *tar, size_t max, const void **ret, struct err *err);
int tar_get(struct tar *tar, void *out, size_t len, struct err *err);

/* An octal or base-256 field that is not negative; −EINVAL. An empty one is 0. */
int tar_number(const char *field, size_t len, uint64_t *ret);
int tar_signed(const char *field, size_t len, int64_t *ret);

void tar_pax_reset(struct tar_pax *pax);
/* Reads the records in pax.text. */
int tar_pax_parse(struct tar *tar, struct err *err);
/* A header for all entries: comments, and attributes that layers have for each entry. Names and
 * sizes in it are taken by some readers and not by others: an error. */
int tar_pax_check_global(struct tar *tar, struct buf *text, struct err *err);

int tar_add_piece(struct tar *tar, uint64_t offset, uint64_t len, struct err *err);
/* Fills in where the content of a sparse file goes, reading the map when it is content. */
int tar_sparse(struct tar *tar, const struct tar_header *h, struct tar_entry *e, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader of tar streams: ustar, GNU and PAX (POSIX.1-2017 pax, "GNU tar manual").
 *
 * Our own and small, because this is where hostile bytes meet a parser: no compression, no
 * character sets, no seeking, no formats but these, bounded memory, and one meaning for each
 * archive. A header whose PAX records contradict its octal fields is an error, since two readers
 * would see two archives (security case F2).
 *
 * Order of use: tar_next() until it returns 0; after each entry tar_read() its content, whole or
 * not: tar_next() skips the rest. Strings of an entry live until the next tar_next().
 * Any process; meant for jailed ones.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum tar_type {
	TAR_FILE = '0',
	TAR_HARDLINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCK = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
};

enum {
	TAR_PATH_MAX = 4096,
	TAR_PAX_MAX = 1 << 20,    /* bytes of extended headers before one entry */
	TAR_SPARSE_MAX = 1 << 16, /* pieces of a sparse file */
};

struct tar_xattr {
	const char *name, *value;
	size_t len;
};

struct tar_piece {
	uint64_t offset, len;
};

struct tar_entry {
	enum tar_type type;
	const char *path;   /* as written */
	const char *target; /* of links, else "" */
	mode_t mode;        /* permission bits, 07777 */
	uint32_t uid, gid;
	uint32_t major, minor;
	struct timespec mtime;
	uint64_t size; /* of the file; with holes, when it is sparse */
	const struct tar_xattr *xattrs;
	size_t xattr_count;
	/* Where the content goes, one piece after the other; NULL: from 0 to size. */
	const struct tar_piece *pieces;
	size_t piece_count;
};

/* Reads up to LEN bytes; 0 at the end, a negative errno on failure. */
typedef ssize_t tar_source(void *context, void *buf, size_t len);

struct tar;

int tar_open(tar_source *source, void *context, struct tar **ret);
void tar_close(struct tar *tar);

/* 1 with an entry, 0 at the end of the archive, −EINVAL and what is wrong at which byte. */
int tar_next(struct tar *tar, struct tar_entry *ret, struct err *err);
/* At most MAX bytes of the present entry's content, borrowed until the next call: how many they
 * are, 0 at the end. */
ssize_t tar_read(struct tar *tar, uint64_t max, const void **ret, struct err *err);
/* Reads the source to its end, past the archive's. */
int tar_drain(struct tar *tar, struct err *err);

static inline void tar_release(struct tar **tar)
{
	tar_close(*tar);
	*tar = NULL;
}
CLEANUP_DEFINE(tar, struct tar *, tar_release)
#define autotar __attribute__((cleanup(cleanup_tar)))

/* SPDX-License-Identifier: Apache-2.0 */
/* What erofs_tree.c gathers and erofs_write.c lays out. */
#pragma once

#include "base/arena.h"
#include "images/unpack/erofs.h"

#include <sys/stat.h>

enum { EROFS_BLOCK = 4096 };

struct erofs_node;

struct erofs_entry {
	const char *name;
	struct erofs_node *node;
};

/* A file; several entries may name it. All memory is the image's arena. */
struct erofs_node {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	struct timespec mtime;
	uint32_t links;
	uint64_t size;  /* of the content; of a folder as it is written */
	uint32_t block; /* where the content begins, but for what stands behind the inode */
	/* Attributes, encoded. */
	uint8_t *xattrs;
	size_t xattr_len;
	const char *target; /* of a symbolic link */
	/* Of a folder: with "." and "..", sorted. */
	struct erofs_entry *entries;
	size_t entry_count;
	/* Set by the layout: */
	uint64_t nid;            /* place of the inode, in units of 32 bytes */
	bool tail_inside;        /* what is beyond the last whole block stands behind the inode */
	struct erofs_node *next; /* in the order in which they are written */
};

struct erofs_image {
	int out;
	const struct unpack_request *request;
	struct unpack_reply *reply;
	struct arena arena;
	struct erofs_node *first, **last; /* the root is the first */
	uint64_t blocks;                  /* that are written, or reserved */
};

/* Reads the tree and writes the files' content. */
int erofs_tree(struct erofs_image *image, int dirfd, struct err *err);
/* Reserves blocks for LEN bytes; −EFBIG beyond what the format counts. */
int erofs_reserve(struct erofs_image *image, uint64_t len, uint32_t *ret, struct err *err);
/* Adds to NODE the attribute NAME. −E2BIG. */
int erofs_add_xattr(struct erofs_image *image, struct erofs_node *node, const char *name,
	const void *value, size_t len, struct err *err);
/* Writes all but the files' content. */
int erofs_write(struct erofs_image *image, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the extractor share; not for anyone else. */
#pragma once

#include "base/arena.h"
#include "images/unpack/extract.h"

#include <limits.h>

/* What a directory is to look like in the end. */
struct late_directory {
	const char *path;
	struct late_directory *next;
	uint32_t uid, gid;
	mode_t mode;
	struct timespec mtime;
	bool implied; /* not in the archive: attributes come from a lower layer */
};

struct extract {
	const struct unpack_request *request;
	int root, control;
	/* The parent of the last entry: most archives list a directory's files together. */
	int parent;
	char parent_path[PATH_MAX];
	struct late_directory *late; /* newest first */
	/* Whiteouts are files by their names in the archive, for fuse-overlayfs: the file system
	 * takes no devices, as when it is an overlay itself. */
	bool named_whiteouts;
	struct arena arena;
	struct unpack_reply *reply;
};

/* One entry's name, taken apart. */
struct extract_name {
	char path[PATH_MAX];   /* relative, no "." or "..", "" for the root */
	char parent[PATH_MAX]; /* "" for the root */
	const char *base;      /* within path */
};

/* extract_attr.c */
int extract_set_file(struct extract *x, int fd, const struct tar_entry *e, struct err *err);
int extract_set_link(struct extract *x, int parent, const char *base, const struct tar_entry *e,
	struct err *err);
int extract_set_xattrs(struct extract *x, int fd, const struct tar_entry *e, struct err *err);
int extract_set_opaque(int fd, struct err *err);
/* Remembers what directory PATH is to look like; the last word counts. */
int extract_note_directory(
	struct extract *x, const char *path, const struct tar_entry *e, struct err *err);
int extract_finish_directories(struct extract *x, struct err *err);

/* extract_name.c */
int extract_split_name(
	struct extract *x, const char *path, struct extract_name *ret, struct err *err);
/* openat2(2) beneath the root without any link; FLAGS of open(2). */
int extract_open(struct extract *x, const char *path, int flags);
/* The parent of NAME, borrowed; directories that are missing are made and noted as implied. */
int extract_open_parent(struct extract *x, const struct extract_name *name, struct err *err);
/* Forgets the parent that was kept: it may be about to be removed. */
void extract_forget_parent(struct extract *x);

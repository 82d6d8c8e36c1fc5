/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One directory into one tar: a layer from a container's upper directory (overlay's whiteouts
 * become .wh. names), or a plain archive of a whole root. Names are sorted, hard links are kept,
 * and nothing is followed: the tree belongs to somebody else. In the jail only; single-threaded.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "images/unpack/protocol.h"

#include <sys/types.h>

/* The names in the directory FD, sorted; in ARENA, but for ret->items, which is to be freed. */
int pack_list_names(int fd, struct arena *arena, struct strings *ret, struct err *err);
/* The owner and mode that extract recorded instead of giving the file away; false: none. */
bool pack_owner(int fd, uid_t *ret_uid, gid_t *ret_gid, mode_t *ret_mode);

/* Writes the tree in DIRFD to OUT, or of it what REQUEST names. */
int pack_run(int dirfd, int out, const struct unpack_request *request, struct unpack_reply *ret,
	struct err *err);

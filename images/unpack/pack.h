/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One directory into one tar: a layer from a container's upper directory (overlay's whiteouts
 * become .wh. names), or a plain archive of a whole root. Names are sorted, hard links are kept,
 * and nothing is followed: the tree belongs to somebody else. In the jail only; single-threaded.
 */
#pragma once

#include "base/err.h"
#include "images/unpack/protocol.h"

/* Writes the tree in DIRFD to OUT. */
int pack_run(int dirfd, int out, const struct unpack_request *request, struct unpack_reply *ret,
	struct err *err);

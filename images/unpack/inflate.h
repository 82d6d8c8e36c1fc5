/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed bytes in, bytes out: gzip (by ISA-L, several members) and zstd (several frames),
 * told apart by their first bytes; anything else is passed on as it is. That the content is what
 * it claims to be is the DiffID's business, which brig checks outside of this process.
 *
 * In the jail only; single-threaded.
 */
#pragma once

#include "base/err.h"
#include "images/unpack/protocol.h"

/* Reads IN to its end and writes to OUT. −EINVAL for a broken stream, −EFBIG for a bomb. */
int inflate_run(int in, int out, const struct unpack_limits *limits, struct err *err);

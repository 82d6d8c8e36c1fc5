/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes in, gzip out (by ISA-L, which a static brig cannot have). Its input is what brig-unpack
 * packed from a container's files. In the jail only; single-threaded.
 */
#pragma once

#include "base/err.h"

/* Reads IN to its end and writes to OUT. */
int deflate_run(int in, int out, struct err *err);

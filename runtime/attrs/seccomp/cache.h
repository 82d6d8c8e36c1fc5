/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled seccomp programs, kept in a directory.
 *
 * An entry's name is a 64-bit hash; what decides is the whole input, which the entry holds and
 * which is compared byte by byte: the profile in canonical form, the versions of libseccomp and of
 * this compiler, and the architecture. So neither a collision nor a hostile profile ever selects
 * another profile's filter. An entry (and the directory) counts only if it belongs to the caller's
 * user or root and nobody else may write to it; anything wrong with it means compiling again, and
 * the entry is replaced. Entries appear by rename, whole.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "runtime/attrs/seccomp/compile.h"
#include "spec/config.h"

#include <stdbool.h>

/*
 * The program for SECCOMP from the cache CACHEFD (a directory, mode 0700; −1: no cache), compiled
 * and stored when it is not there. A hit takes seven system calls and does not touch libseccomp.
 * RET_HIT (may be NULL) says which. Failing to store is not an error. Errors are those of
 * seccomp_compile(). Parent stage.
 */
int seccomp_cached(int cachefd, const struct spec_seccomp *seccomp, struct seccomp_program *ret,
	bool *ret_hit, struct err *err);

/* Appends the canonical form that entries are compared by. −ENOMEM. Pure; for tests too. */
int seccomp_canonical(const struct spec_seccomp *seccomp, struct buf *ret);

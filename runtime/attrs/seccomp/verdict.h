/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a filter would say to a system call, before it stands: what is known to be refused can be
 * done earlier.
 */
#pragma once

#include "runtime/attrs/seccomp/compile.h"

/*
 * Whether PROGRAM lets this process make the call NR with ARGS undisturbed. The instruction pointer
 * is not known and counts as 0. False for a program with an instruction that the compiler never
 * writes. Any process; pure.
 */
bool seccomp_allows(const struct seccomp_program *program, int nr, const uint64_t args[6]);

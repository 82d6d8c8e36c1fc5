/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system call filter of each thread of the VMM, and of the file server.
 *
 * Which calls a role may make is said beside the code that makes them, in comments that begin with
 * "#syscalls:"; vmm/syscalls.sh turns those into the lists that are used here. Everything else,
 * another architecture's calls, and an ioctl that is not named kill the process. So do, also where
 * the call itself is named, memory that becomes executable and a clone(2) with namespaces.
 */
#pragma once

#include "base/err.h"

/* For the calling thread, for good: ROLE is "io" or "vcpu" (the VMM), or "fsd" (the file server).
 * no_new_privs must be set. */
int filter_load(const char *role, struct err *err);

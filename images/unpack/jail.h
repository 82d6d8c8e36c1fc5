/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail of brig-unpack: what is left when it meets the first hostile byte.
 *
 * brig has started this process in new user, mount, network, PID, IPC and UTS namespaces where the
 * machine allows that. unpack_jail_enter() then exchanges the root for an empty read-only file
 * system, sets resource limits, gives up capabilities but those of the role, restricts the file
 * system with Landlock to one directory, and last installs a seccomp filter. Every step is fatal on
 * error; only what the kernel does not have at all may be missing, and never both the empty root
 * and Landlock.
 *
 * The filter is made from declarations: a function that makes a system call in the jail says
 * JAIL_NEEDS(roles, SYS_…) beside itself. What nobody declared kills the process.
 */
#pragma once

#include "base/err.h"
#include "images/unpack/protocol.h"

#include <stdint.h>
#include <sys/syscall.h>

struct jail_need {
	uint32_t roles; /* enum unpack_role, or-ed */
	uint32_t call;  /* SYS_… */
};

#define JAIL_NAME_(a, b) a##b
#define JAIL_NAME(a, b)  JAIL_NAME_(a, b)
/* At file level. The linker gathers them, hence the section; seccomp(2). */
#define JAIL_NEEDS(roles_, call_)                                                        \
	static const struct jail_need JAIL_NAME(jail_need_, __COUNTER__) __attribute__(( \
		used, retain, section("jail_needs"))) = {.roles = (roles_), .call = (call_)}

#define JAIL_ALL                                                                          \
	(UNPACK_INFLATE | UNPACK_EXTRACT | UNPACK_PACK | UNPACK_REMOVE | UNPACK_DEFLATE | \
		UNPACK_EROFS)

/* DIRFD is the one directory of the role, or −1. brig-unpack only, single-threaded, once. */
int unpack_jail_enter(const struct unpack_request *request, int dirfd, struct err *err);

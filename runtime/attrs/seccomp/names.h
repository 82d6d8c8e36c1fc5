/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System call names, beyond what libseccomp knows.
 *
 * An engine's profile is often newer than the libseccomp that is linked. Since Linux 5.1 a new call
 * gets the same number on every architecture (plus the architecture's offset), so a short table
 * keeps up with the kernel: a name from it is really resolved, never left out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum seccomp_name_kind {
	SECCOMP_NAME_UNKNOWN,
	SECCOMP_NAME_LIBRARY, /* libseccomp's: the number may be negative, a pseudo number */
	SECCOMP_NAME_NEWER,   /* from the table: the number without the architecture's offset */
};

/* Resolves NAME to RET_NUMBER. A call that exists on other architectures only is not unknown.
 * Any process; pure. */
enum seccomp_name_kind seccomp_name_resolve(const char *name, int *ret_number);

/* What ARCH (SCMP_ARCH_…) adds to the common numbers: 0x40000000 for x32, 4000… for MIPS. */
uint32_t seccomp_arch_offset(uint32_t arch);
/* The number of a call of the table on ARCH, offset included; false when ARCH does not have it. */
bool seccomp_newer_number(const char *name, uint32_t arch, uint32_t *ret);

enum { SECCOMP_NAME_SIZE = 64 };
/* The name of the call that has NUMBER, offset left out, on ARCH; false when it has none there. Any
 * process; pure. */
bool seccomp_name_of(uint32_t arch, uint32_t number, char ret[SECCOMP_NAME_SIZE]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that also go through socketcall(2) or ipc(2) on older architectures, 32-bit x86 among
 * them. There a filter sees the number of the call but not its arguments, which lie in memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SECCOMP_MULTIPLEXED = 32 };

struct seccomp_multiplexed {
	const char *name, *by; /* "socket", "socketcall" */
	uint32_t call;         /* the first argument of .by */
};

extern const struct seccomp_multiplexed seccomp_multiplexed[SECCOMP_MULTIPLEXED];

/* The place of NAME in the table, −1 when it is not there. Any process; pure. */
int seccomp_multiplexed_find(const char *name);

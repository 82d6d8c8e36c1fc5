/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a seccomp program that stands in front of libseccomp's (see compile.h): rules
 * with conditions, numbers that libseccomp does not know, and ENOSYS for what is newer.
 *
 * Per architecture it is one block that ends in a verdict or falls through to what follows. Only
 * loads of the number and the architecture, comparisons and returns come before a number's own
 * rules, so that the kernel's cache of always-allowed calls (Linux 5.11) still works. Pure.
 */
#pragma once

#include "spec/config.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prologue_rule {
	uint32_t number;                     /* with the architecture's offset */
	uint32_t verdict;                    /* SECCOMP_RET_… */
	const struct spec_seccomp_arg *args; /* all must hold; no index twice */
	size_t arg_count;
};

struct prologue_arch {
	uint32_t arch;               /* SCMP_ARCH_… */
	struct prologue_rule *rules; /* the first that holds decides */
	size_t rule_count;
	bool enosys;     /* for numbers above .newest */
	uint32_t newest; /* with the offset */
};

/* Writes the program for ARCHES to INSNS, which has room for MAX. Returns the count, 0 when there
 * is nothing to do; −E2BIG. */
int seccomp_prologue(
	const struct prologue_arch *arches, size_t count, struct sock_filter *insns, size_t max);

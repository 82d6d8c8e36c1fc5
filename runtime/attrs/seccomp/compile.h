/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.seccomp → classic BPF; seccomp(2), config-linux.md "Seccomp".
 *
 * The bulk is libseccomp's, as a binary tree: every rule without conditions for a call that it
 * knows. In front of it stands a program of our own (prologue.h), for what libseccomp cannot do:
 *  - Conditions. The first rule, in the profile's order, whose conditions hold decides; then the
 *    rule without conditions, then the default. (libseccomp forgets "EPERM if …" beside "allow".)
 *    Where the call can also be made through socketcall(2) or ipc(2), which hide the arguments,
 *    that way gets the strictest of the verdicts.
 *  - Calls that libseccomp does not know yet (names.h).
 *  - ENOSYS for calls that are newer than the profile, so that programs fall back instead of taking
 *    the default's EPERM for an answer: when the default action is SCMP_ACT_ERRNO with anything but
 *    ENOSYS, for numbers above the highest one that the profile names, and never for calls that
 *    are older than Linux 5.1 (below 424), which get the profile's default.
 *
 * Architectures that this machine cannot run are left out; the native one is always in. A process
 * that uses one that is not in is killed. An unknown name is an error that names it. A rule with
 * two conditions on one argument means "either", as engines have always read it. A rule without
 * conditions whose action is the default's adds nothing, and of two such rules with different
 * actions the first counts. errnoRet defaults to EPERM and is refused with actions that return
 * none.
 */
#pragma once

#include "base/err.h"
#include "spec/config.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seccomp_program {
	struct sock_filter *insns; /* owned */
	size_t count;              /* 1…BPF_MAXINSNS */
	unsigned int flags;        /* SECCOMP_FILTER_FLAG_LOG, …; without NEW_LISTENER */
	bool notify;               /* some call is answered by SECCOMP_RET_USER_NOTIF */
};

/* Compiles for this machine. RET is untouched on failure and ended with seccomp_program_free().
 * −EINVAL names the rule; −E2BIG: too long for the kernel. Any process; no privilege. */
int seccomp_compile(
	const struct spec_seccomp *seccomp, struct seccomp_program *ret, struct err *err);

/* The same for a machine whose own architecture is NATIVE (SCMP_ARCH_…, of the same byte order). */
int seccomp_compile_for(uint32_t native, const struct spec_seccomp *seccomp,
	struct seccomp_program *ret, struct err *err);

/* The kernel's flags for the profile's names. SECCOMP_FILTER_FLAG_TSYNC is accepted and means
 * nothing, since a container starts with one thread. −EINVAL. Pure. */
int seccomp_flags_parse(const struct strings *names, unsigned int *ret, struct err *err);

void seccomp_program_free(struct seccomp_program *program);

CLEANUP_DEFINE(seccomp_program, struct seccomp_program, seccomp_program_free)
#define autoprogram __attribute__((cleanup(cleanup_seccomp_program)))

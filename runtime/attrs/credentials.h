/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a process is: user, groups, umask and the five capability sets.
 *
 * The container's init process and every exec'd process use these functions and nothing else, so
 * that the two cannot differ. In order:
 *  1. credentials_read()  in the process itself, in its final user namespace, while the private
 *                         procfs is at hand;
 *  2. credentials_plan()  pure: from what is asked and what is there to what is to be done;
 *  3. credentials_apply() after everything that needs privilege, before no_new_privs and seccomp:
 *                         bounding drop, setgroups, setresgid, setresuid, capset, ambient, umask.
 *
 * Invariants: after apply no set holds a capability that the configuration did not ask for; the
 * inheritable set is empty unless the configuration asks for it; securebits are not touched
 * (PR_SET_KEEPCAPS apart, which execve(2) clears). A failed apply leaves the process half changed:
 * it must not continue.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "spec/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the calling process holds; one bit for each capability. */
struct credentials {
	uint64_t inheritable, permitted, effective, bounding, ambient;
};

struct credentials_options {
	/* The annotation run.oci.keep_original_groups: setgroups(2) is not called. */
	bool keep_original_groups;
	/* "deny" is in the user namespace's setgroups file (user_namespaces(7)): an unprivileged
	 * gid map. The supplementary groups then stay, and asking for some is an error. */
	bool setgroups_denied;
};

struct credentials_plan {
	uint64_t drop; /* leaves the bounding set; one prctl(2) each, so only what is in it */
	bool set_groups;
	const uint32_t *groups; /* borrowed from the configuration */
	size_t group_count;
	uint32_t uid, gid;
	bool keep_caps;     /* a user other than 0 keeps capabilities across setresuid(2) */
	bool clear_ambient; /* something is in the ambient set that does not belong there */
	uint64_t inheritable, permitted, effective, ambient;
	struct opt_u32 umask;
	/* Asked for, and cannot be granted here: for a warning. The specification wants no error
	 * for these (config.md, capabilities). Bits outside what was granted, over all sets. */
	uint64_t ungranted;
};

/*
 * Reads the calling process's sets from PROCFD, a procfs that is known to be one (status, see
 * proc(5)): 2 system calls, where asking prctl(2) takes 41 and more; the descriptor is left to
 * exec. −errno; −EINVAL when the file is not what it should be. Child stages; needs a procfs of
 * this or an outer PID namespace.
 */
int credentials_read(int procfd, struct credentials *ret, struct err *err);

/*
 * Plans the way from NOW to what PROCESS asks for. RET borrows the group list from PROCESS.
 * −EPERM when supplementary groups are asked for but setgroups(2) is denied; −EINVAL for a umask
 * outside 0777 or a uid or gid of 2^32 − 1. Any process; pure. capabilities(7).
 */
int credentials_plan(const struct spec_process *process, const struct credentials_options *options,
	const struct credentials *now, struct credentials_plan *ret, struct err *err);

/*
 * Carries PLAN out on the calling thread. Every failure is final. −EPERM, or −EINVAL for an id
 * without a mapping in the user namespace. Child stages only, single-threaded.
 */
int credentials_apply(const struct credentials_plan *plan, struct err *err);

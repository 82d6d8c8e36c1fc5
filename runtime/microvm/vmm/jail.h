/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the VMM gives up before the guest's first instruction.
 *
 * In order: an own user and group; user, mount, network, IPC, UTS and cgroup namespaces of its own
 * (its PID namespace comes from the launcher, since only a new process can be in one); an empty,
 * read-only root; all capabilities; small limits; Landlock, so that even a path that turned up
 * could not be opened; no_new_privs. Then each thread takes its filter on (filter.h). What stays
 * are the descriptors that the plan named.
 *
 * Every step is fatal.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct jail_options {
	bool change_user; /* to .uid and .gid; needs CAP_SETUID and CAP_SETGID */
	uid_t uid;
	gid_t gid;
	unsigned int descriptors; /* that may be open at a time, from now on */
};

/* Main thread of a process without others. There is no way back, also on failure. */
int jail_enter(const struct jail_options *options, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock for containers (landlock(7)), asked for by annotations:
 *
 *   org.brig.landlock.ro           "/usr:/etc"       read files and directories
 *   org.brig.landlock.rw           "/data:/tmp"      read, write, make, remove, rename, truncate
 *   org.brig.landlock.exec         "/usr/bin:/lib"   read and execute
 *   org.brig.landlock.tcp_bind     "80,443,8000-8080"
 *   org.brig.landlock.tcp_connect  "443"
 *   org.brig.landlock.scope        "signal,abstract-unix"
 *
 * Paths are absolute, in the container, separated by ":"; each covers what is beneath it. A
 * backslash takes the next character literally. As soon as one of ro, rw, exec is there, every file
 * access that none of them allows is refused to the container's processes; a path may be in
 * several, and the rights add up. An empty value of ro, rw or exec allows nothing. One of tcp_bind
 * and tcp_connect restricts that action alone; an empty value forbids it for every port; port 0
 * stands for a port that the kernel chooses. "signal" refuses signals to processes outside the
 * container, "abstract-unix" connections to abstract sockets made outside it.
 *
 * Paths are taken literally: a symbolic link in one is an error, because the image could otherwise
 * widen what was granted. File rules need ABI 3 (Linux 6.2), where truncating is controlled; ports
 * need ABI 4 (6.7), scopes ABI 6 (6.12). What the kernel cannot do is an error that says so; only
 * the control of device ioctls (ABI 5, part of rw) is left out on older kernels, where a device
 * still has to be opened first.
 *
 * Each process that applies the plan gets a domain of its own. With "signal" in the scope, an
 * exec'd process and the container's init can therefore not signal each other.
 *
 * Order: landlock_parse() when planning; landlock_apply() after the pivot, with no_new_privs set or
 * CAP_SYS_ADMIN held, before seccomp. Init and exec'd processes apply the same plan.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANDLOCK_ANNOTATION_PREFIX "org.brig.landlock."

struct landlock_path {
	const char *path;
	uint64_t
		access; /* LANDLOCK_ACCESS_FS_…; those of directories only are left out for files */
};

struct landlock_port {
	uint16_t port;
	uint64_t access; /* LANDLOCK_ACCESS_NET_… */
};

struct landlock_plan {
	uint64_t fs, net, scoped; /* what the ruleset handles; all 0: nothing was asked for */
	struct landlock_path *paths;
	size_t path_count;
	struct landlock_port *ports;
	size_t port_count;
};

/* True when PLAN asks for anything, and landlock_apply() will do something. Pure. */
static inline bool landlock_wanted(const struct landlock_plan *plan)
{
	return plan->fs || plan->net || plan->scoped;
}

/*
 * Reads the annotations that begin with the prefix; what they point to comes from ARENA. −EINVAL
 * names an unknown one or the bad part of its value; −ENOMEM. Any process; pure.
 */
int landlock_parse(const struct pairs *annotations, struct arena *arena, struct landlock_plan *ret,
	struct err *err);

/* The kernel's Landlock ABI, ≥ 1; 0 when there is none or it is off. One system call. */
int landlock_abi(void);

/*
 * Reduces PLAN to what ABI can do where that loses nothing, else −EOPNOTSUPP with the annotation
 * and the kernel version that it needs. Any process; pure.
 */
int landlock_check(struct landlock_plan *plan, int abi, struct err *err);

/*
 * Restricts the calling thread and its children for ever. Asks for the ABI and checks it itself.
 * −ENOENT when a path is not in the container, −ELOOP for a symbolic link in it; −EOPNOTSUPP as
 * above. Child stages only.
 */
int landlock_apply(const struct landlock_plan *plan, struct err *err);

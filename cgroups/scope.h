/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The systemd driver's half that runs in the runtime: talks to the brig-systemd program over a
 * socket pair. Private to cgroups/.
 */
#pragma once

#include "base/err.h"
#include "cgroups/cgroup.h"

/*
 * Starts the plan's transient scope with a placeholder process inside and returns the scope's
 * cgroup ("/a/b.scope", malloc'd) in RET_PATH; the placeholder lives until scope_release().
 * −ENOSYS when the program is not installed.
 */
int scope_start(const struct cgroup_plan *plan, const char *helper, int *ret_socket, pid_t *ret_pid,
	char **ret_path, struct err *err);
/* Ends the placeholder; does nothing when there is none. */
void scope_release(int *socket, pid_t *pid);
/* Sets unit properties, the pairs as in a plan. */
int scope_set(const char *unit, bool user, const char *helper, const struct pairs *properties,
	struct err *err);
/* Has the manager move process PID to SUBGROUP ("/container", "" for the scope) of UNIT. */
int scope_attach(const char *unit, const char *subgroup, pid_t pid, bool user, const char *helper,
	struct err *err);
/* Stops the unit and makes the manager forget that it failed; 0 when there is no such unit. */
int scope_stop(const char *unit, bool user, const char *helper, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* The slow way of cgroup_kill(). Private to cgroups/. */
#pragma once

#include "base/err.h"
#include "cgroups/cgroup.h"

/*
 * Kills one by one, for kernels before 5.14. The cgroup is frozen meanwhile, so that nothing forks
 * faster than it is killed; frozen processes of cgroup v2 die of SIGKILL as they are.
 */
int process_kill_by_list(const struct cgroup *cgroup, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* Processes as ps(1) lists them. The process of a command. */
#pragma once

#include "base/err.h"
#include "cgroups/cgroup.h"

/*
 * Runs ps(1) with WORDS (ends with NULL; none: "-ef") and prints its lines about PIDS. −EINVAL when
 * the options print no column PID, −ENOENT without ps.
 */
int processes_print(const struct cgroup_pids *pids, const char *const *words, struct err *err);

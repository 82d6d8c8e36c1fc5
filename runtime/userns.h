/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the id maps of a container's user namespace; user_namespaces(7), newuidmap(1). */
#pragma once

#include "base/err.h"
#include "runtime/plan.h"

/* Writes the plan's maps for PID, which is in its new user namespace, through PROCFD. Parent. */
int userns_write_maps(const struct plan *plan, int procfd, pid_t pid, struct err *err);

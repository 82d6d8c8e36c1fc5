/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource limits of the calling process (process.rlimits; prlimit(2)).
 *
 * Apply them before credentials_apply(): raising a hard limit needs CAP_SYS_RESOURCE in the
 * initial user namespace. RLIMIT_NPROC and RLIMIT_AS count from the moment they are set.
 */
#pragma once

#include "base/err.h"
#include "spec/config.h"

#include <stddef.h>

/*
 * Sets COUNT limits in order, one system call each. −EINVAL for a soft limit above the hard one;
 * −EPERM, with a sentence that names the limit, what is there and what to do, when a hard limit
 * would have to be raised without the privilege. Child stages, or `update` for itself.
 */
int rlimits_apply(const struct spec_rlimit *limits, size_t count, struct err *err);

/* "RLIMIT_NOFILE" for RLIMIT_NOFILE, or NULL. Any process; pure. */
const char *rlimits_name(int resource);

/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc/self/cgroup says; see cgroups(7). */
#pragma once

#include <stddef.h>

/* The v2 path of TEXT ("0::/a/b") into OWN, and the controllers that v1 hierarchies hold into
 * RET_V1. −ENOENT when there is no line for v2, −ENAMETOOLONG. */
int host_parse_own(const char *text, char *own, size_t size, unsigned int *ret_v1);

/* The controllers that v1 hierarchies hold on this host, for a message; 0 when that is not known.
 */
unsigned int host_v1(void);

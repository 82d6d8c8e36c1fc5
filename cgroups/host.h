/* SPDX-License-Identifier: Apache-2.0 */
/* The pure half of cgroup_host_probe(): what /proc/self/cgroup says; see cgroups(7). */
#pragma once

#include <stddef.h>

/* The v2 path of TEXT ("0::/a/b") into OWN, and the controllers that v1 hierarchies hold into
 * RET_V1. −ENOENT when there is no line for v2, −ENAMETOOLONG. */
int host_parse_own(const char *text, char *own, size_t size, unsigned int *ret_v1);

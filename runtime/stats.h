/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of a container as the JSON that engines parse from `events`.
 *
 * The names are those that runc's `events` made common, and so are the units, which come from
 * cgroup v1: times in nanoseconds, sizes in bytes, 2^64−1 for "no limit", swap counted together
 * with memory. Beyond them there are "swap_only", "oom", and in each network interface all that the
 * kernel counts. What the kernel or the cgroup does not have is left out or zero.
 *
 * Pure but for stats_read_links().
 */
#pragma once

#include "base/err.h"
#include "cgroups/cgroup.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The data of an event "stats". LINKS (stolen, may be NULL: none) and RDT (likewise) are its
 * members network_interfaces and intel_rdt. The caller owns the result; NULL without memory. */
json_t *stats_json(const struct cgroup_stats *stats, json_t *links, json_t *rdt);

/*
 * The links of TEXT, which has the form of /proc/PID/net/dev (proc(5)), without the loopback one.
 * A name is whatever the container chose: bytes that are not printable ASCII become '?'. NULL
 * without memory.
 */
json_t *stats_parse_links(const char *text);

/* The links of PID's network namespace; none when that is the caller's own, where they are not the
 * container's. PROCFD is the host's procfs. The caller owns *RET. */
int stats_read_links(int procfd, pid_t pid, json_t **ret, struct err *err);

/* The numbers in a list such as "0-3,7" (cpuset(7), list format), at most 8192 of them; NULL, ""
 * and what has another form: none. NULL without memory. */
json_t *stats_parse_list(const char *text);

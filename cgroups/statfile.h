/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text formats of cgroup v2's statistics (cgroup-v2.rst, "Interface Files"): flat keyed,
 * nested keyed, pressure. Lines that do not have the form are left out: later kernels add to
 * them. Private to cgroups/; pure.
 */
#pragma once

#include "base/arena.h"
#include "cgroups/cgroup.h"

#include <stdint.h>

/* "max" is UINT64_MAX; what is no number is 0. Stops at the first byte that is no digit. */
uint64_t statfile_number(const char *text);
/* The value of KEY in lines of "KEY VALUE", 0 when it is not there. */
uint64_t statfile_key(const char *text, const char *key);
/* All lines of "KEY VALUE", in order. −ENOMEM. */
int statfile_flat(const char *text, struct arena *arena, struct pairs_u64 *ret);
/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and the same for "full". */
void statfile_pressure(const char *text, struct cgroup_pressure *ret);
/* io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6". Fills items and count. */
int statfile_io(const char *text, struct arena *arena, struct cgroup_stats_io *ret);
/* The value of KEY in "NAME KEY=VALUE KEY=VALUE", 0 when it is not there. */
uint64_t statfile_nested(const char *line, const char *key);
/* The line of TEXT that begins with NAME and a space, or NULL. */
const char *statfile_line(const char *text, const char *name);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel RDT: the container's group in resctrl; runtime-spec config-linux.md "IntelRdt", the
 * kernel's Documentation/arch/x86/resctrl.rst.
 *
 * Everything works below a descriptor of the resctrl tree's top, so that a plain tree of files
 * serves to test it; it has not been run on hardware that has RDT. What the kernel refuses in
 * earnest (more bits than the cache has, no group left) it tells in info/last_cmd_status, which is
 * quoted.
 *
 * A group that was there before stays when the container goes, and gets no new schemata. The parent
 * and the process of a command.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "spec/config.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* /sys/fs/resctrl. −EOPNOTSUPP when it is not mounted, with what to do. */
int rdt_open(struct err *err);

/* What is written to schemata, a line for each resource; NULL: nothing. With memBwSchema, lines
 * "MB:" of l3CacheSchema do not count. Pure; NULL in RET and −ENOMEM without memory. */
int rdt_schemata(const struct spec_intel_rdt *rdt, struct arena *arena, const char **ret);
/* Whether each resource that WANTED sets has that value in HAVE, the text of a schemata file. Pure.
 */
bool rdt_schemata_match(const char *have, const char *wanted);

/*
 * Makes or joins the group of container ID (closID, or ID) below TOP; *RET is the directory below
 * TOP that must go with the container, from ARENA, or NULL when all was there before. −ENOENT: a
 * closID without schemata must be there already. −EEXIST: it is there with other schemata.
 */
int rdt_create(int top, const char *id, const struct spec_intel_rdt *rdt, struct arena *arena,
	const char **ret, struct err *err);
/* Moves PID, single-threaded, into the group (and its monitoring group). */
int rdt_enter(
	int top, const char *id, const struct spec_intel_rdt *rdt, pid_t pid, struct err *err);
/* New schemata for the group. RDT says which it is, CHANGE what to write. */
int rdt_update(int top, const char *id, const struct spec_intel_rdt *rdt,
	const struct spec_intel_rdt *change, struct err *err);
/*
 * What the kernel counts for the container, as the member intel_rdt of an event "stats" has it: of
 * its monitoring group, or of its class when that is its own; without either only the schemata. The
 * caller owns *RET.
 */
int rdt_stats(
	int top, const char *id, const struct spec_intel_rdt *rdt, json_t **ret, struct err *err);
/* Removes what rdt_create() returned; 0 when it is gone already. */
int rdt_remove(int top, const char *path, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --isolation: a container that shares this machine's kernel, or one in a virtual machine of its
 * own. What it means for all other options.
 */
#pragma once

#include "cli/containers/record.h"

/* Takes what an annotation asks for as if --isolation had said it. −EINVAL when the two differ. */
int isolation_settle(struct record *record, struct err *err);
bool isolation_is_vm(const struct record *record);
/* "container" or "vm". */
const char *isolation_name(const struct record *record);

/*
 * Refuses what a virtual machine cannot honour, or only one can, naming the option: −EINVAL, or
 * −EPERM when it is the user who may not make one. Looks at the sources of mounts, that far as they
 * are there.
 */
int isolation_check(const struct record *record, bool rootless, struct err *err);

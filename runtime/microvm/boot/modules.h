/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kernel modules are needed, in which order: modules.dep(5) of a distribution's kernel.
 *
 * Pure but for memory. A name is found with "-" and "_" the same, as modprobe(8) does.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum { MODULES_MAX = 128 };

struct modules {
	const char *paths[MODULES_MAX]; /* relative to the folder of modules.dep */
	size_t count;
};

/*
 * The first module of ALIAS_LIST, the text of modules.alias, one of whose patterns fits the alias
 * of a device: its name, of LEN characters there, or NULL.
 */
const char *modules_driver(const char *alias_list, const char *alias, size_t *ret_len);

/*
 * Appends the module NAME and all that it needs to RET, what is needed first, unless it is there
 * already. DEP and BUILTIN are the texts of modules.dep and modules.builtin. A built-in module adds
 * nothing; −ENOENT for one that the kernel does not have.
 */
int modules_resolve(const char *dep, const char *builtin, const char *name, struct arena *arena,
	struct modules *ret, struct err *err);

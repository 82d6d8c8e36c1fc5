/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drivers that a guest's kernel needs, as modules or built in: what brings them, in which
 * order, and what is missing.
 */
#pragma once

#include "base/buf.h"
#include "runtime/microvm/boot/modules.h"

struct drivers {
	struct modules modules;
	struct buf text;    /* /brig/modules of the initramfs; see initramfs.h */
	struct buf missing; /* those that no machine does without, ", " between them; or "" */
};

/*
 * Finds them in the folder MODULES, by its modules.dep and modules.builtin, of which one may not be
 * there; and the drivers of the devices with the ALIASES (see modules_driver()), as far as this
 * kernel has modules for them, or, without a colon, the modules of these names. Memory from ARENA,
 * but for the texts, which drivers_free() ends. −ENOENT without either.
 */
int drivers_find(int modules, const char *const *aliases, size_t alias_count, struct arena *arena,
	struct drivers *ret, struct err *err);
void drivers_free(struct drivers *drivers);
CLEANUP_DEFINE(drivers, struct drivers, drivers_free)
#define autodrivers __attribute__((cleanup(cleanup_drivers)))

/* The name of the driver INDEX, NULL beyond the last. */
const char *drivers_name(size_t index);

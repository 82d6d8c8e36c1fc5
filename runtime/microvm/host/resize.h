/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's memory, changed while it runs: what its container may not have is in the balloon. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Has the guest of the machine whose directory is DIRFD give all but MIB of SIZE_MIB back, or take
 * it again. Returns whether it has, after some seconds at most: a guest may be slow, or lie.
 * A command's own process.
 */
int resize_machine(int dirfd, uint32_t size_mib, uint32_t mib, bool *ret_done, struct err *err);

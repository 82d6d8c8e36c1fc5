/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images for other processors: whether this machine runs their programs, itself or by way of an
 * emulator that the kernel calls (binfmt_misc).
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* Whether an image for ARCHITECTURE, as images call it ("arm64"), runs here; NULL or "": nobody
 * knows, and so yes. −ENOEXEC with what to do about it. Any process. */
int foreign_check(const char *architecture, struct err *err);

/* Whether TEXT, a file of binfmt_misc, is an enabled entry for programs of ARCHITECTURE. RET_FIXED:
 * the emulator was opened beforehand, so that a container needs no copy of it. Pure. */
bool foreign_entry_fits(const char *text, const char *architecture, bool *ret_fixed);

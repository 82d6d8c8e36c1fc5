/* SPDX-License-Identifier: Apache-2.0 */
/* Processes as ps(1) lists them. The process of a command. */
#pragma once

#include "base/err.h"
#include "runtime/lifecycle.h"

/*
 * Runs ps(1) with WORDS (ends with NULL; none: "-ef") and prints its lines about the processes of
 * the container ID. −EINVAL when the options print no column PID, −ENOENT without ps. Those of a
 * virtual machine, which ps(1) does not see, are told by its guest, and there may be no WORDS.
 */
int processes_print(
	const struct runtime *rt, const char *id, const char *const *words, struct err *err);

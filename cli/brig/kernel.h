/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs about kernels of virtual machines, for the table in main.c. */
#pragma once

#include "cli/command.h"

extern const struct command kernel_commands[];

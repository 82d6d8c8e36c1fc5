/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's memory, copied to a file by who saves it: so that the file is on his account and not
 * on the container's, and the monitor needs no system calls for it. */
#pragma once

#include "base/err.h"

/* Copies MEMORY, which a monitor gave out and which may therefore be anything, to the empty FILE:
 * all that is not zero, in its place; and sees to it that it is on the disk. −EPROTO when it is no
 * guest's memory. */
int memory_copy(int memory, int file, struct err *err);

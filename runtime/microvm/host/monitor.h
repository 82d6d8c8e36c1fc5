/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command's connection to a running VMM (vmm/control.h).
 *
 * The VMM may have fallen to its guest: it is waited for only so long, and nothing that it says is
 * more than a number.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/vmm/control.h"

#define MONITOR_SOCKET "control" /* in the container's directory */

/* Connects to the VMM of the container whose directory is DIRFD; the caller closes it. */
int monitor_connect(int dirfd, struct err *err);
/* One request and its answer; RET may be NULL. −ETIMEDOUT, or what the VMM answers. */
int monitor_ask(int fd, enum control_op op, struct control_reply *ret, struct err *err);

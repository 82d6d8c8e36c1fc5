/* SPDX-License-Identifier: Apache-2.0 */
/* A running machine's files, as the host has them. For verbs that look into a container. */
#pragma once

#include "runtime/backend.h"

/*
 * Opens (O_PATH) the root file system that C's file server shares with its guest; nothing is
 * mounted in it. Returns a descriptor, −ESRCH when the machine has ended. Parent, as root.
 */
int root_open_shared(const struct container *c, struct err *err);

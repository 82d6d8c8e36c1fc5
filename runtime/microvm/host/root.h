/* SPDX-License-Identifier: Apache-2.0 */
/* A running machine's files, as the host has them. For verbs that look into a container. */
#pragma once

#include "runtime/backend.h"

/*
 * Opens (O_PATH) the root file system that C's file server shares with its guest; nothing is
 * mounted in it. Returns a descriptor, −ESRCH when the machine has ended. Parent, as root.
 */
int root_open_shared(const struct container *c, struct err *err);

/* The name in procfs of C's file server, the attendant's child whose root is the tree of
 * files_build(). −ESRCH when the machine has ended. Parent. */
int root_file_server(const struct container *c, char *ret, size_t size);

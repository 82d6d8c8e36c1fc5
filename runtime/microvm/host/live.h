/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of a machine that runs. What is the host's goes into the tree of the file server under the
 * next free number, as at the container's creation (files.h), and the guest binds it from there.
 *
 * The container's folder keeps which mount has which number. A command, as root, with the
 * container's lock.
 */
#pragma once

#include "runtime/backend.h"

/* struct backend's mounts_add and mounts_remove. */
int live_add(const struct backend_mounts *mounts, struct err *err);
int live_remove(const struct container *c, const struct strings *paths, struct err *err);

/* −EBUSY when C has mounts of the host's that were added: who restores its machine would not have
 * them. */
int live_refuse(const struct container *c, struct err *err);

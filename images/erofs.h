/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer as a disk: layers/<chain id>/erofs beside its directory, made on request by the jailed
 * helper (images/unpack/erofs.h) and removed with the layer. This host never mounts it; only the
 * kernel of a virtual machine reads it.
 *
 * It gets its name by rename(2) after its bytes were on the disk, so what has the name is whole.
 * Two that want it at once meet at an flock(2), and the second finds it made; what a crash left is
 * begun anew.
 */
#pragma once

#include "base/err.h"
#include "images/store.h"

/*
 * Opens the image of the layer CHAIN for reading, and makes it when it is not there. The caller
 * holds the store (store_hold()) or the layer's container. −ENOENT: no such layer; −EFBIG: it is
 * more than an image may have.
 */
int erofs_open(struct store *store, const char *chain, struct err *err);

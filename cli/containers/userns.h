/* SPDX-License-Identifier: Apache-2.0 */
/* The user namespace in which a user without privilege has the ids of his containers. */
#pragma once

#include "base/err.h"
#include "images/store.h"

/*
 * Makes this process root of a new user namespace with the ids of STORE, with a mount namespace to
 * itself: there it may mount snapshots and see to files of all ids of the containers. For good. A
 * single-threaded process.
 */
int box_enter_userns(struct store *store, struct err *err);

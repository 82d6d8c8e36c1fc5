/* SPDX-License-Identifier: Apache-2.0 */
/* The user namespace in which a user without privilege has the ids of his containers. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "images/store.h"

/*
 * Makes this process root of a new user namespace with the ids of STORE, with a mount namespace to
 * itself: there it may mount snapshots and see to files of all ids of the containers. For good. A
 * single-threaded process.
 */
int box_enter_userns(struct store *store, struct err *err);

struct box;
struct boxes;
struct record;

/*
 * Settles the maps of a container that is being made (cli/containers/idmaps.h) into RECORD, and
 * whom its process is by --userns keep-id. CONFIG is brig's directory of configuration: subuid and
 * subgid there come before those in /etc. RET_LOCK, the caller's, keeps others from being given the
 * same ids until the record is stored; −1 without a need for that.
 */
int box_settle_ids(const struct boxes *boxes, struct store *store, const char *config,
	bool rootless, struct record *record, int *ret_lock, struct err *err);
/* The maps of RECORD as IDS, from ARENA; no ranges: it has none of its own. */
int box_read_ids(
	const struct record *record, struct arena *arena, struct store_ids *ret, struct err *err);
/* A user namespace with the maps of RECORD for snapshot_mount(), in RET, the caller's; −1 in it
 * when there are none. By root. */
int box_open_userns(const struct record *record, int *ret, struct err *err);
/* The other way round: what shows files of the container's ids as those that it knows. */
int box_open_reverse_userns(const struct record *record, int *ret, struct err *err);
/* When its snapshot was made, by root: its root directory belongs to whom it does in the image. */
int box_give_root(struct store *store, const struct record *record, struct err *err);

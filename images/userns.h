/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user namespace without a process, as a descriptor: for helpers that join it with setns(2) and
 * for idmapped mounts (mount_setattr(2)).
 *
 * Single-threaded processes only, since newuidmap(1) may have to be run.
 */
#pragma once

#include "base/err.h"
#include "images/store.h"

/*
 * Makes a user namespace with the maps of IDS: with no ranges, every id that this process has, as
 * it is; single, only the own ids, as root. Ranges that the caller may not map itself are given to
 * newuidmap and newgidmap (subuid(5)). The descriptor, or −EPERM, −ENOSPC, −EUSERS when the machine
 * does not allow it.
 */
int userns_create(const struct store_ids *ids, struct err *err);

/* The first subordinate range of the user NAME or UID in FILE ("/etc/subuid"); −ENOENT. */
int userns_find_subids(const char *file, const char *name, uint32_t uid, struct store_id_range *ret,
	struct err *err);

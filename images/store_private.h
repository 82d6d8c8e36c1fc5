/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share; not for anyone else. */
#pragma once

#include "images/store.h"

struct store {
	int root, helper;
	int userns;  /* −1: none (yet) */
	int starter; /* socket of images/starter.h; −1: helpers are started here */
	bool userns_refused;
	struct store_ids ids;
	struct store_id_range *ranges;
	bool rebooted;
};

/* A descriptor of the store's lock with flock(2)'s OPERATION done on it. */
int store_lock(struct store *store, int operation, struct err *err);
/* Held for moments around replacing a small file: two writers would share its temporary name. */
int store_lock_small(struct store *store, struct err *err);
/* fsync(2) of one of the store's folders, after a rename into it. */
int store_sync_folder(struct store *store, const char *name);

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share; not for anyone else. */
#pragma once

#include "base/buf.h"
#include "images/store.h"

struct store {
	int root, helper;
	int userns;       /* −1: none (yet) */
	int starter;      /* socket of images/starter.h; −1: helpers are started here */
	int note;         /* of what is written without waiting for the disk, locked; −1: none */
	bool note_grows;  /* by what is put in place and is not in it */
	struct buf noted; /* what it says, if it grows */
	bool userns_refused;
	bool inside; /* this process has the ids of the images itself */
	struct store_ids ids;
	struct store_id_range *ranges;
	bool rebooted;
	char boot[80]; /* /proc/sys/kernel/random/boot_id, "" when there is none */
};

/* A descriptor of the store's lock with flock(2)'s OPERATION done on it. */
int store_lock(struct store *store, int operation, struct err *err);
/* Held for moments around replacing a small file: two writers would share its temporary name. */
int store_lock_small(struct store *store, struct err *err);
/* fsync(2) of one of the store's folders, after a rename into it; not while that is deferred. */
int store_sync_folder(struct store *store, const char *name);
/* Before a blob or a layer is put in place: the note of one that is deferred has it. */
int store_note_blob(struct store *store, const char *digest);
int store_note_layer(struct store *store, const char *chain);
/* After a reboot: removes what earlier boots had not brought to the disk. With store_lock_small()
 * held. */
int store_recover(struct store *store);

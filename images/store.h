/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: verified blobs, unpacked layers and the names of images, in one directory.
 *
 *   blobs/<algorithm>/<hex>    complete blobs whose digest was checked; never changed
 *   parts/<algorithm>-<hex>    blobs on their way, and .map, what is there of them (images/part.h)
 *   layers/<chain id>/diff     a layer's files, as overlay wants them; size notes their bytes
 *   staging/<chain id>/        a layer on its way
 *   names/<sha256 of a name>   JSON: the name, and the descriptor that it stands for
 *   containers/<id>/           upper, work and snapshot.json of a container (images/snapshot.h)
 *   deferred/                  notes of what may not be on the disk yet
 *   trash/                     what is being removed
 *
 * Invariants: what is in blobs, layers and names is whole, since it got there by rename(2), a layer
 * after those below it. So readers need no lock.
 *
 * After a power cut, too, what is there is whole. A writer waits until its bytes are on the disk
 * before it renames; or it says before what it is going to write (store_defer()), renames at once,
 * and has the bytes brought to the disk after its user was told (store_flush_later()). Who first
 * opens the store after a reboot removes whatever a note that is left speaks of: a pull that ended
 * some seconds before a power cut may have to be done again.
 *
 * Writers hold the store shared (store_hold()), which keeps store_collect() out; two writers of the
 * same blob or layer meet at an flock(2) of the part or the staging directory, and the second finds
 * the work done. Nothing is owned by a daemon; after kill -9 the next writer goes on.
 *
 * Directories are 0700: nobody else walks into a layer with set-user-ID files.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "images/digest.h"
#include "images/reference.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How ids inside of images are ids of this host: lines of a uid_map, user_namespaces(7). */
struct store_id_range {
	uint32_t inside, outside, count;
};

struct store_ids {
	const struct store_id_range *uids, *gids;
	size_t uid_count, gid_count;
	/* No range but the own id: ownership is recorded in the extended attribute
	 * user.containers.override_stat instead of given away. */
	bool single;
};

struct store_options {
	const char *root;     /* the directory; made with its parents when missing */
	const char *helper;   /* path of brig-unpack; NULL: beside this program */
	struct store_ids ids; /* no ranges: the identity, which needs privilege */
};

struct store;

/* −EACCES and such name the directory. A store of a future format is −EPROTO. */
int store_open(const struct store_options *options, struct store **ret, struct err *err);
void store_close(struct store *store);
/* Opens the directory once more, at the same place: a process that has entered another mount
 * namespace may mount only what it reached there. */
int store_reopen(struct store *store, struct err *err);
/* This process has become root of a user namespace with the store's ids: helpers are given its ids
 * from now on, as they are. store_ids() stays. */
void store_entered(struct store *store);
/* O_PATH descriptor of the store's directory, borrowed. */
int store_root(const struct store *store);
/* O_PATH descriptor of brig-unpack, borrowed; opened once, so an upgrade cannot mix versions. */
int store_helper(const struct store *store);
const struct store_ids *store_ids(const struct store *store);
/* True when the machine was started anew since this store was last opened by a writer. */
bool store_saw_reboot(const struct store *store);

/* Takes the store shared, for as long as the descriptor is open. Waits for a collection. */
int store_hold(struct store *store, struct err *err);

/* ---- blobs ---- */

/* Opens a blob for reading; −ENOENT. RET_SIZE in bytes, may be NULL. */
int store_blob_open(struct store *store, const char *digest, uint64_t *ret_size);
bool store_blob_exists(struct store *store, const char *digest);
/* Reads a document of at most MAX bytes and checks it against its digest once more. */
int store_blob_read(
	struct store *store, const char *digest, size_t max, struct buf *ret, struct err *err);
/* Adds LEN bytes; −EBADMSG when they are not DIGEST. Doing it again is no error. */
int store_blob_put(
	struct store *store, const char *digest, const void *data, size_t len, struct err *err);
/* Makes the file NAME of the directory DIRFD, which is verified and on the disk, a blob. */
int store_blob_adopt(
	struct store *store, int dirfd, const char *name, const char *digest, struct err *err);
/* "blobs/sha256/…", relative to store_root(). */
void store_blob_path(const char *digest, char ret[200]);

/* ---- names ---- */

struct store_name {
	struct reference reference;
	char digest[DIGEST_TEXT_MAX + 1]; /* of the image manifest */
	char index[DIGEST_TEXT_MAX + 1];  /* of the index that it was chosen from, or "" */
	char created[32];                 /* RFC 3339, UTC: when the name was given */
};

/* Sets what a canonical reference stands for; whole or not at all. */
int store_name_set(struct store *store, const struct store_name *name, struct err *err);
/* −ENOENT when the store does not know it. A reference with a digest finds any name of the same
 * repository that stands for that manifest or index. */
int store_name_get(struct store *store, const struct reference *reference, struct store_name *ret,
	struct err *err);
int store_name_remove(struct store *store, const struct reference *reference, struct err *err);

struct store_names {
	struct store_name *items;
	size_t count;
};
/* All names, sorted. Ended with store_names_free(). */
int store_names_list(struct store *store, struct store_names *ret, struct err *err);
void store_names_free(struct store_names *names);

/* ---- lists ---- */

/*
 * Lists of images (OCI indexes) that are made here have names of their own: .digest is the list's,
 * .index is "". What a list names is kept for it, as far as it is here.
 */
int store_list_set(struct store *store, const struct store_name *name, struct err *err);
int store_list_get(struct store *store, const struct reference *reference, struct store_name *ret,
	struct err *err);
int store_list_remove(struct store *store, const struct reference *reference, struct err *err);
int store_lists_list(struct store *store, struct store_names *ret, struct err *err);

/* ---- layers ---- */

/* True when the layer is there, whole. */
bool store_layer_exists(struct store *store, const char *chain);
/* O_PATH descriptor of a layer's files. */
int store_layer_open(struct store *store, const char *chain);

/* The bytes of a layer's files, when somebody has counted them: a note beside them that may be
 * lost. −ENOENT. */
int store_layer_size(struct store *store, const char *chain, uint64_t *ret);
void store_layer_set_size(struct store *store, const char *chain, uint64_t size);

/*
 * Takes the staging directory of CHAIN, empty, locked against every other writer; waits for one.
 * Returns its descriptor, or −EEXIST when the layer was there or got there meanwhile. Closing the
 * descriptor gives the lock back.
 */
int store_layer_stage(struct store *store, const char *chain, struct err *err);
/* Moves the staged layer in place: its bytes and its parents must be on the disk. */
int store_layer_commit(struct store *store, const char *chain, struct err *err);
/* Removes a staged layer that is not to be. */
void store_layer_abandon(struct store *store, const char *chain);
/* Writes everything that was staged to the disk, syncfs(2); not while that is deferred. */
int store_sync(struct store *store, struct err *err);
/* The same for one file, fsync(2). */
int store_sync_file(struct store *store, int fd);

/* ---- writing without waiting for the disk ---- */

struct store_deferral {
	const char *const *layers; /* chain ids */
	size_t layer_count;
	const char *const *blobs;
	size_t blob_count;
};

/*
 * Notes what is going to be written and brings the note to the disk. From then on nothing that is
 * done by way of this STORE waits for the disk, until it is flushed or closed. WHAT NULL: nobody
 * knows yet. Then each blob and layer goes into the note, and the note to the disk, just before it
 * is put in place; store_defer_more() does that for several at once, and nothing else.
 */
int store_defer(struct store *store, const struct store_deferral *what, struct err *err);
int store_defer_more(struct store *store, const struct store_deferral *what, struct err *err);
/* Brings everything to the disk, also what others left who were killed, and removes the notes. */
int store_flush(struct store *store, struct err *err);
/* The same in a process of its own, which outlives the caller. Call with one thread. */
void store_flush_later(struct store *store);

/* ---- collection ---- */

struct store_collected {
	uint64_t blobs, layers, bytes;
};

/*
 * Removes blobs and layers that no name and no container needs, and what crashes left, but for
 * downloads of the last day, which the next pull goes on with. Takes the store alone: −EBUSY when a
 * writer is at work and WAIT is false.
 */
int store_collect(struct store *store, bool wait, struct store_collected *ret, struct err *err);

static inline void store_release(struct store **store)
{
	store_close(*store);
	*store = NULL;
}
CLEANUP_DEFINE(store, struct store *, store_release)
#define autostore __attribute__((cleanup(cleanup_store)))
CLEANUP_DEFINE(store_names, struct store_names, store_names_free)
#define autonames __attribute__((cleanup(cleanup_store_names)))

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a compressed blob to a layer in the store.
 *
 *   part or blob → [sha256] → brig-unpack inflate → [sha256] → brig-unpack extract → staging
 *
 * Both digests are taken in this process, over the very bytes that go in and out of the jails: a
 * decompressor or tar reader that was taken over can spoil its own layer, but not pass it off as
 * another one. Everything runs at once, also while the blob is still coming in.
 */
#pragma once

#include "base/err.h"
#include "images/part.h"
#include "images/store.h"
#include "images/unpack/protocol.h"

#include <stdbool.h>

struct layer_source {
	struct part *part;   /* the blob on its way; stays the caller's. Or NULL: */
	const char *blob;    /* the digest of a blob that is in the store */
	const char *diff_id; /* what the uncompressed tar must hash to; NULL: unknown */
	const struct unpack_limits *limits; /* NULL: helper_default_limits */
	bool devices;                       /* see struct unpack_request */
};

struct layer_result {
	int stage;         /* the staged layer's descriptor and lock, the caller's to close */
	bool blob_correct; /* all of the blob came and has its digest */
	bool blob_wrong;   /* all of the blob came and it is something else */
};

/* How a layer waits for the layer below it: returns when that one is committed, or an error. */
typedef int layer_wait_parent(void *context, struct err *err);

/*
 * Unpacks SOURCE as CHAIN, whose ancestors are PARENTS (chain ids, topmost first). Directories that
 * the archive does not list take the attributes that they have below, for which WAIT is called.
 * Leaves the layer staged for store_layer_commit(), or returns −EEXIST when the layer is there.
 * −EBADMSG for a wrong digest, −EINVAL for a hostile layer, −EFBIG for one beyond the limits. RET
 * says what became of the blob in any case.
 */
int layer_unpack(struct store *store, const struct layer_source *source, const char *chain,
	const char *const *parents, size_t parent_count, layer_wait_parent *wait, void *context,
	struct layer_result *ret, struct err *err);

/*
 * Only hashes and inflates SOURCE, for what has no DiffID yet (an import): RET_DIFF_ID.
 */
int layer_diff_id(
	struct store *store, const char *blob, struct digest *ret_diff_id, struct err *err);

/* Extracts the archive that INPUT has, from where it stands, into the empty directory DIRFD:
 * inflated and taken apart in the jails, its names only names. */
int layer_extract_archive(struct store *store, int input, int dirfd, struct err *err);

/* Removes what is in the directory of DIRFD, whoever owns it in the store's id range. */
int layer_remove_tree(struct store *store, int dirfd, const char *name, struct err *err);

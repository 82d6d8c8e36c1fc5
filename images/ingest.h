/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs and layers from files on this machine into the store. Single-threaded.
 */
#pragma once

#include "base/err.h"
#include "images/image.h"
#include "images/store.h"

/*
 * Copies FD from where it stands to its end into the store and hashes it on the way. WANT is the
 * digest it must have, or NULL; MAX bounds its bytes. RET, RET_SIZE and RET_TYPE (a layer's media
 * type by its first bytes) may be NULL. −EBADMSG, −EFBIG.
 */
int ingest_blob(struct store *store, int fd, const char *want, uint64_t max, struct digest *ret,
	uint64_t *ret_size, const char **ret_type, struct err *err);

/* Unpacks the layers of IMAGE that the store does not have yet from its blobs, lowest first. */
int ingest_layers(struct store *store, const struct image *image, struct err *err);

/* Extracts the archive INPUT (compressed or not) into the empty directory DIRFD, in the jail. */
int ingest_extract(struct store *store, int input, int dirfd, struct err *err);

/* Packs the tree DIRFD as a gzip layer into the store, in the jail. */
int ingest_pack(struct store *store, int dirfd, struct digest *ret_blob, struct digest *ret_diff_id,
	uint64_t *ret_size, struct err *err);

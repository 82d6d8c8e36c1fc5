/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob on its way into the store: written out of order in chunks, read in order while it grows.
 *
 * part_open() takes the part for this process (flock(2)), and finds what an earlier try left.
 * Writers claim chunks with part_claim(), write with part_write() and give a chunk back with
 * part_release(); one reader follows with part_wait(), which blocks until the bytes at an offset
 * are there. What is there is counted per chunk in a mapped file beside the blob, so a killed
 * process loses nothing that it wrote. The digest is always checked over the whole before the part
 * becomes a blob, so a lying map costs one more download and nothing else.
 *
 * Writers and the reader may be threads of one process.
 */
#pragma once

#include "base/err.h"
#include "images/store.h"

#include <stdbool.h>
#include <stdint.h>

enum { PART_CHUNK = 16 << 20 }; /* bytes */

struct part;

/*
 * Opens or creates the part of DIGEST with SIZE bytes, waiting while another process has it.
 * −EEXIST when the blob is or got complete meanwhile; −ENOSPC when there is visibly no room.
 */
int part_open(
	struct store *store, const char *digest, uint64_t size, struct part **ret, struct err *err);
void part_close(struct part *part);

/* Claims the first chunk from FROM on that is neither complete nor claimed. Its index, and what is
 * missing of it in RET_OFFSET and RET_LEN; −ENOENT when there is none. */
int part_claim(struct part *part, uint32_t from, uint64_t *ret_offset, uint64_t *ret_len);
/* Extends a claim over the following chunk, for a server that sends everything from an offset on.
 * False when that one is claimed, has bytes already, or there is none. */
bool part_claim_next(struct part *part, uint32_t chunk);
/* Appends LEN bytes to what CHUNK has. −ENOSPC and such; −EMSGSIZE beyond its end. */
int part_write(struct part *part, uint32_t chunk, const void *data, size_t len, struct err *err);
uint64_t part_chunk_missing(struct part *part, uint32_t chunk);
void part_release(struct part *part, uint32_t chunk);

/* Waits until the byte at OFFSET is there and returns how many are, in order, from there on; the
 * error of part_fail(); 0 at the end of the blob. */
int64_t part_wait(struct part *part, uint64_t offset, struct err *err);
ssize_t part_read(struct part *part, void *buf, size_t len, uint64_t offset);
/* Wakes the reader with an error: the bytes will not come. */
void part_fail(struct part *part, const struct err *err);
bool part_has_failed(struct part *part);

uint64_t part_size(const struct part *part);
uint64_t part_present(struct part *part);
/* True when part_open() found bytes of an earlier try. */
bool part_was_resumed(const struct part *part);
const char *part_digest(const struct part *part);

/* Forgets all bytes: the digest was wrong. */
int part_reset(struct part *part);
/* The bytes are complete, hashed, and on the disk (store_sync()): a blob from now on. */
int part_commit(struct part *part, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes tar streams: ustar, with a PAX header only before entries that need one, so that equal
 * trees give equal bytes.
 *
 * Order of use: tar_write_entry(), for files then tar_write_data() with exactly entry.size bytes in
 * total, and tar_write_end() once. Any process.
 */
#pragma once

#include "images/unpack/tar.h"

struct tar_writer {
	int fd;
	struct buf buffer;
	uint64_t left; /* content that the present entry still needs */
};

/* ENTRY as tar_next() gives them; pieces are not written. −EINVAL for what tar cannot hold. */
int tar_write_entry(struct tar_writer *writer, const struct tar_entry *entry, struct err *err);
int tar_write_data(struct tar_writer *writer, const void *data, size_t len, struct err *err);
int tar_write_end(struct tar_writer *writer, struct err *err);
void tar_write_free(struct tar_writer *writer);

CLEANUP_DEFINE(tar_writer, struct tar_writer, tar_write_free)
#define autotarwriter __attribute__((cleanup(cleanup_tar_writer)))

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard streams that a container is made with, by the names that criu has for them:
 * "pipe:[1]", "socket:[1]", "file[MOUNT:INODE]" (both hexadecimal), or "" for none that can be
 * given anew: a terminal.
 *
 * They are noted when the container is made: later its process may have put others in their place,
 * as a shell does for as long as a redirection lasts.
 */
#pragma once

#include "base/err.h"

#include <jansson.h>

enum { STREAM_NAME_MAX = 64, STREAMS_COUNT = 3 };

/* The name of FD. *RET_SIZE, which may be NULL: of a regular file, else −1. Any process.
 * statx(2). */
int stream_name(int fd, char ret[STREAM_NAME_MAX], int64_t *ret_size);
/* The names of this process's three, a list for the container's record. The parent, or whoever
 * makes the container. */
int streams_describe(json_t **ret, struct err *err);

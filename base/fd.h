/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole-file reads and writes by descriptor, and descriptors over sockets.
 *
 * Names are relative to a directory descriptor and never follow a symbolic link in their last
 * component. Any process.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

/* Appends all that is left in FD to RET, at most MAX bytes (−EFBIG beyond). Needs no seeking. */
int fd_read_all(int fd, size_t max, struct buf *ret);
/* Reads the regular file NAME of DIRFD whole; −EINVAL for anything that is not one. */
int fd_read_file(int dirfd, const char *name, size_t max, struct buf *ret);
/* The same with a call less, for a file that only this program writes, and by fd_replace_file(): a
 * regular one, which ends where a read gives less than there is room for. */
int fd_read_own_file(int dirfd, const char *name, size_t max, struct buf *ret);
/* Like fd_read_file(), for the small files of procfs, sysfs and cgroupfs; they end in a newline,
 * which is cut. SIZE counts the NUL; a longer file is −EFBIG. Returns the length. */
ssize_t fd_read_line(int dirfd, const char *name, char *buf, size_t size);
int fd_write_all(int fd, const void *data, size_t len);
/* One write(2) of TEXT to the existing file NAME, as kernel files want it. */
int fd_write_file(int dirfd, const char *name, const char *text);
/* Makes the new file NAME; −EEXIST when there is one. */
int fd_create_file(int dirfd, const char *name, const void *data, size_t len, mode_t mode);
/* Replaces NAME by a new file with DATA: written beside, then renamed, so that a reader sees the
 * old or the new content whole. */
int fd_replace_file(int dirfd, const char *name, const void *data, size_t len, mode_t mode);
/* The same for a path that the operator gave. */
int fd_replace_path(const char *path, const void *data, size_t len, mode_t mode);

enum { FD_SEND_MAX = 16 };
/* Sends one message with up to FD_SEND_MAX descriptors (SCM_RIGHTS, unix(7)); at least 1 byte. */
int fd_send(int sock, const void *data, size_t len, const int *fds, size_t nfds);
/*
 * Receives one message. Returns its length, 0 at the end of the stream. RET_NFDS holds room on
 * entry and the count on return; descriptors beyond the room are closed and −EMSGSIZE returned,
 * as for a message longer than SIZE.
 */
ssize_t fd_recv(int sock, void *data, size_t size, int *ret_fds, size_t *ret_nfds);

/* Closes all descriptors from FROM on but the COUNT of KEEP; those that are below it, −1 too, do
 * not matter. */
int fd_keep_only(int from, const int *keep, size_t count);

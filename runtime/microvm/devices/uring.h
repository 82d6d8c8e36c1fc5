/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring(7) for one file: vectored reads and writes, flushes, holes. The ring is restricted to
 * these before it is used, and to that one file, so that it is no way around the process's system
 * call filter.
 */
#pragma once

#include "base/err.h"

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct uring {
	int fd; /* readable while there are completions; −1: there is none here */
	unsigned int entries;
	unsigned int *sq_head, *sq_tail, *sq_array, sq_mask;
	unsigned int *cq_head, *cq_tail, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	void *rings;
	size_t rings_len;
	unsigned int waiting; /* prepared, not submitted yet */
};

/* ENTRIES requests at most are under way. −ENOSYS where the kernel has no io_uring, or none for us.
 */
int uring_open(struct uring *uring, int file, unsigned int entries);
void uring_close(struct uring *uring);
/* OP is IORING_OP_READV, WRITEV, FSYNC or FALLOCATE (with MODE). IOV stays until the completion. */
void uring_prepare(struct uring *uring, uint8_t op, const struct iovec *iov, unsigned int count,
	uint64_t offset, uint64_t len, uint32_t mode, uint64_t tag);
/* Hands over what was prepared, and waits for at least WAIT completions. What the kernel need not
 * wait for, such as pages that it has, completes within the call. */
int uring_submit(struct uring *uring, unsigned int wait);
/* The next completion, or false. */
bool uring_reap(struct uring *uring, uint64_t *ret_tag, int32_t *ret_result);

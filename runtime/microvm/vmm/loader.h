/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files into guest memory: what the loaders of all architectures share. Every number of a file is
 * checked before it is used and each loop is bounded, so that a broken file is an error and never
 * more. All of it happens before the guest runs.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/memory.h"

struct kernel_image {
	uint64_t entry;      /* guest physical */
	uint64_t end;        /* the kernel needs memory up to here for itself */
	uint64_t initrd_max; /* the last byte that the initramfs may use */
};

/* All LEN bytes at OFFSET of FD. −ENOEXEC: the file ends before. */
int loader_read(int fd, void *buf, size_t len, uint64_t offset);
/* −EINVAL when FD is no regular file. */
int loader_size(int fd, uint64_t *ret);
/* Places FILE_LEN bytes at OFFSET of FD, a regular file, at GPA, with memory for MEM_LEN bytes that
 * is zero. −ENOEXEC: the file ends before, numbers that make no sense, or a place below FLOOR;
 * −ENOMEM: not in one region of memory. */
int loader_place(int fd, const struct guest_memory *memory, uint64_t floor, uint64_t offset,
	uint64_t gpa, uint64_t file_len, uint64_t mem_len);

/* The guest will use all memory from GPA to END: huge pages for it at once, where the host's kernel
 * makes them, so that it takes one fault for 2 MiB and not 512. A wish, never an error. */
void loader_expect(const struct guest_memory *memory, uint64_t gpa, uint64_t end);

/* Loads the regular file FD as high as possible in the first region, above IMAGE. */
int initramfs_load(int fd, const struct guest_memory *memory, const struct kernel_image *image,
	uint64_t *ret_gpa, uint64_t *ret_size, struct err *err);

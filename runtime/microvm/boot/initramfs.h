/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's first file system: brig-guest as /init and the modules of the kernel, in an
 * uncompressed archive, made once per kernel and kept.
 *
 * In the archive, /brig/modules has a line per module, in an order in which all can be loaded:
 * "GROUP FILE", where GROUP says when: "boot" always, a number for a virtio device of that id
 * (linux/virtio_ids.h), a word for a file system that is about to be mounted.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct initramfs_file {
	const char
		*path; /* in the archive, without a leading "/"; its folder must be "bin" or "" */
	int fd;        /* a regular file, read from its start */
	unsigned int mode; /* permission bits */
};

struct initramfs_options {
	int modules;                        /* the folder of the kernel's modules.dep */
	int agent;                          /* brig-guest */
	const struct initramfs_file *files; /* more files, mostly none */
	size_t file_count;
	const char *const *aliases; /* of devices (modules.alias) whose drivers are to be there, or
				       names of modules */
	size_t alias_count;
};

/* Appends the archive to RET. −ENOENT when the kernel lacks a module without which no agent can
 * speak; modules of optional devices may be missing. */
int initramfs_write(const struct initramfs_options *options, struct buf *ret, struct err *err);

/*
 * Opens the archive for reading from the folder CACHE, where it is made when it is not there. Its
 * name is a hash over all inputs, so a new kernel or agent gets a new one. Returns a descriptor.
 */
int initramfs_open(const struct initramfs_options *options, int cache, struct err *err);

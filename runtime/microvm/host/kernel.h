/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kernel a guest boots, and its modules: the distribution's own, as the host has it, or one
 * that was imported.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define KERNEL_CACHE "/var/cache/brig/vm" /* initramfs, unpacked kernels */

struct kernel {
	int image, modules; /* descriptors: the file, the folder of modules.dep */
	char version[128];
};

/* The path of the kernel that is booted where none is named: the imported one that was chosen
 * (kernel_store.h), else /boot/vmlinuz of the running kernel's version, else the newest there. */
int kernel_find(char *ret, size_t size);
/*
 * Opens PATH (without a slash: the imported kernel of that name; NULL: that of kernel_find()) and
 * its modules: the folder beside it, else /lib/modules of the version that the file itself tells.
 * −ENOENT says what is missing.
 */
int kernel_open(const char *path, struct kernel *ret, struct err *err);
void kernel_close(struct kernel *kernel);
/* Opens the cache, and makes it. */
int kernel_open_cache(struct err *err);
/* The version in IMAGE, the first bytes of a bzImage; −ENOEXEC when it is none. Pure. */
int kernel_read_version(const uint8_t *image, size_t len, char *ret, size_t size);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels that guests can boot: those of /boot, and those that were imported.
 *
 *	KERNEL_CACHE/kernels/NAME/image-NAME    an ELF file or a bzImage
 *	KERNEL_CACHE/kernels/NAME/modules       modules.dep, modules.builtin, and the modules of
 *guests KERNEL_CACHE/kernels/default            a link to the NAME that is booted where none is
 *named
 *
 * The process of a command, as root.
 */
#pragma once

#include "runtime/microvm/host/kernel.h"

#include <limits.h>
#include <stdbool.h>

struct kernel_entry {
	char name[128];      /* its version, or that with which it was imported */
	char path[PATH_MAX]; /* of the image */
	bool imported;
	bool used;         /* where no kernel is named */
	char problem[256]; /* why it cannot be used, or "" */
};

/* Calls FN for each, those of /boot first; stops at its first non-zero result. */
int kernel_each(int (*fn)(const struct kernel_entry *entry, void *arg), void *arg, struct err *err);

struct kernel_import_options {
	const char *image;   /* a vmlinux or bzImage */
	const char *modules; /* the folder of its modules.dep or modules.builtin; NULL: that beside
				the image, or /lib/modules of its version */
	const char *name;    /* NULL: its version */
	bool use;            /* from now on, where no kernel is named */
};

/*
 * Copies a kernel and those of its modules that guests use. −EINVAL when it is no kernel, −ENOENT
 * when it lacks a driver, by name; −EEXIST. RET_NAME: what it is called.
 */
int kernel_import(const struct kernel_import_options *options, char ret_name[128], struct err *err);
/* Makes the imported kernel NAME the one that is booted where none is named; NULL: the host's. */
int kernel_use(const char *name, struct err *err);
/* Machines that run have it in memory and go on. −ENOENT. */
int kernel_remove(const char *name, struct err *err);

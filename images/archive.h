/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images in files: load, save, import, export, commit.
 *
 * Archives are as foreign as registries: they are taken apart by brig-unpack, what is in them is
 * opened beneath their directory and only when it is a regular file, and every blob is hashed on
 * its way into the store. Single-threaded.
 *
 * What makes images does not wait for the disk (store_defer()): who called it calls
 * store_flush_later() or store_flush(), also after an error.
 */
#pragma once

#include "base/err.h"
#include "images/image.h"
#include "images/store.h"

#include <jansson.h>
#include <stdbool.h>

struct archive_load_options {
	const char *platform; /* of an index; NULL: this machine */
	/* Called for every name that was set (or the id of an image that came without). */
	void (*loaded)(void *context, const char *name);
	void *context;
};

/*
 * Loads all images of INPUT: an OCI layout (a directory), or a file or pipe with an oci-archive or
 * docker-archive, compressed or not. −EINVAL when it is none of them.
 */
int archive_load(struct store *store, int input, const struct archive_load_options *options,
	struct err *err);

/*
 * Saves the images NAMES as one archive that is an oci-archive and a docker-archive at once: an OCI
 * layout with a manifest.json beside it. OUT is a file, or an empty directory for a layout.
 */
int archive_save(
	struct store *store, const char *const *names, size_t count, int out, struct err *err);

/* Makes an image of one layer from a root file system as tar, compressed or not. PATCH is merged
 * into its settings; may be NULL. */
int archive_import(struct store *store, int input, const struct reference *name,
	const json_t *patch, const char *comment, struct digest *ret_manifest, struct err *err);

/* Writes the tree of the directory ROOTFD to OUT as tar. */
int archive_export(struct store *store, int rootfd, int out, struct err *err);

/* Makes an image of what the container ID wrote, on top of its image. USERNS: whose map leads from
 * the ids on the disk to the container's, or −1. */
int archive_commit(struct store *store, const char *id, int userns, const struct reference *name,
	const json_t *patch, const char *comment, struct digest *ret_manifest, struct err *err);

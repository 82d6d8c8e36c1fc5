/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From options and an image to a record: what is run, with which environment, labels and mounts.
 *
 * Pure but for what the options themselves point to: --env-file and --label-file are read and
 * variables without a value are taken from the caller's environment, both before this, into
 * struct settle_input. Nothing is made; volumes are named only.
 */
#pragma once

#include "cli/containers/record.h"
#include "spec/image.h"

struct settle_input {
	const struct run_options *options;
	const struct strings *command; /* what followed the image */
	const struct spec_image_config *image;
	struct strings file_env, file_labels; /* lines of --env-file and --label-file */
	char *const *environment;             /* ends with NULL: for "-e NAME" */
	const char *cwd;                      /* for relative sources */
};

/*
 * Fills in RET, from its arena, all but id, name, created and what the image is called. Strings are
 * borrowed from the input. −EINVAL with the option's name.
 */
int settle(const struct settle_input *input, struct record *ret, struct err *err);

/* settle_mounts.c: the mounts of OPTIONS, and the image's VOLUMEs that none of them hides. */
int settle_mounts(const struct run_options *options, const struct spec_image_config *image,
	const char *cwd, struct record *ret, struct err *err);
/* Adds MOUNT unless one has its target already. −ENOMEM. */
int settle_add_mount(struct record *record, const struct record_mount *mount);
/* The mount at TARGET, or NULL. */
struct record_mount *settle_find_mount(struct record *record, const char *target);

/* "1h2m3.5s", "500ms" → nanoseconds; a bare number is seconds. −EINVAL. */
int settle_duration(const char *text, uint64_t *ret);
/* Sets NAME=VALUE (or takes NAME away when ITEM has no "="), whole strings borrowed. */
int settle_env(struct strings *env, const char *item, struct arena *arena);

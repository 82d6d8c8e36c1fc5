/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes: directories that outlive containers.
 *
 *   DATA/volumes/NAME/_data         the files
 *   DATA/volumes/NAME/volume.json   name, when it was made, labels, whether nobody named it
 *
 * A volume appears and goes by rename(2). Who uses it is in the records of the containers
 * (cli/containers/record.h, mounts[].volume). The process of a command.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "images/store.h"

struct volume {
	const char *name, *created; /* RFC 3339 */
	struct pairs labels, options;
	bool anonymous;

	json_t *json;
	struct arena arena;
};

/* The folder of volumes below DATA, made when it is missing. */
int volumes_open(int data, struct err *err);
/* A name that a volume can have: as a container's. */
bool volume_name_is_valid(const char *name);
/* −EEXIST when there is one of that name, −EINVAL for a name that cannot be. */
int volume_create(int volumes, const char *name, const struct pairs *labels,
	const struct pairs *options, bool anonymous, struct err *err);
/* −ENOENT "no such volume: NAME". */
int volume_load(int volumes, const char *name, struct volume *ret, struct err *err);
void volume_free(struct volume *volume);
/* Removes it and its files, also those of other ids of STORE; whether it is in use is the caller's
 * to know. −ENOENT. */
int volume_remove(struct store *store, int volumes, const char *name, struct err *err);
/* Calls FN for every volume, in no order; stops at a result that is not 0 and returns it. */
int volumes_each(
	int volumes, int (*fn)(const struct volume *volume, void *arg), void *arg, struct err *err);

CLEANUP_DEFINE(volume, struct volume, volume_free)
#define autovolume __attribute__((cleanup(cleanup_volume)))

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a container: what it was asked to be, and what that came to when it was made.
 *
 * Written once, as container.json, and again only by rename, update and network connections; what
 * happens to the container is in its status (cli/containers/box.h). Everything that a start needs
 * and that an image or the environment could change meanwhile is settled in here. Pure functions.
 */
#pragma once

#include "base/err.h"
#include "cli/containers/options.h"

#include <stdint.h>

enum record_mount_type { RECORD_MOUNT_BIND, RECORD_MOUNT_VOLUME, RECORD_MOUNT_TMPFS };

struct record_mount {
	int type;               /* enum record_mount_type */
	const char *source;     /* absolute path on the host; NULL for tmpfs */
	const char *target;     /* absolute path in the container */
	const char *volume;     /* the volume's name, or NULL */
	struct strings options; /* for the runtime: "ro", "rbind", "size=…" */
	bool anonymous; /* the volume goes with the container when that is removed with -v */
	bool copy_up;   /* an empty volume gets what the image has there, at first start */
	bool chown;     /* U: its files are given to the container's user */
};

struct record_health {
	struct strings test;                      /* CMD or CMD-SHELL, then arguments */
	uint64_t interval, timeout, start_period; /* nanoseconds */
	uint32_t retries;
};

struct record {
	const char *id, *name, *created; /* 64 hexadecimal digits; RFC 3339 */
	const char *image;               /* as it was written */
	const char *image_id, *manifest; /* digests */
	struct run_options options;
	struct strings command;   /* what was given after the image */
	struct strings args, env; /* what is run */
	const char *cwd, *user;
	struct pairs labels;
	struct strings exposed; /* "80/tcp" */
	struct {
		struct record_mount *items;
		size_t count;
	} mounts;
	bool systemd; /* it is a whole system: --systemd */
	int stop_signal;
	uint32_t stop_timeout;        /* seconds */
	struct record_health *health; /* NULL: none */
	/* "INSIDE:OUTSIDE:COUNT" (cli/containers/idmaps.h); none: the ids that all have. */
	struct strings uid_map, gid_map;

	/* What the strings are borrowed from when it was read. */
	json_t *json;
	struct arena arena;
};

/* −EINVAL, −ENOMEM. Ended with box_record_free(). */
int box_record_parse(
	const char *name, const char *text, size_t len, struct record *ret, struct err *err);
/* As text. −ENOMEM. */
int box_record_write(const struct record *record, struct buf *ret, struct err *err);
void box_record_free(struct record *record);

CLEANUP_DEFINE(record, struct record, box_record_free)
#define autorecord __attribute__((cleanup(cleanup_record)))

enum { RECORD_ID_SIZE = 64 + 1, RECORD_SHORT = 12, RECORD_NAME_MAX = 128 };

/* A new id of 64 random hexadecimal digits. Any process. */
int record_make_id(char ret[RECORD_ID_SIZE]);
/* "adjective_noun" for the SEED-th try; the caller looks whether it is free. */
void record_make_name(uint32_t seed, char ret[RECORD_NAME_MAX]);
/* [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most RECORD_NAME_MAX − 1 of them. */
bool record_name_is_valid(const char *name);

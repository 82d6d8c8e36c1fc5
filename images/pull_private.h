/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a pull share; not for anyone else. */
#pragma once

#include "images/layer.h"
#include "images/part.h"
#include "images/pull.h"
#include "images/registry.h"
#include "spec/image.h"

#include <pthread.h>

/* One layer of the image. The pull's mutex guards what changes. */
struct pull_layer {
	const struct spec_descriptor *blob;
	const char *diff_id;
	struct digest chain;
	struct part *part;       /* NULL: the blob is in the store, or a twin's part is used */
	struct pull_layer *twin; /* an earlier layer with the same blob */
	/* Downloads: whether the server takes ranges is known after the first answer. */
	int active;
	enum { RANGES_UNKNOWN, RANGES_TAKEN, RANGES_IGNORED } ranges;
	bool fetched;  /* every byte of the part is there */
	int stage;     /* −1 until unpacked */
	bool unpacked; /* staged, or found in the store */
	bool committed;
	bool retried;
};

struct pull {
	struct store *store;
	const struct pull_options *options;
	struct registry **registries; /* one for each endpoint; NULL: could not be opened */
	size_t current;               /* the endpoint that had the manifest */
	struct spec_image_document *manifest;
	struct spec_image_config *config;
	struct pull_layer *layers; /* lowest first; those below .first are in the store */
	size_t count, first;
	struct pull_result *result;

	pthread_mutex_t mutex;
	pthread_cond_t changed;
	size_t next;      /* layer for the next unpacker */
	struct err error; /* the first one; everybody stops */
};

/* pull_fetch.c */
/* Downloads until every part is whole or the pull failed. A thread's main function. */
void *pull_fetch_thread(void *pull);
/* Reads a blob of at most MAX bytes into RET, checked. */
int pull_fetch_small(struct pull *pull, struct http_client *client,
	const struct spec_descriptor *blob, size_t max, struct buf *ret, struct err *err);

/* pull_unpack.c */
void *pull_unpack_thread(void *pull);
/* Puts every unpacked layer below END (not included) in place, after one store_sync(). */
int pull_commit_layers(struct pull *pull, size_t end, struct err *err);

void pull_fail(struct pull *pull, const struct err *err);
bool pull_has_failed(struct pull *pull);
void pull_report(struct pull *pull);

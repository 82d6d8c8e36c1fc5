/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulling an image: name → manifest → blobs → layers → name in the store.
 *
 * Blobs come in chunks over a few connections, lowest layer first; each layer is hashed, inflated
 * and unpacked while it comes. The name is set last, after everything it stands for is in place,
 * so an interrupted pull leaves the old image as it was and the next one goes on from what came.
 * It does not wait for the disk (store_defer()): who called it calls store_flush_later() or
 * store_flush().
 *
 * Call with one thread; threads are started and ended inside.
 */
#pragma once

#include "base/err.h"
#include "images/auth.h"
#include "images/http.h"
#include "images/reference.h"
#include "images/store.h"
#include "images/unpack/protocol.h"

#include <stdbool.h>
#include <stdint.h>

/* One place to get an image from, in the order of trying; see images/registries.h. */
struct pull_endpoint {
	struct reference reference; /* with a registry, tag or digest */
	bool insecure, strict;      /* see struct registry_options */
	bool by_digest_only;        /* a mirror that may not say what a tag stands for */
	const struct auth_credentials *credentials; /* NULL: looked up with .auth */
	struct http_files files;                    /* none: those of .http */
};

struct pull_progress {
	uint64_t bytes, total; /* compressed, of all blobs that had to come */
	uint32_t layers_done, layers;
};

struct pull_options {
	struct reference reference; /* canonical: the name that is set */
	const struct pull_endpoint *endpoints;
	size_t endpoint_count;
	const char *platform; /* spec_platform_parse(); NULL: this machine */
	const struct auth_options *auth;
	struct http_options http;           /* insecure is the endpoint's */
	const struct unpack_limits *limits; /* NULL: helper_default_limits */
	bool devices;
	int connections; /* 0: 6 */
	int unpackers;   /* layers at once; 0: as many as processors, at most 4 */
	/* Called from time to time from one thread at a time; NULL: never. */
	void (*progress)(void *context, const struct pull_progress *progress);
	void *context;
};

struct pull_result {
	struct store_name name;
	bool changed;      /* false: the store had exactly this */
	uint64_t received; /* bytes of blobs over the network */
};

/*
 * −ENOENT when no endpoint has it (the error of the last one), −EACCES, −EBADMSG for content that
 * is not what was promised, −ENOSPC, −EINVAL for hostile content, −EOPNOTSUPP for artifacts that
 * are no images.
 */
int pull_image(struct store *store, const struct pull_options *options, struct pull_result *ret,
	struct err *err);

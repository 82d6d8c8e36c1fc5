/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What brig-registry is asked: one JSON object on its standard input.
 *
 *   op           "pull", "push", "login", "tags", "catalog"
 *   reference    what is pulled ("docker.io/library/alpine:latest", the name that is set), or the
 *                repository that is looked at
 *   endpoints    [{reference, insecure, strict, byDigestOnly, username, secret, identityToken, ca,
 *                cert, key}]: where to ask, in order; others than pull take the first
 *   image        of push: digest in the store, of a manifest or an index
 *   all          of push: what the index lists, too
 *   platform     of pull
 *   store        {root, helper, single, uids: [{inside, outside, count}], gids}: pull and push
 *   maxBytes     of pull: of one unpacked layer
 *   connections, connectSeconds, stallSeconds
 *
 * It answers on standard output, one JSON object a line:
 *
 *   {"progress": {"bytes", "total", "layersDone", "layers"}}    any number
 *   {"warning": "…"}        what a registry wants to be shown
 *   {"item": "…"}           of tags and catalog
 *   {"result": {…}}         or {"error": {"code", "text"}}, once, last
 *
 * Credentials, registries.conf and helpers are the caller's affair, so that the process which reads
 * what registries send needs no files but the store's.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "images/pull.h"

#include <jansson.h>

enum remote_op { REMOTE_PULL = 1, REMOTE_PUSH, REMOTE_LOGIN, REMOTE_TAGS, REMOTE_CATALOG };

struct remote_request {
	int op; /* enum remote_op */
	struct reference reference;
	struct pull_endpoint *endpoints;
	size_t endpoint_count;
	const char *image, *platform;
	bool all;
	struct store_options store; /* .root NULL: none */
	uint64_t max_bytes;         /* 0: the default */
	struct http_options http;
	int connections;

	json_t *json; /* what the strings are borrowed from */
	struct arena arena;
};

/* −EINVAL names the member. Ended with remote_request_free(), which wipes the secrets. */
int remote_request_parse(const char *text, size_t len, struct remote_request *ret, struct err *err);
void remote_request_free(struct remote_request *request);

/*
 * What is left to the process that reads foreign bytes: no capability and none to be had, files
 * only beneath STORE_ROOT (−1: none; WRITABLE or not) and those that TLS and name resolution read,
 * no socket but of IP, no new program, no other process's business. cert_files ends with NULL.
 * −EOPNOTSUPP when the kernel has no seccomp; Landlock may be missing. Single-threaded, once.
 */
int remote_sandbox_enter(
	int store_root, bool writable, const char *const *cert_files, struct err *err);

/* Carries REQUEST out and writes the lines to standard output. Returns 0, also when the last line
 * is an error. STORE may be NULL. In the sandbox. */
int remote_perform(const struct remote_request *request, struct store *store);
/* The last line of a failure. */
void remote_print_error(const struct err *err);

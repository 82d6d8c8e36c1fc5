/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One repository at one registry, over the OCI distribution protocol (distribution-spec 1.1).
 *
 * registry_open() decides the scheme and holds credentials and tokens; the calls below may then be
 * made by many threads at once, each with an http_client of its own from registry_client(). A token
 * is fetched when a registry asks for one (RFC 6750; "Token Authentication" of the distribution
 * project) and shared by all threads.
 *
 * Credentials go to this registry's origin and to the token server that it names, the latter only
 * over https unless the registry itself is plain http; never to where a redirect leads.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "images/auth.h"
#include "images/digest.h"
#include "images/http.h"

#include <stdbool.h>
#include <stdint.h>

struct registry_options {
	const char *host;       /* "host[:port]"; docker.io stands for where it really is */
	const char *repository; /* "a/b" */
	bool insecure;          /* take plain http or any certificate. Loopback may, too, … */
	bool strict;            /* … unless this forbids it */
	bool push;              /* ask for tokens that may write */
	const struct auth_credentials *credentials; /* NULL: none; copied */
	struct http_options http;
};

struct registry;

/* Makes no connection but for an insecure registry, where https is tried before http. */
int registry_open(const struct registry_options *options, struct registry **ret, struct err *err);
void registry_close(struct registry *registry);
/* A connection for one thread. */
int registry_client(struct registry *registry, struct http_client **ret, struct err *err);
/* "host/repository", for messages. */
const char *registry_name(const struct registry *registry);

/*
 * Gets a manifest or index by TAG (a tag or digest) of at most SPEC_DOCUMENT_MAX bytes, with its
 * Content-Type and digest. By digest, −EBADMSG when it is another. −ENOENT, −EACCES (the registry
 * wants other credentials, or says no), −EBUSY (too many requests), or http_do()'s.
 */
int registry_get_document(struct registry *registry, struct http_client *client, const char *tag,
	struct buf *ret, struct buf *ret_type, struct digest *ret_digest, struct err *err);
/* The digest that TAG stands for, without its content; −ENOENT. Not every registry says it, then
 * −ENODATA. */
int registry_head_document(struct registry *registry, struct http_client *client, const char *tag,
	struct digest *ret, struct err *err);

/*
 * Gets the bytes FIRST to LAST of a blob into SINK. RET_WHOLE tells SINK's owner, before the first
 * byte, that the server ignores ranges and begins at 0. −EMSGSIZE when more come.
 */
int registry_get_blob(struct registry *registry, struct http_client *client, const char *digest,
	uint64_t first, uint64_t last, uint64_t size, http_sink *sink, void *context,
	bool *ret_whole, struct err *err);
/* 0 when the repository has the blob, −ENOENT when not. */
int registry_head_blob(
	struct registry *registry, struct http_client *client, const char *digest, struct err *err);

/* 0 when the registry speaks version 2 of the protocol and takes the credentials; −EACCES. */
int registry_check(struct registry *registry, struct http_client *client, struct err *err);
/* Calls EACH with every repository of the registry, as far as it tells (not every one does:
 * −ENOENT, −EACCES). */
int registry_list_repositories(struct registry *registry, struct http_client *client,
	int (*each)(void *context, const char *repository, struct err *err), void *context,
	struct err *err);
/* Calls EACH with every tag, page by page. */
int registry_list_tags(struct registry *registry, struct http_client *client,
	int (*each)(void *context, const char *tag, struct err *err), void *context,
	struct err *err);

/*
 * Makes the blob of the repository FROM at the same registry one of this repository's, without
 * sending it. 0, or −EAGAIN when the registry wants it sent.
 */
int registry_mount_blob(struct registry *registry, struct http_client *client, const char *digest,
	const char *from, struct err *err);
/* Sends SIZE bytes of FD in pieces, going on where the registry says it is after a failure. */
int registry_push_blob(struct registry *registry, struct http_client *client, const char *digest,
	int fd, uint64_t size, struct err *err);
/* Puts a manifest or index under TAG (a tag or digest). */
int registry_put_document(struct registry *registry, struct http_client *client, const char *tag,
	const char *media_type, const void *data, size_t len, struct err *err);

static inline void registry_release(struct registry **registry)
{
	registry_close(*registry);
	*registry = NULL;
}
CLEANUP_DEFINE(registry, struct registry *, registry_release)
#define autoregistry __attribute__((cleanup(cleanup_registry)))

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP connection to a server that is not trusted, over libcurl.
 *
 * An http_client is used by one thread at a time and keeps its connections open between requests.
 * What the server sends is bounded in size (.max_body), in time without progress, and in
 * redirects; redirects are followed here and not by libcurl, so that the Authorization header goes
 * to the origin (scheme, host and port) that it was made for and nowhere else, and so that nothing
 * leads from https to http.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* PEM files of a server's directory in certs.d; each may be NULL. */
struct http_files {
	const char *ca;         /* more authorities than the system's */
	const char *cert, *key; /* who we are: shown to nobody but http_options.origin */
};

struct http_options {
	bool insecure; /* take any certificate, and plain http */
	struct http_files files;
	const char *origin;  /* URL of the server that .files.cert is for; NULL: of nobody */
	int connect_seconds; /* 0: 30 */
	int stall_seconds;   /* a transfer below 1 KiB/s for so long ends; 0: 60 */
	/* Gets what a registry says in a Warning header (distribution-spec, "Warnings"), harmless
	 * to show, from any thread; NULL: dropped. Called by registry_do(). */
	void (*warn)(void *context, const char *host, const char *text);
	void *warn_context;
};

/* Takes LEN bytes of a body; a negative errno ends the transfer with what ERR says. */
typedef int http_sink(void *context, const void *data, size_t len, struct err *err);

struct http_request {
	const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
	const char *url;
	const char *authorization; /* the header's value; NULL: none */
	const char *accept, *content_type;
	const char *form; /* body of a POST, application/x-www-form-urlencoded */
	const void *body;
	int body_fd; /* −1: body and body_len; else body_len bytes from body_offset of the file */
	uint64_t body_offset, body_len;
	bool range; /* ask for bytes first to last */
	uint64_t first, last;
	const char *content_range; /* of an upload, "first-last" */
	bool no_redirects;
	uint64_t max_body; /* a longer body is −EMSGSIZE */
	/* A successful body goes to SINK; it may look at the response, whose headers are there by
	 * then. Otherwise, and without SINK, it goes to response.body. */
	http_sink *sink;
	void *context;
};

struct http_response {
	long status;
	uint64_t length; /* Content-Length */
	bool has_length;
	struct buf body;
	struct buf url; /* the one that answered, after redirects */
	/* Headers, "" when absent. */
	struct buf content_type, location, authenticate, docker_digest, link, warning, range_header,
		content_range;
	int retry_after; /* seconds, 0: not said */
};

struct http_client;

/* May be called in many threads at once. */
int http_open(const struct http_options *options, struct http_client **ret, struct err *err);
void http_close(struct http_client *client);

/*
 * Does REQUEST. 0 for any answer, whatever its status; −ETIMEDOUT, −ECONNREFUSED, −EHOSTUNREACH,
 * −EPROTO, −ELOOP (redirects), −EMSGSIZE (too long), −EPIPE (cut off), −EKEYREJECTED (certificate)
 * with a sentence that names the URL. RET is reset first and ended with http_response_free().
 */
int http_do(struct http_client *client, const struct http_request *request,
	struct http_response *ret, struct err *err);
void http_response_free(struct http_response *response);

/* True when another try could go better: no answer, cut off, or a status of 408, 429 or 5xx. */
bool http_is_transient(int code, long status);

/* True when the URLs A and B have the same scheme, host and port. */
bool http_same_origin(const char *a, const char *b);
/* REFERENCE as seen from BASE (RFC 3986); −EPROTO. */
int http_resolve(const char *base, const char *reference, struct buf *ret);
/* Appends TEXT with all but unreserved characters %-encoded. */
void http_encode(const char *text, struct buf *ret);

static inline void http_release(struct http_client **client)
{
	http_close(*client);
	*client = NULL;
}
CLEANUP_DEFINE(http, struct http_client *, http_release)
#define autohttp __attribute__((cleanup(cleanup_http)))
CLEANUP_DEFINE(http_response, struct http_response, http_response_free)
#define autoresponse __attribute__((cleanup(cleanup_http_response)))

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/registry_private.h"

#include "base/json.h"
#include "images/reference.h"
#include "spec/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ERROR_BODY_MAX = 64 << 10, TAGS_MAX = 16 << 20, TAG_PAGES_MAX = 10000, TRIES = 5 };

static const char accept_documents[] = SPEC_MEDIA_OCI_INDEX
	", " SPEC_MEDIA_OCI_MANIFEST ", " SPEC_MEDIA_DOCKER_LIST ", " SPEC_MEDIA_DOCKER_MANIFEST;

/* ---- opening ---- */

static bool is_loopback(const char *host)
{
	size_t n = strcspn(host, ":");

	return (n == 9 && strncmp(host, "localhost", 9) == 0) || strncmp(host, "127.", 4) == 0 ||
	       strncmp(host, "[::1]", 5) == 0;
}

int registry_client(struct registry *g, struct http_client **ret, struct err *err)
{
	struct http_options o = g->http;

	o.insecure = g->insecure;
	o.files = g->files;
	o.origin = g->base;
	return http_open(&o, ret, err);
}

/* https when anything there speaks TLS, else http. */
static int choose_scheme(struct registry *g, const char *host, struct err *err)
{
	autohttp struct http_client *client = NULL;
	autoresponse struct http_response response = {};
	autobuf struct buf url = {};
	struct http_request q = {.method = "GET", .body_fd = -1, .max_body = ERROR_BODY_MAX};
	int r = registry_client(g, &client, err);

	if (r < 0)
		return r;
	buf_printf(&url, "https://%s/v2/", host);
	q.url = buf_str(&url);
	r = http_do(client, &q, &response, err);
	g->plain = r < 0;
	err_clear(err);
	return 0;
}

static char *print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *print(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return text;
}

static int copy_files(const struct http_files *from, struct http_files *ret)
{
	ret->ca = from->ca ? strdup(from->ca) : NULL;
	ret->cert = from->cert ? strdup(from->cert) : NULL;
	ret->key = from->key ? strdup(from->key) : NULL;
	return (from->ca && !ret->ca) || (from->cert && !ret->cert) || (from->key && !ret->key)
		       ? -ENOMEM
		       : 0;
}

int registry_open(const struct registry_options *o, struct registry **ret, struct err *err)
{
	const char *host = strcmp(o->host, "docker.io") == 0 ? "registry-1.docker.io" : o->host;
	autoregistry struct registry *g = calloc(1, sizeof(*g));
	int r = 0;

	if (!g)
		return err_sys(err, -ENOMEM, "registry %s", o->host);
	pthread_mutex_init(&g->mutex, NULL);
	g->host = strdup(host);
	g->repository = strdup(o->repository);
	g->name = print("%s/%s", o->host, o->repository);
	g->insecure = o->insecure || (is_loopback(host) && !o->strict);
	g->push = o->push;
	g->http = o->http;
	if (o->credentials)
		g->credentials = *o->credentials;
	g->base = print("https://%s", host);
	if (!g->host || !g->repository || !g->name || !g->base ||
		copy_files(&o->http.files, &g->files) < 0)
		return err_sys(err, -ENOMEM, "registry %s", o->host);
	if (g->insecure)
		r = choose_scheme(g, host, err);
	if (g->plain)
		memmove(g->base + 4, g->base + 5, strlen(g->base + 5) + 1);
	if (r == 0)
		*ret = take_ptr(g);
	return r;
}

void registry_close(struct registry *g)
{
	if (!g)
		return;
	pthread_mutex_destroy(&g->mutex);
	explicit_bzero(&g->credentials, sizeof(g->credentials));
	free(g->authorization);
	free(g->host);
	free(g->repository);
	free(g->name);
	free(g->base);
	free((char *)g->files.ca);
	free((char *)g->files.cert);
	free((char *)g->files.key);
	free(g);
}

const char *registry_name(const struct registry *g)
{
	return g->name;
}

void registry_url(const struct registry *g, struct buf *ret, const char *fmt, ...)
{
	char rest[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rest, sizeof(rest), fmt, ap);
	va_end(ap);
	ret->len = 0;
	buf_printf(ret, "%s/v2/%s/%s", g->base, g->repository, rest);
}

/* ---- one request ---- */

/* {"errors":[{"code":…,"message":…}]}, cut down to something that may be shown. */
static void read_message(const struct http_response *response, char *ret, size_t size)
{
	autojson json_t *json = NULL;
	struct err ignored = {};
	const json_t *first;
	const char *text;

	*ret = '\0';
	if (json_parse("", buf_str(&response->body), response->body.len, &json, &ignored) < 0)
		return;
	first = json_array_get(json_object_get(json, "errors"), 0);
	text = json_string_value(json_object_get(first, "message"));
	if (!text || !*text)
		text = json_string_value(json_object_get(first, "code"));
	if (!text)
		return;
	snprintf(ret, size, " (%.200s)", text);
	for (char *p = ret; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
}

static int explain_status(
	const struct registry *g, const struct http_response *response, struct err *err)
{
	char message[256];

	read_message(response, message, sizeof(message));
	switch (response->status) {
	case 401:
	case 403:
		return err_set(err, -EACCES, "%s: access denied%s", g->name, message);
	case 404:
		return err_set(err, -ENOENT, "%s: not found%s", g->name, message);
	case 429:
		return err_set(
			err, -EBUSY, "%s: too many requests, try again later%s", g->name, message);
	default:
		return err_set(err, -EPROTO, "%s: the registry answers %ld%s", g->name,
			response->status, message);
	}
}

static char *current_authorization(struct registry *g)
{
	char *copy = NULL;

	pthread_mutex_lock(&g->mutex);
	if (g->authorization)
		copy = strdup(g->authorization);
	pthread_mutex_unlock(&g->mutex);
	return copy;
}

static bool passes(const int *pass, long status)
{
	for (; pass && *pass; pass++)
		if (*pass == status)
			return true;
	return status < 400;
}

static void pause_before_retry(int attempt, int retry_after)
{
	struct timespec t = {.tv_nsec = 200000000L << attempt};

	t.tv_sec = t.tv_nsec / 1000000000L;
	t.tv_nsec %= 1000000000L;
	if (retry_after > t.tv_sec)
		t.tv_sec = retry_after < 30 ? retry_after : 30;
	nanosleep(&t, NULL);
}

/* 299 - "text", perhaps several; RFC 7234 5.5. Other codes are caches' affairs. */
static void show_warnings(const struct registry *g, const struct http_response *response)
{
	const char *at = buf_str(&response->warning);

	while (g->http.warn && (at = strstr(at, "299 "))) {
		char text[512];
		size_t n = 0;

		at = strchr(at, '"');
		if (!at)
			return;
		for (at++; *at && *at != '"' && n + 1 < sizeof(text); at++) {
			at += *at == '\\' && at[1];
			text[n++] = (unsigned char)*at < ' ' || *at == 0x7f ? '?' : *at;
		}
		text[n] = '\0';
		g->http.warn(g->http.warn_context, g->host, text);
	}
}

static int do_with_token(struct registry *g, struct http_client *client, struct http_request *q,
	struct http_response *ret, struct err *err)
{
	/* Once for no token, once more for one that expired or has another scope. */
	for (int tries = 0;; tries++) {
		autofree char *authorization = current_authorization(g);
		struct challenge challenge;
		int r;

		/* An upload goes where the registry says, which may be another host. */
		q->authorization = http_same_origin(q->url, g->base) ? authorization : NULL;
		r = http_do(client, q, ret, err);
		q->authorization = NULL;
		if (r < 0 || ret->status != 401 || tries == 2)
			return r;
		/* A challenge from where a redirect led is not this registry's. */
		if (!http_same_origin(buf_str(&ret->url), g->base))
			return r;
		challenge_parse(buf_str(&ret->authenticate), &challenge);
		r = registry_authorize(g, client, &challenge, authorization, err);
		if (r < 0)
			return r;
	}
}

int registry_do(struct registry *g, struct http_client *client, struct http_request *q,
	const int *pass, struct http_response *ret, struct err *err)
{
	/* A body that goes to a sink may have been taken in part: its owner tries again. */
	bool repeatable =
		!q->sink && (strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0);

	for (int attempt = 0;; attempt++) {
		int r;

		err_clear(err);
		r = do_with_token(g, client, q, ret, err);
		if (r == 0)
			show_warnings(g, ret);
		if (r == 0 && passes(pass, ret->status))
			return 0;
		if (repeatable && attempt < TRIES - 1 && http_is_transient(r, ret->status)) {
			pause_before_retry(attempt, ret->retry_after);
			continue;
		}
		return r < 0 ? err_add(err, "%s", g->name) : explain_status(g, ret, err);
	}
}

/* ---- documents ---- */

static int ask_for_document(struct registry *g, struct http_client *client, const char *method,
	const char *tag, struct http_response *ret, struct err *err)
{
	autobuf struct buf url = {};
	struct http_request q = {.method = method,
		.body_fd = -1,
		.accept = accept_documents,
		.max_body = SPEC_DOCUMENT_MAX};

	registry_url(g, &url, "manifests/%s", tag);
	q.url = buf_str(&url);
	return registry_do(g, client, &q, NULL, ret, err);
}

int registry_get_document(struct registry *g, struct http_client *client, const char *tag,
	struct buf *ret, struct buf *ret_type, struct digest *ret_digest, struct err *err)
{
	autoresponse struct http_response response = {};
	bool by_digest = spec_digest_is_valid(tag);
	int r;

	r = ask_for_document(g, client, "GET", tag, &response, err);
	if (r < 0)
		return r;
	r = digest_of(
		buf_str(&response.body), response.body.len, by_digest ? tag : NULL, ret_digest);
	if (r < 0)
		return err_sys(err, r, "%s", g->name);
	if (by_digest && strcmp(ret_digest->text, tag) != 0)
		return err_set(err, -EBADMSG, "%s: asked for %s, the registry sent %s", g->name,
			tag, ret_digest->text);
	buf_add(ret, buf_str(&response.body), response.body.len);
	buf_add(ret_type, buf_str(&response.content_type), response.content_type.len);
	return ret->failed || ret_type->failed ? err_sys(err, -ENOMEM, "%s", g->name) : 0;
}

int registry_head_document(struct registry *g, struct http_client *client, const char *tag,
	struct digest *ret, struct err *err)
{
	autoresponse struct http_response response = {};
	int r;

	r = ask_for_document(g, client, "HEAD", tag, &response, err);
	if (r < 0)
		return r;
	if (!spec_digest_is_valid(buf_str(&response.docker_digest)))
		return err_set(err, -ENODATA, "%s: does not say the digest of %s", g->name, tag);
	strcpy(ret->text, response.docker_digest.data);
	return 0;
}

/* ---- blobs ---- */

struct blob_get {
	struct http_response *response;
	http_sink *sink;
	void *context;
	uint64_t first;
	bool started, *whole;
};

/* The headers are there with the first byte: does the answer begin where we asked? */
static int blob_bytes(void *context, const void *data, size_t len, struct err *err)
{
	struct blob_get *b = context;

	if (!b->started) {
		unsigned long long first;

		*b->whole = b->response->status == 200;
		if (b->response->status == 206 &&
			(sscanf(buf_str(&b->response->content_range), "bytes %llu-", &first) != 1 ||
				first != b->first))
			return err_set(err, -EPROTO, "sends another range than was asked for");
		b->started = true;
	}
	return b->sink(b->context, data, len, err);
}

int registry_get_blob(struct registry *g, struct http_client *client, const char *digest,
	uint64_t first, uint64_t last, uint64_t size, http_sink *sink, void *context,
	bool *ret_whole, struct err *err)
{
	autoresponse struct http_response response = {};
	autobuf struct buf url = {};
	struct blob_get get = {.response = &response,
		.sink = sink,
		.context = context,
		.first = first,
		.whole = ret_whole};
	struct http_request q = {
		.method = "GET",
		.body_fd = -1,
		.range = first > 0 || last + 1 < size,
		.first = first,
		.last = last,
		/* One byte more is enough to know that it is too long. */
		.max_body = size,
		.sink = blob_bytes,
		.context = &get,
	};

	registry_url(g, &url, "blobs/%s", digest);
	q.url = buf_str(&url);
	return registry_do(g, client, &q, NULL, &response, err);
}

int registry_head_blob(
	struct registry *g, struct http_client *client, const char *digest, struct err *err)
{
	autoresponse struct http_response response = {};
	autobuf struct buf url = {};
	struct http_request q = {.method = "HEAD", .body_fd = -1, .max_body = ERROR_BODY_MAX};

	registry_url(g, &url, "blobs/%s", digest);
	q.url = buf_str(&url);
	return registry_do(g, client, &q, NULL, &response, err);
}

/* ---- the registry itself ---- */

int registry_check(struct registry *g, struct http_client *client, struct err *err)
{
	autoresponse struct http_response response = {};
	autobuf struct buf url = {};
	struct http_request q = {.method = "GET", .body_fd = -1, .max_body = ERROR_BODY_MAX};

	buf_printf(&url, "%s/v2/", g->base);
	q.url = buf_str(&url);
	return registry_do(g, client, &q, NULL, &response, err);
}

/* ---- tags and repositories ---- */

/* <URL>; rel="next", RFC 8288. */
static bool next_page(const struct http_response *response, struct buf *url)
{
	const char *link = buf_str(&response->link), *end;
	autobuf struct buf reference = {}, next = {};

	for (; (link = strchr(link, '<')) && (end = strchr(link, '>')); link = end) {
		const char *stop = strchr(end, '<');
		const char *rel = strstr(end, "rel=\"next\"");

		if (!rel)
			rel = strstr(end, "rel=next");
		if (!rel || (stop && rel > stop))
			continue;
		buf_add(&reference, link + 1, (size_t)(end - link - 1));
		if (http_resolve(buf_str(&response->url), buf_str(&reference), &next) < 0)
			return false;
		url->len = 0;
		buf_puts(url, buf_str(&next));
		return true;
	}
	return false;
}

static bool is_repository(const char *text)
{
	struct err ignored = {};
	struct reference ref;

	return reference_parse(text, &ref, &ignored) == 0 && !*ref.tag && !*ref.digest;
}

/* The strings in the list KEY of an answer. */
static int each_item(const struct registry *g, const struct http_response *response,
	const char *key, bool (*is_valid)(const char *item),
	int (*each)(void *context, const char *item, struct err *err), void *context,
	struct err *err)
{
	autojson json_t *json = NULL;
	const json_t *items;
	int r = json_parse(g->name, buf_str(&response->body), response->body.len, &json, err);

	if (r < 0)
		return r;
	items = json_object_get(json, key);
	for (size_t i = 0; r == 0 && i < json_array_size(items); i++) {
		const char *item = json_string_value(json_array_get(items, i));

		if (!item || !is_valid(item))
			return err_set(err, -EPROTO, "%s: lists something in \"%s\" that is none",
				g->name, key);
		r = each(context, item, err);
	}
	return r;
}

static int list_pages(struct registry *g, struct http_client *client, struct buf *url,
	const char *key, bool (*is_valid)(const char *item),
	int (*each)(void *context, const char *item, struct err *err), void *context,
	struct err *err)
{
	for (int page = 0; page < TAG_PAGES_MAX; page++) {
		autoresponse struct http_response response = {};
		struct http_request q = {.method = "GET", .body_fd = -1, .max_body = TAGS_MAX};
		int r;

		q.url = buf_str(url);
		r = registry_do(g, client, &q, NULL, &response, err);
		if (r == 0)
			r = each_item(g, &response, key, is_valid, each, context, err);
		if (r < 0 || !next_page(&response, url))
			return r;
	}
	return err_set(err, -ELOOP, "%s: lists %s without end", g->name, key);
}

int registry_list_tags(struct registry *g, struct http_client *client,
	int (*each)(void *context, const char *tag, struct err *err), void *context,
	struct err *err)
{
	autobuf struct buf url = {};

	registry_url(g, &url, "tags/list?n=1000");
	return list_pages(g, client, &url, "tags", reference_is_tag, each, context, err);
}

int registry_list_repositories(struct registry *g, struct http_client *client,
	int (*each)(void *context, const char *repository, struct err *err), void *context,
	struct err *err)
{
	autobuf struct buf url = {};

	buf_printf(&url, "%s/v2/_catalog?n=1000", g->base);
	return list_pages(g, client, &url, "repositories", is_repository, each, context, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/http.h"

#include "base/parse.h"
#include "base/sys.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { REDIRECTS_MAX = 10, HEADER_MAX = 16 << 10, HEADERS_MAX = 256 << 10 };

struct http_client {
	CURL *curl;
	struct http_options options;
};

/* One transfer; lives on the stack of http_do(). */
struct transfer {
	const struct http_request *request;
	struct http_response *response;
	uint64_t received, sent;
	size_t header_bytes;
	struct err *err; /* set by what ended the transfer from within */
};

int http_open(const struct http_options *o, struct http_client **ret, struct err *err)
{
	struct http_client *c;

	/* Safe from many threads since 7.84, and counted. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, -ENOMEM, "http: no libcurl");
	c = calloc(1, sizeof(*c));
	if (c)
		c->curl = curl_easy_init();
	if (!c || !c->curl) {
		free(c);
		return err_sys(err, -ENOMEM, "http");
	}
	c->options = *o;
	*ret = c;
	return 0;
}

void http_close(struct http_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	curl_global_cleanup();
	free(c);
}

void http_response_free(struct http_response *r)
{
	buf_free(&r->body);
	buf_free(&r->url);
	buf_free(&r->content_type);
	buf_free(&r->location);
	buf_free(&r->authenticate);
	buf_free(&r->docker_digest);
	buf_free(&r->link);
	buf_free(&r->warning);
	buf_free(&r->range_header);
	buf_free(&r->content_range);
	*r = (struct http_response){};
}

bool http_is_transient(int code, long status)
{
	switch (code) {
	case 0:
		return status == 408 || status == 429 || status >= 500;
	case -ETIMEDOUT:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -EHOSTUNREACH:
	case -EPIPE:
		return true;
	default:
		return false;
	}
}

/* ---- URLs ---- */

static bool url_part(CURLU *url, CURLUPart part, unsigned int flags, char **ret)
{
	return curl_url_get(url, part, ret, flags) == CURLUE_OK;
}

static int origin(const char *text, struct buf *ret)
{
	CURLU *url = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL;
	int r = -EPROTO;

	if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
		url_part(url, CURLUPART_SCHEME, 0, &scheme) &&
		url_part(url, CURLUPART_HOST, 0, &host) &&
		url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port)) {
		for (char *p = host; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		buf_printf(ret, "%s://%s:%s", scheme, host, port);
		r = ret->failed ? -ENOMEM : 0;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
	return r;
}

bool http_same_origin(const char *a, const char *b)
{
	autobuf struct buf x = {}, y = {};

	return origin(a, &x) == 0 && origin(b, &y) == 0 && strcmp(buf_str(&x), buf_str(&y)) == 0;
}

int http_resolve(const char *base, const char *reference, struct buf *ret)
{
	CURLU *url = curl_url();
	char *text = NULL;
	int r = -EPROTO;

	if (url && curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
		curl_url_set(url, CURLUPART_URL, reference, 0) == CURLUE_OK &&
		curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
		url_part(url, CURLUPART_URL, 0, &text)) {
		ret->len = 0;
		buf_puts(ret, text);
		r = ret->failed ? -ENOMEM : 0;
	}
	curl_free(text);
	curl_url_cleanup(url);
	return r;
}

void http_encode(const char *text, struct buf *ret)
{
	for (; *text; text++) {
		if (isalnum((unsigned char)*text) || strchr("-._~", *text))
			buf_add(ret, text, 1);
		else
			buf_printf(ret, "%%%02X", (unsigned char)*text);
	}
}

/* ---- what libcurl calls ---- */

static const struct {
	const char *name;
	size_t offset;
	bool join; /* may come more than once: all of them, ", " between */
} headers[] = {
	{"content-type", offsetof(struct http_response, content_type), false},
	{"location", offsetof(struct http_response, location), false},
	{"www-authenticate", offsetof(struct http_response, authenticate), true},
	{"docker-content-digest", offsetof(struct http_response, docker_digest), false},
	{"link", offsetof(struct http_response, link), true},
	{"warning", offsetof(struct http_response, warning), true},
	{"range", offsetof(struct http_response, range_header), false},
	{"content-range", offsetof(struct http_response, content_range), false},
};

static void take_header(
	struct http_response *r, const char *name, size_t name_len, const char *value, size_t len)
{
	char number[24];
	uint64_t n;

	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct buf *b = (struct buf *)((char *)r + headers[i].offset);

		if (strlen(headers[i].name) != name_len ||
			strncasecmp(name, headers[i].name, name_len) != 0)
			continue;
		if (b->len && headers[i].join)
			buf_puts(b, ", ");
		else
			b->len = 0;
		if (b->len + len < HEADER_MAX)
			buf_add(b, value, len);
		return;
	}
	if (len >= sizeof(number))
		return;
	memcpy(number, value, len);
	number[len] = '\0';
	if (name_len == 11 && strncasecmp(name, "retry-after", 11) == 0 &&
		parse_u64(number, &n) == 0)
		r->retry_after = n > 3600 ? 3600 : (int)n;
	if (name_len == 14 && strncasecmp(name, "content-length", 14) == 0 &&
		parse_u64(number, &n) == 0) {
		r->length = n;
		r->has_length = true;
	}
}

static void reset_headers(struct http_response *r)
{
	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		((struct buf *)((char *)r + headers[i].offset))->len = 0;
	r->has_length = false;
	r->retry_after = 0;
	r->body.len = 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	size_t len = size * count;
	const char *colon = memchr(line, ':', len);
	const char *value, *end = line + len;

	t->header_bytes += len;
	if (t->header_bytes > HEADERS_MAX) {
		err_set(t->err, -EMSGSIZE, "more than %d bytes of headers", HEADERS_MAX);
		return 0;
	}
	if (len > 5 && strncmp(line, "HTTP/", 5) == 0) {
		const char *space = memchr(line, ' ', len);

		reset_headers(t->response); /* of a 100 Continue */
		t->response->status = space ? strtol(space, NULL, 10) : 0;
		return len;
	}
	if (!colon)
		return len;
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && strchr("\r\n \t", end[-1]))
		end--;
	take_header(t->response, line, (size_t)(colon - line), value, (size_t)(end - value));
	return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	size_t len = size * count;
	bool ok = t->response->status >= 200 && t->response->status < 300;

	if (len > t->request->max_body || t->received > t->request->max_body - len) {
		err_set(t->err, -EMSGSIZE, "sends more than %llu bytes",
			(unsigned long long)t->request->max_body);
		return 0;
	}
	t->received += len;
	if (t->request->sink && ok)
		return t->request->sink(t->request->context, data, len, t->err) < 0 ? 0 : len;
	buf_add(&t->response->body, data, len);
	return t->response->body.failed ? 0 : len;
}

static size_t on_upload(char *data, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	const struct http_request *q = t->request;
	uint64_t left = q->body_len - t->sent;
	size_t len = size * count < left ? size * count : (size_t)left;
	ssize_t n;

	if (q->body_fd < 0) {
		memcpy(data, (const char *)q->body + t->sent, len);
		n = (ssize_t)len;
	} else {
		n = len ? sys_pread(q->body_fd, data, len, (off_t)(q->body_offset + t->sent)) : 0;
	}
	if (n < 0) {
		err_sys(t->err, (int)n, "read what is sent");
		return CURL_READFUNC_ABORT;
	}
	t->sent += (uint64_t)n;
	return (size_t)n;
}

static int on_seek(void *context, curl_off_t offset, int from)
{
	struct transfer *t = context;

	if (from != SEEK_SET || offset < 0 || (uint64_t)offset > t->request->body_len)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* ---- one request ---- */

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
	autobuf struct buf line = {};
	struct curl_slist *more;

	if (strpbrk(value, "\r\n"))
		return -EINVAL;
	buf_printf(&line, *value ? "%s: %s" : "%s:", name, value);
	more = line.failed ? NULL : curl_slist_append(*list, line.data);
	if (!more)
		return -ENOMEM;
	*list = more;
	return 0;
}

static int make_headers(
	const struct http_request *q, const char *authorization, struct curl_slist **ret)
{
	const char *pairs[][2] = {
		{"Authorization", authorization}, {"Accept", q->accept},
		{"Content-Type", q->form ? NULL : q->content_type},
		{"Content-Range", q->content_range},
		{"Expect", ""}, /* a round trip that no registry needs */
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(pairs); i++)
		if (pairs[i][1])
			r = add_header(ret, pairs[i][0], pairs[i][1]);
	return r;
}

static void set_body(struct http_client *c, struct transfer *t)
{
	const struct http_request *q = t->request;

	if (strcmp(q->method, "HEAD") == 0) {
		curl_easy_setopt(c->curl, CURLOPT_NOBODY, 1L);
		return;
	}
	if (q->form) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(q->form));
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, q->form);
		return;
	}
	if (strcmp(q->method, "GET") == 0)
		return;
	if (q->body_len || strcmp(q->method, "PUT") == 0 || strcmp(q->method, "PATCH") == 0) {
		curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(c->curl, CURLOPT_READDATA, t);
		curl_easy_setopt(c->curl, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(c->curl, CURLOPT_SEEKDATA, t);
		curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_len);
	} else if (strcmp(q->method, "POST") == 0) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, 0L);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, "");
	}
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, q->method);
}

static void set_options(struct http_client *c, struct transfer *t, const char *url)
{
	const struct http_options *o = &c->options;
	char range[64];

	curl_easy_reset(c->curl); /* keeps connections, sessions and names */
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, o->insecure ? "http,https" : "https");
	curl_easy_setopt(c->curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "brig/0.1");
	curl_easy_setopt(c->curl, CURLOPT_BUFFERSIZE, 512L << 10);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT,
		(long)(o->connect_seconds ? o->connect_seconds : 30));
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1024L);
	curl_easy_setopt(
		c->curl, CURLOPT_LOW_SPEED_TIME, (long)(o->stall_seconds ? o->stall_seconds : 60));
	curl_easy_setopt(c->curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c->curl, CURLOPT_SSL_VERIFYPEER, o->insecure ? 0L : 1L);
	curl_easy_setopt(c->curl, CURLOPT_SSL_VERIFYHOST, o->insecure ? 0L : 2L);
	if (o->files.ca && !o->insecure)
		curl_easy_setopt(c->curl, CURLOPT_CAINFO, o->files.ca);
	if (o->files.cert && o->origin && http_same_origin(url, o->origin)) {
		curl_easy_setopt(c->curl, CURLOPT_SSLCERT, o->files.cert);
		curl_easy_setopt(c->curl, CURLOPT_SSLKEY, o->files.key);
	}
	curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, t);
	if (t->request->range) {
		snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)t->request->first,
			(unsigned long long)t->request->last);
		curl_easy_setopt(c->curl, CURLOPT_RANGE, range);
	}
	set_body(c, t);
}

static int explain(struct http_client *c, CURLcode code, const char *url, struct transfer *t)
{
	static const struct {
		CURLcode code;
		int error;
	} codes[] = {
		{CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},
		{CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH},
		{CURLE_COULDNT_RESOLVE_PROXY, -EHOSTUNREACH},
		{CURLE_COULDNT_CONNECT, -ECONNREFUSED},
		{CURLE_PARTIAL_FILE, -EPIPE},
		{CURLE_GOT_NOTHING, -EPIPE},
		{CURLE_RECV_ERROR, -ECONNRESET},
		{CURLE_SEND_ERROR, -ECONNRESET},
		{CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED},
		{CURLE_SSL_CACERT_BADFILE, -ENOKEY},
		{CURLE_OUT_OF_MEMORY, -ENOMEM},
		{CURLE_URL_MALFORMAT, -EINVAL},
		{CURLE_UNSUPPORTED_PROTOCOL, -EPROTONOSUPPORT},
	};
	const char *text = curl_easy_strerror(code);
	int error = -EPROTO;

	(void)c;
	if (t->err->code < 0)
		return err_add(t->err, "%.200s", url);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].code == code)
			error = codes[i].error;
	if (code == CURLE_OPERATION_TIMEDOUT && t->header_bytes)
		text = "the transfer has stalled";
	if (code == CURLE_SSL_CERTPROBLEM)
		text = "the client certificate or its key cannot be used";
	if (error == -EKEYREJECTED)
		text = "its certificate is not one that this machine trusts";
	if (error == -ENOKEY)
		text = "no certificate can be checked: the authorities' certificates cannot be "
		       "read "
		       "(of this machine: package ca-certificates)";
	return err_set(t->err, error, "%.200s: %s", url, text);
}

static int do_once(struct http_client *c, const struct http_request *q, const char *url,
	const char *authorization, struct http_response *ret, struct err *err)
{
	struct transfer t = {.request = q, .response = ret, .err = err};
	struct curl_slist *list = NULL;
	CURLcode code;
	int r = make_headers(q, authorization, &list);

	if (r < 0) {
		curl_slist_free_all(list);
		return err_sys(err, r, "%.200s", url);
	}
	set_options(c, &t, url);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, list);
	code = curl_easy_perform(c->curl);
	curl_slist_free_all(list);
	if (code != CURLE_OK)
		return explain(c, code, url, &t);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &ret->status);
	return 0;
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

int http_do(struct http_client *c, const struct http_request *q, struct http_response *ret,
	struct err *err)
{
	autobuf struct buf url = {}, next = {};
	const char *authorization = q->authorization;

	http_response_free(ret);
	buf_puts(&url, q->url);
	for (int hops = 0;; hops++) {
		int r = do_once(c, q, buf_str(&url), authorization, ret, err);

		if (r < 0)
			return r;
		if (!is_redirect(ret->status) || q->no_redirects || !ret->location.len)
			break;
		if (hops == REDIRECTS_MAX)
			return err_set(err, -ELOOP, "%.200s: more than %d redirects", q->url,
				REDIRECTS_MAX);
		r = http_resolve(buf_str(&url), buf_str(&ret->location), &next);
		if (r < 0)
			return err_set(err, -EPROTO, "%.200s: redirects to \"%.200s\", no URL",
				buf_str(&url), buf_str(&ret->location));
		if (strncmp(buf_str(&url), "https:", 6) == 0 &&
			strncmp(buf_str(&next), "https:", 6) != 0)
			return err_set(err, -EPROTO,
				"%.200s: redirects from https to something less: %.200s",
				buf_str(&url), buf_str(&next));
		/* Once gone it stays gone: a redirect back could be the other server's idea. */
		if (!http_same_origin(buf_str(&url), buf_str(&next)))
			authorization = NULL;
		url.len = 0;
		buf_puts(&url, buf_str(&next));
		ret->body.len = 0;
	}
	buf_puts(&ret->url, buf_str(&url));
	return ret->url.failed ? err_sys(err, -ENOMEM, "http") : 0;
}

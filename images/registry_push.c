/* SPDX-License-Identifier: Apache-2.0 */
/* Sending blobs and manifests; distribution-spec, "Push". */
#include "images/registry_private.h"

#include "base/parse.h"
#include "spec/image.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REPLY_MAX = 64 << 10, PIECE = 64 << 20, RETRIES = 5 };

/* The upload's URL from a Location, which may be relative. */
static int take_location(const struct registry *g, const struct http_response *response,
	struct buf *url, struct err *err)
{
	autobuf struct buf next = {};
	int r = http_resolve(buf_str(&response->url), buf_str(&response->location), &next);

	if (r < 0 || !response->location.len)
		return err_set(err, -EPROTO, "%s: does not say where to upload", g->name);
	if (!g->plain && strncmp(buf_str(&next), "https:", 6) != 0)
		return err_set(err, -EPROTO, "%s: wants uploads without https: %.200s", g->name,
			buf_str(&next));
	url->len = 0;
	buf_puts(url, buf_str(&next));
	return url->failed ? err_sys(err, -ENOMEM, "%s", g->name) : 0;
}

int registry_mount_blob(struct registry *g, struct http_client *client, const char *digest,
	const char *from, struct err *err)
{
	autoresponse struct http_response response = {};
	autobuf struct buf url = {}, source = {}, upload = {};
	struct http_request q = {.method = "POST", .body_fd = -1, .max_body = REPLY_MAX};
	static const int any[] = {400, 401, 403, 404, 405, 0};
	struct err ignored = {};
	int r;

	http_encode(from, &source);
	registry_url(g, &url, "blobs/uploads/?mount=%s&from=%s", digest, buf_str(&source));
	q.url = buf_str(&url);
	r = registry_do(g, client, &q, any, &response, err);
	if (r < 0)
		return r;
	if (response.status == 201)
		return 0;
	/* 202 began an upload that nobody is going to use. */
	if (response.status == 202 && take_location(g, &response, &upload, &ignored) == 0) {
		struct http_request cancel = {
			.method = "DELETE", .body_fd = -1, .max_body = REPLY_MAX};

		cancel.url = buf_str(&upload);
		registry_do(g, client, &cancel, any, &response, &ignored);
	}
	return err_set(err, -EAGAIN, "%s: does not mount %s", g->name, digest);
}

/* Where the registry is after something went wrong: "Range: 0-N" of the session. */
static int ask_state(struct registry *g, struct http_client *client, struct buf *url,
	uint64_t *ret_offset, struct err *err)
{
	autoresponse struct http_response response = {};
	struct http_request q = {.method = "GET", .body_fd = -1, .max_body = REPLY_MAX};
	unsigned long long last;
	int r;

	q.url = buf_str(url);
	r = registry_do(g, client, &q, NULL, &response, err);
	if (r < 0)
		return r;
	if (sscanf(buf_str(&response.range_header), "0-%llu", &last) != 1)
		return err_set(err, -EPROTO, "%s: does not say how far the upload is", g->name);
	*ret_offset = last ? last + 1 : 0;
	return response.location.len ? take_location(g, &response, url, err) : 0;
}

static int send_piece(struct registry *g, struct http_client *client, struct buf *url, int fd,
	uint64_t offset, uint64_t len, long *ret_status, struct err *err)
{
	static const int pass[] = {416, 500, 502, 503, 504, 0};
	autoresponse struct http_response response = {};
	struct http_request q = {
		.method = "PATCH",
		.content_type = "application/octet-stream",
		.body_fd = fd,
		.body_offset = offset,
		.body_len = len,
		.max_body = REPLY_MAX,
	};
	char range[64];
	int r;

	snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)offset,
		(unsigned long long)(offset + len - 1));
	q.content_range = range;
	q.url = buf_str(url);
	r = registry_do(g, client, &q, pass, &response, err);
	*ret_status = r < 0 ? 0 : response.status;
	if (r < 0)
		return r;
	return response.status < 300 ? take_location(g, &response, url, err) : 0;
}

static int send_content(struct registry *g, struct http_client *client, struct buf *url, int fd,
	uint64_t size, struct err *err)
{
	uint64_t offset = 0;
	int failures = 0;

	while (offset < size) {
		uint64_t len = size - offset < PIECE ? size - offset : PIECE;
		struct timespec pause = {.tv_nsec = 200000000};
		long status;
		int r = send_piece(g, client, url, fd, offset, len, &status, err);

		if (r == 0 && status < 300) {
			offset += len;
			failures = 0;
			continue;
		}
		if (++failures > RETRIES || (r < 0 && !http_is_transient(r, 0)))
			return r < 0 ? r
				     : err_set(err, -EPROTO, "%s: the registry answers %ld",
					       g->name, status);
		nanosleep(&pause, NULL);
		err_clear(err);
		r = ask_state(g, client, url, &offset, err);
		if (r < 0)
			return r;
		if (offset > size)
			return err_set(
				err, -EPROTO, "%s: claims to have more than was sent", g->name);
	}
	return 0;
}

static int finish(struct registry *g, struct http_client *client, const struct buf *upload,
	const char *digest, struct err *err)
{
	autoresponse struct http_response response = {};
	autobuf struct buf url = {};
	struct http_request q = {.method = "PUT", .body_fd = -1, .body = "", .max_body = REPLY_MAX};

	buf_printf(&url, "%s%cdigest=", buf_str(upload), strchr(buf_str(upload), '?') ? '&' : '?');
	http_encode(digest, &url);
	if (url.failed)
		return err_sys(err, -ENOMEM, "%s", g->name);
	q.url = url.data;
	return registry_do(g, client, &q, NULL, &response, err);
}

int registry_push_blob(struct registry *g, struct http_client *client, const char *digest, int fd,
	uint64_t size, struct err *err)
{
	autoresponse struct http_response response = {};
	autobuf struct buf url = {};
	struct http_request q = {.method = "POST", .body_fd = -1, .max_body = REPLY_MAX};
	int r;

	registry_url(g, &url, "blobs/uploads/");
	q.url = buf_str(&url);
	r = registry_do(g, client, &q, NULL, &response, err);
	if (r == 0)
		r = take_location(g, &response, &url, err);
	if (r == 0)
		r = send_content(g, client, &url, fd, size, err);
	if (r == 0)
		r = finish(g, client, &url, digest, err);
	return r < 0 ? err_add(err, "push blob %.19s…", digest) : 0;
}

int registry_put_document(struct registry *g, struct http_client *client, const char *tag,
	const char *media_type, const void *data, size_t len, struct err *err)
{
	autoresponse struct http_response response = {};
	autobuf struct buf url = {};
	struct http_request q = {
		.method = "PUT",
		.content_type = media_type,
		.body_fd = -1,
		.body = data,
		.body_len = len,
		.max_body = REPLY_MAX,
	};

	registry_url(g, &url, "manifests/%s", tag);
	q.url = buf_str(&url);
	return registry_do(g, client, &q, NULL, &response, err);
}

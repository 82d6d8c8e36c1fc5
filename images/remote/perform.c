/* SPDX-License-Identifier: Apache-2.0 */
/* What brig-registry does, and what it says about it. In the sandbox. */
#include "base/clock.h"
#include "base/json.h"
#include "images/helper.h"
#include "images/push.h"
#include "images/registry.h"
#include "images/remote/remote.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { PROGRESS_EVERY_MS = 100, WARNINGS_MAX = 32 };

struct talk {
	pthread_mutex_t mutex; /* of what follows: warnings come from any thread */
	char *warnings[WARNINGS_MAX];
	size_t warning_count;
	int64_t last_ms;
};

/* Takes VALUE over. Nobody to tell that nobody listens. */
static void print_line(const char *key, json_t *value)
{
	autojson json_t *line = json_pack("{s:o}", key, value);
	autobuf struct buf text = {};

	if (!line || json_write(line, JSON_COMPACT, &text) < 0)
		return;
	buf_puts(&text, "\n");
	fputs(buf_str(&text), stdout);
	fflush(stdout);
}

void remote_print_error(const struct err *err)
{
	json_t *text = json_string(err->text);

	/* What a registry said may have been cut inside of a character. */
	print_line("error", json_pack("{s:i, s:o}", "code", err->code, "text",
				    text ? text : json_string("an error that is no text")));
}

/* The same words come with every answer of a registry: shown once. */
static void warn(void *context, const char *host, const char *text)
{
	struct talk *t = context;
	autobuf struct buf line = {};
	bool known = false;

	buf_printf(&line, "%s: %s", host, text);
	pthread_mutex_lock(&t->mutex);
	for (size_t i = 0; i < t->warning_count; i++)
		known |= strcmp(t->warnings[i], buf_str(&line)) == 0;
	if (!known && t->warning_count < WARNINGS_MAX && !line.failed) {
		t->warnings[t->warning_count++] = line.data;
		print_line("warning", json_string(line.data));
		line = (struct buf){};
	}
	pthread_mutex_unlock(&t->mutex);
}

static void show_progress(void *context, const struct pull_progress *p)
{
	struct talk *t = context;
	int64_t ms = clock_monotonic_ms();

	if (t->last_ms && ms - t->last_ms < PROGRESS_EVERY_MS)
		return;
	t->last_ms = ms;
	pthread_mutex_lock(&t->mutex);
	print_line("progress", json_pack("{s:I, s:I, s:i, s:i}", "bytes", (json_int_t)p->bytes,
				       "total", (json_int_t)p->total, "layersDone",
				       (int)p->layers_done, "layers", (int)p->layers));
	pthread_mutex_unlock(&t->mutex);
}

static int do_pull(const struct remote_request *q, struct store *store, struct talk *t,
	json_t **ret, struct err *err)
{
	struct unpack_limits limits = helper_default_limits;
	const struct pull_options o = {.reference = q->reference,
		.endpoints = q->endpoints,
		.endpoint_count = q->endpoint_count,
		.platform = q->platform,
		.http = q->http,
		.limits = &limits,
		.connections = q->connections,
		.progress = show_progress,
		.context = t};
	struct pull_result result;
	int r;

	if (q->max_bytes && q->max_bytes < limits.bytes)
		limits.bytes = q->max_bytes;
	r = pull_image(store, &o, &result, err);
	if (r == 0)
		*ret = json_pack("{s:s, s:s, s:b, s:I}", "digest", result.name.digest, "index",
			result.name.index, "changed", result.changed, "received",
			(json_int_t)result.received);
	return r;
}

static int do_push(
	const struct remote_request *q, struct store *store, json_t **ret, struct err *err)
{
	const struct push_options o = {
		.image = q->image, .all = q->all, .target = q->endpoints[0], .http = q->http};
	struct push_result result;
	int r = push_image(store, &o, &result, err);

	if (r == 0)
		*ret = json_pack("{s:s, s:i, s:i, s:i, s:I}", "digest", result.digest, "sent",
			(int)result.sent, "mounted", (int)result.mounted, "present",
			(int)result.present, "bytes", (json_int_t)result.bytes);
	return r;
}

static int show_item(void *context, const char *item, struct err *err)
{
	(void)context, (void)err;
	print_line("item", json_string(item));
	return 0;
}

static int do_look(const struct remote_request *q, json_t **ret, struct err *err)
{
	const struct pull_endpoint *e = &q->endpoints[0];
	autoregistry struct registry *registry = NULL;
	autohttp struct http_client *client = NULL;
	struct registry_options o = {.host = e->reference.registry,
		.repository = e->reference.repository,
		.insecure = e->insecure,
		.strict = e->strict,
		.credentials = e->credentials,
		.http = q->http};
	int r;

	o.http.files = e->files;
	r = registry_open(&o, &registry, err);
	if (r == 0)
		r = registry_client(registry, &client, err);
	if (r == 0 && q->op == REMOTE_LOGIN)
		r = registry_check(registry, client, err);
	else if (r == 0 && q->op == REMOTE_TAGS)
		r = registry_list_tags(registry, client, show_item, NULL, err);
	else if (r == 0)
		r = registry_list_repositories(registry, client, show_item, NULL, err);
	if (r == 0)
		*ret = json_object();
	return r;
}

int remote_perform(const struct remote_request *request, struct store *store)
{
	struct talk t = {.mutex = PTHREAD_MUTEX_INITIALIZER};
	struct remote_request q = *request;
	json_t *result = NULL;
	struct err err = {};
	int r;

	q.http.warn = warn;
	q.http.warn_context = &t;
	if (q.op == REMOTE_PULL)
		r = do_pull(&q, store, &t, &result, &err);
	else if (q.op == REMOTE_PUSH)
		r = do_push(&q, store, &result, &err);
	else
		r = do_look(&q, &result, &err);
	if (r < 0)
		remote_print_error(&err);
	else
		print_line("result", result);
	for (size_t i = 0; i < t.warning_count; i++)
		free(t.warnings[i]);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The downloads of a pull: chunks of parts, by a few threads, lowest layer first. */
#include "images/pull_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ATTEMPTS = 5 };

/* One chunk that is being fetched. */
struct fetch {
	struct pull *pull;
	struct pull_layer *layer;
	uint32_t chunk;
	uint64_t first, last;
	uint64_t skip; /* bytes before FIRST that a server without ranges sends */
	bool whole, started;
};

static void note_ranges(struct fetch *f)
{
	struct pull *p = f->pull;

	pthread_mutex_lock(&p->mutex);
	f->layer->ranges = f->whole ? RANGES_IGNORED : RANGES_TAKEN;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->mutex);
	f->skip = f->whole ? f->first : 0;
	f->started = true;
}

static int store_bytes(struct fetch *f, const char *data, size_t len, struct err *err)
{
	struct part *part = f->layer->part;

	while (len) {
		uint64_t room = part_chunk_missing(part, f->chunk);
		size_t n = len < room ? len : (size_t)room;
		int r;

		if (!room) {
			/* A whole answer runs on into the next chunk, as far as nobody has it. */
			if (!f->whole || !part_claim_next(part, f->chunk))
				return f->whole ? -ECANCELED
						: err_set(err, -EMSGSIZE,
							  "sends more than was asked for");
			part_release(part, f->chunk++);
			continue;
		}
		r = part_write(part, f->chunk, data, n, err);
		if (r < 0)
			return r;
		data += n;
		len -= n;
		__atomic_add_fetch(&f->pull->result->received, n, __ATOMIC_RELAXED);
	}
	pull_report(f->pull);
	return 0;
}

static int on_bytes(void *context, const void *data, size_t len, struct err *err)
{
	struct fetch *f = context;
	const char *bytes = data;
	uint64_t skip;

	if (!f->started)
		note_ranges(f);
	if (pull_has_failed(f->pull))
		return -ECANCELED;
	skip = f->skip < len ? f->skip : len;
	f->skip -= skip;
	return store_bytes(f, bytes + skip, len - (size_t)skip, err);
}

/* From the endpoint that had the manifest, then from the others: a mirror may lack a blob. */
static struct registry *nth_registry(struct pull *p, size_t n)
{
	return p->registries[(p->current + n) % p->options->endpoint_count];
}

static bool is_done(const struct fetch *f)
{
	return part_chunk_missing(f->layer->part, f->chunk) == 0;
}

static void wait_a_moment(int attempt)
{
	struct timespec t = {.tv_nsec = 100000000L << attempt};

	t.tv_sec = t.tv_nsec / 1000000000L;
	t.tv_nsec %= 1000000000L;
	nanosleep(&t, NULL);
}

/* Each try goes on where the last one ended. */
static int fetch_from(
	struct fetch *f, struct registry *registry, struct http_client *client, struct err *err)
{
	const struct spec_descriptor *blob = f->layer->blob;

	for (int attempt = 0;; attempt++) {
		uint64_t before = part_chunk_missing(f->layer->part, f->chunk);
		int r;

		f->first = (uint64_t)f->chunk * PART_CHUNK;
		f->last = f->first + PART_CHUNK < blob->size ? f->first + PART_CHUNK - 1
							     : blob->size - 1;
		f->first = f->last + 1 - before;
		f->started = false;
		err_clear(err);
		r = registry_get_blob(registry, client, blob->digest, f->first, f->last, blob->size,
			on_bytes, f, &f->whole, err);
		if (is_done(f) || pull_has_failed(f->pull))
			return 0;
		if (r == 0)
			r = err_set(err, -EPIPE, "%s: blob %.19s… ends too early",
				registry_name(registry), blob->digest);
		if (part_chunk_missing(f->layer->part, f->chunk) < before)
			attempt = 0; /* slow progress is progress */
		if (attempt >= ATTEMPTS - 1 ||
			(!http_is_transient(r, 0) && r != -EPROTO && r != -EBUSY))
			return r;
		wait_a_moment(attempt);
	}
}

static int fetch_chunk(struct fetch *f, struct http_client **clients, struct err *err)
{
	size_t count = f->pull->options->endpoint_count;
	int r = -ENOENT;

	for (size_t n = 0; n < count; n++) {
		struct registry *registry = nth_registry(f->pull, n);
		size_t slot = (f->pull->current + n) % count;

		if (!registry)
			continue;
		r = clients[slot] ? 0 : registry_client(registry, &clients[slot], err);
		if (r == 0)
			r = fetch_from(f, registry, clients[slot], err);
		if (r == 0 || r == -ENOSPC || r == -ENOMEM || r == -EIO)
			return r;
	}
	return r;
}

/*
 * The next chunk of the lowest layer that wants one. As long as it is not known whether the server
 * takes ranges, a layer is one thread's. NULL when nothing is left to be done, ever.
 */
static struct pull_layer *claim(struct pull *p, struct fetch *f)
{
	struct pull_layer *found = NULL;

	pthread_mutex_lock(&p->mutex);
	for (;;) {
		bool open = false;

		for (size_t i = p->first; i < p->count && !found && !p->error.code; i++) {
			struct pull_layer *l = &p->layers[i];
			uint64_t offset, len;
			int chunk;

			if (!l->part || l->unpacked)
				continue;
			open = true; /* it may be reset when its digest is wrong */
			if (l->active && l->ranges != RANGES_TAKEN)
				continue;
			chunk = part_claim(l->part, 0, &offset, &len);
			if (chunk < 0)
				continue;
			*f = (struct fetch){.pull = p, .layer = l, .chunk = (uint32_t)chunk};
			l->active++;
			found = l;
		}
		if (found || !open)
			break;
		pthread_cond_wait(&p->changed, &p->mutex);
	}
	pthread_mutex_unlock(&p->mutex);
	return found;
}

static void finish(struct pull *p, struct fetch *f)
{
	pthread_mutex_lock(&p->mutex);
	f->layer->active--;
	part_release(f->layer->part, f->chunk);
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->mutex);
}

void *pull_fetch_thread(void *arg)
{
	struct pull *p = arg;
	autofree struct http_client **clients =
		calloc(p->options->endpoint_count, sizeof(*clients));
	struct err err = {};
	struct fetch f;

	if (!clients) {
		err_sys(&err, -ENOMEM, "pull");
		pull_fail(p, &err);
		return NULL;
	}
	while (claim(p, &f)) {
		int r = fetch_chunk(&f, clients, &err);

		if (r < 0) {
			if (!err.code)
				err_sys(&err, r, "pull");
			pull_fail(p, &err);
		}
		finish(p, &f);
	}
	for (size_t i = 0; i < p->options->endpoint_count; i++)
		http_close(clients[i]);
	return NULL;
}

/* ---- small blobs ---- */

struct small {
	struct buf *ret;
	size_t max;
};

static int add_bytes(void *context, const void *data, size_t len, struct err *err)
{
	struct small *s = context;

	if (len > s->max - s->ret->len)
		return err_set(err, -EMSGSIZE, "sends more than was asked for");
	buf_add(s->ret, data, len);
	return s->ret->failed ? -ENOMEM : 0;
}

int pull_fetch_small(struct pull *p, struct http_client *client, const struct spec_descriptor *blob,
	size_t max, struct buf *ret, struct err *err)
{
	struct registry *registry = p->registries[p->current];
	struct small small = {.ret = ret, .max = (size_t)blob->size};
	struct digest have;
	bool whole;
	int r = -EPIPE;

	if (blob->size > max)
		return err_set(err, -EFBIG, "%s: blob %.19s… has %llu bytes, more than %zu",
			registry_name(registry), blob->digest, (unsigned long long)blob->size, max);
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		ret->len = 0;
		err_clear(err);
		r = blob->size ? registry_get_blob(registry, client, blob->digest, 0,
					 blob->size - 1, blob->size, add_bytes, &small, &whole, err)
			       : 0;
		if (r == 0 || !http_is_transient(r, 0))
			break;
		wait_a_moment(attempt);
	}
	if (r < 0)
		return r;
	if (ret->len != blob->size)
		return err_set(err, -EBADMSG, "%s: blob %.19s… has %zu bytes, not %llu",
			registry_name(registry), blob->digest, ret->len,
			(unsigned long long)blob->size);
	r = digest_of(buf_str(ret), ret->len, blob->digest, &have);
	if (r < 0)
		return err_sys(err, r, "%s", registry_name(registry));
	if (strcmp(have.text, blob->digest) != 0)
		return err_set(err, -EBADMSG, "%s: blob %s is %s", registry_name(registry),
			blob->digest, have.text);
	return 0;
}

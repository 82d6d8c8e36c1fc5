/* SPDX-License-Identifier: Apache-2.0 */
#include "images/pull_private.h"

#include "base/sys.h"
#include "images/helper.h"

#include <stdio.h>
#include <string.h>

enum { CONNECTIONS = 6, UNPACKERS_MAX = 4, INDEX_DEPTH_MAX = 3 };

void pull_fail(struct pull *p, const struct err *err)
{
	pthread_mutex_lock(&p->mutex);
	if (!p->error.code)
		p->error = *err;
	for (size_t i = p->first; i < p->count; i++)
		if (p->layers[i].part)
			part_fail(p->layers[i].part, err);
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->mutex);
}

bool pull_has_failed(struct pull *p)
{
	bool failed;

	pthread_mutex_lock(&p->mutex);
	failed = p->error.code != 0;
	pthread_mutex_unlock(&p->mutex);
	return failed;
}

void pull_report(struct pull *p)
{
	struct pull_progress now = {.layers = (uint32_t)p->count};

	if (!p->options->progress)
		return;
	pthread_mutex_lock(&p->mutex);
	for (size_t i = 0; i < p->count; i++) {
		const struct pull_layer *l = &p->layers[i];

		now.layers_done += i < p->first || l->unpacked;
		if (i >= p->first && l->part) {
			now.total += l->blob->size;
			now.bytes += part_present(l->part);
		}
	}
	p->options->progress(p->options->context, &now);
	pthread_mutex_unlock(&p->mutex);
}

/* ---- documents ---- */

static int open_endpoint(struct pull *p, size_t i, struct http_client **ret, struct err *err)
{
	const struct pull_endpoint *e = &p->options->endpoints[i];
	static const struct auth_options default_auth;
	struct auth_credentials credentials;
	struct registry_options o = {
		.host = e->reference.registry,
		.repository = e->reference.repository,
		.insecure = e->insecure,
		.strict = e->strict,
		.credentials = &credentials,
		.http = p->options->http,
	};
	int r = 0;

	if (e->files.ca || e->files.cert)
		o.http.files = e->files;
	if (e->credentials)
		credentials = *e->credentials;
	else
		r = auth_find(p->options->auth ? p->options->auth : &default_auth, &e->reference,
			&credentials, err);
	if (r == 0)
		r = registry_open(&o, &p->registries[i], err);
	if (r == 0)
		r = registry_client(p->registries[i], ret, err);
	explicit_bzero(&credentials, sizeof(credentials));
	return r;
}

struct document {
	struct buf text, type;
	struct digest digest;
};

static void document_free(struct document *d)
{
	buf_free(&d->text);
	buf_free(&d->type);
}
CLEANUP_DEFINE(fetched, struct document, document_free)
#define autofetched __attribute__((cleanup(cleanup_fetched)))

/* The first endpoint that has the image decides; what the others said is kept for the user. */
static int get_top_document(
	struct pull *p, struct document *d, struct http_client **ret_client, struct err *err)
{
	int r = -ENOENT;

	for (size_t i = 0; i < p->options->endpoint_count; i++) {
		const struct reference *ref = &p->options->endpoints[i].reference;
		autohttp struct http_client *client = NULL;

		if (p->options->endpoints[i].by_digest_only && !*ref->digest)
			continue;
		err_clear(err);
		r = open_endpoint(p, i, &client, err);
		if (r == 0)
			r = registry_get_document(p->registries[i], client,
				*ref->digest ? ref->digest : ref->tag, &d->text, &d->type,
				&d->digest, err);
		if (r == 0) {
			p->current = i;
			*ret_client = take_ptr(client);
			return 0;
		}
		d->text.len = d->type.len = 0;
	}
	return err->code ? r : err_set(err, -ENOENT, "no registry to pull from");
}

static int choose_platform(struct pull *p, const struct spec_image_document *index,
	const struct spec_descriptor **ret, struct err *err)
{
	autoarena struct arena arena = {};
	struct spec_platform platform;
	int r = spec_platform_parse(p->options->platform, &arena, &platform, err);

	return r < 0 ? r : spec_image_select(index, &platform, ret, err);
}

static int get_by_digest(struct pull *p, struct http_client *client,
	const struct spec_descriptor *want, struct document *d, struct err *err)
{
	int r;

	d->text.len = d->type.len = 0;
	if (want->size > SPEC_DOCUMENT_MAX)
		return err_set(err, -EFBIG, "manifest %.19s… is larger than %d bytes", want->digest,
			SPEC_DOCUMENT_MAX);
	strcpy(d->digest.text, want->digest);
	if (store_blob_exists(p->store, want->digest)) {
		buf_puts(&d->type, want->media_type);
		return store_blob_read(p->store, want->digest, SPEC_DOCUMENT_MAX, &d->text, err);
	}
	r = registry_get_document(p->registries[p->current], client, want->digest, &d->text,
		&d->type, &d->digest, err);
	if (r == 0 && d->text.len != want->size)
		return err_set(err, -EBADMSG, "manifest %.19s… has %zu bytes, not %llu",
			want->digest, d->text.len, (unsigned long long)want->size);
	return r;
}

/* From the index, if it is one, to the image manifest. All of them are kept. */
static int get_manifest(struct pull *p, struct http_client **client, struct err *err)
{
	autofetched struct document d = {};
	int r = get_top_document(p, &d, client, err);

	for (int depth = 0; r == 0; depth++) {
		autodocument struct spec_image_document *document = NULL;
		const struct spec_descriptor *next;

		r = spec_image_document_parse(registry_name(p->registries[p->current]),
			buf_str(&d.type), buf_str(&d.text), d.text.len, &document, err);
		if (r == 0)
			r = store_blob_put(p->store, d.digest.text, d.text.data, d.text.len, err);
		if (r < 0)
			return r;
		if (document->kind == SPEC_DOCUMENT_MANIFEST) {
			p->manifest = take_ptr(document);
			strcpy(p->result->name.digest, d.digest.text);
			return 0;
		}
		if (depth == 0)
			strcpy(p->result->name.index, d.digest.text);
		if (depth == INDEX_DEPTH_MAX)
			return err_set(err, -ELOOP, "an index in an index, too often");
		r = choose_platform(p, document, &next, err);
		if (r < 0)
			return err_add(err, "%s", registry_name(p->registries[p->current]));
		r = get_by_digest(p, *client, next, &d, err);
	}
	return r;
}

static int check_artifact(const struct spec_image_document *m, struct err *err)
{
	if (strcmp(m->config->media_type, SPEC_MEDIA_OCI_CONFIG) != 0 &&
		strcmp(m->config->media_type, SPEC_MEDIA_DOCKER_CONFIG) != 0)
		return err_set(err, -EOPNOTSUPP, "is no container image but a %.100s",
			m->artifact_type ? m->artifact_type : m->config->media_type);
	for (size_t i = 0; i < m->layers.count; i++)
		if (!spec_media_is_layer(m->layers.items[i].media_type))
			return err_set(err, -EOPNOTSUPP, "layer %zu is a %.100s, no file system",
				i + 1, m->layers.items[i].media_type);
	return 0;
}

static int get_config(struct pull *p, struct http_client *client, struct err *err)
{
	const struct spec_descriptor *want = p->manifest->config;
	autobuf struct buf text = {};
	int r = check_artifact(p->manifest, err);

	if (r == 0 && store_blob_exists(p->store, want->digest))
		r = store_blob_read(p->store, want->digest, SPEC_DOCUMENT_MAX, &text, err);
	else if (r == 0)
		r = pull_fetch_small(p, client, want, SPEC_DOCUMENT_MAX, &text, err);
	if (r == 0)
		r = spec_image_config_parse(
			"image config", buf_str(&text), text.len, &p->config, err);
	if (r == 0 && p->config->diff_ids.count != p->manifest->layers.count)
		r = err_set(err, -EINVAL, "the config has %zu layers, the manifest %zu",
			p->config->diff_ids.count, p->manifest->layers.count);
	if (r == 0)
		r = store_blob_put(p->store, want->digest, buf_str(&text), text.len, err);
	return r;
}

/* ---- layers ---- */

static int plan_layers(struct pull *p, struct err *err)
{
	p->count = p->manifest->layers.count;
	p->layers = calloc(p->count + 1, sizeof(*p->layers));
	if (!p->layers)
		return err_sys(err, -ENOMEM, "pull");
	for (size_t i = 0; i < p->count; i++)
		p->layers[i].stage = -1;
	for (size_t i = 0; i < p->count; i++) {
		struct pull_layer *l = &p->layers[i];
		int r;

		l->blob = &p->manifest->layers.items[i];
		l->diff_id = p->config->diff_ids.items[i];
		r = digest_chain(i ? l[-1].chain.text : NULL, l->diff_id, &l->chain);
		if (r < 0)
			return err_sys(err, r, "pull");
		for (size_t j = p->first; j < i && !l->twin; j++)
			if (strcmp(p->layers[j].blob->digest, l->blob->digest) == 0)
				l->twin = &p->layers[j];
		/* From the bottom up: a collection that was killed may have left a layer without
		 * those below it. */
		if (p->first == i && store_layer_exists(p->store, l->chain.text)) {
			p->first = i + 1;
			l->twin = NULL;
		}
	}
	for (size_t i = p->first; i < p->count; i++)
		if (p->layers[i].twin && p->layers[i].twin < &p->layers[p->first])
			p->layers[i].twin = NULL;
	return 0;
}

static int by_digest(const void *a, const void *b)
{
	const struct pull_layer *const *x = a, *const *y = b;

	return strcmp((*x)->blob->digest, (*y)->blob->digest);
}

/*
 * Parts are locked in the order of their digests, whatever the order of the layers: two pulls that
 * need the same blobs can then only wait for each other in one direction.
 */
static int open_parts(struct pull *p, struct err *err)
{
	autofree struct pull_layer **sorted = calloc(p->count + 1, sizeof(struct pull_layer *));
	size_t count = 0;
	int r = 0;

	if (!sorted)
		return err_sys(err, -ENOMEM, "pull");
	for (size_t i = p->first; i < p->count; i++)
		sorted[count++] = &p->layers[i];
	qsort(sorted, count, sizeof(*sorted), by_digest);
	for (size_t i = 0; i < count && r == 0; i++) {
		struct pull_layer *l = sorted[i];

		/* The first of equal blobs is the one with the part; which one that is qsort(3)
		 * does not say, the layers' order does. */
		if (l->twin)
			continue;
		r = part_open(p->store, l->blob->digest, l->blob->size, &l->part, err);
		if (r == -EEXIST)
			r = 0;
	}
	return r;
}

static int start_threads(struct pull *p, struct err *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int fetchers = p->options->connections ? p->options->connections : CONNECTIONS;
	int unpackers = p->options->unpackers  ? p->options->unpackers
			: cpus > UNPACKERS_MAX ? UNPACKERS_MAX
					       : (int)(cpus > 0 ? cpus : 1);
	autofree pthread_t *threads = calloc((size_t)(fetchers + unpackers), sizeof(*threads));
	int count = 0;

	if (!threads)
		return err_sys(err, -ENOMEM, "pull");
	p->next = p->first;
	for (int i = 0; i < fetchers + unpackers; i++) {
		if (pthread_create(&threads[count], NULL,
			    i < unpackers ? pull_unpack_thread : pull_fetch_thread, p)) {
			struct err none = {};

			err_set(&none, -EAGAIN, "pull: no threads");
			pull_fail(p, &none);
			break;
		}
		count++;
	}
	while (count)
		pthread_join(threads[--count], NULL);
	if (p->error.code)
		*err = p->error;
	return p->error.code;
}

/* What was staged and is not wanted goes; what was downloaded stays for the next try. */
static void abandon_layers(struct pull *p)
{
	for (size_t i = p->first; i < p->count; i++) {
		struct pull_layer *l = &p->layers[i];

		if (l->stage >= 0 && !l->committed)
			store_layer_abandon(p->store, l->chain.text);
		cleanup_close(&l->stage);
	}
}

static int commit_blobs(struct pull *p, struct err *err)
{
	int r = 0;

	for (size_t i = p->first; i < p->count && r == 0; i++)
		if (p->layers[i].part && p->layers[i].fetched)
			r = part_commit(p->layers[i].part, err);
	return r;
}

/* Waiting for the disk would take longer than all the rest. */
static int defer_sync(struct pull *p, struct err *err)
{
	size_t count = p->count - p->first;
	autofree const char **digests = calloc(2 * count, sizeof(*digests));
	struct store_deferral what = {.layers = digests,
		.layer_count = count,
		.blobs = digests + count,
		.blob_count = count};

	if (!digests)
		return err_sys(err, -ENOMEM, "pull");
	for (size_t i = 0; i < count; i++) {
		digests[i] = p->layers[p->first + i].chain.text;
		digests[count + i] = p->layers[p->first + i].blob->digest;
	}
	return store_defer(p->store, &what, err);
}

static int get_layers(struct pull *p, struct err *err)
{
	int r = plan_layers(p, err);

	if (r < 0 || p->first == p->count)
		return r;
	r = open_parts(p, err);
	if (r == 0)
		r = defer_sync(p, err);
	if (r == 0)
		r = start_threads(p, err);
	if (r == 0) {
		r = pull_commit_layers(p, p->count, err);
		if (r == 0)
			r = commit_blobs(p, err);
	}
	abandon_layers(p);
	return r;
}

/* ---- the whole ---- */

static void free_pull(struct pull *p)
{
	for (size_t i = 0; i < p->count && p->layers; i++) {
		cleanup_close(&p->layers[i].stage);
		part_close(p->layers[i].part);
	}
	for (size_t i = 0; p->registries && i < p->options->endpoint_count; i++)
		registry_close(p->registries[i]);
	free(p->registries);
	free(p->layers);
	spec_image_document_free(p->manifest);
	spec_image_config_free(p->config);
	pthread_mutex_destroy(&p->mutex);
	pthread_cond_destroy(&p->changed);
}

static int set_name(struct pull *p, struct err *err)
{
	struct store_name *name = &p->result->name;
	struct store_name before;
	struct err ignored = {};

	name->reference = p->options->reference;
	p->result->changed = store_name_get(p->store, &name->reference, &before, &ignored) < 0 ||
			     strcmp(before.digest, name->digest) != 0;
	if (!p->result->changed && strcmp(before.index, name->index) == 0) {
		*name = before;
		return 0;
	}
	return store_name_set(p->store, name, err);
}

int pull_image(
	struct store *store, const struct pull_options *o, struct pull_result *ret, struct err *err)
{
	struct pull_result result = {};
	struct pull p = {.store = store, .options = o, .result = &result};
	autohttp struct http_client *client = NULL;
	autoclose int hold = store_hold(store, err);
	int r;

	if (hold < 0)
		return hold;
	pthread_mutex_init(&p.mutex, NULL);
	pthread_cond_init(&p.changed, NULL);
	p.registries = calloc(o->endpoint_count + 1, sizeof(struct registry *));
	r = p.registries ? helper_prepare(store, err) : err_sys(err, -ENOMEM, "pull");
	if (r == 0)
		r = get_manifest(&p, &client, err);
	if (r == 0)
		r = get_config(&p, client, err);
	if (r == 0)
		r = get_layers(&p, err);
	if (r == 0)
		r = set_name(&p, err);
	free_pull(&p);
	if (r == 0)
		*ret = result;
	return r;
}

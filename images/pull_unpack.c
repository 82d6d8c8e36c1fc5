/* SPDX-License-Identifier: Apache-2.0 */
/* The unpacking of a pull: layers side by side, put in place in order. */
#include "images/pull_private.h"

#include <string.h>

struct unpack {
	struct pull *pull;
	size_t index;
};

/* Called when a layer needs to see those below it: they are put in place now, not at the end. */
static int wait_parent(void *context, struct err *err)
{
	struct unpack *u = context;
	struct pull *p = u->pull;
	bool ready = false;

	pthread_mutex_lock(&p->mutex);
	while (!ready && !p->error.code) {
		ready = true;
		for (size_t i = p->first; i < u->index; i++)
			ready &= p->layers[i].unpacked;
		if (!ready)
			pthread_cond_wait(&p->changed, &p->mutex);
	}
	if (!ready)
		*err = p->error;
	pthread_mutex_unlock(&p->mutex);
	return ready ? pull_commit_layers(p, u->index, err) : err->code;
}

int pull_commit_layers(struct pull *p, size_t end, struct err *err)
{
	int r = store_sync(p->store, err);

	pthread_mutex_lock(&p->mutex);
	for (size_t i = p->first; r == 0 && i < end; i++) {
		struct pull_layer *l = &p->layers[i];

		if (l->committed)
			continue;
		/* Found in the store, or put there by another pull: its lock told us. */
		if (l->stage >= 0)
			r = store_layer_commit(p->store, l->chain.text, err);
		l->committed = r == 0;
	}
	pthread_mutex_unlock(&p->mutex);
	return r;
}

static int try_unpack(struct pull *p, size_t index, struct layer_result *result, struct err *err)
{
	struct pull_layer *l = &p->layers[index];
	struct part *part = l->part ? l->part : l->twin ? l->twin->part : NULL;
	struct unpack context = {p, index};
	autofree const char **parents = calloc(index + 1, sizeof(*parents));
	struct layer_source source = {
		.part = part,
		.blob = l->blob->digest,
		.diff_id = l->diff_id,
		.limits = p->options->limits,
		.devices = p->options->devices,
	};

	*result = (struct layer_result){.stage = -1};
	if (!parents)
		return err_sys(err, -ENOMEM, "pull");
	for (size_t i = 0; i < index; i++)
		parents[i] = p->layers[index - 1 - i].chain.text;
	return layer_unpack(p->store, &source, l->chain.text, parents, index, wait_parent, &context,
		result, err);
}

/* A part that an earlier try began may be wrong through no fault of today's server. */
static bool may_retry(struct pull *p, struct pull_layer *l, const struct layer_result *result)
{
	bool again = result->blob_wrong && l->part && part_was_resumed(l->part) && !l->retried;

	if (!result->blob_wrong || !l->part)
		return false;
	pthread_mutex_lock(&p->mutex);
	while (l->active) /* nobody writes any more: every byte is there */
		pthread_cond_wait(&p->changed, &p->mutex);
	again &= !p->error.code; /* else the reset part would be waited for in vain */
	part_reset(l->part);
	l->retried = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->mutex);
	return again;
}

static int unpack_layer(struct pull *p, size_t index, struct err *err)
{
	struct pull_layer *l = &p->layers[index];
	struct layer_result result;
	int r;

	do {
		err_clear(err);
		r = try_unpack(p, index, &result, err);
	} while (r < 0 && may_retry(p, l, &result));
	if (r == -EEXIST) /* another pull was faster */
		r = 0;
	if (r < 0)
		return err_add(err, "layer %zu of %zu", index + 1, p->count);
	pthread_mutex_lock(&p->mutex);
	l->fetched = result.blob_correct;
	l->stage = result.stage;
	l->unpacked = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->mutex);
	pull_report(p);
	return 0;
}

void *pull_unpack_thread(void *arg)
{
	struct pull *p = arg;

	for (;;) {
		struct err err = {};
		size_t index;

		pthread_mutex_lock(&p->mutex);
		index = p->error.code ? p->count : p->next;
		if (index < p->count)
			p->next++;
		pthread_mutex_unlock(&p->mutex);
		if (index >= p->count)
			return NULL;
		if (unpack_layer(p, index, &err) < 0)
			pull_fail(p, &err);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/ingest.h"

#include "base/fd.h"
#include "base/sys.h"
#include "images/helper.h"
#include "images/layer.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 1 << 20 };

/* ---- a blob from a file ---- */

static const char *layer_type(const unsigned char *p, size_t len)
{
	if (len >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		return SPEC_MEDIA_OCI_LAYER "+gzip";
	if (len >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
		return SPEC_MEDIA_OCI_LAYER "+zstd";
	return SPEC_MEDIA_OCI_LAYER;
}

struct ingest {
	struct store *store;
	int fd;
	char name[64];
	struct digest_state state;
	uint64_t size, max;
};

static int ingest_begin(struct ingest *in, struct store *store, const char *like, struct err *err)
{
	int r = digest_begin(&in->state, like);

	in->store = store;
	snprintf(in->name, sizeof(in->name), "parts/.in-%d-%d", getpid(), gettid());
	in->fd = sys_openat(
		store_root(store), in->name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
	if (r < 0 || in->fd < 0)
		return err_sys(err, r < 0 ? r : in->fd, "store: new blob");
	return 0;
}

static int ingest_add(struct ingest *in, const void *data, size_t len, struct err *err)
{
	int r;

	if (len > in->max - in->size)
		return err_set(err, -EFBIG, "a blob has more than %llu bytes",
			(unsigned long long)in->max);
	in->size += len;
	digest_add(&in->state, data, len);
	r = fd_write_all(in->fd, data, len);
	return r < 0 ? err_sys(err, r, "store: new blob") : 0;
}

static int ingest_end(struct ingest *in, const char *want, struct digest *ret, struct err *err)
{
	int r = digest_end(&in->state, ret);

	if (r < 0)
		return err_sys(err, r, "store: new blob");
	if (want && strcmp(want, ret->text) != 0)
		return err_set(err, -EBADMSG, "the content is %s, not %s", ret->text, want);
	if (store_blob_exists(in->store, ret->text))
		return 0; /* the other copy goes with ingest_free() */
	r = store_sync_file(in->store, in->fd);
	if (r < 0)
		return err_sys(err, r, "store: new blob");
	return store_blob_adopt(in->store, store_root(in->store), in->name, ret->text, err);
}

static void ingest_free(struct ingest *in)
{
	if (in->fd >= 0)
		sys_unlinkat(store_root(in->store), in->name, 0);
	cleanup_close(&in->fd);
	digest_free(&in->state);
}
CLEANUP_DEFINE(ingest, struct ingest, ingest_free)
#define autoingest __attribute__((cleanup(cleanup_ingest)))

int ingest_blob(struct store *store, int fd, const char *want, uint64_t max, struct digest *ret,
	uint64_t *ret_size, const char **ret_type, struct err *err)
{
	autoingest struct ingest in = {.fd = -1, .max = max};
	autofree unsigned char *buffer = malloc(CHUNK);
	const char *type = SPEC_MEDIA_OCI_LAYER;
	struct digest digest;
	bool first = true;
	ssize_t n;
	int r = ingest_begin(&in, store, want, err);

	if (r == 0 && !buffer)
		r = err_sys(err, -ENOMEM, "store: new blob");
	while (r == 0 && (n = sys_read(fd, buffer, CHUNK)) != 0) {
		if (n < 0)
			return err_sys(err, (int)n, "read");
		if (first)
			type = layer_type(buffer, (size_t)n);
		first = false;
		r = ingest_add(&in, buffer, (size_t)n, err);
	}
	if (r == 0)
		r = ingest_end(&in, want, &digest, err);
	if (r < 0)
		return r;
	if (ret)
		*ret = digest;
	if (ret_size)
		*ret_size = in.size;
	if (ret_type)
		*ret_type = type;
	return 0;
}

/* ---- layers ---- */

static int unpack_one(struct store *store, const struct image *image, size_t index, struct err *err)
{
	autofree const char **parents = calloc(index + 1, sizeof(*parents));
	const struct layer_source source = {
		.blob = image->manifest->layers.items[index].digest,
		.diff_id = image->config->diff_ids.items[index],
	};
	const char *chain = image->chains[index].text;
	struct layer_result result;
	int r;

	if (!parents)
		return err_sys(err, -ENOMEM, "layer");
	if (store_layer_exists(store, chain))
		return 0;
	for (size_t i = 0; i < index; i++)
		parents[i] = image->chains[index - 1 - i].text;
	r = layer_unpack(store, &source, chain, parents, index, NULL, NULL, &result, err);
	if (r == -EEXIST)
		return 0;
	if (r == 0)
		r = store_sync(store, err);
	if (r == 0)
		r = store_layer_commit(store, chain, err);
	cleanup_close(&result.stage);
	return r < 0 ? err_add(err, "layer %zu", index + 1) : 0;
}

/* All that are not there yet at once, which is one wait for the disk instead of one for each. */
static int defer_layers(struct store *store, const struct image *image, struct err *err)
{
	size_t count = image->config->diff_ids.count;
	autofree const char **chains = calloc(count + 1, sizeof(*chains));
	struct store_deferral what = {.layers = chains};

	if (!chains)
		return err_sys(err, -ENOMEM, "layers");
	for (size_t i = 0; i < count; i++)
		if (!store_layer_exists(store, image->chains[i].text))
			chains[what.layer_count++] = image->chains[i].text;
	return store_defer_more(store, &what, err);
}

int ingest_layers(struct store *store, const struct image *image, struct err *err)
{
	int r = helper_prepare(store, err);

	if (r == 0)
		r = defer_layers(store, image, err);
	for (size_t i = 0; r == 0 && i < image->config->diff_ids.count; i++)
		r = unpack_one(store, image, i, err);
	return r;
}

int ingest_extract(struct store *store, int input, int dirfd, struct err *err)
{
	int r = helper_prepare(store, err);

	return r < 0 ? r : layer_extract_archive(store, input, dirfd, err);
}

/* ---- packing ---- */

/* From the packer to the compressor, hashed on the way. A thread's main function. */
struct pump {
	int from, to; /* .to is closed at the end */
	struct digest_state diff;
	struct err err;
};

static void *pump(void *context)
{
	struct pump *p = context;
	autofree char *buffer = malloc(CHUNK);
	ssize_t n = buffer ? 1 : -ENOMEM;
	int r = 0;

	while (n > 0 && r == 0) {
		n = sys_read(p->from, buffer, CHUNK);
		if (n > 0) {
			digest_add(&p->diff, buffer, (size_t)n);
			r = fd_write_all(p->to, buffer, (size_t)n);
		}
	}
	if (n < 0 || r < 0)
		err_sys(&p->err, n < 0 ? (int)n : r, "pack");
	cleanup_close(&p->to);
	cleanup_close(&p->from);
	return NULL;
}

static int take_compressed(struct ingest *in, int fd, struct err *err)
{
	autofree char *buffer = malloc(CHUNK);
	ssize_t n = 1;
	int r = buffer ? 0 : err_sys(err, -ENOMEM, "pack");

	while (r == 0 && n > 0) {
		n = sys_read(fd, buffer, CHUNK);
		r = n < 0 ? err_sys(err, (int)n, "read from brig-unpack")
			  : ingest_add(in, buffer, (size_t)n, err);
	}
	return r;
}

/* Lets TAR run through the compressor into IN. Both ends of the pipes are closed when it returns.
 */
static int compress_stream(struct store *store, int tar, struct ingest *in,
	struct digest *ret_diff_id, struct err *err)
{
	const struct unpack_request request = {
		.role = UNPACK_DEFLATE, .limits = helper_default_limits};
	autohelper struct helper helper = HELPER_NONE;
	struct pump p = {.from = tar, .to = -1};
	autoclose int feed = -1, out = -1, compressed = -1;
	struct unpack_reply reply;
	int fds[2], r = digest_begin(&p.diff, NULL);
	pthread_t thread;

	if (r == 0)
		r = sys_pipe(fds);
	if (r == 0) {
		feed = fds[0], p.to = fds[1];
		r = sys_pipe(fds);
	}
	if (r == 0) {
		compressed = fds[0], out = fds[1];
		r = helper_start(store, &request, -1, feed, out, &helper, err);
	}
	cleanup_close(&feed);
	cleanup_close(&out);
	if (r == 0 && pthread_create(&thread, NULL, pump, &p) != 0)
		r = -EAGAIN;
	if (r < 0) {
		cleanup_close(&p.from);
		cleanup_close(&p.to);
		digest_free(&p.diff);
		return err->code ? r : err_sys(err, r, "pack");
	}
	r = take_compressed(in, compressed, err);
	cleanup_close(&compressed); /* or the compressor would wait for us for ever */
	if (r == 0)
		r = helper_wait(&helper, &reply, err);
	else
		helper_kill(&helper);
	pthread_join(thread, NULL);
	if (r == 0 && p.err.code) {
		*err = p.err;
		r = err->code;
	}
	if (r == 0)
		return digest_end(&p.diff, ret_diff_id);
	digest_free(&p.diff);
	return r;
}

int ingest_pack(struct store *store, int dirfd, struct digest *ret_blob, struct digest *ret_diff_id,
	uint64_t *ret_size, struct err *err)
{
	const struct unpack_request request = {
		.role = UNPACK_PACK, .format = UNPACK_LAYER, .limits = helper_default_limits};
	autoingest struct ingest in = {.fd = -1, .max = UINT64_MAX};
	autohelper struct helper helper = HELPER_NONE;
	autoclose int tar = -1, out = -1;
	struct unpack_reply reply;
	int fds[2], r = helper_prepare(store, err);

	if (r == 0)
		r = ingest_begin(&in, store, NULL, err);
	if (r < 0)
		return r;
	r = sys_pipe(fds);
	if (r < 0)
		return err_sys(err, r, "pack");
	tar = fds[0], out = fds[1];
	r = helper_start(store, &request, dirfd, -1, out, &helper, err);
	cleanup_close(&out);
	if (r == 0)
		r = compress_stream(store, take_fd(&tar), &in, ret_diff_id, err);
	if (r == 0)
		r = helper_wait(&helper, &reply, err);
	if (r == 0)
		r = ingest_end(&in, NULL, ret_blob, err);
	*ret_size = in.size;
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/layer.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "images/digest.h"
#include "images/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 1 << 20 };

/* What one unpacking shares between its threads. */
struct flow {
	struct store *store;
	const struct layer_source *source;
	int blob;                 /* when there is no part */
	bool archive;             /* the blob has no digest, and is read, not sought in */
	int feed, inflated, sink; /* pipe ends: to the inflater, from it, to the extractor */
	bool fed;                 /* the feeder came to an end */
	struct err feed_err, relay_err;
	struct digest diff_id;
};

/* ---- threads ---- */

static ssize_t next_bytes(struct flow *f, char *buffer, uint64_t offset, struct err *err)
{
	struct part *part = f->source->part;
	int64_t ready = CHUNK;
	ssize_t n;

	if (part) {
		ready = part_wait(part, offset, err);
		if (ready <= 0)
			return (ssize_t)ready;
	}
	if (ready > CHUNK)
		ready = CHUNK;
	if (part)
		n = part_read(part, buffer, (size_t)ready, offset);
	else if (f->archive)
		n = sys_read(f->blob, buffer, CHUNK);
	else
		n = sys_pread(f->blob, buffer, CHUNK, (off_t)offset);
	if (n < 0)
		return err_sys(err, (int)n, "read the blob");
	if (n == 0 && part)
		return err_set(err, -EBADMSG, "the blob is shorter than it was");
	return n;
}

/*
 * Reads the blob in order as it comes in, hashes it and feeds it to the jail. Goes on hashing when
 * the jail hangs up: a wrong digest explains a broken stream, not the other way round.
 */
static int feed(struct flow *f)
{
	const char *digest = f->source->part ? part_digest(f->source->part) : f->source->blob;
	autodigest struct digest_state state = {};
	autofree char *buffer = malloc(CHUNK);
	struct err *err = &f->feed_err;
	uint64_t offset = 0;
	ssize_t n;
	int r = digest_begin(&state, digest);

	if (r < 0 || !buffer)
		return err_sys(err, r < 0 ? r : -ENOMEM, "hash the blob");
	while ((n = next_bytes(f, buffer, offset, err)) > 0) {
		digest_add(&state, buffer, (size_t)n);
		offset += (uint64_t)n;
		if (f->feed >= 0 && fd_write_all(f->feed, buffer, (size_t)n) < 0)
			cleanup_close(&f->feed);
	}
	if (n < 0)
		return (int)n;
	if (f->archive)
		return 0;
	r = digest_verify(&state, digest, err);
	return r < 0 ? err_add(err, "blob %.19s…", digest) : 0;
}

/* A jail that hangs up is an error of write(2), not a signal. */
static void block_sigpipe(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *feed_thread(void *arg)
{
	struct flow *f = arg;

	block_sigpipe();

	f->feed_err.code = feed(f);
	f->fed = true;
	cleanup_close(&f->feed); /* end of input for the jail */
	return NULL;
}

/* What comes out of the inflater, hashed on its way to the extractor. */
static int relay(struct flow *f)
{
	autodigest struct digest_state state = {};
	autofree char *buffer = malloc(CHUNK);
	struct err *err = &f->relay_err;
	ssize_t n;
	int r = digest_begin(&state, f->source->diff_id);

	if (r < 0 || !buffer)
		return err_sys(err, r < 0 ? r : -ENOMEM, "hash the layer");
	while ((n = sys_read(f->inflated, buffer, CHUNK)) > 0) {
		if (f->sink >= 0 && fd_write_all(f->sink, buffer, (size_t)n) < 0)
			cleanup_close(&f->sink);
		digest_add(&state, buffer, (size_t)n);
	}
	if (n < 0)
		return err_sys(err, (int)n, "read from brig-unpack");
	r = digest_end(&state, &f->diff_id);
	if (r < 0)
		return err_sys(err, r, "hash the layer");
	if (f->source->diff_id && strcmp(f->diff_id.text, f->source->diff_id) != 0)
		return err_set(err, -EBADMSG, "the layer is %s, but the config says %s",
			f->diff_id.text, f->source->diff_id);
	return 0;
}

static void *relay_thread(void *arg)
{
	struct flow *f = arg;

	block_sigpipe();

	f->relay_err.code = relay(f);
	cleanup_close(&f->sink);
	return NULL;
}

/* ---- the flow ---- */

static int make_pipe(int *ret_read, int *ret_write, struct err *err)
{
	int fds[2];
	int r = sys_pipe(fds);

	if (r < 0)
		return err_sys(err, r, "pipe");
	*ret_read = fds[0];
	*ret_write = fds[1];
	/* Fewer switches between the processes; the default is only slower. */
	(void)fcntl(fds[1], F_SETPIPE_SZ, CHUNK);
	return 0;
}

static int start_inflater(struct flow *f, struct helper *ret, struct err *err)
{
	struct unpack_request request = {.role = UNPACK_INFLATE,
		.limits = f->source->limits ? *f->source->limits : helper_default_limits};
	autoclose int in = -1, out = -1;
	int r = make_pipe(&in, &f->feed, err);

	if (r == 0)
		r = make_pipe(&f->inflated, &out, err);
	if (r == 0)
		r = helper_start(f->store, &request, -1, in, out, ret, err);
	return r;
}

static int start_extractor(struct flow *f, int dirfd, struct helper *ret, struct err *err)
{
	struct unpack_request request = {.role = UNPACK_EXTRACT,
		.format = UNPACK_LAYER,
		.devices = f->source->devices,
		.limits = f->source->limits ? *f->source->limits : helper_default_limits};
	autoclose int in = -1;
	int r = make_pipe(&in, &f->sink, err);

	return r < 0 ? r : helper_start(f->store, &request, dirfd, in, -1, ret, err);
}

struct parents {
	const char *const *chains;
	size_t count;
	layer_wait_parent *wait;
	void *context;
};

static int answer_lowers(
	struct store *store, struct helper *h, const struct parents *p, struct err *err)
{
	autofree struct unpack_lowers *lowers = calloc(1, sizeof(*lowers));
	autoclose int layers =
		sys_openat(store_root(store), "layers", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	int r = p && p->count && p->wait ? p->wait(p->context, err) : 0;

	if (r < 0)
		return r;
	if (!lowers || layers < 0)
		return err_sys(err, lowers ? layers : -ENOMEM, "lower layers");
	for (size_t i = 0; p && i < p->count && i < UNPACK_CHAINS_MAX; i++)
		snprintf(lowers->chains[lowers->count++], sizeof(lowers->chains[0]), "%.64s",
			digest_hex(p->chains[i]));
	r = helper_send_lowers(h, layers, lowers);
	return r < 0 ? err_sys(err, r, "lower layers") : 0;
}

/* Until the extractor's last word, giving it what it asks for. */
static int attend(
	struct store *store, struct helper *h, const struct parents *parents, struct err *err)
{
	struct unpack_reply reply;
	int r;

	while ((r = helper_next(h, &reply, err)) == UNPACK_NEED_LOWERS) {
		r = answer_lowers(store, h, parents, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (reply.error.code < 0)
		*err = reply.error;
	return reply.error.code;
}

/*
 * Which of several errors to tell: the blob's own (download, digest) comes first, since it explains
 * the others; then what the jails said; last that the layer is another than promised.
 */
static int first_error(const struct flow *f, const struct err *inflater,
	const struct err *extractor, struct err *err)
{
	const struct err *all[] = {&f->feed_err, inflater, extractor, &f->relay_err};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i]->code < 0) {
			*err = *all[i];
			return err->code;
		}
	}
	return 0;
}

/*
 * After the extractor gave up. When that was for want of input, the inflater has said why before it
 * ended; otherwise what it still inflates is of no use to anybody.
 */
static void stop_inflater(struct helper *h, struct err *err)
{
	struct pollfd said = {.fd = h->control, .events = POLLIN};
	struct unpack_reply reply;

	if (sys_poll(&said, 1, 0) > 0)
		err->code = helper_wait(h, &reply, err);
	helper_kill(h);
}

static int run_flow(struct flow *f, int diff, const struct parents *parents, struct err *err)
{
	struct helper inflater = HELPER_NONE, extractor = HELPER_NONE;
	struct err inflate_err = {}, extract_err = {};
	struct unpack_reply reply;
	pthread_t feeder, relayer;
	int r = start_inflater(f, &inflater, err);

	if (r == 0 && diff >= 0)
		r = start_extractor(f, diff, &extractor, err);
	if (r < 0)
		goto fail;
	if (pthread_create(&feeder, NULL, feed_thread, f)) {
		r = err_set(err, -EAGAIN, "no thread for the layer");
		goto fail;
	}
	if (pthread_create(&relayer, NULL, relay_thread, f)) {
		r = err_set(err, -EAGAIN, "no thread for the layer");
		helper_kill(&inflater);
		helper_kill(&extractor);
		pthread_join(feeder, NULL);
		goto fail;
	}
	if (diff >= 0)
		extract_err.code = attend(f->store, &extractor, parents, &extract_err);
	if (extract_err.code < 0)
		stop_inflater(&inflater, &inflate_err);
	helper_kill(&extractor);
	pthread_join(feeder, NULL);
	pthread_join(relayer, NULL);
	if (inflater.control >= 0)
		inflate_err.code = helper_wait(&inflater, &reply, &inflate_err);
	return first_error(f, &inflate_err, &extract_err, err);
fail:
	helper_kill(&inflater);
	helper_kill(&extractor);
	return r;
}

static void close_flow(struct flow *f)
{
	cleanup_close(&f->blob);
	cleanup_close(&f->feed);
	cleanup_close(&f->inflated);
	cleanup_close(&f->sink);
}

static int open_flow(struct flow *f, struct err *err)
{
	if (f->source->part)
		return 0;
	f->blob = store_blob_open(f->store, f->source->blob, NULL);
	return f->blob < 0 ? err_sys(err, f->blob, "store: blob %s", f->source->blob) : 0;
}

int layer_unpack(struct store *store, const struct layer_source *source, const char *chain,
	const char *const *parents, size_t parent_count, layer_wait_parent *wait, void *context,
	struct layer_result *ret, struct err *err)
{
	struct flow f = {.store = store,
		.source = source,
		.blob = -1,
		.feed = -1,
		.inflated = -1,
		.sink = -1};
	const struct parents p = {parents, parent_count, wait, context};
	autoclose int stage = -1, diff = -1;
	int r;

	*ret = (struct layer_result){.stage = -1};
	stage = store_layer_stage(store, chain, err);
	if (stage < 0)
		return stage;
	diff = sys_openat(stage, "diff", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	r = diff < 0 ? err_sys(err, diff, "store: staging") : open_flow(&f, err);
	if (r == 0)
		r = run_flow(&f, diff, &p, err);
	close_flow(&f);
	ret->blob_correct = f.fed && f.feed_err.code == 0;
	ret->blob_wrong = f.feed_err.code == -EBADMSG;
	if (r < 0) {
		store_layer_abandon(store, chain);
		return r;
	}
	ret->stage = take_fd(&stage);
	return 0;
}

int layer_diff_id(struct store *store, const char *blob, struct digest *ret, struct err *err)
{
	const struct layer_source source = {.blob = blob};
	struct flow f = {.store = store,
		.source = &source,
		.blob = -1,
		.feed = -1,
		.inflated = -1,
		.sink = -1};
	int r = open_flow(&f, err);

	if (r == 0)
		r = run_flow(&f, -1, NULL, err);
	close_flow(&f);
	if (r == 0)
		*ret = f.diff_id;
	return r;
}

int layer_extract_archive(struct store *store, int input, int dirfd, struct err *err)
{
	static const struct layer_source source;
	struct flow f = {.store = store,
		.source = &source,
		.blob = input,
		.archive = true,
		.feed = -1,
		.inflated = -1,
		.sink = -1};
	int r = run_flow(&f, dirfd, NULL, err);

	f.blob = -1; /* the caller's */
	close_flow(&f);
	return r < 0 ? err_add(err, "archive") : 0;
}

int layer_remove_tree(struct store *store, int dirfd, const char *name, struct err *err)
{
	const struct unpack_request request = {
		.role = UNPACK_REMOVE, .limits = helper_default_limits};
	autohelper struct helper helper = HELPER_NONE;
	autoclose int fd = -1;
	struct unpack_reply reply;
	int r = path_remove_tree(dirfd, name);

	/* Files of subordinate ids are not ours to remove from out here. */
	if (r != -EACCES && r != -EPERM)
		return r < 0 ? err_sys(err, r, "remove %s", name) : 0;
	fd = sys_openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return err_sys(err, fd, "remove %s", name);
	r = helper_prepare(store, err);
	if (r == 0)
		r = helper_start(store, &request, fd, -1, -1, &helper, err);
	if (r == 0)
		r = helper_wait(&helper, &reply, err);
	if (r == 0)
		r = path_remove_tree(dirfd, name);
	return r < 0 && !err->code ? err_sys(err, r, "remove %s", name) : r;
}

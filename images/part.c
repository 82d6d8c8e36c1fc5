/* SPDX-License-Identifier: Apache-2.0 */
#include "images/part.h"

#include "base/sys.h"
#include "images/store_private.h"
#include "spec/image.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/vfs.h>

struct part {
	struct store *store;
	char digest[DIGEST_TEXT_MAX + 1], name[DIGEST_TEXT_MAX + 1];
	int fd;
	uint64_t size;
	uint32_t chunks;
	uint32_t *have; /* the mapped file: bytes present at the start of each chunk */
	bool *claimed;
	bool resumed;
	pthread_mutex_t mutex;
	pthread_cond_t grown;
	struct err error;
};

static uint64_t chunk_size(const struct part *p, uint32_t chunk)
{
	uint64_t start = (uint64_t)chunk * PART_CHUNK;

	return p->size - start < PART_CHUNK ? p->size - start : PART_CHUNK;
}

static size_t map_bytes(const struct part *p)
{
	return (p->chunks ? p->chunks : 1) * sizeof(*p->have);
}

/*
 * The part's file under an exclusive lock. Another process may have renamed or removed the file
 * while we waited for it: then what we locked is not what has the name, and we start over.
 */
static int lock_file(struct part *p, struct err *err)
{
	char path[200];

	snprintf(path, sizeof(path), "parts/%s", p->name);
	for (;;) {
		autoclose int fd =
			sys_openat(p->store->root, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
		struct stat mine, named;
		int r;

		if (fd < 0)
			return err_sys(err, fd, "store: %s", path);
		r = sys_flock(fd, LOCK_EX);
		if (r == 0)
			r = sys_fstat(fd, &mine);
		if (r < 0)
			return err_sys(err, r, "store: lock %s", path);
		if (sys_fstatat(p->store->root, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
			mine.st_ino == named.st_ino && mine.st_dev == named.st_dev) {
			if (store_blob_exists(p->store, p->digest)) {
				sys_unlinkat(p->store->root, path, 0);
				return -EEXIST;
			}
			p->fd = take_fd(&fd);
			return 0;
		}
		if (store_blob_exists(p->store, p->digest))
			return -EEXIST;
	}
}

/* Maps what is known of the part; a map of another size belongs to another idea of the blob. */
static int open_map(struct part *p, struct err *err)
{
	char path[200];
	autoclose int fd = -1;
	struct stat st;
	void *map;
	int r;

	snprintf(path, sizeof(path), "parts/%s.map", p->name);
	fd = sys_openat(p->store->root, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, fd, "store: %s", path);
	r = sys_fstat(fd, &st);
	if (r == 0 && (uint64_t)st.st_size != map_bytes(p)) {
		r = sys_ftruncate(fd, 0);
		if (r == 0)
			r = posix_fallocate(fd, 0, (off_t)map_bytes(p)) ? -ENOSPC : 0;
	}
	if (r < 0)
		return err_sys(err, r, "store: %s", path);
	map = mmap(NULL, map_bytes(p), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return err_sys(err, -errno, "store: map %s", path);
	p->have = map;
	return 0;
}

/* After a crash of the machine the file may be shorter than the map says. */
static int trust_map(struct part *p)
{
	struct stat st;
	int r = sys_fstat(p->fd, &st);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < p->chunks; i++) {
		uint64_t start = (uint64_t)i * PART_CHUNK;

		if (p->have[i] > chunk_size(p, i) || start + p->have[i] > (uint64_t)st.st_size)
			p->have[i] = 0;
		p->resumed |= p->have[i] > 0;
	}
	return 0;
}

static int check_room(struct part *p, struct err *err)
{
	uint64_t want = p->size - part_present(p), room;
	struct statfs fs;
	int r = sys_fstatfs(p->fd, &fs);

	if (r < 0)
		return err_sys(err, r, "store");
	room = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	if (room < want)
		return err_set(err, -ENOSPC,
			"store: no room for blob %s: %llu MiB are needed and %llu MiB free",
			p->digest, (unsigned long long)(want >> 20),
			(unsigned long long)(room >> 20));
	return 0;
}

int part_open(
	struct store *store, const char *digest, uint64_t size, struct part **ret, struct err *err)
{
	struct part *p;
	int r;

	if (!spec_digest_is_valid(digest))
		return err_set(err, -EINVAL, "\"%.80s\" is not a digest", digest);
	if (store_blob_exists(store, digest))
		return -EEXIST;
	if (size / PART_CHUNK >= UINT32_MAX / 64)
		return err_set(err, -EFBIG, "blob %s: %llu bytes are too many", digest,
			(unsigned long long)size);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_sys(err, -ENOMEM, "blob %s", digest);
	p->store = store;
	p->size = size;
	p->fd = -1;
	p->chunks = (uint32_t)((size + PART_CHUNK - 1) / PART_CHUNK);
	snprintf(p->digest, sizeof(p->digest), "%s", digest);
	snprintf(p->name, sizeof(p->name), "%.6s-%s", digest, digest_hex(digest));
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->grown, NULL);
	p->claimed = calloc(p->chunks + 1, sizeof(*p->claimed));
	r = p->claimed ? lock_file(p, err) : err_sys(err, -ENOMEM, "blob %s", digest);
	if (r == 0)
		r = open_map(p, err);
	if (r == 0)
		r = trust_map(p);
	if (r == 0)
		r = check_room(p, err);
	if (r < 0) {
		part_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

void part_close(struct part *p)
{
	if (!p)
		return;
	cleanup_close(&p->fd);
	if (p->have)
		munmap(p->have, map_bytes(p));
	pthread_mutex_destroy(&p->mutex);
	pthread_cond_destroy(&p->grown);
	free(p->claimed);
	free(p);
}

int part_claim(struct part *p, uint32_t from, uint64_t *ret_offset, uint64_t *ret_len)
{
	int found = -ENOENT;

	pthread_mutex_lock(&p->mutex);
	for (uint32_t i = from; i < p->chunks && !p->error.code; i++) {
		if (p->claimed[i] || p->have[i] == chunk_size(p, i))
			continue;
		p->claimed[i] = true;
		*ret_offset = (uint64_t)i * PART_CHUNK + p->have[i];
		*ret_len = chunk_size(p, i) - p->have[i];
		found = (int)i;
		break;
	}
	pthread_mutex_unlock(&p->mutex);
	return found;
}

bool part_claim_next(struct part *p, uint32_t chunk)
{
	bool taken = false;

	pthread_mutex_lock(&p->mutex);
	if (chunk + 1 < p->chunks && !p->claimed[chunk + 1] && p->have[chunk + 1] == 0) {
		p->claimed[chunk + 1] = true;
		taken = true;
	}
	pthread_mutex_unlock(&p->mutex);
	return taken;
}

int part_write(struct part *p, uint32_t chunk, const void *data, size_t len, struct err *err)
{
	uint64_t at = (uint64_t)chunk * PART_CHUNK + p->have[chunk];
	const char *bytes = data;

	if (len > chunk_size(p, chunk) - p->have[chunk])
		return err_set(err, -EMSGSIZE, "blob %s: more bytes than it has", p->digest);
	while (len) {
		ssize_t n = sys_pwrite(p->fd, bytes, len, (off_t)at);

		if (n < 0)
			return err_sys(err, (int)n, "store: write blob %s", p->digest);
		bytes += n;
		at += (uint64_t)n;
		len -= (size_t)n;
		pthread_mutex_lock(&p->mutex);
		p->have[chunk] += (uint32_t)n;
		pthread_cond_broadcast(&p->grown);
		pthread_mutex_unlock(&p->mutex);
	}
	return 0;
}

uint64_t part_chunk_missing(struct part *p, uint32_t chunk)
{
	return chunk_size(p, chunk) - p->have[chunk];
}

void part_release(struct part *p, uint32_t chunk)
{
	pthread_mutex_lock(&p->mutex);
	p->claimed[chunk] = false;
	pthread_mutex_unlock(&p->mutex);
}

int64_t part_wait(struct part *p, uint64_t offset, struct err *err)
{
	uint32_t chunk = (uint32_t)(offset / PART_CHUNK);
	uint64_t within = offset % PART_CHUNK;
	int64_t ready = 0;

	if (offset >= p->size)
		return 0;
	pthread_mutex_lock(&p->mutex);
	while (p->have[chunk] <= within && !p->error.code)
		pthread_cond_wait(&p->grown, &p->mutex);
	if (p->have[chunk] > within)
		ready = (int64_t)(p->have[chunk] - within);
	else
		*err = p->error;
	pthread_mutex_unlock(&p->mutex);
	return ready ? ready : err->code;
}

ssize_t part_read(struct part *p, void *buf, size_t len, uint64_t offset)
{
	return sys_pread(p->fd, buf, len, (off_t)offset);
}

void part_fail(struct part *p, const struct err *err)
{
	pthread_mutex_lock(&p->mutex);
	if (!p->error.code)
		p->error = *err;
	pthread_cond_broadcast(&p->grown);
	pthread_mutex_unlock(&p->mutex);
}

bool part_has_failed(struct part *p)
{
	bool failed;

	pthread_mutex_lock(&p->mutex);
	failed = p->error.code != 0;
	pthread_mutex_unlock(&p->mutex);
	return failed;
}

uint64_t part_size(const struct part *p)
{
	return p->size;
}

uint64_t part_present(struct part *p)
{
	uint64_t sum = 0;

	pthread_mutex_lock(&p->mutex);
	for (uint32_t i = 0; i < p->chunks; i++)
		sum += p->have[i];
	pthread_mutex_unlock(&p->mutex);
	return sum;
}

bool part_was_resumed(const struct part *p)
{
	return p->resumed;
}

const char *part_digest(const struct part *p)
{
	return p->digest;
}

int part_reset(struct part *p)
{
	pthread_mutex_lock(&p->mutex);
	memset(p->have, 0, map_bytes(p));
	memset(p->claimed, 0, p->chunks * sizeof(*p->claimed));
	p->error = (struct err){};
	p->resumed = false;
	pthread_mutex_unlock(&p->mutex);
	return sys_ftruncate(p->fd, 0);
}

int part_commit(struct part *p, struct err *err)
{
	char path[200];
	int r;

	snprintf(path, sizeof(path), "parts/%s", p->name);
	r = store_blob_adopt(p->store, p->store->root, path, p->digest, err);
	snprintf(path, sizeof(path), "parts/%s.map", p->name);
	if (r == 0)
		sys_unlinkat(p->store->root, path, 0);
	return r;
}

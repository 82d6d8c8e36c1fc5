/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/recall.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	ID_LEN = 64,
	FILE_MAX = 256 << 20,
	SETTLED_SECONDS = 2,
	/* Fewer that are new are read again next time: writing costs more. */
	WORTH_LEAST = 16,
	WORTH_PART = 8,
};

static const char file_name[] = "records", magic[8] = "brigrec1";

/* The file: this, entries in the order of their ids, texts. */
struct header {
	char magic[sizeof(magic)];
	uint64_t count;
};

struct entry {
	char id[ID_LEN];
	uint64_t dev, ino;
	int64_t seconds, nanoseconds;
	uint64_t at; /* from the file's beginning: the record, behind it the status */
	uint32_t record_len, status_len;
	uint64_t has_status;
};

struct recall {
	int run;
	int64_t now;    /* seconds since 1970 */
	struct buf old; /* the file */
	const struct entry *entries;
	size_t count, seen; /* entries of the file, and those that were asked for */

	struct buf kept;  /* struct entry, whose .at are of .texts */
	struct buf texts; /* of those */
	size_t kept_count, new_count;
};

/* ---- reading ---- */

struct recall *recall_open(int run)
{
	struct recall *r = calloc(1, sizeof(*r));
	const struct header *header;

	if (!r)
		return NULL;
	r->run = run;
	r->now = clock_realtime_ns() / 1000000000;
	if (fd_read_own_file(run, file_name, FILE_MAX, &r->old) < 0)
		return r;
	header = (const struct header *)r->old.data;
	if (r->old.len < sizeof(*header) || memcmp(header->magic, magic, sizeof(magic)) != 0 ||
		header->count > (r->old.len - sizeof(*header)) / sizeof(struct entry))
		return r;
	r->entries = (const struct entry *)(header + 1);
	r->count = header->count;
	return r;
}

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct entry *)a)->id, ((const struct entry *)b)->id, ID_LEN);
}

static void stamp(struct entry *e, const char *id, const struct stat *folder)
{
	memcpy(e->id, id, ID_LEN);
	e->dev = folder->st_dev;
	e->ino = folder->st_ino;
	e->seconds = folder->st_ctim.tv_sec;
	e->nanoseconds = folder->st_ctim.tv_nsec;
}

static bool has_stamp(const struct entry *a, const struct entry *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->seconds == b->seconds &&
	       a->nanoseconds == b->nanoseconds;
}

bool recall_find(
	struct recall *r, const char *id, const struct stat *folder, struct recall_texts *ret)
{
	struct entry wanted = {};
	const struct entry *e;
	uint64_t len;

	if (!r || !r->count)
		return false;
	stamp(&wanted, id, folder);
	e = bsearch(&wanted, r->entries, r->count, sizeof(*e), by_id);
	if (!e)
		return false;
	r->seen++;
	if (!has_stamp(e, &wanted))
		return false;
	len = (uint64_t)e->record_len + e->status_len;
	if (e->at > r->old.len || len > r->old.len - e->at)
		return false;
	*ret = (struct recall_texts){
		.record = r->old.data + e->at,
		.record_len = e->record_len,
		.status = e->has_status ? r->old.data + e->at + e->record_len : NULL,
		.status_len = e->status_len,
	};
	return true;
}

/* ---- writing ---- */

static bool is_settled(const struct recall *r, const struct stat *folder)
{
	return folder->st_ctim.tv_sec < r->now - SETTLED_SECONDS;
}

void recall_keep(struct recall *r, const char *id, const struct stat *folder,
	const struct recall_texts *texts)
{
	struct entry e = {};

	if (!r || !is_settled(r, folder) || texts->record_len > UINT32_MAX ||
		texts->status_len > UINT32_MAX)
		return;
	stamp(&e, id, folder);
	e.record_len = (uint32_t)texts->record_len;
	e.status_len = texts->status ? (uint32_t)texts->status_len : 0;
	e.has_status = texts->status != NULL;
	r->kept_count++;
	/* Those of the file are copied from there, if at all. */
	if (r->old.data && texts->record >= r->old.data &&
		texts->record < r->old.data + r->old.len) {
		e.at = (uint64_t)(texts->record - r->old.data);
	} else {
		e.at = r->old.len + r->texts.len;
		buf_add(&r->texts, texts->record, e.record_len);
		if (e.status_len)
			buf_add(&r->texts, texts->status, e.status_len);
		r->new_count++;
	}
	buf_add(&r->kept, &e, sizeof(e));
}

static void write_file(struct recall *r)
{
	struct header header = {.count = r->kept_count};
	struct entry *entries = (struct entry *)r->kept.data;
	autobuf struct buf file = {};
	uint64_t at = sizeof(header) + r->kept.len;

	if (!r->kept_count) {
		(void)sys_unlinkat(r->run, file_name, 0);
		return;
	}
	memcpy(header.magic, magic, sizeof(magic));
	qsort(entries, r->kept_count, sizeof(*entries), by_id);
	buf_add(&file, &header, sizeof(header));
	buf_add(&file, entries, r->kept.len);
	for (size_t i = 0; i < r->kept_count && !file.failed; i++) {
		struct entry *e = &entries[i];
		uint64_t len = (uint64_t)e->record_len + e->status_len;

		buf_add(&file,
			e->at < r->old.len ? r->old.data + e->at
					   : r->texts.data + (e->at - r->old.len),
			len);
		e->at = at;
		at += len;
	}
	if (file.failed || file.len > FILE_MAX)
		return;
	memcpy(file.data + sizeof(header), entries, r->kept.len);
	/* Without it everything is read, as now. */
	(void)fd_replace_file(r->run, file_name, file.data, file.len, 0600);
}

/* What a container had that is gone is not left lying: its environment may be nobody's business. */
static bool is_worth_it(const struct recall *r)
{
	return r->seen < r->count ||
	       (r->new_count >= WORTH_LEAST && r->new_count >= r->kept_count / WORTH_PART);
}

void recall_close(struct recall *r, bool all)
{
	if (!r)
		return;
	if (all && is_worth_it(r) && !r->kept.failed && !r->texts.failed)
		write_file(r);
	buf_free(&r->old);
	buf_free(&r->kept);
	buf_free(&r->texts);
	free(r);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "images/unpack/tar.h"

#include "images/unpack/tar_private.h"

#include <string.h>

enum { BLOCK = 512, WINDOW = 1 << 20 };

int tar_open(tar_source *source, void *context, struct tar **ret)
{
	struct tar *tar = calloc(1, sizeof(*tar));

	if (!tar)
		return -ENOMEM;
	tar->window = malloc(WINDOW);
	if (!tar->window) {
		free(tar);
		return -ENOMEM;
	}
	tar->source = source;
	tar->context = context;
	*ret = tar;
	return 0;
}

void tar_close(struct tar *tar)
{
	if (!tar)
		return;
	tar_pax_reset(&tar->pax);
	buf_free(&tar->pax.text);
	free(tar->pax.xattrs);
	free(tar->pieces);
	buf_free(&tar->path);
	buf_free(&tar->target);
	free(tar->window);
	free(tar);
}

int tar_bad(struct tar *tar, struct err *err, const char *what)
{
	return err_set(
		err, -EINVAL, "tar: byte %llu: %s", (unsigned long long)tar->header_at, what);
}

/* ---- bytes ---- */

static int refill(struct tar *tar, struct err *err)
{
	ssize_t n = tar->source(tar->context, tar->window, WINDOW);

	if (n < 0)
		return err_sys(err, (int)n, "tar: read");
	tar->start = 0;
	tar->end = (size_t)n;
	return n > 0;
}

ssize_t tar_take(struct tar *tar, size_t max, const void **ret, struct err *err)
{
	size_t n;

	if (tar->start == tar->end) {
		int r = refill(tar, err);

		if (r <= 0)
			return r;
	}
	n = tar->end - tar->start < max ? tar->end - tar->start : max;
	*ret = tar->window + tar->start;
	tar->start += n;
	tar->at += n;
	return (ssize_t)n;
}

/* Exactly LEN bytes; 0 when the stream ends before the first of them. */
int tar_get(struct tar *tar, void *out, size_t len, struct err *err)
{
	char *p = out;
	size_t got = 0;

	while (got < len) {
		const void *bytes;
		ssize_t n = tar_take(tar, len - got, &bytes, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return got ? tar_bad(tar, err, "the archive is cut off") : 0;
		memcpy(p + got, bytes, (size_t)n);
		got += (size_t)n;
	}
	return 1;
}

static int skip(struct tar *tar, uint64_t len, struct err *err)
{
	while (len) {
		const void *bytes;
		ssize_t n = tar_take(tar, len < WINDOW ? (size_t)len : WINDOW, &bytes, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return tar_bad(tar, err, "the archive is cut off");
		len -= (uint64_t)n;
	}
	return 0;
}

static uint64_t padding(uint64_t size)
{
	return (BLOCK - size % BLOCK) % BLOCK;
}

/* ---- headers ---- */

static bool is_zero(const void *block)
{
	static const char zero[BLOCK];

	return memcmp(block, zero, BLOCK) == 0;
}

static bool checksum_fits(const struct tar_header *h)
{
	const unsigned char *bytes = (const unsigned char *)h;
	uint32_t sum = 0;
	uint64_t want;

	if (tar_number(h->checksum, sizeof(h->checksum), &want) < 0)
		return false;
	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= offsetof(struct tar_header, checksum) &&
				       i < offsetof(struct tar_header, type)
			       ? ' '
			       : bytes[i];
	return sum == want;
}

/* A long name of GNU tar: the content of an entry of type L or K. */
static int read_long_name(struct tar *tar, uint64_t size, struct buf *ret, struct err *err)
{
	uint64_t all = size + padding(size);
	char *p;
	int r;

	if (size == 0 || size > TAR_PATH_MAX)
		return tar_bad(tar, err, "a name has no or too many bytes");
	ret->len = 0;
	p = buf_reserve(ret, all);
	if (!p)
		return err_sys(err, -ENOMEM, "tar");
	r = tar_get(tar, p, all, err);
	if (r == 0)
		return tar_bad(tar, err, "the archive is cut off");
	if (r < 0)
		return r;
	/* Some read up to the size, some up to the first NUL, wherever that is. */
	ret->len = strnlen(p, size);
	for (uint64_t i = ret->len; i < all; i++)
		if (p[i])
			return tar_bad(tar, err, "a long name goes on after its end");
	p[ret->len] = '\0';
	return 0;
}

/* The body of an extended header, into RET, which is empty. */
static int read_extended(struct tar *tar, uint64_t size, struct buf *ret, struct err *err)
{
	char *p;
	int r;

	if (size > TAR_PAX_MAX)
		return tar_bad(tar, err, "an extended header is larger than 1 MiB");
	p = buf_reserve(ret, size + 1);
	if (!p)
		return err_sys(err, -ENOMEM, "tar");
	r = size ? tar_get(tar, p, size, err) : 1;
	if (r == 0)
		return tar_bad(tar, err, "the archive is cut off");
	if (r < 0)
		return r;
	ret->len = size;
	return 0;
}

static int read_global(struct tar *tar, uint64_t size, struct err *err)
{
	autobuf struct buf text = {};
	int r = read_extended(tar, size, &text, err);

	if (r == 0)
		r = tar_pax_check_global(tar, &text, err);
	return r < 0 ? r : skip(tar, padding(size), err);
}

static int read_pax(struct tar *tar, uint64_t size, struct err *err)
{
	int r;

	/* One extended header for each entry: a second one would have to merge with it, and
	 * readers disagree about how. */
	if (tar->pax.present)
		return tar_bad(tar, err, "two extended headers for one entry");
	tar_pax_reset(&tar->pax);
	r = read_extended(tar, size, &tar->pax.text, err);
	if (r == 0)
		r = tar_pax_parse(tar, err);
	return r < 0 ? r : skip(tar, padding(size), err);
}

/*
 * Reads headers up to one of an entry, gathering what stands before it. 0 at the end.
 */
static int read_header(struct tar *tar, struct tar_header *h, uint64_t *ret_size, struct err *err)
{
	for (;;) {
		int r;

		tar->header_at = tar->at;
		r = tar_get(tar, h, BLOCK, err);
		if (r <= 0)
			return r;
		if (is_zero(h)) {
			r = tar_get(tar, h, BLOCK, err);
			if (r > 0 && !is_zero(h))
				return tar_bad(tar, err, "an entry follows the archive's end");
			return r < 0 ? r : 0;
		}
		if (!checksum_fits(h))
			return tar_bad(tar, err, "a header's checksum is wrong");
		if (tar_number(h->size, sizeof(h->size), ret_size) < 0 || *ret_size > INT64_MAX)
			return tar_bad(tar, err, "a size is not a number");
		switch (h->type) {
		case 'g':
			r = read_global(tar, *ret_size, err);
			break;
		case 'x':
			r = read_pax(tar, *ret_size, err);
			break;
		case 'L':
			r = read_long_name(tar, *ret_size, &tar->path, err);
			break;
		case 'K':
			r = read_long_name(tar, *ret_size, &tar->target, err);
			break;
		default:
			return 1;
		}
		if (r < 0)
			return r;
	}
}

static int put_name(struct buf *name, const char *field, size_t len)
{
	name->len = 0;
	buf_add(name, field, strnlen(field, len));
	return name->failed ? -ENOMEM : 0;
}

/* The path: PAX wins over GNU's long name, that over prefix and name. */
static int set_names(struct tar *tar, const struct tar_header *h, struct err *err)
{
	bool posix = memcmp(h->magic, "ustar\0", 6) == 0;

	if (tar->pax.path) {
		put_name(&tar->path, tar->pax.path, TAR_PATH_MAX + 1);
	} else if (!tar->path.len && posix && h->prefix[0]) {
		put_name(&tar->path, h->prefix, sizeof(h->prefix));
		buf_puts(&tar->path, "/");
		buf_add(&tar->path, h->name, strnlen(h->name, sizeof(h->name)));
	} else if (!tar->path.len) {
		put_name(&tar->path, h->name, sizeof(h->name));
	}
	if (tar->pax.target)
		put_name(&tar->target, tar->pax.target, TAR_PATH_MAX + 1);
	else if (!tar->target.len)
		put_name(&tar->target, h->target, sizeof(h->target));
	if (tar->path.failed || tar->target.failed)
		return err_sys(err, -ENOMEM, "tar");
	if (tar->path.len > TAR_PATH_MAX || tar->target.len > TAR_PATH_MAX)
		return tar_bad(tar, err, "a name is longer than 4096 bytes");
	return 0;
}

static int set_type(
	struct tar *tar, const struct tar_header *h, struct tar_entry *e, struct err *err)
{
	size_t n = tar->path.len;

	switch (h->type) {
	case '\0':
	case '0':
	case '7':
		/* From before there was a type for directories. */
		e->type = n && tar->path.data[n - 1] == '/' ? TAR_DIRECTORY : TAR_FILE;
		return 0;
	case 'S':
		e->type = TAR_FILE;
		return 0;
	case '1' ... '6':
		e->type = (enum tar_type)h->type;
		return 0;
	default:
		return tar_bad(tar, err, "an entry of a type that no layer may have");
	}
}

static int set_numbers(
	struct tar *tar, const struct tar_header *h, struct tar_entry *e, struct err *err)
{
	uint64_t mode, uid, gid, major = 0, minor = 0;
	int64_t mtime;

	if (tar_number(h->mode, sizeof(h->mode), &mode) < 0 ||
		tar_number(h->uid, sizeof(h->uid), &uid) < 0 ||
		tar_number(h->gid, sizeof(h->gid), &gid) < 0 ||
		tar_signed(h->mtime, sizeof(h->mtime), &mtime) < 0)
		return tar_bad(tar, err, "a field is not a number");
	if ((e->type == TAR_CHAR || e->type == TAR_BLOCK) &&
		(tar_number(h->major, sizeof(h->major), &major) < 0 ||
			tar_number(h->minor, sizeof(h->minor), &minor) < 0))
		return tar_bad(tar, err, "a device is not a number");
	if (tar->pax.uid.set)
		uid = tar->pax.uid.value;
	if (tar->pax.gid.set)
		gid = tar->pax.gid.value;
	if (uid >= UINT32_MAX || gid >= UINT32_MAX || major > UINT32_MAX || minor > UINT32_MAX)
		return tar_bad(tar, err, "an owner or a device is out of range");
	e->mode = (mode_t)(mode & 07777);
	e->uid = (uint32_t)uid;
	e->gid = (uint32_t)gid;
	e->major = (uint32_t)major;
	e->minor = (uint32_t)minor;
	e->mtime = tar->pax.mtime_set ? tar->pax.mtime : (struct timespec){.tv_sec = mtime};
	return 0;
}

/*
 * The number of bytes that follow. PAX has the last word only for what octal cannot say: a file
 * that octal can describe must have the same size in both.
 */
static int set_size(struct tar *tar, uint64_t octal, struct tar_entry *e, struct err *err)
{
	uint64_t size = octal;

	if (tar->pax.size.set) {
		size = tar->pax.size.value;
		if (size != octal && size < TAR_OCTAL_SIZE_MAX)
			return tar_bad(tar, err,
				"the size in the extended header is not the size in the header");
		if (size > INT64_MAX)
			return tar_bad(tar, err, "a size is out of range");
	}
	if (size && e->type != TAR_FILE) {
		/* Old tars give a hard link its file's size, without content. Readers disagree. */
		return tar_bad(tar, err, "an entry that is no file has content");
	}
	e->size = size;
	tar->left = size;
	tar->pad = padding(size);
	return 0;
}

int tar_next(struct tar *tar, struct tar_entry *ret, struct err *err)
{
	struct tar_entry e = {};
	struct tar_header h;
	uint64_t octal;
	int r = skip(tar, tar->left + tar->pad, err);

	if (r < 0)
		return r;
	tar->left = tar->pad = 0;
	tar->path.len = tar->target.len = 0;
	tar_pax_reset(&tar->pax);
	r = read_header(tar, &h, &octal, err);
	if (r <= 0)
		return r;
	r = set_names(tar, &h, err);
	if (r == 0)
		r = set_type(tar, &h, &e, err);
	if (r == 0)
		r = set_numbers(tar, &h, &e, err);
	if (r == 0)
		r = set_size(tar, octal, &e, err);
	if (r == 0)
		r = tar_sparse(tar, &h, &e, err);
	if (r < 0)
		return r;
	e.path = buf_str(&tar->path);
	e.target = e.type == TAR_HARDLINK || e.type == TAR_SYMLINK ? buf_str(&tar->target) : "";
	e.xattrs = tar->pax.xattrs;
	e.xattr_count = tar->pax.xattr_count;
	*ret = e;
	return 1;
}

ssize_t tar_read(struct tar *tar, uint64_t max, const void **ret, struct err *err)
{
	ssize_t n;

	if (max > tar->left)
		max = tar->left;
	if (!max)
		return 0;
	n = tar_take(tar, max < WINDOW ? (size_t)max : WINDOW, ret, err);
	if (n == 0)
		return tar_bad(tar, err, "the archive is cut off");
	if (n > 0)
		tar->left -= (uint64_t)n;
	return n;
}

int tar_drain(struct tar *tar, struct err *err)
{
	const void *bytes;
	ssize_t n;

	do
		n = tar_take(tar, WINDOW, &bytes, err);
	while (n > 0);
	return (int)n;
}

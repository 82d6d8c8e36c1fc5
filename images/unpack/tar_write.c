/* SPDX-License-Identifier: Apache-2.0 */
#include "images/unpack/tar_write.h"

#include "base/fd.h"
#include "images/unpack/tar_private.h"

#include <stdio.h>
#include <string.h>

enum { FLUSH_AT = 1 << 20 };

static int flush(struct tar_writer *w, size_t keep_below, struct err *err)
{
	int r;

	if (w->buffer.failed)
		return err_sys(err, -ENOMEM, "tar");
	if (w->buffer.len <= keep_below)
		return 0;
	r = fd_write_all(w->fd, w->buffer.data, w->buffer.len);
	w->buffer.len = 0;
	return r < 0 ? err_sys(err, r, "tar: write") : 0;
}

static void pad_block(struct tar_writer *w)
{
	static const char zeros[512];

	buf_add(&w->buffer, zeros, (512 - w->buffer.len % 512) % 512);
}

static void put_octal(char *field, size_t len, uint64_t value)
{
	for (size_t i = len - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}

static void seal(struct tar_header *h)
{
	const unsigned char *bytes = (const unsigned char *)h;
	uint32_t sum = 0;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += bytes[i];
	put_octal(h->checksum, 7, sum);
	h->checksum[6] = '\0';
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void add_record(struct buf *pax, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest + 1;
	char digits[24];

	while (rest + (size_t)snprintf(digits, sizeof(digits), "%zu", total) != total)
		total = rest + strlen(digits);
	buf_printf(pax, "%zu %s=", total, key);
	buf_add(pax, value, len);
	buf_puts(pax, "\n");
}

static void add_number(struct buf *pax, const char *key, uint64_t value)
{
	char text[24];

	add_record(pax, key, text,
		(size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)value));
}

/* A long path is cut at a "/" when both halves fit; ustar knows a prefix of 155 bytes. */
static bool split_path(struct tar_header *h, const char *path)
{
	size_t n = strlen(path);
	const char *slash;

	if (n <= sizeof(h->name)) {
		memcpy(h->name, path, n);
		return true;
	}
	slash = strchr(path + n - sizeof(h->name) - 1, '/');
	if (!slash || slash == path || (size_t)(slash - path) > sizeof(h->prefix) || !slash[1])
		return false;
	memcpy(h->prefix, path, (size_t)(slash - path));
	memcpy(h->name, slash + 1, strlen(slash + 1));
	return true;
}

static void fill_header(struct tar_header *h, struct buf *pax, const struct tar_entry *e)
{
	const uint32_t octal7 = (1U << 21) - 1;

	if (!split_path(h, e->path)) {
		add_record(pax, "path", e->path, strlen(e->path));
		memcpy(h->name, e->path, sizeof(h->name));
	}
	if (strlen(e->target) > sizeof(h->target))
		add_record(pax, "linkpath", e->target, strlen(e->target));
	memcpy(h->target, e->target, strnlen(e->target, sizeof(h->target)));
	if (e->size >= TAR_OCTAL_SIZE_MAX)
		add_number(pax, "size", e->size);
	if (e->uid > octal7)
		add_number(pax, "uid", e->uid);
	if (e->gid > octal7)
		add_number(pax, "gid", e->gid);
	for (size_t i = 0; i < e->xattr_count; i++) {
		char key[300];

		snprintf(key, sizeof(key), "SCHILY.xattr.%s", e->xattrs[i].name);
		add_record(pax, key, e->xattrs[i].value, e->xattrs[i].len);
	}
	h->type = (char)e->type;
	put_octal(h->mode, sizeof(h->mode), e->mode & 07777);
	put_octal(h->uid, sizeof(h->uid), e->uid > octal7 ? 0 : e->uid);
	put_octal(h->gid, sizeof(h->gid), e->gid > octal7 ? 0 : e->gid);
	put_octal(h->size, sizeof(h->size), e->size >= TAR_OCTAL_SIZE_MAX ? 0 : e->size);
	if (e->mtime.tv_sec > 0 && (uint64_t)e->mtime.tv_sec < TAR_OCTAL_SIZE_MAX)
		put_octal(h->mtime, sizeof(h->mtime), (uint64_t)e->mtime.tv_sec);
	else
		put_octal(h->mtime, sizeof(h->mtime), 0);
	put_octal(h->major, sizeof(h->major), e->major);
	put_octal(h->minor, sizeof(h->minor), e->minor);
}

int tar_write_entry(struct tar_writer *w, const struct tar_entry *e, struct err *err)
{
	autobuf struct buf pax = {};
	struct tar_header h = {}, x = {};

	if (w->left)
		return err_set(err, -EINVAL, "tar: an entry is not whole");
	if (!*e->path || strlen(e->path) > TAR_PATH_MAX || strlen(e->target) > TAR_PATH_MAX)
		return err_set(err, -EINVAL, "tar: \"%.200s\" is no name for an entry", e->path);
	fill_header(&h, &pax, e);
	if (pax.failed)
		return err_sys(err, -ENOMEM, "tar");
	if (pax.len) {
		snprintf(x.name, sizeof(x.name), "PaxHeaders/%.80s",
			strrchr(e->path, '/') && strrchr(e->path, '/')[1]
				? strrchr(e->path, '/') + 1
				: "directory");
		x.type = 'x';
		put_octal(x.mode, sizeof(x.mode), 0644);
		put_octal(x.uid, sizeof(x.uid), 0);
		put_octal(x.gid, sizeof(x.gid), 0);
		put_octal(x.mtime, sizeof(x.mtime), 0);
		put_octal(x.size, sizeof(x.size), pax.len);
		seal(&x);
		buf_add(&w->buffer, &x, sizeof(x));
		buf_add(&w->buffer, pax.data, pax.len);
		pad_block(w);
	}
	seal(&h);
	buf_add(&w->buffer, &h, sizeof(h));
	w->left = e->type == TAR_FILE ? e->size : 0;
	/* Only whole blocks are ever written out here, so that padding can count on the buffer. */
	return w->left ? 0 : flush(w, FLUSH_AT, err);
}

int tar_write_data(struct tar_writer *w, const void *data, size_t len, struct err *err)
{
	const char *bytes = data;

	if (len > w->left)
		return err_set(err, -EINVAL, "tar: more content than an entry has");
	while (len) {
		size_t n = len < 512 * 1024 ? len : 512 * 1024;
		size_t whole;
		int r;

		buf_add(&w->buffer, bytes, n);
		bytes += n;
		len -= n;
		w->left -= n;
		if (!w->left)
			pad_block(w);
		if (w->buffer.failed)
			return err_sys(err, -ENOMEM, "tar");
		if (w->buffer.len < FLUSH_AT)
			continue;
		whole = w->buffer.len / 512 * 512;
		r = fd_write_all(w->fd, w->buffer.data, whole);
		if (r < 0)
			return err_sys(err, r, "tar: write");
		memmove(w->buffer.data, w->buffer.data + whole, w->buffer.len - whole);
		w->buffer.len -= whole;
	}
	return 0;
}

int tar_write_end(struct tar_writer *w, struct err *err)
{
	static const char end[1024];

	if (w->left)
		return err_set(err, -EINVAL, "tar: an entry is not whole");
	buf_add(&w->buffer, end, sizeof(end));
	return flush(w, 0, err);
}

void tar_write_free(struct tar_writer *w)
{
	buf_free(&w->buffer);
}

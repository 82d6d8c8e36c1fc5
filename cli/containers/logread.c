/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the log: the process of `logs`. */
#include "base/fd.h"
#include "base/sys.h"
#include "cli/containers/logfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 64 << 10, FILES_MAX = 101 };

struct reading {
	int dirfd;
	const struct logfile_reader *reader;
	int64_t skip;    /* entries before the first that is wanted */
	struct buf rest; /* an entry that is not whole yet */
	struct buf text; /* of the entry at hand */
};

/* U+F7xx → the byte that it stands for; see logfile.c. */
static void unpack_bytes(const char *text, struct buf *ret)
{
	ret->len = 0;
	while (*text) {
		const unsigned char *at = (const unsigned char *)text;

		if (at[0] == 0xef && (at[1] & 0xfc) == 0x9c && (at[2] & 0xc0) == 0x80) {
			const char byte = (char)((at[1] & 3) << 6 | (at[2] & 0x3f));

			buf_add(ret, &byte, 1);
			text += 3;
		} else {
			buf_add(ret, text++, 1);
		}
	}
}

static int give(struct reading *r, const char *line, size_t len)
{
	const struct logfile_reader *reader = r->reader;
	json_t *json = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
	const char *text = json_string_value(json_object_get(json, "log"));
	const char *stream = json_string_value(json_object_get(json, "stream"));
	const char *time = json_string_value(json_object_get(json, "time"));
	int code = 0;

	if (text && time && !(reader->since && strcmp(time, reader->since) < 0) &&
		!(reader->until && strcmp(time, reader->until) > 0)) {
		size_t whole = json_string_length(json_object_get(json, "log"));

		/* A NUL ends a C string, not the entry. */
		r->text.len = 0;
		for (size_t at = 0; at < whole; at += strlen(text + at) + 1) {
			autobuf struct buf part = {};

			if (at)
				buf_add(&r->text, "", 1);
			unpack_bytes(text + at, &part);
			buf_add(&r->text, buf_str(&part), part.len);
		}
		code = reader->entry(
			&(struct logfile_entry){
				.text = buf_str(&r->text),
				.len = r->text.len,
				.is_error = stream && strcmp(stream, "stderr") == 0,
				.time = time,
			},
			reader->arg);
	}
	json_decref(json);
	return code;
}

/* Hands on the whole lines of what has come. */
static int take_lines(struct reading *r)
{
	size_t at = 0;
	int code = 0;

	while (code == 0) {
		const char *start = buf_str(&r->rest) + at;
		const char *newline = memchr(start, '\n', r->rest.len - at);

		if (!newline)
			break;
		if (r->skip > 0)
			r->skip--;
		else
			code = give(r, start, (size_t)(newline - start));
		at += (size_t)(newline - start) + 1;
	}
	if (at) {
		memmove(r->rest.data, r->rest.data + at, r->rest.len - at);
		r->rest.len -= at;
	}
	return code;
}

static int read_some(struct reading *r, int fd, bool *ret_end)
{
	char *room = buf_reserve(&r->rest, CHUNK);
	ssize_t n = room ? sys_read(fd, room, CHUNK) : -ENOMEM;

	*ret_end = n <= 0;
	if (n <= 0)
		return (int)n;
	r->rest.len += (size_t)n;
	return take_lines(r);
}

static int open_log(int dirfd, uint32_t number)
{
	char name[24] = "log";

	if (number)
		snprintf(name, sizeof(name), "log.%u", number);
	/* Whatever has its name: nothing is waited for. */
	return sys_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
}

static int64_t count_lines(int fd)
{
	char data[16384];
	int64_t lines = 0;
	ssize_t n;

	for (off_t at = 0; (n = sys_pread(fd, data, sizeof(data), at)) > 0; at += n)
		for (const char *p = data; (p = memchr(p, '\n', (size_t)(data + n - p))); p++)
			lines++;
	return lines;
}

/* The current file was renamed when "log" is another one now. */
static bool was_rotated(int dirfd, int fd)
{
	struct stat mine, now;

	return sys_fstat(fd, &mine) == 0 &&
	       sys_fstatat(dirfd, "log", &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_ino != now.st_ino;
}

/* The current file, and with .wait whatever takes its place. */
static int read_current(struct reading *r, int *fd)
{
	bool end, rotated = false;
	int code;

	for (;;) {
		code = read_some(r, *fd, &end);
		if (code != 0)
			return code;
		if (!end)
			continue;
		if (rotated || (r->reader->wait && was_rotated(r->dirfd, *fd))) {
			/* Once more to its end: it was written to until the last moment. */
			if (!rotated) {
				rotated = true;
				continue;
			}
			rotated = false;
			cleanup_close(fd);
			*fd = open_log(r->dirfd, 0);
			if (*fd < 0)
				return *fd == -ENOENT ? 0 : *fd;
			continue;
		}
		if (!r->reader->wait || !r->reader->wait(r->reader->arg))
			return 0;
	}
}

int logfile_read(int dirfd, const struct logfile_reader *reader, struct err *err)
{
	struct reading r = {.dirfd = dirfd, .reader = reader};
	int fds[FILES_MAX], count = 0, code = 0;
	int64_t lines = 0;

	/* All are opened before any is read, so that a rotation meanwhile loses nothing. */
	while (count < FILES_MAX && (fds[count] = open_log(dirfd, (uint32_t)count)) >= 0) {
		if (reader->tail >= 0)
			lines += count_lines(fds[count]);
		count++;
	}
	if (reader->tail >= 0 && lines > reader->tail)
		r.skip = lines - reader->tail;
	while (count-- > 1) {
		bool end = false;

		while (code == 0 && !end)
			code = read_some(&r, fds[count], &end);
		close(fds[count]);
	}
	if (count == 0 && code == 0)
		code = read_current(&r, &fds[0]);
	if (count == 0)
		cleanup_close(&fds[0]);
	buf_free(&r.rest);
	buf_free(&r.text);
	return code < 0 && !err->code ? err_sys(err, code, "read the log") : code;
}

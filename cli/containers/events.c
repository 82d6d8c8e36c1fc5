/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/events.h"

#include "base/clock.h"
#include "base/sys.h"

#include <fcntl.h>
#include <string.h>

enum { FILE_SIZE = 4 << 20, CHUNK = 32 << 10 };

static int open_for_writing(int run)
{
	int fd = sys_openat(run, "events", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0 || sys_fstat(fd, &st) < 0 || st.st_size < FILE_SIZE)
		return fd;
	/* Two that do this at once lose a file of old events, no more. */
	sys_renameat2(run, "events", run, "events.1", 0);
	close(fd);
	return sys_openat(run, "events", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
}

void events_note(int run, const char *type, const char *action, const char *id, ...)
{
	autoclose int fd = open_for_writing(run);
	autobuf struct buf line = {};
	autojson json_t *event = NULL;
	json_t *attributes = json_object();
	char now[CLOCK_TEXT_MAX];
	int64_t ns = clock_realtime_ns();
	const char *key;
	va_list ap;

	va_start(ap, id);
	while ((key = va_arg(ap, const char *))) {
		const char *value = va_arg(ap, const char *);

		if (value)
			json_object_set_new(attributes, key, json_string(value));
	}
	va_end(ap);
	clock_format_ns(ns, now);
	event = json_pack("{s:s, s:I, s:s, s:s, s:s, s:o}", "time", now, "timeNano", (json_int_t)ns,
		"type", type, "action", action, "id", id, "attributes", attributes);
	if (fd < 0 || !event || json_write(event, JSON_COMPACT, &line) < 0)
		return;
	buf_puts(&line, "\n");
	(void)!sys_write(fd, line.data, line.len); /* O_APPEND: whole lines */
}

/* ---- reading ---- */

struct reading {
	const struct events_reader *reader;
	struct buf rest;
};

static int take_lines(struct reading *r)
{
	size_t at = 0;
	int code = 0;

	while (code == 0) {
		const char *start = buf_str(&r->rest) + at;
		const char *newline = memchr(start, '\n', r->rest.len - at);
		autojson json_t *event = NULL;

		if (!newline)
			break;
		event = json_loadb(start, (size_t)(newline - start), 0, NULL);
		if (event)
			code = r->reader->event(event, r->reader->arg);
		at += (size_t)(newline - start) + 1;
	}
	if (at) {
		memmove(r->rest.data, r->rest.data + at, r->rest.len - at);
		r->rest.len -= at;
	}
	return code;
}

static int read_to_end(struct reading *r, int fd)
{
	for (;;) {
		char *room = buf_reserve(&r->rest, CHUNK);
		ssize_t n = room ? sys_read(fd, room, CHUNK) : -ENOMEM;
		int code;

		if (n <= 0)
			return (int)n;
		r->rest.len += (size_t)n;
		code = take_lines(r);
		if (code != 0)
			return code;
	}
}

static bool was_rotated(int run, int fd)
{
	struct stat mine, now;

	return fd < 0 || (sys_fstat(fd, &mine) == 0 &&
				 sys_fstatat(run, "events", &now, AT_SYMLINK_NOFOLLOW) == 0 &&
				 mine.st_ino != now.st_ino);
}

int events_read(int run, const struct events_reader *reader, struct err *err)
{
	struct reading r = {.reader = reader};
	autoclose int old = sys_openat(run, "events.1", O_RDONLY | O_NOFOLLOW, 0);
	autoclose int fd = sys_openat(run, "events", O_RDONLY | O_NOFOLLOW, 0);
	int code = old >= 0 ? read_to_end(&r, old) : 0;

	for (;;) {
		bool rotated = was_rotated(run, fd);

		if (code == 0 && fd >= 0)
			code = read_to_end(&r, fd);
		if (code != 0)
			break;
		if (rotated) {
			cleanup_close(&fd);
			fd = sys_openat(run, "events", O_RDONLY | O_NOFOLLOW, 0);
			if (fd >= 0)
				continue;
		}
		if (!reader->wait || !reader->wait(reader->arg))
			break;
	}
	buf_free(&r.rest);
	return code < 0 && !err->code ? err_sys(err, code, "read the events") : code;
}

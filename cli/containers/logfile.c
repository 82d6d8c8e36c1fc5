/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the monitor. Writing the log. */
#include "cli/containers/logfile.h"

#include "base/clock.h"
#include "base/parse.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int logfile_options_parse(const struct run_options *o, struct logfile_options *ret, struct err *err)
{
	struct logfile_options options = {.size = LOGFILE_SIZE, .count = LOGFILE_COUNT};
	const char *driver = o->log_driver ? o->log_driver : "json-file", *value;

	options.none = strcmp(driver, "none") == 0;
	if (!options.none && strcmp(driver, "json-file") != 0 && strcmp(driver, "local") != 0 &&
		strcmp(driver, "k8s-file") != 0)
		return err_set(
			err, -EINVAL, "--log-driver: \"%s\" is not json-file or none", driver);
	for (size_t i = 0; i < o->log_options.count; i++) {
		const char *item = o->log_options.items[i];

		if (parse_has_prefix(item, "max-size=", &value)) {
			if (strcmp(value, "-1") == 0)
				options.size = UINT64_MAX;
			else if (parse_size(value, &options.size) < 0 || options.size < 4096)
				return err_set(err, -EINVAL,
					"--log-opt: max-size is a size of at least 4k, or -1");
		} else if (parse_has_prefix(item, "max-file=", &value)) {
			if (parse_u32(value, &options.count) < 0 || !options.count ||
				options.count > 100)
				return err_set(err, -EINVAL, "--log-opt: max-file is 1 to 100");
		} else if (!parse_has_prefix(item, "tag=", &value) &&
			   !parse_has_prefix(item, "labels=", &value) &&
			   !parse_has_prefix(item, "mode=", &value)) {
			return err_set(err, -EINVAL,
				"--log-opt: \"%s\" is not max-size=SIZE or max-file=N", item);
		}
	}
	*ret = options;
	return 0;
}

static int open_file(struct logfile *log)
{
	struct stat st;
	int r;

	log->fd = sys_openat(log->dirfd, "log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
	if (log->fd < 0)
		return log->fd;
	r = sys_fstat(log->fd, &st);
	log->size = r == 0 ? (uint64_t)st.st_size : 0;
	return r;
}

int logfile_open(
	int dirfd, const struct logfile_options *options, struct logfile *ret, struct err *err)
{
	int r;

	ret->dirfd = dirfd;
	ret->fd = -1;
	ret->options = *options;
	ret->line[0].len = ret->line[1].len = 0;
	if (options->none)
		return 0;
	r = open_file(ret);
	return r < 0 ? err_sys(err, r, "open the log") : 0;
}

void logfile_close(struct logfile *log)
{
	cleanup_close(&log->fd);
}

/* log.1 → log.2, log → log.1; the last one goes. */
static void rotate(struct logfile *log)
{
	char from[24], to[24];

	for (uint32_t i = log->options.count; i-- > 1;) {
		snprintf(to, sizeof(to), "log.%u", i);
		if (i > 1)
			snprintf(from, sizeof(from), "log.%u", i - 1);
		sys_renameat2(log->dirfd, i > 1 ? from : "log", log->dirfd, to, 0);
	}
	if (log->options.count == 1)
		sys_unlinkat(log->dirfd, "log", 0);
	cleanup_close(&log->fd);
	open_file(log);
}

/* What is gathered for one write(2). */
struct out {
	struct logfile *log;
	char data[8192];
	size_t len;
};

static void out_flush(struct out *o)
{
	if (o->len && o->log->fd >= 0 && sys_write(o->log->fd, o->data, o->len) > 0)
		o->log->size += o->len;
	o->len = 0;
}

static void out_add(struct out *o, const char *data, size_t len)
{
	while (len > 0) {
		size_t n = sizeof(o->data) - o->len;

		if (n > len)
			n = len;
		memcpy(o->data + o->len, data, n);
		o->len += n;
		data += n;
		len -= n;
		if (o->len == sizeof(o->data))
			out_flush(o);
	}
}

/* How many bytes at TEXT are one character of UTF-8, 0 for what is none. */
static size_t utf8_length(const unsigned char *text, size_t len)
{
	size_t n = text[0] < 0x80             ? 1
		   : (text[0] & 0xe0) == 0xc0 ? 2
		   : (text[0] & 0xf0) == 0xe0 ? 3
		   : (text[0] & 0xf8) == 0xf0 ? 4
					      : 0;
	uint32_t code;

	if (n < 2)
		return n;
	if (n > len)
		return 0;
	code = text[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < (n == 2          ? 0x80u
			   : n == 3 ? 0x800u
				    : 0x10000u) ||
		code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || code >> 8 == 0xf7)
		return 0;
	return n;
}

/* Bytes that are no text come back as they were: each as the character U+F7xx, by which the reader
 * knows them again. */
static void add_json(struct out *o, const char *data, size_t len)
{
	char escape[8];

	for (size_t i = 0; i < len;) {
		const unsigned char *at = (const unsigned char *)data + i;
		size_t n = utf8_length(at, len - i);

		if (n == 0)
			snprintf(escape, sizeof(escape), "\\uf7%02x", *at);
		else if (*at == '"' || *at == '\\')
			snprintf(escape, sizeof(escape), "\\%c", *at);
		else if (*at == '\n')
			snprintf(escape, sizeof(escape), "\\n");
		else if (*at < 0x20 || *at == 0x7f)
			snprintf(escape, sizeof(escape), "\\u%04x", *at);
		else
			*escape = '\0';
		if (*escape)
			out_add(o, escape, strlen(escape));
		else
			out_add(o, data + i, n);
		i += n ? n : 1;
	}
}

static void put_entry(struct logfile *log, int stream, const char *data, size_t len)
{
	struct out o = {.log = log};
	char now[CLOCK_TEXT_MAX], tail[CLOCK_TEXT_MAX + 40];

	if (log->size > log->options.size)
		rotate(log);
	clock_now(now);
	out_add(&o, "{\"log\":\"", 8);
	add_json(&o, data, len);
	snprintf(tail, sizeof(tail), "\",\"stream\":\"%s\",\"time\":\"%s\"}\n",
		stream == 2 ? "stderr" : "stdout", now);
	out_add(&o, tail, strlen(tail));
	out_flush(&o);
}

void logfile_write(struct logfile *log, int stream, const char *data, size_t len)
{
	const int i = stream == 2;

	if (log->fd < 0)
		return;
	while (len > 0) {
		const char *newline = memchr(data, '\n', len);
		size_t n = newline ? (size_t)(newline - data) + 1 : len;
		size_t room = sizeof(log->line[i].data) - log->line[i].len;

		if (newline && !log->line[i].len) {
			put_entry(log, stream, data, n);
		} else {
			n = n > room ? room : n;
			memcpy(log->line[i].data + log->line[i].len, data, n);
			log->line[i].len += n;
			if (log->line[i].len == sizeof(log->line[i].data) || data[n - 1] == '\n') {
				put_entry(log, stream, log->line[i].data, log->line[i].len);
				log->line[i].len = 0;
			}
		}
		data += n;
		len -= n;
	}
}

void logfile_flush(struct logfile *log)
{
	for (int i = 0; i < 2; i++) {
		if (log->line[i].len && log->fd >= 0)
			put_entry(log, i + 1, log->line[i].data, log->line[i].len);
		log->line[i].len = 0;
	}
}

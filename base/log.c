/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct json_name log_level_names[] = {
	{"error", LOG_ERROR},
	{"warning", LOG_WARNING},
	{"warn", LOG_WARNING},
	{"info", LOG_INFO},
	{"debug", LOG_DEBUG},
	{NULL, 0},
};

static struct {
	int fd;
	bool json;
	enum log_level level;
} log_state = {.fd = STDERR_FILENO, .level = LOG_WARNING};

int log_open(const struct log_options *options, struct err *err)
{
	int fd = options->fd ? options->fd : STDERR_FILENO;

	if (options->path) {
		fd = sys_openat(
			AT_FDCWD, options->path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0600);
		if (fd < 0)
			return err_sys(err, fd, "--log: open %s", options->path);
	}
	log_state.fd = fd;
	log_state.json = options->json;
	log_state.level = options->level;
	return 0;
}

/* One line is one line, whatever names it quotes: control characters become JSON's escapes. Bytes
 * above 0x7f pass, so that UTF-8 stays readable. */
static void add_escaped(struct buf *buf, const char *s, bool json)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (json && (c == '"' || c == '\\'))
			buf_printf(buf, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_printf(buf, "\\u%04x", c);
		else
			buf_add(buf, s, 1);
	}
}

static void put_line(int fd, bool json, const char *prefix, const char *text)
{
	autobuf struct buf line = {};
	char now[CLOCK_TEXT_MAX];

	if (json) {
		buf_printf(&line, "{\"level\":\"%s\",\"msg\":\"", prefix);
		add_escaped(&line, text, true);
		buf_puts(&line, "\",\"time\":\"");
		clock_now(now);
		buf_puts(&line, now);
		buf_puts(&line, "\"}\n");
	} else {
		buf_printf(&line, "%s: ", prefix);
		add_escaped(&line, text, false);
		buf_puts(&line, "\n");
	}
	/* One write per line, so that lines of two processes do not mix; a log that cannot be
	 * written has nowhere to be reported. */
	if (!line.failed)
		(void)!sys_write(fd, line.data, line.len);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	char text[ERR_TEXT_MAX];
	va_list ap;

	if (level > log_state.level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_line(log_state.fd, log_state.json, json_name_of(log_level_names, level), text);
	errno = saved;
}

void log_failure(const char *name, const struct err *err)
{
	if (log_state.json)
		put_line(log_state.fd, true, "error", err->text);
	else
		put_line(log_state.fd, false, name, err->text);
	if (log_state.fd != STDERR_FILENO)
		put_line(STDERR_FILENO, false, name, err->text);
}

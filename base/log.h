/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of one command: text or JSON lines, on standard error or in a file.
 *
 * Only the entry files of commands and processes log above LOG_DEBUG; everything else returns a
 * struct err. Engines read the file of a failed command as one JSON object, so a command logs at
 * most one line of level error. The level and the descriptor are the only mutable state of the
 * program that is not passed by argument.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

extern const struct json_name log_level_names[]; /* → enum log_level */

struct log_options {
	const char *path; /* NULL: standard error. Opened for appending, created with mode 0600 */
	int fd;           /* in place of both, borrowed for good; 0: none */
	bool json;        /* {"level":…,"msg":…,"time":RFC 3339} a line, else plain text */
	enum log_level level;
};

/* Call once, first, in the process of a command. On error the log stays on standard error. */
int log_open(const struct log_options *options, struct err *err);

/* Lines below the level that was asked for are not formatted. Keeps errno. Any process. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * The one line of a command that failed: to the log, and as text to standard error too when the
 * log is a file, because engines show that to people. NAME is the program's.
 */
void log_failure(const char *name, const struct err *err);

#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)

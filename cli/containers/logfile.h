/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of a container on disk: lines of JSON, {"log": …, "stream": …, "time": …}, in the file
 * "log" of its directory; older ones in "log.1", "log.2" … A file never grows beyond a size, and
 * there are never more files than a number: a container cannot fill the disk.
 *
 * The writer is the monitor; readers need no lock, since files are appended to and renamed only.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "cli/containers/options.h"

#include <stdint.h>

enum { LOGFILE_LINE = 16 << 10, LOGFILE_SIZE = 10 << 20, LOGFILE_COUNT = 3 };

struct logfile_options {
	bool none;      /* --log-driver none */
	uint64_t size;  /* bytes of one file */
	uint32_t count; /* files */
};

/* What --log-driver and --log-opt say. −EINVAL. Pure. */
int logfile_options_parse(
	const struct run_options *options, struct logfile_options *ret, struct err *err);

struct logfile {
	int dirfd; /* the container's directory, borrowed */
	int fd;    /* −1: nothing is kept */
	uint64_t size;
	struct logfile_options options;
	struct {
		char data[LOGFILE_LINE];
		size_t len;
	} line[2]; /* what is not a whole line yet, of standard output and standard error */
};

int logfile_open(
	int dirfd, const struct logfile_options *options, struct logfile *ret, struct err *err);
/* STREAM is 1 or 2. What cannot be written is lost: a full disk does not stop a container. */
void logfile_write(struct logfile *log, int stream, const char *data, size_t len);
/* Writes what is left of lines, at the end of the process. */
void logfile_flush(struct logfile *log);
void logfile_close(struct logfile *log);

/* One entry as it was written. */
struct logfile_entry {
	const char *text;
	size_t len;
	bool is_error;    /* from standard error */
	const char *time; /* RFC 3339 */
};

struct logfile_reader {
	const char *since, *until; /* RFC 3339 in UTC, or NULL */
	int64_t tail;              /* entries from the end; −1: all */
	int (*entry)(const struct logfile_entry *entry, void *arg); /* not 0: stop */
	void *arg;
	/* With it the reader waits for more: called when there is no more, returns false to end. */
	bool (*wait)(void *arg);
};

/* Reads the log of the directory DIRFD, the oldest file first. Returns the entry function's result
 * when that is not 0. No log at all is an empty one. */
int logfile_read(int dirfd, const struct logfile_reader *reader, struct err *err);

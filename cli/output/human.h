/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and times as people read and write them: "72.8MB", "2 hours ago", "24h", and control
 * characters made harmless. Pure functions but human_now(); any process.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum { HUMAN_TEXT_MAX = 40 };

/* To RET, HUMAN_TEXT_MAX bytes: decimal units with DIGITS significant digits, "72.8MB", "0B". */
void human_size(uint64_t bytes, int digits, char *ret);
/* Binary units with four significant digits: "1.5GiB". */
void human_size_binary(uint64_t bytes, char *ret);
/* "2 hours", "About a minute", "Less than a second"; negative counts as 0. */
void human_duration(int64_t seconds, char *ret);
/* The same and " ago". */
void human_age(int64_t then, int64_t now, char *ret);
/* Seconds since 1970, UTC. */
int64_t human_now(void);

/* RFC 3339 with an optional fraction ("2026-01-31T12:00:00.5Z", "…+01:00"), also without a zone
 * (UTC) or time of day, or seconds since 1970. RET_NANOSECONDS may be NULL. −EINVAL. */
int human_parse_time(const char *text, int64_t *ret, uint32_t *ret_nanoseconds);
/* "1h30m", "1.5h", "300ms", "-10s", "0": nanoseconds. −EINVAL, −ERANGE. */
int human_parse_duration(const char *text, int64_t *ret);
/* A point in time: human_parse_time(), or a duration before NOW: what --since and until= take. */
int human_parse_moment(const char *text, int64_t now, int64_t *ret, struct err *err);
/* The same with NOW and RET in nanoseconds, for what happens more than once a second; times before
 * 1677 and after 2262 count as the first and the last that there is. */
int human_parse_moment_ns(const char *text, int64_t now, int64_t *ret, struct err *err);

/* Appends LEN bytes of TEXT without what could command a terminal: control characters and what is
 * not UTF-8 become '?'. */
void human_text(const char *text, size_t len, struct buf *ret);
/* Columns that TEXT takes, for UTF-8 without wide characters. */
size_t human_width(const char *text, size_t len);

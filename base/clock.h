/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time, and as text. Any process. */
#pragma once

#include <stdint.h>

enum { CLOCK_TEXT_MAX = 64 };

/* clock_gettime(2): since some moment that is the same for all processes until the next boot. */
int64_t clock_monotonic_ns(void);
int64_t clock_monotonic_ms(void);
/* Since 1970. */
int64_t clock_realtime_ns(void);

/* To RET, CLOCK_TEXT_MAX bytes: RFC 3339 in UTC with nanoseconds: "2026-01-31T12:00:00.000000001Z".
 * SECONDS since 1970, also before it. libc's gmtime_r(3) would read the host's time zone first. */
void clock_format(int64_t seconds, uint32_t nanoseconds, char *ret);
/* The same of NANOSECONDS since 1970, also before it. */
void clock_format_ns(int64_t nanoseconds, char *ret);
/* The same of now. */
void clock_now(char *ret);

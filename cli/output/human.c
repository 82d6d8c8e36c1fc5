/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/human.h"

#include "base/clock.h"
#include "base/parse.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S 1000000000LL

static void scale(uint64_t bytes, double base, int digits, const char *const *units, char *ret)
{
	double value = (double)bytes;

	while (value >= base && units[1]) {
		value /= base;
		units++;
	}
	snprintf(ret, HUMAN_TEXT_MAX, "%.*g%s", digits, value, *units);
}

void human_size(uint64_t bytes, int digits, char *ret)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB", NULL};

	/* "%.3g" of 999.9 kB would be "1e+03". */
	if (digits < 4) {
		uint64_t unit = 1;

		while (bytes / unit >= 1000)
			unit *= 1000;
		if ((double)bytes / (double)unit >= 999.5)
			bytes = unit * 1000;
	}
	scale(bytes, 1000, digits, units, ret);
}

void human_size_binary(uint64_t bytes, char *ret)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL};

	scale(bytes, 1024, 4, units, ret);
}

/* The steps that docker's and podman's readers know. */
void human_duration(int64_t seconds, char *ret)
{
	static const struct {
		int64_t below, unit; /* of seconds; how long a unit is */
		const char *text;
	} steps[] = {
		{1, 0, "Less than a second"},
		{2, 0, "1 second"},
		{60, 1, "seconds"},
		{120, 0, "About a minute"},
		{3600, 60, "minutes"},
		{7200, 0, "About an hour"},
		{48 * 3600, 3600, "hours"},
		{14 * 86400, 86400, "days"},
		{60 * 86400, 7 * 86400, "weeks"},
		{730 * 86400, 30 * 86400, "months"},
		{INT64_MAX, 365 * 86400, "years"},
	};
	size_t i = 0;

	while (i + 1 < sizeof(steps) / sizeof(steps[0]) && seconds >= steps[i].below)
		i++;
	if (steps[i].unit)
		snprintf(ret, HUMAN_TEXT_MAX, "%" PRId64 " %s", seconds / steps[i].unit,
			steps[i].text);
	else
		snprintf(ret, HUMAN_TEXT_MAX, "%s", steps[i].text);
}

void human_age(int64_t then, int64_t now, char *ret)
{
	size_t len;

	human_duration(now > then ? now - then : 0, ret);
	len = strlen(ret);
	snprintf(ret + len, HUMAN_TEXT_MAX - len, " ago");
}

int64_t human_now(void)
{
	return clock_realtime_ns() / NS_PER_S;
}

/* ---- times ---- */

/* COUNT digits at *AT into RET. */
static bool take_digits(const char **at, int count, int *ret)
{
	*ret = 0;
	for (; count > 0; count--, ++*at) {
		if (!isdigit((unsigned char)**at))
			return false;
		*ret = *ret * 10 + **at - '0';
	}
	return true;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	++*at;
	return true;
}

static int64_t days_from_civil(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool take_date(const char **at, int64_t *ret)
{
	static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day;

	if (!take_digits(at, 4, &year) || !take_char(at, '-') || !take_digits(at, 2, &month) ||
		!take_char(at, '-') || !take_digits(at, 2, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > lengths[month - 1])
		return false;
	if (month == 2 && day == 29 && (year % 4 || (year % 100 == 0 && year % 400)))
		return false;
	*ret = days_from_civil(year, month, day) * 86400;
	return true;
}

static bool take_clock(const char **at, int64_t *ret, uint32_t *ret_nanoseconds)
{
	uint32_t scale_ns = 100000000;
	int hour, minute, second = 0;

	if (!take_digits(at, 2, &hour) || !take_char(at, ':') || !take_digits(at, 2, &minute))
		return false;
	if (take_char(at, ':') && !take_digits(at, 2, &second))
		return false;
	if (hour > 23 || minute > 59 || second > 60)
		return false;
	if (take_char(at, '.')) {
		if (!isdigit((unsigned char)**at))
			return false;
		for (; isdigit((unsigned char)**at); ++*at, scale_ns /= 10)
			*ret_nanoseconds += (uint32_t)(**at - '0') * scale_ns;
	}
	*ret = hour * 3600 + minute * 60 + second;
	return true;
}

/* "Z", "+01:00" or nothing. */
static bool take_zone(const char **at, int64_t *ret)
{
	int hour, minute, sign = **at == '-' ? -1 : 1;

	*ret = 0;
	if (**at == '\0' || take_char(at, 'Z') || take_char(at, 'z'))
		return true;
	if (!take_char(at, '+') && !take_char(at, '-'))
		return false;
	if (!take_digits(at, 2, &hour) || !take_char(at, ':') || !take_digits(at, 2, &minute))
		return false;
	*ret = sign * (hour * 3600 + minute * 60);
	return hour < 24 && minute < 60;
}

static int parse_epoch(const char *text, int64_t *ret, uint32_t *ret_nanoseconds)
{
	uint32_t nanoseconds = 0, scale_ns = 100000000;
	const char *dot = strchr(text, '.');
	char seconds[24];
	int r;

	if (snprintf(seconds, sizeof(seconds), "%.*s",
		    dot ? (int)(dot - text < 23 ? dot - text : 23) : 23, text) <= 0)
		return -EINVAL;
	for (const char *at = dot ? dot + 1 : ""; *at; at++, scale_ns /= 10) {
		if (!isdigit((unsigned char)*at))
			return -EINVAL;
		nanoseconds += (uint32_t)(*at - '0') * scale_ns;
	}
	r = parse_i64(seconds, ret);
	if (r == 0)
		*ret_nanoseconds = nanoseconds;
	return r < 0 ? -EINVAL : 0;
}

int human_parse_time(const char *text, int64_t *ret, uint32_t *ret_nanoseconds)
{
	int64_t days = 0, clock = 0, zone = 0;
	uint32_t nanoseconds = 0;
	const char *at = text;

	if (!take_date(&at, &days)) {
		if (parse_epoch(text, &clock, &nanoseconds) < 0)
			return -EINVAL;
	} else {
		bool timed = *at == 'T' || *at == 't' || *at == ' ';

		at += timed;
		if (timed && !take_clock(&at, &clock, &nanoseconds))
			return -EINVAL;
		if (!take_zone(&at, &zone) || *at)
			return -EINVAL;
	}
	*ret = days + clock - zone;
	if (ret_nanoseconds)
		*ret_nanoseconds = nanoseconds;
	return 0;
}

int human_parse_duration(const char *text, int64_t *ret)
{
	static const struct {
		const char *name;
		double nanoseconds;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9},
		{"h", 3600e9}, {"d", 86400e9}, {"w", 604800e9}};
	double total = 0, sign = *text == '-' ? -1 : 1;

	text += *text == '-' || *text == '+';
	if (strcmp(text, "0") == 0) {
		*ret = 0;
		return 0;
	}
	if (!*text)
		return -EINVAL;
	while (*text) {
		size_t number = strspn(text, "0123456789."), unit, i = 0;
		char digits[32], *end;

		if (number == 0 || number >= sizeof(digits))
			return -EINVAL;
		memcpy(digits, text, number);
		digits[number] = '\0';
		double value = strtod(digits, &end);
		if (*end)
			return -EINVAL;
		text += number;
		unit = strcspn(text, "0123456789.");
		while (i < sizeof(units) / sizeof(units[0]) &&
			(strlen(units[i].name) != unit || strncmp(units[i].name, text, unit) != 0))
			i++;
		if (i == sizeof(units) / sizeof(units[0]))
			return -EINVAL;
		total += value * units[i].nanoseconds;
		text += unit;
	}
	if (total >= (double)INT64_MAX)
		return -ERANGE;
	*ret = (int64_t)(sign * total);
	return 0;
}

int human_parse_moment_ns(const char *text, int64_t now, int64_t *ret, struct err *err)
{
	int64_t seconds, duration;
	uint32_t nanoseconds;

	if (human_parse_time(text, &seconds, &nanoseconds) == 0) {
		if (__builtin_mul_overflow(seconds, NS_PER_S, ret) ||
			__builtin_add_overflow(*ret, (int64_t)nanoseconds, ret))
			*ret = seconds < 0 ? INT64_MIN : INT64_MAX;
		return 0;
	}
	if (human_parse_duration(text, &duration) == 0) {
		*ret = now - duration;
		return 0;
	}
	return err_set(err, -EINVAL,
		"\"%s\" is neither a time (2026-01-31T12:00:00Z) nor a duration (24h, 10m)", text);
}

int human_parse_moment(const char *text, int64_t now, int64_t *ret, struct err *err)
{
	int64_t ns;
	int r = human_parse_moment_ns(text, now * NS_PER_S, &ns, err);

	if (r == 0)
		*ret = ns / NS_PER_S;
	return r;
}

/* ---- text ---- */

/* The length of the well-formed character at TEXT (RFC 3629), or 0. */
static size_t character_length(const unsigned char *text, size_t len)
{
	size_t n = text[0] < 0x80                       ? 1
		   : text[0] >= 0xc2 && text[0] <= 0xdf ? 2
		   : (text[0] & 0xf0) == 0xe0           ? 3
		   : text[0] >= 0xf0 && text[0] <= 0xf4 ? 4
							: 0;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if (n == 2 && text[0] == 0xc2 && text[1] < 0xa0) /* C1 controls */
		return 0;
	if (n == 3 && ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f)))
		return 0;
	/* Marks that turn the direction of what follows, U+202A to U+202E and U+2066 to U+2069. */
	if (n == 3 && text[0] == 0xe2 &&
		((text[1] == 0x80 && text[2] >= 0xaa && text[2] <= 0xae) ||
			(text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9)))
		return 0;
	if (n == 4 && ((text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f)))
		return 0;
	return n;
}

void human_text(const char *text, size_t len, struct buf *ret)
{
	for (size_t i = 0; i < len;) {
		size_t n = character_length((const unsigned char *)text + i, len - i);

		if (n == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			buf_puts(ret, "?");
		else
			buf_add(ret, text + i, n);
		i += n ? n : 1;
	}
}

size_t human_width(const char *text, size_t len)
{
	size_t width = 0;

	for (size_t i = 0; i < len; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

enum { DAY = 86400, DAYS_400_YEARS = 146097, DAYS_0000_TO_1970 = 719468 };

static int64_t read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_monotonic_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_monotonic_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

int64_t clock_realtime_ns(void)
{
	return read_ns(CLOCK_REALTIME);
}

/*
 * The Gregorian calendar repeats every 400 years. Years are counted from 1 March, so that the day
 * that leap years add is the last one, and months then follow one linear formula.
 */
void clock_format(int64_t seconds, uint32_t nanoseconds, char *ret)
{
	int64_t days = seconds / DAY - (seconds % DAY < 0);
	int time = (int)(seconds - days * DAY);
	int64_t shifted = days + DAYS_0000_TO_1970;
	int64_t era = shifted / DAYS_400_YEARS - (shifted % DAYS_400_YEARS < 0);
	int day = (int)(shifted - era * DAYS_400_YEARS); /* of the era */
	int year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int day_of_year = day - (365 * year + year / 4 - year / 100);
	int month = (5 * day_of_year + 2) / 153; /* 0: March */
	int day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
	int calendar_month = month < 10 ? month + 3 : month - 9;

	snprintf(ret, CLOCK_TEXT_MAX, "%04lld-%02d-%02dT%02d:%02d:%02d.%09uZ",
		(long long)(era * 400 + year + (calendar_month <= 2)), calendar_month, day_of_month,
		time / 3600, time / 60 % 60, time % 60, nanoseconds);
}

void clock_format_ns(int64_t nanoseconds, char *ret)
{
	const int64_t second = 1000000000;
	int64_t rest = nanoseconds % second;

	clock_format(nanoseconds / second - (rest < 0), (uint32_t)(rest < 0 ? rest + second : rest),
		ret);
}

void clock_now(char *ret)
{
	clock_format_ns(clock_realtime_ns(), ret);
}

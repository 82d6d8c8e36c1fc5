/* SPDX-License-Identifier: Apache-2.0 */
/* events. */
#include "base/fd.h"
#include "cli/oci/oci.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INTERVAL_MAX_MS = 24 * 60 * 60 * 1000 };

const struct oci_events_values oci_events_defaults = {.interval_ms = 5000};

/* The milliseconds of one unit that TEXT begins with, and its length; 0: none. */
static double unit_of(const char *text, size_t *ret_len)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {
		{"ms", 1},
		{"us", 1e-3},
		{"\xc2\xb5s", 1e-3}, /* µs */
		{"ns", 1e-6},
		{"s", 1e3},
		{"m", 6e4},
		{"h", 3.6e6},
	};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		*ret_len = strlen(units[i].name);
		if (strncmp(text, units[i].name, *ret_len) == 0)
			return units[i].ms;
	}
	return 0;
}

/* "200ms", "1m30s", "1.5h", as engines write a length of time; a bare number is in seconds. */
static int parse_interval(const char *value, struct arena *arena, void *dest, struct err *err)
{
	const char *p = value;
	double ms = 0;

	(void)arena;
	while (isdigit((unsigned char)*p)) {
		size_t n = strspn(p, "0123456789."), len = 0;
		double number = strtod(p, NULL), unit;

		if (n > 16)
			break;
		p += n;
		unit = p == value + n && !*p ? 1e3 : unit_of(p, &len);
		if (unit == 0 || memchr(p - n, '.', n) != memrchr(p - n, '.', n)) {
			p -= n;
			break;
		}
		ms += number * unit;
		p += len;
	}
	if (*p || !*value || ms < 1 || ms > INTERVAL_MAX_MS)
		return err_set(err, -EINVAL,
			"\"%s\" is not a length of time from 1ms to 24h, such as 5s or 200ms",
			value);
	*(uint32_t *)dest = (uint32_t)ms;
	return 0;
}

const struct option oci_events_options[] = {
	{"interval", 0, OPTION_CUSTOM, OPTION_AT(oci_events_values, interval_ms),
		.argument = "TIME", .parse = parse_interval,
		.help = "time between two statistics [5s]"},
	{"stats", 0, OPTION_FLAG, OPTION_AT(oci_events_values, stats),
		.help = "print the statistics once"},
	{NULL},
};

/* One line, at once: whoever reads follows along. */
static int print_event(const json_t *event, void *arg, struct err *err)
{
	autobuf struct buf text = {};
	int r;

	(void)arg;
	if (json_write(event, JSON_COMPACT, &text) < 0)
		return err_sys(err, -ENOMEM, "print JSON");
	buf_puts(&text, "\n");
	r = text.failed ? -ENOMEM : fd_write_all(STDOUT_FILENO, text.data, text.len);
	return r < 0 ? err_sys(err, r, "write to standard output") : 0;
}

int oci_events(const struct invocation *inv, struct err *err)
{
	const struct oci_events_values *values = inv->options;
	autoruntime struct runtime rt = {.rootfd = -1, .procfd = -1};
	const struct events_options options = {
		.once = values->stats,
		.interval_ms = values->interval_ms,
		.reader = STDOUT_FILENO,
		.emit = print_event,
	};
	int r = oci_open_runtime(inv, &rt, err);

	return r < 0 ? r : container_events(&rt, inv->args[0], &options, err);
}

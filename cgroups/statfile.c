/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/statfile.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t statfile_number(const char *text)
{
	if (strncmp(text, "max", 3) == 0)
		return UINT64_MAX;
	return isdigit((unsigned char)*text) ? strtoull(text, NULL, 10) : 0;
}

/* The start of the next line, or NULL at the end. */
static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line && line[1] ? line + 1 : NULL;
}

const char *statfile_line(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = *text ? text : NULL; line; line = next_line(line))
		if (strncmp(line, name, n) == 0 && line[n] == ' ')
			return line;
	return NULL;
}

uint64_t statfile_key(const char *text, const char *key)
{
	const char *line = statfile_line(text, key);

	return line ? statfile_number(line + strlen(key) + 1) : 0;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (const char *line = *text ? text : NULL; line; line = next_line(line))
		count++;
	return count;
}

int statfile_flat(const char *text, struct arena *arena, struct pairs_u64 *ret)
{
	struct pair_u64 *items = arena_array(arena, count_lines(text) + 1, struct pair_u64);
	size_t count = 0;

	if (!items)
		return -ENOMEM;
	for (const char *line = *text ? text : NULL; line; line = next_line(line)) {
		size_t n = strcspn(line, " \n");

		if (!n || line[n] != ' ')
			continue;
		items[count].key = arena_printf(arena, "%.*s", (int)n, line);
		items[count].value = statfile_number(line + n + 1);
		if (!items[count++].key)
			return -ENOMEM;
	}
	ret->items = items;
	ret->count = count;
	return 0;
}

uint64_t statfile_nested(const char *line, const char *key)
{
	size_t n = strlen(key), len = strcspn(line, "\n");

	for (const char *p = line; (p = memchr(p, ' ', len - (size_t)(p - line)));) {
		p++;
		if (strncmp(p, key, n) == 0 && p[n] == '=')
			return statfile_number(p + n + 1);
	}
	return 0;
}

static void pressure_line(const char *line, struct cgroup_pressure_line *ret)
{
	struct cgroup_pressure_line found = {};
	unsigned long long total;

	if (line && sscanf(line, "%*s avg10=%lf avg60=%lf avg300=%lf total=%llu", &found.avg10,
			    &found.avg60, &found.avg300, &total) == 4) {
		found.total = total;
		*ret = found;
	}
}

void statfile_pressure(const char *text, struct cgroup_pressure *ret)
{
	const char *some = statfile_line(text, "some");

	*ret = (struct cgroup_pressure){.present = some != NULL};
	pressure_line(some, &ret->some);
	pressure_line(statfile_line(text, "full"), &ret->full);
}

int statfile_io(const char *text, struct arena *arena, struct cgroup_stats_io *ret)
{
	struct cgroup_stats_io_device *items =
		arena_array(arena, count_lines(text) + 1, struct cgroup_stats_io_device);
	size_t count = 0;

	if (!items)
		return -ENOMEM;
	for (const char *line = *text ? text : NULL; line; line = next_line(line)) {
		struct cgroup_stats_io_device *d = &items[count];

		if (sscanf(line, "%u:%u ", &d->major, &d->minor) != 2)
			continue;
		d->rbytes = statfile_nested(line, "rbytes");
		d->wbytes = statfile_nested(line, "wbytes");
		d->rios = statfile_nested(line, "rios");
		d->wios = statfile_nested(line, "wios");
		d->dbytes = statfile_nested(line, "dbytes");
		d->dios = statfile_nested(line, "dios");
		count++;
	}
	ret->items = items;
	ret->count = count;
	return 0;
}

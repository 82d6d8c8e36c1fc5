/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/table.h"

#include "cli/output/human.h"

#include <string.h>

enum { COLUMNS_MAX = 64, CELL_MIN = 10, GAP = 3 };

/* Calls for each cell of the line from LINE to END: those behind COLUMNS_MAX stay together. */
static const char *cell_end(const char *cell, const char *end, size_t column)
{
	const char *tab =
		column + 1 < COLUMNS_MAX ? memchr(cell, '\t', (size_t)(end - cell)) : NULL;

	return tab ? tab : end;
}

static const char *line_end(const char *line, const char *end)
{
	const char *newline = memchr(line, '\n', (size_t)(end - line));

	return newline ? newline : end;
}

static void measure(const char *text, const char *end, size_t widths[COLUMNS_MAX])
{
	for (const char *line = text, *stop; line < end; line = stop + 1) {
		const char *cell = line;

		stop = line_end(line, end);
		for (size_t i = 0; i < COLUMNS_MAX; i++) {
			const char *until = cell_end(cell, stop, i);
			size_t width = human_width(cell, (size_t)(until - cell)) + GAP;

			if (until == stop)
				break;
			if (width > widths[i])
				widths[i] = width;
			cell = until + 1;
		}
	}
}

static void add_line(
	const char *line, const char *stop, const size_t widths[COLUMNS_MAX], struct buf *ret)
{
	for (size_t i = 0;; i++) {
		const char *until = cell_end(line, stop, i);
		size_t len = (size_t)(until - line), width = human_width(line, len);

		human_text(line, len, ret);
		if (until == stop)
			break;
		buf_printf(ret, "%*s", (int)(widths[i] - width), "");
		line = until + 1;
	}
	buf_puts(ret, "\n");
}

void table_align(const char *text, size_t len, struct buf *ret)
{
	const char *end = text + len;
	size_t widths[COLUMNS_MAX];

	for (size_t i = 0; i < COLUMNS_MAX; i++)
		widths[i] = CELL_MIN;
	measure(text, end, widths);
	for (const char *line = text, *stop; line < end; line = stop + 1) {
		stop = line_end(line, end);
		add_line(line, stop, widths, ret);
	}
}

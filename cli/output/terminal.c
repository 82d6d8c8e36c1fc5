/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/terminal.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cli/output/human.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { SHOW_EVERY_MS = 100, BAR_MIN = 10, BAR_MAX = 40 };

bool terminal_is(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

unsigned int terminal_width(int fd)
{
	struct winsize size = {};

	if (sys_ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

bool terminal_has_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR");

	return terminal_is(fd) && !(no_color && *no_color);
}

void terminal_style(struct buf *ret, bool colour, enum terminal_style style, const char *text)
{
	static const char *const codes[] = {"1", "2", "31", "32", "33"};

	if (colour)
		buf_printf(ret, "\033[%sm%s\033[0m", codes[style], text);
	else
		buf_puts(ret, text);
}

/* "  42.1MB/120MB  12MB/s  3/7 layers" */
static void add_numbers(const struct progress_state *s, int64_t elapsed_ms, struct buf *ret)
{
	char done[HUMAN_TEXT_MAX], total[HUMAN_TEXT_MAX], rate[HUMAN_TEXT_MAX];

	human_size(s->done, 3, done);
	human_size(s->total, 3, total);
	buf_printf(ret, s->total ? "  %s/%s" : "  %s", done, total);
	if (elapsed_ms >= 1000) {
		human_size(s->done / (uint64_t)elapsed_ms * 1000, 3, rate);
		buf_printf(ret, "  %s/s", rate);
	}
	if (s->note)
		buf_printf(ret, "  %s", s->note);
}

static void add_bar(const struct progress_state *s, unsigned int columns, struct buf *ret)
{
	uint64_t done = s->done < s->total ? s->done : s->total;
	unsigned int full = (unsigned int)((double)done / (double)s->total * (columns - 2));

	buf_puts(ret, "  [");
	for (unsigned int i = 0; i < columns - 2; i++)
		buf_puts(ret, i < full ? "=" : i == full ? ">" : " ");
	buf_puts(ret, "]");
}

/* At most WIDTH columns of TEXT. */
static void add_cut(const char *text, size_t width, struct buf *ret)
{
	for (size_t i = 0, n = 0; text[i]; i++) {
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
		if (n > width)
			return;
		buf_add(ret, text + i, 1);
	}
}

void progress_line(
	const struct progress_state *state, unsigned int width, int64_t elapsed_ms, struct buf *ret)
{
	autobuf struct buf numbers = {}, line = {};
	size_t used, bar;

	/* The last column stays free: some terminals wrap there. */
	width = width > 1 ? width - 1 : 1;
	add_numbers(state, elapsed_ms, &numbers);
	human_text(state->what, strlen(state->what), &line);
	used = human_width(buf_str(&line), line.len) + human_width(buf_str(&numbers), numbers.len);
	bar = width > used + 2 ? width - used - 2 : 0;
	if (state->total && bar >= BAR_MIN)
		add_bar(state, bar < BAR_MAX ? (unsigned int)bar : BAR_MAX, &line);
	buf_puts(&line, buf_str(&numbers));
	add_cut(buf_str(&line), width, ret);
}

void progress_begin(struct progress *p, int fd)
{
	*p = (struct progress){.fd = terminal_is(fd) ? fd : -1, .began_ms = clock_monotonic_ms()};
}

void progress_show(struct progress *p, const struct progress_state *state)
{
	autobuf struct buf line = {};
	int64_t now;

	if (p->fd < 0)
		return;
	now = clock_monotonic_ms();
	if (p->shown_ms && now - p->shown_ms < SHOW_EVERY_MS)
		return;
	p->shown_ms = now;
	buf_puts(&line, "\r");
	progress_line(state, terminal_width(p->fd), now - p->began_ms, &line);
	buf_puts(&line, "\033[K");
	(void)fd_write_all(p->fd, buf_str(&line), line.len);
}

void progress_end(struct progress *p)
{
	if (p->fd >= 0 && p->shown_ms)
		(void)fd_write_all(p->fd, "\r\033[K", 4);
	p->fd = -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/terminal.h"

#include "cli/output/human.h"

#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void gives(struct progress_state s, unsigned int width, int64_t ms, const char *wanted)
{
	autobuf struct buf line = {};

	progress_line(&s, width, ms, &line);
	assert_string_equal(buf_str(&line), wanted);
	assert_true(human_width(buf_str(&line), line.len) < width);
}

static void lines(void **state)
{
	(void)state;
	gives((struct progress_state){"pull x", 50, 100, NULL}, 40, 0,
		"pull x  [=========>         ]  50B/100B");
	gives((struct progress_state){"pull x", 100, 100, NULL}, 40, 0,
		"pull x  [==================]  100B/100B");
}

static void narrow(void **state)
{
	static const char what[] = "pulling docker.io/library/something-long:latest";
	autobuf struct buf line = {};

	(void)state;
	for (unsigned int width = 1; width < 200; width++) {
		const struct progress_state s = {what, 123456789, 987654321, "3/7 layers"};

		line.len = 0;
		progress_line(&s, width, 2000, &line);
		assert_true(human_width(buf_str(&line), line.len) <= (width > 1 ? width - 1 : 1));
	}
	assert_non_null(strstr(buf_str(&line), "123MB/988MB  61.7MB/s  3/7 layers"));
}

static void without_total(void **state)
{
	(void)state;
	gives((struct progress_state){"a\033b", 5000, 0, "note"}, 80, 0, "a?b  5kB  note");
}

/* Nothing is written but to a terminal that can. */
static void streams(void **state)
{
	const struct progress_state s = {"x", 1, 2, NULL};
	struct progress p;
	char text[256];
	int pipe_fds[2], master, slave;

	(void)state;
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_false(terminal_is(pipe_fds[1]) || terminal_has_colour(pipe_fds[1]));
	progress_begin(&p, pipe_fds[1]);
	progress_show(&p, &s);
	progress_end(&p);
	assert_int_equal(read(pipe_fds[0], text, sizeof(text)), -1);

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_true(terminal_is(slave) && terminal_has_colour(slave));
	assert_int_equal(terminal_width(slave), 80);
	progress_begin(&p, slave);
	progress_show(&p, &s);
	progress_end(&p);
	ssize_t len = read(master, text, sizeof(text) - 1);
	assert_true(len > 0);
	text[len] = '\0';
	assert_non_null(strstr(text, "1B/2B"));
	setenv("NO_COLOR", "1", 1);
	assert_false(terminal_has_colour(slave));
	setenv("TERM", "dumb", 1);
	assert_false(terminal_is(slave));
	close(master);
	close(slave);
}

static void styles(void **state)
{
	autobuf struct buf out = {};

	(void)state;
	terminal_style(&out, false, TERMINAL_RED, "a");
	terminal_style(&out, true, TERMINAL_RED, "b");
	assert_string_equal(buf_str(&out), "a\033[31mb\033[0m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(narrow),
		cmocka_unit_test(without_total),
		cmocka_unit_test(streams),
		cmocka_unit_test(styles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

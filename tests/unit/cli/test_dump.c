/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct values {
	const char *root, *file;
	int format;
	bool quiet;
};

static const struct json_name formats[] = {{"table", 1}, {"json", 2}, {}};

static const struct option global_options[] = {
	{"root", 'r', OPTION_TEXT, OPTION_AT(values, root), .argument = "DIR",
		.help = "keep state there"},
	{},
};

static const struct option list_options[] = {
	{"format", 'f', OPTION_NAME, OPTION_AT(values, format), .names = formats,
		.help = "the container's [list] format"},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(values, quiet), .help = "ids only"},
	{"process", 0, OPTION_TEXT, OPTION_AT(values, file), .argument = "FILE",
		.help = ".json of a process"},
	{"old-name", 0, OPTION_FLAG, OPTION_AT(values, quiet), .hidden = true},
	{},
};

static const struct command commands[] = {
	{"list", "[OPTIONS]", "List containers", .options = list_options},
	{"kill", "[OPTIONS] ID", "Send a signal", .details = "First.\n\n.Second."},
	{"internal", NULL, "Not shown", .hidden = true},
	{},
};

static const struct program program = {
	.name = "a-prog", .options = global_options, .commands = commands};

/* Returns the dump in FORMAT; checks that hidden names are not in it. */
static char *dump(const char *format)
{
	struct err err = {};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(dump_tables(&program, format, out, &err), 0);
	fclose(out);
	assert_null(strstr(text, "old-name"));
	assert_null(strstr(text, "internal"));
	return text;
}

static void test_roff(void **state)
{
	autofree char *text = dump("roff");

	(void)state;
	assert_non_null(strstr(text,
		".SH GLOBAL OPTIONS\n.TP\n\\fB\\-r\\fR, \\fB\\-\\-root\\fR \\fIDIR\\fR\nkeep"));
	assert_non_null(strstr(text, "format: table or json\n"));
	assert_non_null(strstr(text, "\n\\&.json of a process\n"));
	assert_non_null(strstr(text, "First.\n.PP\n\\&.Second."));
}

static void test_unknown_format(void **state)
{
	struct err err = {};

	(void)state;
	assert_int_equal(dump_tables(&program, "troff", stdout, &err), -EINVAL);
}

/* A page for each verb that is shown, with its own options only. */
static void pages(void **state)
{
	char *text = dump("pages");
	struct err err = {};

	(void)state;
	assert_string_equal(text, "a-prog-list\na-prog-kill\n");
	free(text);
	text = dump("page:a-prog-list");
	assert_non_null(strstr(text, ".TH a\\-prog\\-list 1"));
	assert_non_null(strstr(text, "\\-\\-format"));
	assert_null(strstr(text, "\\-\\-root"));
	free(text);
	text = dump("page:a-prog-kill");
	assert_non_null(strstr(text, "\\&.Second."));
	free(text);
	assert_int_equal(dump_tables(&program, "page:nothing", stderr, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages),
		cmocka_unit_test(test_roff),
		cmocka_unit_test(test_unknown_format),
	};

	return cmocka_run_group_tests_name("cli/dump", tests, NULL, NULL);
}

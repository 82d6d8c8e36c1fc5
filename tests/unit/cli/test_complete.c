/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct values {
	const char *text;
	int name;
	bool flag;
};

static const struct json_name formats[] = {{"table", 1}, {"json", 2}, {}};

static const struct option global_options[] = {
	{"root", 'r', OPTION_TEXT, OPTION_AT(values, text), .argument = "DIR", .help = "keep it"},
	{},
};
static const struct option run_options_[] = {
	{"format", 'f', OPTION_NAME, OPTION_AT(values, name), .names = formats, .help = "how"},
	{"file", 0, OPTION_TEXT, OPTION_AT(values, text), .argument = "FILE", .help = "which"},
	{"box", 'b', OPTION_TEXT, OPTION_AT(values, text), .argument = "BOX[:ro]", .help = "whose"},
	{"tty", 't', OPTION_FLAG, OPTION_AT(values, flag), .help = "a terminal"},
	{"old", 0, OPTION_FLAG, OPTION_AT(values, flag), .hidden = true},
	{},
};
static const struct command inner[] = {
	{"make", "[OPTIONS] NAME", "Make one", .options = run_options_},
	{"join", "[OPTIONS] NET BOX...", "Join"},
	{},
};
static const struct command commands[] = {
	{"run", "[OPTIONS] BOX [COMMAND [ARG...]]", "Run", .options = run_options_,
		.flags = OPTIONS_STOP_AT_OPERAND},
	{"net", NULL, "About nets", .commands = inner},
	{"gone", NULL, "Not shown", .hidden = true},
	{},
};
static const struct complete_names names[] = {
	{"BOX", {"ps", "-q"}},
	{"NET", {"net", "ls"}},
	{},
};
static const struct program program = {
	.name = "a-prog", .options = global_options, .commands = commands, .complete = names};

/* LINE has its words between single spaces; a space at its end begins a new one. */
static void check(const char *line, const char *wanted)
{
	autoarena struct arena arena = {};
	char *copy = arena_strdup(&arena, line), *words[16], *text = NULL;
	const char *const *args;
	size_t count = 0, len = 0;
	FILE *out = open_memstream(&text, &len);

	for (char *w; (w = strsep(&copy, " "));)
		words[count++] = w;
	assert_int_equal(complete_words(&program, words, count, &arena, out, &args), 0);
	for (size_t i = 0; args && args[i]; i++)
		fprintf(out, "%s%s", i ? " " : "> ", args[i]);
	fclose(out);
	assert_string_equal(text, wanted);
	free(text);
}

static void test_verbs(void **state)
{
	(void)state;
	check("", "run\tRun\nnet\tAbout nets\nhelp\tshow all commands, or about one\n");
	check("-r /x ne", "run\tRun\nnet\tAbout nets\nhelp\tshow all commands, or about one\n");
	check("net ", "make\tMake one\njoin\tJoin\n");
	check("nonsense x", "");
}

static void test_options(void **state)
{
	static const char all[] = "--format\thow\n--file\twhich\n--box\twhose\n--tty\ta terminal\n"
				  "--help\tshow what it does and what can be said\n";

	(void)state;
	check("run -", all);
	check("net make --fo", all);
	check("run --format ", "table\njson\n");
	check("run -tf ", "table\njson\n");
	check("run --format=j", "--format=table\n--format=json\n");
	check("run --file ", ":files\n");
	check("--root ", ":dirs\n");
	check("run --box ", "> ps -q");
	check("run --box=", "");
}

static void test_operands(void **state)
{
	(void)state;
	check("run ", "> ps -q");
	check("run -f json ", "> ps -q");
	check("-r /x run ", "> -r /x ps -q");
	check("net join ", "> net ls");
	check("net join n ", "> ps -q");
	check("net join n b ", "> ps -q");
	check("net make ", "");
	check("run b ", ":files\n");
	check("run b -x --file ", ":files\n");
}

/* bash itself, with a program that answers always the same. */
static void test_bash(void **state)
{
	FILE *shell = popen("bash -s", "w");

	(void)state;
	assert_non_null(shell);
	fputs("set -e\n", shell);
	assert_true(complete_script(&program, "bash", shell));
	fputs("command() { printf 'net\\tAbout nets\\nnew:tag\\n--x=one\\n'; }\n"
	      "check() { COMP_LINE=$2 COMP_POINT=${#2}; _a_prog; [ \"${COMPREPLY[*]}\" = \"$1\" ] "
	      "|| { echo \"$2: ${COMPREPLY[*]}\"; exit 1; }; }\n"
	      "check 'net new:tag' 'a-prog n'\n"
	      "check 'net new:tag --x=one' 'a-prog '\n"
	      "check 'tag' 'a-prog run new:'\n"
	      "check 'one' 'a-prog run --x=o'\n",
		shell);
	assert_int_equal(pclose(shell), 0);
	assert_false(complete_script(&program, "tcsh", stdout));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_bash),
	};

	return cmocka_run_group_tests_name("cli/complete", tests, NULL, NULL);
}

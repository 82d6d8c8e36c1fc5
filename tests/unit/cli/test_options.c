/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct values {
	bool tty, interactive;
	struct opt_bool privileges;
	const char *name, *pull;
	struct strings env;
	uint32_t fds;
	struct opt_u32 shares;
	struct opt_u64 period;
	struct opt_i64 quota;
	struct opt_u64 size;
	struct opt_i64 limit;
	int signal, format, sum;
};

static const struct json_name formats[] = {{"text", 1}, {"json", 2}, {}};

static int add_up(const char *value, struct arena *arena, void *dest, struct err *err)
{
	(void)arena;
	if (strspn(value, "1") != strlen(value))
		return err_set(err, -EINVAL, "\"%s\" has something else than ones", value);
	*(int *)dest += (int)strlen(value);
	return 0;
}

static const struct option table[] = {
	{"tty", 't', OPTION_FLAG, OPTION_AT(values, tty), .help = "give it a terminal"},
	{"interactive", 'i', OPTION_FLAG, OPTION_AT(values, interactive)},
	{"no-new-privs", 0, OPTION_OPT_FLAG, OPTION_AT(values, privileges)},
	{"name", 'n', OPTION_TEXT, OPTION_AT(values, name), .argument = "NAME"},
	{"pull", 0, OPTION_TEXT, OPTION_AT(values, pull), .implied = "always"},
	{"env", 'e', OPTION_TEXTS, OPTION_AT(values, env), .argument = "NAME=VALUE"},
	{"preserve-fds", 0, OPTION_U32, OPTION_AT(values, fds)},
	{"shares", 0, OPTION_OPT_U32, OPTION_AT(values, shares)},
	{"period", 0, OPTION_OPT_U64, OPTION_AT(values, period)},
	{"quota", 0, OPTION_OPT_I64, OPTION_AT(values, quota)},
	{"size", 0, OPTION_SIZE, OPTION_AT(values, size)},
	{"limit", 0, OPTION_LIMIT, OPTION_AT(values, limit)},
	{"signal", 's', OPTION_SIGNAL, OPTION_AT(values, signal)},
	{"format", 0, OPTION_NAME, OPTION_AT(values, format), .names = formats},
	{"ones", 0, OPTION_CUSTOM, OPTION_AT(values, sum), .parse = add_up},
	{"secret", 0, OPTION_FLAG, OPTION_AT(values, tty), .hidden = true},
	{},
};

struct run {
	struct arena arena;
	struct values values;
	struct options_result result;
	struct err err;
};

static int parse_flags(struct run *run, unsigned int flags, const char *const *argv)
{
	int argc = 0;

	arena_free(&run->arena);
	*run = (struct run){};
	while (argv[argc])
		argc++;
	return options_parse(table, argc, (char *const *)argv, flags, &run->arena, &run->values,
		&run->result, &run->err);
}

#define PARSE_FLAGS(run, flags, ...) \
	parse_flags(run, flags, (const char *const[]){__VA_ARGS__, NULL})
#define PARSE(run, ...) PARSE_FLAGS(run, 0, __VA_ARGS__)

static void test_forms_of_a_value(void **state)
{
	struct run run = {};

	(void)state;
	assert_int_equal(PARSE(&run, "--name=a"), 0);
	assert_string_equal(run.values.name, "a");
	assert_int_equal(PARSE(&run, "--name", "--tty"), 0);
	assert_string_equal(run.values.name, "--tty");
	assert_false(run.values.tty);
	assert_int_equal(PARSE(&run, "-n", "b"), 0);
	assert_string_equal(run.values.name, "b");
	assert_int_equal(PARSE(&run, "-nc"), 0);
	assert_string_equal(run.values.name, "c");
	assert_int_equal(PARSE(&run, "-n=d"), 0);
	assert_string_equal(run.values.name, "d");
	assert_int_equal(PARSE(&run, "--name="), 0);
	assert_string_equal(run.values.name, "");
	assert_int_equal(PARSE(&run, "--name=a=b", "--name=c"), 0);
	assert_string_equal(run.values.name, "c");
	assert_int_equal(PARSE(&run, "--name"), -EINVAL);
	assert_string_equal(run.err.text, "--name: the flag needs an argument: --name NAME");
	arena_free(&run.arena);
}

static void test_flags_and_clusters(void **state)
{
	struct run run = {};

	(void)state;
	assert_int_equal(PARSE(&run, "-it", "x"), 0);
	assert_true(run.values.tty && run.values.interactive);
	assert_int_equal(run.result.arg_count, 1);
	assert_int_equal(PARSE(&run, "-tin", "x"), 0);
	assert_string_equal(run.values.name, "x");
	assert_int_equal(PARSE(&run, "-tinx"), 0);
	assert_string_equal(run.values.name, "x");
	assert_int_equal(PARSE(&run, "--tty", "--tty=false", "-i=1"), 0);
	assert_true(!run.values.tty && run.values.interactive);
	assert_int_equal(PARSE(&run, "--tty=maybe"), -EINVAL);
	assert_string_equal(run.err.text, "--tty: \"maybe\" is not true or false");
	assert_int_equal(PARSE(&run, "--tty="), -EINVAL);
	assert_int_equal(PARSE(&run, "--no-new-privs=false"), 0);
	assert_true(run.values.privileges.set && !run.values.privileges.value);
	assert_int_equal(PARSE(&run, "-tq"), -EINVAL);
	assert_string_equal(run.err.text, "unknown option -q in -tq");
	arena_free(&run.arena);
}

static void test_lists_keep_order(void **state)
{
	struct run run = {};
	const char *argv[2 * 100 + 1] = {};

	(void)state;
	for (int i = 0; i < 100; i++) {
		argv[2 * i] = "-e";
		argv[2 * i + 1] = i % 2 ? "A=1" : "B=2";
	}
	assert_int_equal(parse_flags(&run, 0, argv), 0);
	assert_int_equal(run.values.env.count, 100);
	for (int i = 0; i < 100; i++)
		assert_ptr_equal(run.values.env.items[i], argv[2 * i + 1]);
	arena_free(&run.arena);
}

static void test_numbers_are_strict(void **state)
{
	static const char *const wrong[] = {
		"--preserve-fds=",
		"--preserve-fds=-1",
		"--preserve-fds=1x",
		"--preserve-fds= 1",
		"--preserve-fds=4294967296",
		"--shares=0x10",
		"--period=1.5",
		"--quota=--1",
		"--size=64q",
		"--size=-1",
		"--size=k",
		"--limit=-2",
		"--limit=8388608t",
		"--signal=0",
		"--signal=65",
		"--signal=NOSUCH",
		"--format=xml",
		"--ones=12",
		"--ones=",
	};
	struct run run = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong) - 1; i++) {
		assert_true(PARSE(&run, wrong[i]) < 0);
		assert_int_equal(strncmp(run.err.text, wrong[i], strcspn(wrong[i], "=")), 0);
		assert_null(run.result.unknown);
	}
	assert_int_equal(PARSE(&run, "--preserve-fds=4294967295", "--shares", "0", "--period=7",
				 "--quota=-1", "--size=64m", "--limit=-1", "-sKILL",
				 "--format=json", "--ones=1", "--ones=11"),
		0);
	assert_int_equal(run.values.fds, UINT32_MAX);
	assert_true(run.values.shares.set && run.values.shares.value == 0);
	assert_true(run.values.period.set && run.values.period.value == 7);
	assert_true(run.values.quota.set && run.values.quota.value == -1);
	assert_int_equal(run.values.size.value, 64 << 20);
	assert_true(run.values.limit.set && run.values.limit.value == -1);
	assert_int_equal(run.values.signal, 9);
	assert_int_equal(run.values.format, 2);
	assert_int_equal(run.values.sum, 3);
	assert_int_equal(PARSE(&run, "--format=xml"), -EINVAL);
	assert_string_equal(run.err.text, "--format: \"xml\" is not one of text, json");
	arena_free(&run.arena);
}

static void test_operands(void **state)
{
	struct run run = {};

	(void)state;
	assert_int_equal(PARSE(&run, "a", "--tty", "-", "--", "--name", "b"), 0);
	assert_true(run.values.tty);
	assert_int_equal(run.result.arg_count, 4);
	assert_string_equal(run.result.args[1], "-");
	assert_string_equal(run.result.args[2], "--name");
	assert_null(run.result.args[4]);
	assert_int_equal(
		PARSE_FLAGS(&run, OPTIONS_STOP_AT_OPERAND, "-t", "id", "ls", "-i", "--nope"), 0);
	assert_false(run.values.interactive);
	assert_int_equal(run.result.used, 1);
	assert_int_equal(run.result.arg_count, 4);
	assert_int_equal(PARSE_FLAGS(&run, OPTIONS_STOP_AT_OPERAND, "--", "-t"), 0);
	assert_false(run.values.tty);
	assert_int_equal(run.result.arg_count, 1);
	arena_free(&run.arena);
}

static void test_single_dash(void **state)
{
	struct run run = {};

	(void)state;
	assert_int_equal(PARSE_FLAGS(&run, OPTIONS_SINGLE_DASH, "-preserve-fds=3", "-tty"), 0);
	assert_int_equal(run.values.fds, 3);
	assert_true(run.values.tty);
	assert_int_equal(PARSE_FLAGS(&run, OPTIONS_SINGLE_DASH, "-name", "x", "-it"), 0);
	assert_string_equal(run.values.name, "x");
	assert_true(run.values.interactive);
	/* Without the flag, -name is -n with the value "ame". */
	assert_int_equal(PARSE(&run, "-name"), 0);
	assert_string_equal(run.values.name, "ame");
	arena_free(&run.arena);
}

static void test_unknown_names_the_nearest(void **state)
{
	struct run run = {};

	(void)state;
	assert_int_equal(PARSE(&run, "--preserv-fd=3"), -EINVAL);
	assert_string_equal(
		run.err.text, "unknown option --preserv-fd: did you mean --preserve-fds?");
	assert_string_equal(run.result.unknown, "--preserv-fd=3");
	assert_int_equal(PARSE(&run, "--zzz"), -EINVAL);
	assert_string_equal(run.err.text, "unknown option --zzz");
	assert_int_equal(PARSE(&run, "--secre"), -EINVAL);
	assert_null(strstr(run.err.text, "secret"));
	/* No abbreviations: what is short for one today is ambiguous tomorrow. */
	assert_int_equal(PARSE(&run, "--preserve=3"), -EINVAL);
	assert_int_equal(PARSE(&run, "--secret"), 0);
	assert_true(run.values.tty);
	arena_free(&run.arena);
}

static void test_implied_value(void **state)
{
	struct run run = {};

	(void)state;
	assert_int_equal(PARSE(&run, "--pull", "image"), 0);
	assert_string_equal(run.values.pull, "always");
	assert_int_equal(run.result.arg_count, 1);
	assert_int_equal(PARSE(&run, "--pull=never", "image"), 0);
	assert_string_equal(run.values.pull, "never");
	arena_free(&run.arena);
}

static void test_help_and_version(void **state)
{
	struct run run = {};

	(void)state;
	assert_int_equal(PARSE(&run, "-h", "--nope"), 0);
	assert_true(run.result.help);
	assert_int_equal(PARSE(&run, "--help"), 0);
	assert_true(run.result.help);
	assert_int_equal(PARSE(&run, "--version"), -EINVAL);
	assert_int_equal(PARSE_FLAGS(&run, OPTIONS_VERSION, "-t", "--version"), 0);
	assert_true(run.result.version);
	arena_free(&run.arena);
}

static void test_help_fits(void **state)
{
	static const struct option wide[] = {
		{"flag", 'f', OPTION_FLAG, .help = "short"},
		{"a-name-that-is-longer-than-the-column", 0, OPTION_TEXT, .argument = "FILE",
			.help = "words that go on and on until the line is full and must be "
				"broken somewhere, more than once if need be, without a hyphen"},
		{"format", 0, OPTION_NAME, .names = formats, .help = "how to print"},
		{"hidden", 0, OPTION_FLAG, .hidden = true, .help = "not shown"},
		{},
	};
	autobuf struct buf text = {};

	(void)state;
	options_help(wide, &text);
	for (const char *line = text.data; *line; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 80);
	assert_non_null(strstr(text.data, "  -f, --flag          short\n"));
	assert_non_null(strstr(text.data, "      --format VALUE  how to print: text or json\n"));
	assert_non_null(strstr(text.data, "column FILE\n                      words that"));
	assert_null(strstr(text.data, "hidden"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms_of_a_value),
		cmocka_unit_test(test_flags_and_clusters),
		cmocka_unit_test(test_lists_keep_order),
		cmocka_unit_test(test_numbers_are_strict),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_single_dash),
		cmocka_unit_test(test_unknown_names_the_nearest),
		cmocka_unit_test(test_implied_value),
		cmocka_unit_test(test_help_and_version),
		cmocka_unit_test(test_help_fits),
	};

	return cmocka_run_group_tests_name("cli/options", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* What the callbacks saw: a test's own state, reached through the tables' functions. */
static struct {
	int setups, fails, runs;
	bool usage;
	char text[ERR_TEXT_MAX], log[64], bundle[64], last[64];
	size_t arg_count;
	const char *volume;
} seen;

struct global {
	const char *log;
	bool debug;
};

struct create {
	const char *bundle;
	uint32_t fds;
};

static int setup(const struct invocation *inv, struct err *err)
{
	const struct global *global = inv->global;

	seen.setups++;
	if (global->log)
		strncpy(seen.log, global->log, sizeof(seen.log) - 1);
	return global->debug ? err_set(err, -EPERM, "no debugging") : 0;
}

static int report(const struct invocation *inv, const struct err *err)
{
	seen.fails++;
	seen.usage = inv->usage;
	strcpy(seen.text, err->text);
	return inv->usage ? 2 : 1;
}

static int run_create(const struct invocation *inv, struct err *err)
{
	const struct create *create = inv->options;

	seen.runs++;
	strncpy(seen.bundle, create->bundle, sizeof(seen.bundle) - 1);
	seen.arg_count = inv->arg_count;
	strncpy(seen.last, inv->args[inv->arg_count - 1], sizeof(seen.last) - 1);
	if (strcmp(inv->args[0], "bad") == 0)
		return err_set(err, -EEXIST, "container bad already exists");
	return (int)create->fds;
}

static int run_volume(const struct invocation *inv, struct err *err)
{
	(void)err;
	seen.runs++;
	seen.volume = inv->command->name;
	return 0;
}

static const struct option global_options[] = {
	{"log", 0, OPTION_TEXT, OPTION_AT(global, log), .argument = "FILE", .help = "log there"},
	{"debug", 0, OPTION_FLAG, OPTION_AT(global, debug), .help = "say more"},
	{},
};

static const struct option create_options[] = {
	{"bundle", 'b', OPTION_TEXT, OPTION_AT(create, bundle), .argument = "DIR",
		.help = "the bundle"},
	{"preserve-fds", 0, OPTION_U32, OPTION_AT(create, fds), .help = "descriptors to keep"},
	{},
};

static const struct command volumes[] = {
	{"create", "NAME", "Make a volume", .min_args = 1, .max_args = 1, .run = run_volume},
	{"rm", "NAME…", "Remove volumes", .min_args = 1, .max_args = COMMAND_ANY_ARGS,
		.run = run_volume},
	{},
};

static const struct command commands[] = {
	{"create", "[OPTIONS] ID", "Create a container", .details = "It is not started.",
		.options = create_options, .options_size = sizeof(struct create),
		.defaults = &(const struct create){.bundle = "."}, .min_args = 1, .max_args = 1,
		.run = run_create},
	{"exec", "[OPTIONS] ID COMMAND…", "Run a command in a container", .options = create_options,
		.options_size = sizeof(struct create),
		.defaults = &(const struct create){.bundle = "."}, .min_args = 1,
		.max_args = COMMAND_ANY_ARGS, .flags = OPTIONS_STOP_AT_OPERAND, .run = run_create},
	{"volume", NULL, "Manage volumes", .commands = volumes},
	{},
};

static const struct program program = {
	.name = "prog",
	.summary = "A program for a test",
	.options = global_options,
	.options_size = sizeof(struct global),
	.commands = commands,
	.flags = OPTIONS_SINGLE_DASH,
	.setup = setup,
	.fail = report,
};

static int call(const char *const *argv)
{
	int argc = 0;

	memset(&seen, 0, sizeof(seen));
	while (argv[argc])
		argc++;
	return command_main(&program, argc, (char **)argv);
}

#define CALL(...) call((const char *const[]){"prog", __VA_ARGS__, NULL})

static void test_runs_a_command(void **state)
{
	(void)state;
	assert_int_equal(CALL("--log", "F", "create", "-bundle", "B", "--preserve-fds=3", "id"), 3);
	assert_int_equal(seen.setups, 1);
	assert_string_equal(seen.log, "F");
	assert_string_equal(seen.bundle, "B");
	assert_int_equal(CALL("create", "id"), 0);
	assert_string_equal(seen.bundle, ".");
	assert_int_equal(seen.fails, 0);
}

static void test_stops_at_the_operand(void **state)
{
	(void)state;
	assert_int_equal(CALL("exec", "id", "ls", "--bundle", "X"), 0);
	assert_int_equal(seen.arg_count, 4);
	assert_string_equal(seen.bundle, ".");
	assert_string_equal(seen.last, "X");
}

static void test_failures_go_to_fail(void **state)
{
	(void)state;
	assert_int_equal(CALL("create", "bad"), 1);
	assert_string_equal(seen.text, "container bad already exists");
	assert_int_equal(CALL("create"), 2);
	assert_string_equal(
		seen.text, "create: an argument is missing: usage: prog create [OPTIONS] ID");
	assert_int_equal(CALL("create", "a", "b"), 2);
	assert_int_equal(CALL("create", "--bundel=x", "a"), 2);
	assert_string_equal(seen.text, "create: unknown option --bundel: did you mean --bundle?");
	assert_int_equal(CALL("creat", "a"), 2);
	assert_string_equal(seen.text, "unknown command \"creat\": did you mean \"create\"?");
	assert_int_equal(CALL("--debug", "create", "a"), 1);
	assert_string_equal(seen.text, "no debugging");
	assert_int_equal(call((const char *const[]){"prog", NULL}), 2);
	assert_int_equal(call((const char *const[]){NULL}), 2);
	assert_int_equal(seen.runs, 0);
	assert_int_equal(seen.fails, 1);
}

static void test_log_is_open_when_options_are_wrong(void **state)
{
	(void)state;
	assert_int_equal(CALL("--log=F", "--nope", "create", "a"), 2);
	assert_int_equal(seen.setups, 1);
	assert_string_equal(seen.log, "F");
	assert_string_equal(seen.text, "unknown option --nope");
}

static void test_misplaced_global_option(void **state)
{
	(void)state;
	assert_int_equal(CALL("create", "--log=F", "a"), 2);
	assert_string_equal(
		seen.text, "create: option --log belongs before the command: prog --log=F create");
	/* Only what is unknown is hinted at, not what stands behind the operand. */
	assert_int_equal(CALL("exec", "--preserve-fds=x", "id", "--log"), 2);
	assert_non_null(strstr(seen.text, "preserve-fds"));
}

static void test_commands_of_commands(void **state)
{
	(void)state;
	assert_int_equal(CALL("volume", "rm", "a", "b"), 0);
	assert_string_equal(seen.volume, "rm");
	assert_int_equal(CALL("volume", "qq", "a"), 2);
	assert_string_equal(seen.text, "unknown command \"qq\": see prog volume --help");
	assert_int_equal(CALL("volume", "mr", "a"), 2);
	assert_string_equal(seen.text, "unknown command \"mr\": did you mean \"rm\"?");
	assert_int_equal(CALL("volume", "create"), 2);
	assert_string_equal(
		seen.text, "create: an argument is missing: usage: prog volume create NAME");
	assert_int_equal(CALL("volume"), 2);
}

static void test_help_text(void **state)
{
	autobuf struct buf all = {}, one = {}, group = {};

	(void)state;
	command_help(&program, NULL, NULL, &all);
	assert_string_equal(buf_str(&all),
		"Usage: prog [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n"
		"\n"
		"A program for a test\n"
		"\n"
		"Commands:\n"
		"  create  Create a container\n"
		"  exec    Run a command in a container\n"
		"  volume  Manage volumes\n"
		"\n"
		"Global options:\n"
		"      --log FILE  log there\n"
		"      --debug     say more\n"
		"\n"
		"More about one command: prog COMMAND --help\n");
	command_help(&program, NULL, &commands[0], &one);
	assert_string_equal(buf_str(&one), "Usage: prog create [OPTIONS] ID\n"
					   "\n"
					   "Create a container\n"
					   "\n"
					   "It is not started.\n"
					   "\n"
					   "Options:\n"
					   "  -b, --bundle DIR      the bundle\n"
					   "      --preserve-fds N  descriptors to keep\n");
	command_help(&program, NULL, &commands[2], &group);
	assert_non_null(strstr(buf_str(&group), "Usage: prog volume COMMAND\n"));
	assert_non_null(strstr(buf_str(&group), "  rm      Remove volumes\n"));
}

static void test_every_help_exits_with_zero(void **state)
{
	(void)state;
	assert_int_equal(CALL("--help"), 0);
	assert_int_equal(CALL("help"), 0);
	assert_int_equal(CALL("help", "create"), 0);
	assert_int_equal(CALL("help", "volume", "rm"), 0);
	assert_int_equal(CALL("create", "--help"), 0);
	assert_int_equal(CALL("volume", "rm", "-h"), 0);
	assert_int_equal(seen.runs + seen.fails, 0);
	assert_int_equal(CALL("help", "nope"), 2);
	/* Behind the operand it belongs to the program that is run. */
	assert_int_equal(CALL("exec", "id", "ls", "--help"), 0);
	assert_int_equal(seen.runs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_a_command),
		cmocka_unit_test(test_stops_at_the_operand),
		cmocka_unit_test(test_failures_go_to_fail),
		cmocka_unit_test(test_log_is_open_when_options_are_wrong),
		cmocka_unit_test(test_misplaced_global_option),
		cmocka_unit_test(test_commands_of_commands),
		cmocka_unit_test(test_help_text),
		cmocka_unit_test(test_every_help_exits_with_zero),
	};

	return cmocka_run_group_tests_name("cli/command", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "base/parse.h"
#include "base/sys.h"
#include "cli/complete.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { GROUP_COLUMN = 14 };

/* One command line on its way. */
struct call {
	struct invocation inv;
	const struct command *parent; /* of inv.command, or NULL */
	struct arena arena;
	struct err err;
	int argc; /* what is left */
	char **argv;
};

static const struct command *find_command(const struct command *commands, const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

/* Standard output is the result of a command: a full disk there is a failure. */
static int flush_output(struct err *err)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return err_sys(err, errno ? -errno : -EIO, "standard output");
}

static int fail(struct call *call, bool usage)
{
	call->inv.usage = usage;
	return call->inv.program->fail(&call->inv, &call->err);
}

static int finish(struct call *call, int code)
{
	if (flush_output(&call->err) < 0)
		return fail(call, false);
	return code;
}

static int show_help(struct call *call)
{
	autobuf struct buf text = {};

	command_help(call->inv.program, call->parent, call->inv.command, &text);
	if (text.failed) {
		err_sys(&call->err, -ENOMEM, "help");
		return fail(call, false);
	}
	fputs(buf_str(&text), stdout);
	return finish(call, 0);
}

/* Zeroed memory of SIZE, or a copy of DEFAULTS. */
static int make_options(struct call *call, size_t size, const void *defaults, void **ret)
{
	void *dest = arena_alloc(&call->arena, 1, size ? size : 1);

	if (!dest)
		return err_sys(&call->err, -ENOMEM, "command line");
	if (defaults)
		memcpy(dest, defaults, size);
	*ret = dest;
	return 0;
}

static int unknown_command(struct call *call, const struct command *commands, const char *name)
{
	const struct program *program = call->inv.program;
	const struct command *group = call->inv.command;
	struct options_nearest best = {};

	for (const struct command *c = commands; c->name; c++)
		if (!c->hidden)
			options_consider(&best, name, c->name);
	if (best.name)
		return err_set(&call->err, -EINVAL, "unknown command \"%s\": did you mean \"%s\"?",
			name, best.name);
	return err_set(&call->err, -EINVAL, "unknown command \"%s\": see %s%s%s --help", name,
		program->name, group ? " " : "", group ? group->name : "");
}

/* Takes the next argument as a command of COMMANDS. */
static int take_command(struct call *call, const struct command *commands)
{
	const struct command *command;

	if (call->argc == 0)
		return err_set(&call->err, -EINVAL, "no command given: see %s --help",
			call->inv.program->name);
	command = find_command(commands, call->argv[0]);
	if (!command)
		return unknown_command(call, commands, call->argv[0]);
	call->parent = call->inv.command;
	call->inv.command = command;
	call->argc--;
	call->argv++;
	return 0;
}

/* "help [COMMAND [COMMAND]]" */
static int run_help(struct call *call)
{
	const struct command *commands = call->inv.program->commands;

	call->argc--;
	call->argv++;
	while (call->argc > 0 && commands) {
		if (take_command(call, commands) < 0)
			return fail(call, true);
		commands = call->inv.command->commands;
	}
	return show_help(call);
}

static int check_arguments(struct call *call, const struct options_result *result)
{
	const struct command *command = call->inv.command;
	const char *usage = command->usage ? command->usage : "";
	const char *what;

	if (result->arg_count < command->min_args)
		what = "an argument is missing";
	else if (command->max_args != COMMAND_ANY_ARGS && result->arg_count > command->max_args)
		what = "too many arguments";
	else
		return 0;
	return err_set(&call->err, -EINVAL, "%s: %s: usage: %s %s%s%s %s", command->name, what,
		call->inv.program->name, call->parent ? call->parent->name : "",
		call->parent ? " " : "", command->name, usage);
}

/* A global option behind the command is the commonest slip, so the error says where it belongs. */
static void hint_global(struct call *call, const char *arg)
{
	const char *name = arg + strspn(arg, "-");
	size_t len = strcspn(name, "=");

	if (options_find(call->inv.program->options, name, len))
		err_set(&call->err, -EINVAL, "option --%.*s belongs before the command: %s %s %s",
			(int)len, name, call->inv.program->name, arg, call->inv.command->name);
}

static int run_command(struct call *call)
{
	const struct command *command = call->inv.command;
	struct options_result result = {};
	unsigned int flags = command->flags | call->inv.program->flags;
	void *options;
	int r;

	if (command->commands)
		flags |= OPTIONS_STOP_AT_OPERAND;
	if (make_options(call, command->options_size, command->defaults, &options) < 0)
		return fail(call, false);
	r = options_parse(command->options, call->argc, call->argv, flags, &call->arena, options,
		&result, &call->err);
	if (r < 0) {
		if (result.unknown)
			hint_global(call, result.unknown);
		err_add(&call->err, "%s", command->name);
		return fail(call, r != -ENOMEM);
	}
	if (result.help)
		return show_help(call);
	if (command->commands) {
		call->argc -= (int)result.used;
		call->argv += result.used;
		if (take_command(call, command->commands) < 0)
			return fail(call, true);
		return run_command(call);
	}
	if (check_arguments(call, &result) < 0)
		return fail(call, true);
	call->inv.options = options;
	call->inv.args = result.args;
	call->inv.arg_count = result.arg_count;
	r = command->run(&call->inv, &call->err);
	if (r < 0)
		return fail(call, false);
	return finish(call, r);
}

static int run_dump(struct call *call, const char *format)
{
	if (call->inv.program->dump(call->inv.program, format, stdout, &call->err) < 0)
		return fail(call, true);
	return finish(call, 0);
}

static int show_version(struct call *call)
{
	call->inv.program->version(stdout);
	return finish(call, 0);
}

/* Names are listed by the verb that lists them, in place of this process. */
static int run_complete(struct call *call)
{
	const char *const *names;
	const char **argv;
	size_t count = 0;

	if (complete_words(call->inv.program, call->argv + 1, (size_t)call->argc - 1, &call->arena,
		    stdout, &names) < 0)
		return 1;
	fflush(stdout);
	if (!names)
		return 0;
	while (names[count])
		count++;
	argv = arena_array(&call->arena, count + 2, const char *);
	if (!argv)
		return 1;
	argv[0] = call->inv.program->name;
	memcpy(argv + 1, names, count * sizeof(*names));
	sys_execveat(AT_FDCWD, "/proc/self/exe", (char *const *)argv, environ, 0);
	return 1;
}

static int run_program(struct call *call)
{
	const struct program *program = call->inv.program;
	struct options_result result = {};
	struct err setup_err = {};
	unsigned int flags = program->flags | OPTIONS_STOP_AT_OPERAND;
	const char *format;
	void *global;
	int r;

	if (program->complete && call->argc && strcmp(call->argv[0], "--complete") == 0)
		return run_complete(call);
	if (program->dump && call->argc == 1 &&
		parse_has_prefix(call->argv[0], "--dump-tables=", &format))
		return run_dump(call, format);
	if (program->version)
		flags |= OPTIONS_VERSION;
	if (make_options(call, program->options_size, program->defaults, &global) < 0)
		return fail(call, false);
	call->inv.global = global;
	r = options_parse(program->options, call->argc, call->argv, flags, &call->arena, global,
		&result, &call->err);
	if (r == 0 && result.help)
		return show_help(call);
	if (r == 0 && result.version)
		return show_version(call);
	if (program->setup && program->setup(&call->inv, r == 0 ? &call->err : &setup_err) < 0 &&
		r == 0)
		return fail(call, false);
	if (r < 0)
		return fail(call, r != -ENOMEM);
	call->argc -= (int)result.used;
	call->argv += result.used;
	if (call->argc && strcmp(call->argv[0], "help") == 0 &&
		!find_command(program->commands, "help"))
		return run_help(call);
	if (take_command(call, program->commands) < 0)
		return fail(call, true);
	return run_command(call);
}

int command_main(const struct program *program, int argc, char **argv)
{
	struct call call = {
		.inv = {.program = program, .argv = argv, .arena = &call.arena},
		.argc = argc > 0 ? argc - 1 : 0,
		.argv = argc > 0 ? argv + 1 : argv,
	};
	int code = run_program(&call);

	arena_free(&call.arena);
	return code;
}

/* ---- help ---- */

static void list_commands(const struct command *commands, struct buf *ret)
{
	size_t widest = 0;

	for (const struct command *c = commands; c->name; c++)
		if (!c->hidden && !c->group && strlen(c->name) > widest)
			widest = strlen(c->name);
	for (const struct command *c = commands; c->name; c++)
		if (!c->hidden && !c->group)
			options_entry(ret, c->name, c->summary, options_column(widest));
}

/* The names of the commands of one GROUP. */
static void list_group(const struct command *commands, const char *group, struct buf *ret)
{
	autobuf struct buf names = {};

	for (const struct command *c = commands; c->name; c++)
		if (!c->hidden && c->group && strcmp(c->group, group) == 0)
			buf_printf(&names, "%s%s", names.len ? ", " : "", c->name);
	options_entry(ret, group, buf_str(&names), GROUP_COLUMN);
}

/* The groups in the order of their first commands. */
static void list_groups(const struct command *commands, struct buf *ret)
{
	for (const struct command *c = commands; c->name; c++) {
		const struct command *first = commands;

		while (first != c && (first->hidden || !first->group || !c->group ||
					     strcmp(first->group, c->group) != 0))
			first++;
		if (!c->hidden && c->group && first == c)
			list_group(commands, c->group, ret);
	}
}

static bool has_groups(const struct command *commands)
{
	for (const struct command *c = commands; c->name; c++)
		if (!c->hidden && c->group)
			return true;
	return false;
}

static void add_usage(const struct program *program, const struct command *parent,
	const struct command *command, struct buf *ret)
{
	autobuf struct buf line = {};

	buf_printf(&line, "Usage: %s", program->name);
	if (parent)
		buf_printf(&line, " %s", parent->name);
	if (command)
		buf_printf(&line, " %s", command->name);
	if (!command)
		buf_puts(&line, " [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]");
	else if (command->commands)
		buf_puts(&line, " COMMAND");
	else if (command->usage)
		buf_printf(&line, " %s", command->usage);
	options_wrap(ret, buf_str(&line), 8, 0);
}

static bool has_visible(const struct option *table)
{
	for (const struct option *o = table; o && o->name; o++)
		if (!o->hidden)
			return true;
	return false;
}

void command_help(const struct program *program, const struct command *parent,
	const struct command *command, struct buf *ret)
{
	const struct option *options = command ? command->options : program->options;
	const struct command *commands = command ? command->commands : program->commands;
	const char *details = command ? command->details : program->details;

	add_usage(program, parent, command, ret);
	buf_puts(ret, "\n");
	options_wrap(ret, command ? command->summary : program->summary, 0, 0);
	if (details) {
		buf_puts(ret, "\n");
		options_wrap(ret, details, 0, 0);
	}
	if (commands) {
		buf_puts(ret, "\nCommands:\n");
		list_commands(commands, ret);
		if (has_groups(commands)) {
			buf_puts(ret, "\nMore commands:\n");
			list_groups(commands, ret);
		}
	}
	if (has_visible(options)) {
		buf_puts(ret, command ? "\nOptions:\n" : "\nGlobal options:\n");
		options_help(options, ret);
	}
	if (commands)
		buf_printf(ret, "\nMore about one command: %s %s%sCOMMAND --help\n", program->name,
			command ? command->name : "", command ? " " : "");
}

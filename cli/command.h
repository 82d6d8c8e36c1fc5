/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs made of commands: PROGRAM [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS].
 *
 * A program is one const struct with its tables; its main() is
 *
 *	return command_main(&program, argc, argv);
 *
 * which parses the global options, calls .setup, finds the command, parses its options into a
 * zeroed struct (or a copy of .defaults), checks the number of operands and calls .run. Every
 * failure, of the parser and of .run, ends in .fail, which alone decides what is printed and what
 * the exit code is. --help and "help [COMMAND]" are answered from the tables, on standard output,
 * with exit code 0, as is --version (by .version).
 *
 * Call from main() only: the process of a command.
 */
#pragma once

#include "cli/options.h"

#include <stdio.h>

struct program;
struct command;
struct complete_names;

/* What a command gets. All of it lives until .run returns. */
struct invocation {
	const struct program *program;
	const struct command *command; /* NULL in .setup, or when there was none */
	const void *global;            /* of program->options */
	const void *options;           /* of command->options */
	char **argv;                   /* the program's own, whole */
	char **args;                   /* operands, ends with NULL */
	size_t arg_count;
	struct arena *arena;
	bool usage; /* for .fail: the command line itself is wrong */
};

enum { COMMAND_ANY_ARGS = 0xffff };

struct command {
	const char *name;
	const char *usage;   /* what follows the name: "[OPTIONS] ID" */
	const char *summary; /* one line, begins with a capital, no full stop */
	const char *details; /* paragraphs for help and manual, separated by empty lines, or NULL */
	const struct option *options;    /* NULL: none */
	size_t options_size;             /* of the struct they fill in */
	const void *defaults;            /* a struct of that size, or NULL for zeros */
	const struct command *commands;  /* "volume create": then .run is NULL */
	unsigned int min_args, max_args; /* operands; COMMAND_ANY_ARGS: no limit */
	unsigned int flags;              /* OPTIONS_STOP_AT_OPERAND */
	bool hidden;                     /* works, but is not shown */
	/* NULL: the program's help gives it a line; else it is listed by name under this heading,
	 * so that the help of a program with many commands fits a screen. */
	const char *group;
	/* Returns the exit code, or a negative errno with the sentence in ERR. */
	int (*run)(const struct invocation *inv, struct err *err);
};

struct program {
	const char *name;
	const char *summary; /* one line for the top of help */
	const char *details; /* as for a command */
	const struct option *options;
	size_t options_size;
	const void *defaults;
	const struct command *commands; /* ends with a NULL name */
	unsigned int flags;             /* OPTIONS_SINGLE_DASH, for the commands too */
	/* After the global options, before anything else: opens the log. Called even when they are
	 * wrong, with those before the wrong one, so that the failure reaches the log that the
	 * caller reads. NULL: nothing to do. */
	int (*setup)(const struct invocation *inv, struct err *err);
	/* Prints ERR; returns the exit code. */
	int (*fail)(const struct invocation *inv, const struct err *err);
	/* Prints what --version shows. */
	void (*version)(FILE *out);
	/* Writes the tables for manual and shells in FORMAT (cli/dump.h), on --dump-tables=FORMAT;
	 * NULL: there is no such option. */
	int (*dump)(const struct program *program, const char *format, FILE *out, struct err *err);
	/* For --complete (cli/complete.h), ends with a NULL kind; NULL: there is no such option. */
	const struct complete_names *complete;
};

int command_main(const struct program *program, int argc, char **argv);

/* The text of --help, of the program (COMMAND NULL) or of one command. PARENT is the command that
 * COMMAND belongs to, or NULL. */
void command_help(const struct program *program, const struct command *parent,
	const struct command *command, struct buf *ret);

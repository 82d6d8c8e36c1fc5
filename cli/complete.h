/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person may write next, found from the tables that parse the command line: verbs at any
 *depth, options, their values, and the names of what is there. The shells' scripts only ask
 *
 *	PROGRAM --complete WORD... CURRENT
 *
 * and show the lines of the answer: a word, and after a tab what it is. ":files" or ":dirs" alone
 *lets the shell complete those.
 */
#pragma once

#include "cli/command.h"

/* How the names of a kind of operand are listed: KIND as usage lines and options call it
 * ("CONTAINER"), ARGS the program's own command for it, ends with NULL. */
struct complete_names {
	const char *kind;
	const char *args[6];
};

/* Prints the answer to OUT for WORDS, COUNT of them, the last one unfinished. With RET_ARGS set on
 * return the rest of the answer is what the program prints with those, of ARENA. −ENOMEM. Else
 * pure. */
int complete_words(const struct program *program, char *const *words, size_t count,
	struct arena *arena, FILE *out, const char *const **ret_args);
/* The script for SHELL: "bash", "zsh" or "fish"; false for another. */
bool complete_script(const struct program *program, const char *shell, FILE *out);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a program as text for other readers: the manual page's sections and the shells'
 * completions. Used as .dump of a struct program, at build time, so that neither can disagree with
 * the parser. A pure function but for OUT.
 */
#pragma once

#include "cli/command.h"

/* FORMAT is "roff" (the sections of one page for all), "pages" (the names of the verbs' own pages),
 * "page:NAME" (one of these), "bash", "zsh" or "fish"; −EINVAL for another. */
int dump_tables(const struct program *program, const char *format, FILE *out, struct err *err);

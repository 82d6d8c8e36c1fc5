/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dump.h"

#include "base/parse.h"

#include <string.h>

/* ---- the manual, man(7) ---- */

static void put_roff(FILE *out, const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		/* A dot or quote would begin a request there. */
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '\n' && text[1] == '\n')
			fputs("\n.PP", out);
		else
			fputc(*text, out);
		line_start = *text == '\n';
	}
}

static void roff_option(FILE *out, const struct option *o)
{
	fputs(".TP\n", out);
	if (o->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", out);
	put_roff(out, o->name);
	fputs("\\fR", out);
	if (option_has_argument(o)) {
		fputs(o->implied ? "[=\\fI" : " \\fI", out);
		put_roff(out, option_argument(o));
		fputs(o->implied ? "\\fR]" : "\\fR", out);
	}
	fputs("\n", out);
	put_roff(out, o->help ? o->help : "");
	if (o->kind == OPTION_NAME) {
		fputs(o->help ? ": " : "", out);
		for (const struct json_name *n = o->names; n->name; n++) {
			fputs(n == o->names ? "" : n[1].name ? ", " : " or ", out);
			put_roff(out, n->name);
		}
	}
	if (o->kind == OPTION_TEXTS)
		fputs(" (repeatable)", out);
	fputs("\n", out);
}

static void roff_options(FILE *out, const struct option *table)
{
	for (const struct option *o = table; o && o->name; o++)
		if (!o->hidden)
			roff_option(out, o);
}

static void roff_commands(FILE *out, const struct command *commands, const char *parent)
{
	for (const struct command *c = commands; c->name; c++) {
		if (c->hidden)
			continue;
		fprintf(out, ".SS \"%s%s%s", parent ? parent : "", parent ? " " : "", c->name);
		if (c->usage) {
			fputs(" ", out);
			put_roff(out, c->usage);
		}
		fputs("\"\n", out);
		put_roff(out, c->summary);
		fputs(".\n", out);
		if (c->details) {
			fputs(".PP\n", out);
			put_roff(out, c->details);
			fputs("\n", out);
		}
		roff_options(out, c->options);
		if (c->commands)
			roff_commands(out, c->commands, c->name);
	}
}

static void dump_roff(const struct program *program, FILE *out)
{
	if (program->options) {
		fputs(".SH GLOBAL OPTIONS\n", out);
		roff_options(out, program->options);
	}
	fputs(".SH COMMANDS\n", out);
	roff_commands(out, program->commands, NULL);
}

/* One page for one verb: PROGRAM-VERB(1), or PROGRAM-GROUP-VERB(1). */
static void dump_page(const struct program *program, const struct command *parent,
	const struct command *c, FILE *out)
{
	autobuf struct buf name = {};

	buf_printf(&name, "%s-%s%s%s", program->name, parent ? parent->name : "", parent ? "-" : "",
		c->name);
	fputs(".\\\" SPDX-License-Identifier: Apache-2.0\n.TH ", out);
	put_roff(out, buf_str(&name));
	fprintf(out, " 1 \"\" \"%s\" \"User Commands\"\n.SH NAME\n", program->name);
	put_roff(out, buf_str(&name));
	fputs(" \\- ", out);
	put_roff(out, c->summary);
	fprintf(out, "\n.SH SYNOPSIS\n.B %s %s%s%s\n", program->name, parent ? parent->name : "",
		parent ? " " : "", c->name);
	put_roff(out, c->commands ? "COMMAND" : c->usage ? c->usage : "");
	fputs("\n.SH DESCRIPTION\n", out);
	put_roff(out, c->summary);
	fputs(".\n", out);
	if (c->details) {
		fputs(".PP\n", out);
		put_roff(out, c->details);
		fputs("\n", out);
	}
	if (c->options && c->options->name) {
		fputs(".SH OPTIONS\n", out);
		roff_options(out, c->options);
	}
	if (c->commands) {
		fputs(".SH COMMANDS\n", out);
		for (const struct command *inner = c->commands; inner->name; inner++) {
			if (inner->hidden)
				continue;
			fprintf(out, ".TP\n.BR %s\\-%s\\-%s (1)\n", program->name, c->name,
				inner->name);
			put_roff(out, inner->summary);
			fputs("\n", out);
		}
	}
	fprintf(out, ".SH SEE ALSO\n.BR %s (1)\n", program->name);
}

/* Calls DUMP for the verb whose page is called NAME, or prints all names with NAME NULL. */
static bool each_page(const struct program *program, const char *name, FILE *out)
{
	for (const struct command *c = program->commands; c->name; c++) {
		const struct command *inner = c->commands;
		char page[256];

		if (c->hidden)
			continue;
		snprintf(page, sizeof(page), "%s-%s", program->name, c->name);
		if (!name)
			fprintf(out, "%s\n", page);
		else if (strcmp(name, page) == 0)
			return dump_page(program, NULL, c, out), true;
		for (; inner && inner->name; inner++) {
			if (inner->hidden)
				continue;
			snprintf(page, sizeof(page), "%s-%s-%s", program->name, c->name,
				inner->name);
			if (!name)
				fprintf(out, "%s\n", page);
			else if (strcmp(name, page) == 0)
				return dump_page(program, c, inner, out), true;
		}
	}
	return false;
}

static void dump_pages(const struct program *program, FILE *out)
{
	each_page(program, NULL, out);
}

/* ---- shells ---- */

/* What to complete as an option's value, from what help calls it. */
enum value_hint { HINT_NONE, HINT_FILE, HINT_DIR, HINT_NAMES, HINT_SIGNAL };

static enum value_hint option_hint(const struct option *o)
{
	static const char *const files[] = {"FILE", "PATH", "SOCKET"};
	const char *argument = option_argument(o);

	if (o->kind == OPTION_NAME)
		return HINT_NAMES;
	if (o->kind == OPTION_SIGNAL)
		return HINT_SIGNAL;
	if (strcmp(argument, "DIR") == 0)
		return HINT_DIR;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (strcmp(argument, files[i]) == 0)
			return HINT_FILE;
	return HINT_NONE;
}

/* Operands that are containers are named ID in usage lines. */
static bool wants_id(const struct command *c)
{
	return c->usage && strstr(c->usage, "ID");
}

/* Text within single quotes of any shell; zsh's own separators are escaped too. */
static void put_quoted(FILE *out, const char *text, const char *escape)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else if (strchr(escape, *text))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

/* A shell function's name for a program: "brig-oci" → "_brig_oci". */
static void put_function(FILE *out, const char *name)
{
	fputc('_', out);
	for (; *name; name++)
		fputc(*name == '-' ? '_' : *name, out);
}

static void put_names(FILE *out, const struct json_name *names)
{
	for (const struct json_name *n = names; n->name; n++)
		fprintf(out, "%s%s", n == names ? "" : " ", n->name);
}

static void bash_words(FILE *out, const struct option *table)
{
	for (const struct option *o = table; o && o->name; o++) {
		if (o->hidden)
			continue;
		fprintf(out, " --%s", o->name);
		if (o->letter)
			fprintf(out, " -%c", o->letter);
	}
	fputs(" --help", out);
}

/* The cases that complete the value of the option before the cursor. */
static void bash_values(FILE *out, const struct option *table, const char *verb)
{
	for (const struct option *o = table; o && o->name; o++) {
		if (o->hidden || !option_has_argument(o) || o->implied)
			continue;
		fprintf(out, "\t\t'%s:--%s'", verb, o->name);
		if (o->letter)
			fprintf(out, "|'%s:-%c'", verb, o->letter);
		fputs(") ", out);
		switch (option_hint(o)) {
		case HINT_FILE:
			fputs("mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")", out);
			break;
		case HINT_DIR:
			fputs("mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")", out);
			break;
		case HINT_SIGNAL:
			fputs("mapfile -t COMPREPLY < <(compgen -A signal -- \"$cur\")", out);
			break;
		case HINT_NAMES:
			fputs("mapfile -t COMPREPLY < <(compgen -W '", out);
			put_names(out, o->names);
			fputs("' -- \"$cur\")", out);
			break;
		case HINT_NONE:
			fputs(":", out);
			break;
		}
		fputs("; return ;;\n", out);
	}
}

/* Long options whose value is the next word, so that it is not taken for the verb. */
static void bash_globals(const struct program *program, FILE *out)
{
	fputs("\t\t", out);
	for (const struct option *o = program->options; o && o->name; o++) {
		if (!option_has_argument(o) || o->implied)
			continue;
		fprintf(out, "--%s|", o->name);
		if (o->letter)
			fprintf(out, "-%c|", o->letter);
	}
	fputs("'') i=$((i + 2)) ;;\n", out);
}

static void dump_bash(const struct program *program, FILE *out)
{
	put_function(out, program->name);
	fputs("() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} "
	      "verb='' i=1\n\tCOMPREPLY=()\n"
	      "\twhile [ \"$i\" -lt \"$COMP_CWORD\" ]; do\n\t\tcase ${COMP_WORDS[i]} in\n",
		out);
	bash_globals(program, out);
	fputs("\t\t-*) i=$((i + 1)) ;;\n\t\t*) verb=${COMP_WORDS[i]}; break ;;\n\t\tesac\n\tdone\n"
	      "\tcase $verb:$prev in\n",
		out);
	bash_values(out, program->options, "");
	for (const struct command *c = program->commands; c->name; c++)
		if (!c->hidden)
			bash_values(out, c->options, c->name);
	fputs("\tesac\n\tcase $verb:$cur in\n\t:-*) mapfile -t COMPREPLY < <(compgen -W '", out);
	bash_words(out, program->options);
	fputs("' -- \"$cur\") ;;\n\t:*) mapfile -t COMPREPLY < <(compgen -W 'help", out);
	for (const struct command *c = program->commands; c->name; c++)
		if (!c->hidden)
			fprintf(out, " %s", c->name);
	fputs("' -- \"$cur\") ;;\n", out);
	for (const struct command *c = program->commands; c->name; c++) {
		if (c->hidden)
			continue;
		fprintf(out, "\t%s:-*) mapfile -t COMPREPLY < <(compgen -W '", c->name);
		bash_words(out, c->options);
		fputs("' -- \"$cur\") ;;\n", out);
		if (wants_id(c))
			fprintf(out,
				"\t%s:*) mapfile -t COMPREPLY < <(compgen -W \"$(%s list -q "
				"2>/dev/null)\" -- \"$cur\") ;;\n",
				c->name, program->name);
	}
	fputs("\tesac\n}\ncomplete -o filenames -F ", out);
	put_function(out, program->name);
	fprintf(out, " %s\n", program->name);
}

static void zsh_options(FILE *out, const struct option *table, const char *indent)
{
	for (const struct option *o = table; o && o->name; o++) {
		if (o->hidden)
			continue;
		for (int form = o->letter ? 0 : 1; form < 2; form++) {
			fprintf(out, " \\\n%s'%s", indent, o->kind == OPTION_TEXTS ? "*" : "");
			if (form == 0)
				fprintf(out, "-%c", o->letter);
			else
				fprintf(out, "--%s%s", o->name, option_has_argument(o) ? "=" : "");
			fputs("[", out);
			put_quoted(out, o->help ? o->help : "", "[]:\\");
			fputs("]", out);
			if (option_has_argument(o)) {
				fputs(o->implied ? "::" : ":", out);
				put_quoted(out, option_argument(o), "[]:\\");
				fputs(":", out);
			}
			if (option_hint(o) == HINT_FILE && option_has_argument(o))
				fputs("_files", out);
			if (option_hint(o) == HINT_DIR && option_has_argument(o))
				fputs("_files -/", out);
			if (option_hint(o) == HINT_SIGNAL)
				fputs("_signals", out);
			if (option_hint(o) == HINT_NAMES) {
				fputs("(", out);
				put_names(out, o->names);
				fputs(")", out);
			}
			fputs("'", out);
		}
	}
}

static void dump_zsh(const struct program *program, FILE *out)
{
	fprintf(out, "#compdef %s\n", program->name);
	put_function(out, program->name);
	fputs("() {\n\tlocal curcontext=$curcontext state line\n\ttypeset -A opt_args\n"
	      "\tlocal -a verbs=(\n",
		out);
	for (const struct command *c = program->commands; c->name; c++) {
		if (c->hidden)
			continue;
		fprintf(out, "\t\t'%s:", c->name);
		put_quoted(out, c->summary, ":\\");
		fputs("'\n", out);
	}
	fputs("\t)\n\t_arguments -C", out);
	zsh_options(out, program->options, "\t\t");
	fputs(" \\\n\t\t'1: :->verb' '*:: :->rest' && return\n"
	      "\tcase $state in\n\tverb) _describe command verbs ;;\n\trest)\n\t\tcase $words[1] "
	      "in\n",
		out);
	for (const struct command *c = program->commands; c->name; c++) {
		if (c->hidden)
			continue;
		fprintf(out, "\t\t%s) _arguments", c->name);
		zsh_options(out, c->options, "\t\t\t");
		if (wants_id(c))
			fprintf(out, " \\\n\t\t\t'*:container:($(%s list -q 2>/dev/null))'",
				program->name);
		else
			fputs(" \\\n\t\t\t'*:argument:_files'", out);
		fputs(" ;;\n", out);
	}
	fputs("\t\tesac ;;\n\tesac\n}\n", out);
	put_function(out, program->name);
	fputs(" \"$@\"\n", out);
}

static void fish_options(
	FILE *out, const char *name, const struct option *table, const char *condition)
{
	for (const struct option *o = table; o && o->name; o++) {
		if (o->hidden)
			continue;
		fprintf(out, "complete -c %s -n '%s' -l %s", name, condition, o->name);
		if (o->letter)
			fprintf(out, " -s %c", o->letter);
		if (option_has_argument(o)) {
			enum value_hint hint = option_hint(o);

			fputs(hint == HINT_FILE || hint == HINT_DIR ? " -r -F" : " -x", out);
			if (hint == HINT_NAMES) {
				fputs(" -a '", out);
				put_names(out, o->names);
				fputs("'", out);
			}
		}
		fputs(" -d '", out);
		put_quoted(out, o->help ? o->help : "", "");
		fputs("'\n", out);
	}
}

static void dump_fish(const struct program *program, FILE *out)
{
	fprintf(out, "complete -c %s -f\n", program->name);
	fish_options(out, program->name, program->options, "__fish_use_subcommand");
	for (const struct command *c = program->commands; c->name; c++) {
		autobuf struct buf condition = {};

		if (c->hidden)
			continue;
		fprintf(out, "complete -c %s -n __fish_use_subcommand -a %s -d '", program->name,
			c->name);
		put_quoted(out, c->summary, "");
		fputs("'\n", out);
		buf_printf(&condition, "__fish_seen_subcommand_from %s", c->name);
		fish_options(out, program->name, c->options, buf_str(&condition));
		if (wants_id(c))
			fprintf(out, "complete -c %s -n '%s' -a '(%s list -q 2>/dev/null)'\n",
				program->name, buf_str(&condition), program->name);
	}
}

int dump_tables(const struct program *program, const char *format, FILE *out, struct err *err)
{
	static const struct {
		const char *name;
		void (*dump)(const struct program *program, FILE *out);
	} formats[] = {
		{"roff", dump_roff},
		{"pages", dump_pages},
		{"bash", dump_bash},
		{"zsh", dump_zsh},
		{"fish", dump_fish},
	};

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (strcmp(formats[i].name, format) == 0) {
			formats[i].dump(program, out);
			return 0;
		}
	}
	if (parse_has_prefix(format, "page:", &format))
		return each_page(program, format, out)
			       ? 0
			       : err_set(err, -EINVAL, "--dump-tables: no page %s", format);
	return err_set(err, -EINVAL,
		"--dump-tables: \"%s\" is not one of roff, pages, page:NAME, bash, zsh, fish",
		format);
}

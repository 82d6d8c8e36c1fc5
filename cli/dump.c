/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dump.h"

#include "base/parse.h"
#include "cli/complete.h"

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

int dump_tables(const struct program *program, const char *format, FILE *out, struct err *err)
{
	static const struct {
		const char *name;
		void (*dump)(const struct program *program, FILE *out);
	} formats[] = {
		{"roff", dump_roff},
		{"pages", dump_pages},
	};

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (strcmp(formats[i].name, format) == 0) {
			formats[i].dump(program, out);
			return 0;
		}
	}
	if (complete_script(program, format, out))
		return 0;
	if (parse_has_prefix(format, "page:", &format))
		return each_page(program, format, out)
			       ? 0
			       : err_set(err, -EINVAL, "--dump-tables: no page %s", format);
	return err_set(err, -EINVAL,
		"--dump-tables: \"%s\" is not one of roff, pages, page:NAME, bash, zsh, fish",
		format);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct completing {
	const struct program *program;
	const struct option *table;     /* of the verb so far, or of the program */
	const struct command *commands; /* that may follow; NULL: operands do */
	const struct command *verb;
	const struct option *wants; /* its value is the next word */
	size_t verb_at, operands;
	struct arena *arena;
	FILE *out;
	char *const *words;
	const char *const *args;
};

/* ---- the words that are there ---- */

static const struct option *find_letter(const struct option *table, char letter)
{
	for (const struct option *o = table; o && o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static const struct option *takes_next(const struct option *o)
{
	return o && option_has_argument(o) && !o->implied ? o : NULL;
}

static void take_option(struct completing *c, const char *word)
{
	if (strchr(word, '='))
		return;
	if (word[1] == '-')
		c->wants = takes_next(options_find(c->table, word + 2, strlen(word + 2)));
	else if (word[1]) /* of "-it" the last one may have a value */
		c->wants = takes_next(find_letter(c->table, word[strlen(word) - 1]));
}

static void take_word(struct completing *c, size_t i)
{
	const char *word = c->words[i];

	if (c->wants) {
		c->wants = NULL;
	} else if (*word == '-' && !(c->operands && c->verb && c->verb->flags)) {
		take_option(c, word);
	} else if (!c->commands) {
		c->operands++;
	} else {
		const struct command *verb = c->commands;

		while (verb->name && strcmp(verb->name, word) != 0)
			verb++;
		c->verb = verb->name ? verb : NULL;
		c->commands = verb->name ? verb->commands : NULL;
		c->table = verb->name ? verb->options : NULL;
		if (c->verb_at == 0)
			c->verb_at = i + 1;
	}
}

/* ---- what may follow ---- */

static void put(struct completing *c, const char *before, const char *word, const char *help)
{
	fprintf(c->out, "%s%s%s%s\n", before, word, help ? "\t" : "", help ? help : "");
}

/* The program's own command that lists names of KIND, with the global options that were given. */
static int put_names(struct completing *c, const char *kind, size_t len)
{
	const struct complete_names *n = c->program->complete;
	const char **args;
	size_t at = 0, globals = c->verb_at ? c->verb_at - 1 : 0;

	while (n && n->kind && (strlen(n->kind) != len || memcmp(n->kind, kind, len) != 0))
		n++;
	if (!n || !n->kind)
		return 0;
	args = arena_array(c->arena, globals + ARRAY_LEN(n->args) + 1, const char *);
	if (!args)
		return -ENOMEM;
	for (size_t i = 0; i < globals; i++)
		args[at++] = c->words[i];
	for (size_t i = 0; n->args[i]; i++)
		args[at++] = n->args[i];
	c->args = args;
	return 1;
}

static int put_value(struct completing *c, const struct option *o, const char *before)
{
	const char *kind = option_argument(o);
	size_t len = strcspn(kind, "[,:|=");

	if (o->kind == OPTION_NAME) {
		for (const struct json_name *n = o->names; n->name; n++)
			put(c, before, n->name, NULL);
		return 0;
	}
	if (o->kind == OPTION_SIGNAL) {
		static const char *const signals[] = {"HUP", "INT", "QUIT", "KILL", "USR1", "USR2",
			"TERM", "CONT", "STOP", "WINCH"};

		for (size_t i = 0; i < ARRAY_LEN(signals); i++)
			put(c, before, signals[i], NULL);
		return 0;
	}
	if (len == 3 && memcmp(kind, "DIR", 3) == 0)
		return fputs(":dirs\n", c->out) < 0 ? -EIO : 0;
	if ((len == 4 && memcmp(kind, "FILE", 4) == 0) ||
		(len == 4 && memcmp(kind, "PATH", 4) == 0) || strcmp(kind, "SOCKET") == 0)
		return fputs(":files\n", c->out) < 0 ? -EIO : 0;
	/* What is listed has no place for what stands before it. */
	return *before ? 0 : put_names(c, kind, len);
}

static void put_options(struct completing *c)
{
	char dashed[80];

	for (const struct option *o = c->table; o && o->name; o++) {
		if (o->hidden)
			continue;
		snprintf(dashed, sizeof(dashed), "--%s", o->name);
		put(c, "", dashed, o->help);
	}
	put(c, "", "--help", "show what it does and what can be said");
}

static void put_verbs(struct completing *c)
{
	for (const struct command *v = c->commands; v->name; v++)
		if (!v->hidden)
			put(c, "", v->name, v->summary);
	if (!c->verb)
		put(c, "", "help", "show all commands, or about one");
}

/* The word of a usage line for operand NUMBER, "[IMAGE...]" as "IMAGE". The last one is for all
 * that follow. */
static size_t find_operand(const char *usage, size_t number, const char **ret)
{
	size_t found = 0, len = 0;

	*ret = "";
	while (usage && *usage && found <= number) {
		usage += strspn(usage, " [");
		if (isupper((unsigned char)*usage) && strncmp(usage, "OPTIONS", 7) != 0) {
			*ret = usage;
			len = strcspn(usage, " []|.:/");
			found++;
		}
		usage += strcspn(usage, " ");
	}
	return len;
}

static int put_operand(struct completing *c)
{
	const char *kind;
	size_t len = find_operand(c->verb ? c->verb->usage : NULL, c->operands, &kind);
	int r;

	if (!c->verb)
		return 0;
	/* The command line of the program in the container. */
	if (c->operands && (c->verb->flags & OPTIONS_STOP_AT_OPERAND))
		return fputs(":files\n", c->out) < 0 ? -EIO : 0;
	r = put_names(c, kind, len);
	if (r == 0 && (len == 0 || strncmp(kind, "FILE", 4) == 0 ||
			      strncmp(kind, "COMMAND", 7) == 0 || strncmp(kind, "DIR", 3) == 0))
		fputs(":files\n", c->out);
	return r;
}

int complete_words(const struct program *program, char *const *words, size_t count,
	struct arena *arena, FILE *out, const char *const **ret_args)
{
	struct completing c = {.program = program,
		.table = program->options,
		.commands = program->commands,
		.arena = arena,
		.out = out,
		.words = words};
	const char *current = count ? words[count - 1] : "", *equal = strchr(current, '=');
	const struct option *o;
	int r = 0;

	*ret_args = NULL;
	for (size_t i = 0; i + 1 < count; i++)
		take_word(&c, i);
	if (c.wants) {
		r = put_value(&c, c.wants, "");
	} else if (strncmp(current, "--", 2) == 0 && equal) {
		o = options_find(c.table, current + 2, (size_t)(equal - current - 2));
		if (o && option_has_argument(o))
			r = put_value(&c, o,
				arena_printf(arena, "%.*s", (int)(equal + 1 - current), current)
					?: "");
	} else if (*current == '-') {
		put_options(&c);
	} else if (c.commands) {
		put_verbs(&c);
	} else {
		r = put_operand(&c);
	}
	*ret_args = c.args;
	return r < 0 ? r : 0;
}

/* ---- scripts: PROGRAM in them is the name, FUNCTION that as part of a function's ---- */

static const char bash[] =
	"_FUNCTION() {\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} words cur before answer IFS=$' \\t\\n'\n"
	"\tread -ra words <<<\"$line\"\n"
	"\t[[ $line != *[[:space:]] ]] || words+=('')\n"
	"\tcur=${words[${#words[@]}-1]}\n"
	"\tIFS=$'\\n'\n"
	"\tanswer=$(command PROGRAM --complete \"${words[@]:1}\" 2>/dev/null)\n"
	"\t# readline has taken what is before the last of these for a word of its own\n"
	"\tbefore=${cur%\"${cur##*[=:]}\"}\n"
	"\tcase $answer in\n"
	"\t:files) mapfile -t COMPREPLY < <(compgen -f -- \"${cur#*=}\") ;;\n"
	"\t:dirs) mapfile -t COMPREPLY < <(compgen -d -- \"${cur#*=}\") ;;\n"
	"\t*)\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$(cut -f 1 <<<\"$answer\")\" -- \"$cur\")\n"
	"\t\tCOMPREPLY=(\"${COMPREPLY[@]#\"$before\"}\")\n"
	"\t\t;;\n"
	"\tesac\n"
	"}\n"
	"complete -o filenames -F _FUNCTION PROGRAM\n";

static const char zsh[] = "#compdef PROGRAM\n"
			  "_FUNCTION() {\n"
			  "\tlocal line\n"
			  "\tlocal -a lines found\n"
			  "\tlines=(\"${(@f)$(command PROGRAM --complete "
			  "\"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
			  "\tcase $lines[1] in\n"
			  "\t:files) _files ;;\n"
			  "\t:dirs) _files -/ ;;\n"
			  "\t*)\n"
			  "\t\tfor line in $lines; do\n"
			  "\t\t\tif [[ $line == *$'\\t'* ]]; then\n"
			  "\t\t\t\tfound+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
			  "\t\t\telse\n"
			  "\t\t\t\tfound+=(\"${line//:/\\\\:}\")\n"
			  "\t\t\tfi\n"
			  "\t\tdone\n"
			  "\t\t_describe PROGRAM found\n"
			  "\t\t;;\n"
			  "\tesac\n"
			  "}\n"
			  "_FUNCTION \"$@\"\n";

static const char fish[] = "function __FUNCTION_complete\n"
			   "\tset -l words (commandline -opc) (commandline -ct)\n"
			   "\tset -l answer (command PROGRAM --complete $words[2..] 2>/dev/null)\n"
			   "\tswitch \"$answer[1]\"\n"
			   "\tcase :files\n"
			   "\t\t__fish_complete_path (commandline -ct)\n"
			   "\tcase :dirs\n"
			   "\t\t__fish_complete_directories (commandline -ct)\n"
			   "\tcase '*'\n"
			   "\t\tprintf '%s\\n' $answer\n"
			   "\tend\n"
			   "end\n"
			   "complete -c PROGRAM -f -a '(__FUNCTION_complete)'\n";

static void put_script(const char *text, const char *program, FILE *out)
{
	static const char name[] = "PROGRAM", function[] = "FUNCTION";

	while (*text) {
		if (strncmp(text, name, sizeof(name) - 1) == 0) {
			fputs(program, out);
			text += sizeof(name) - 1;
		} else if (strncmp(text, function, sizeof(function) - 1) == 0) {
			for (const char *c = program; *c; c++)
				fputc(*c == '-' ? '_' : *c, out);
			text += sizeof(function) - 1;
		} else {
			fputc(*text++, out);
		}
	}
}

bool complete_script(const struct program *program, const char *shell, FILE *out)
{
	static const struct {
		const char *shell, *text;
	} scripts[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++)
		if (strcmp(shell, scripts[i].shell) == 0) {
			put_script(scripts[i].text, program->name, out);
			return true;
		}
	return false;
}

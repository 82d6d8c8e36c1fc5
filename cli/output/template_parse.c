/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: text into a syntax tree. */
#include "cli/output/template_private.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum block_end { END_OF_TEXT, END_END, END_ELSE };

struct parser {
	const char *text;
	size_t at;
	unsigned int nesting, ranges;
	struct template *template;
	struct err *err;
};

static int fail(struct parser *p, const char *what)
{
	return err_set(p->err, -EINVAL, "template: %zu: %s", p->at + 1, what);
}

static int no_memory(struct parser *p)
{
	return err_set(p->err, -ENOMEM, "template: out of memory");
}

static int enter(struct parser *p)
{
	return ++p->nesting > TEMPLATE_NESTING_MAX ? fail(p, "nested too deeply") : 0;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (c & 0x80);
}

static void skip_spaces(struct parser *p)
{
	while (p->text[p->at] && strchr(" \t\r\n", p->text[p->at]))
		p->at++;
}

/* The end of an action: "}}" or " -}}". */
static bool at_close(const struct parser *p)
{
	const char *s = p->text + p->at;

	return strncmp(s, "}}", 2) == 0 || strncmp(s, "-}}", 3) == 0;
}

static int close_action(struct parser *p)
{
	skip_spaces(p);
	if (!at_close(p))
		return fail(p, "expected \"}}\"");
	if (p->text[p->at] == '-') {
		p->at += 3;
		skip_spaces(p);
	} else {
		p->at += 2;
	}
	return 0;
}

static char *take_word(struct parser *p)
{
	size_t from = p->at;

	while (is_word(p->text[p->at]))
		p->at++;
	return arena_printf(&p->template->arena, "%.*s", (int)(p->at - from), p->text + from);
}

static bool take_keyword(struct parser *p, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(p->text + p->at, word, len) != 0 || is_word(p->text[p->at + len]))
		return false;
	p->at += len;
	return true;
}

/* ---- literals ---- */

static int set_literal(struct parser *p, struct operand *operand, json_t *value)
{
	struct literal *literal = arena_new(&p->template->arena, struct literal);

	if (!literal || !value) {
		json_decref(value);
		return no_memory(p);
	}
	literal->value = value;
	literal->next = p->template->literals;
	p->template->literals = literal;
	operand->kind = OPERAND_LITERAL;
	operand->literal = value;
	return 0;
}

/* What follows a backslash, into RET. */
static int take_escape(struct parser *p, struct buf *ret)
{
	static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
	const char *found;
	char c = p->text[p->at];

	if (c && (found = strchr(from, c))) {
		buf_add(ret, &to[found - from], 1);
		p->at++;
		return 0;
	}
	if (c == 'x' && isxdigit((unsigned char)p->text[p->at + 1]) &&
		isxdigit((unsigned char)p->text[p->at + 2])) {
		const char digits[] = {p->text[p->at + 1], p->text[p->at + 2], '\0'};

		c = (char)strtol(digits, NULL, 16);
		if (c & 0x80 || !c)
			return fail(p, "only ASCII characters may be written as \\x");
		buf_add(ret, &c, 1);
		p->at += 3;
		return 0;
	}
	return fail(p, "unknown escape sequence");
}

/* A string in double quotes, or raw between back quotes. */
static int take_string(struct parser *p, struct operand *operand)
{
	autobuf struct buf value = {};
	char quote = p->text[p->at++], c;
	int r;

	while ((c = p->text[p->at]) != quote) {
		if (!c || (quote == '"' && c == '\n'))
			return fail(p, "unterminated string");
		p->at++;
		if (quote == '"' && c == '\\') {
			r = take_escape(p, &value);
			if (r < 0)
				return r;
		} else {
			buf_add(&value, &c, 1);
		}
	}
	p->at++;
	if (value.failed)
		return no_memory(p);
	if (value.len && value.data[0] == '\x01') /* json_u64()'s mark */
		return fail(p, "a string must not begin with this control character");
	json_t *string = json_stringn(buf_str(&value), value.len);
	return string ? set_literal(p, operand, string) : fail(p, "the string is not UTF-8");
}

/* 'x': a number, as in Go. */
static int take_character(struct parser *p, struct operand *operand)
{
	autobuf struct buf value = {};
	int r = 0;

	p->at++;
	if (p->text[p->at] == '\\') {
		p->at++;
		r = take_escape(p, &value);
	} else if (p->text[p->at] && !(p->text[p->at] & 0x80)) {
		buf_add(&value, p->text + p->at++, 1);
	}
	if (r < 0)
		return r;
	if (value.len != 1 || p->text[p->at] != '\'')
		return fail(p, "a character must be one ASCII character");
	p->at++;
	return set_literal(p, operand, json_integer(value.data[0]));
}

static int take_number(struct parser *p, struct operand *operand)
{
	const char *start = p->text + p->at;
	char *end, *real_end;
	long long integer;
	double real;

	errno = 0;
	integer = strtoll(start, &end, 0);
	if (errno)
		return fail(p, "the number is out of range");
	real = strtod(start, &real_end);
	bool is_real = real_end > end;
	if (is_real)
		end = real_end;
	if (end == start || is_word(*end) || (is_real && !isfinite(real)))
		return fail(p, "bad number");
	p->at += (size_t)(end - start);
	return set_literal(p, operand, is_real ? json_real(real) : json_integer(integer));
}

/* ---- operands and pipes ---- */

static int take_pipe(struct parser *p, struct pipe **ret);

/* ".A.B" behind something. */
static int take_fields(struct parser *p, struct operand *operand)
{
	const char *names[TEMPLATE_NESTING_MAX];
	size_t count = 0;

	while (p->text[p->at] == '.') {
		if (!is_word(p->text[p->at + 1])) {
			/* A lone dot is an operand, but not one behind a name. */
			if (count == 0 && operand->kind == OPERAND_DOT) {
				p->at++;
				return 0;
			}
			return fail(p, "expected the name of a field");
		}
		if (count == TEMPLATE_NESTING_MAX)
			return fail(p, "too many fields");
		p->at++;
		names[count] = take_word(p);
		if (!names[count++])
			return no_memory(p);
	}
	if (count == 0)
		return 0;
	operand->fields = arena_array(&p->template->arena, count + 1, const char *);
	if (!operand->fields)
		return no_memory(p);
	memcpy(operand->fields, names, count * sizeof(names[0]));
	return 0;
}

static int take_parentheses(struct parser *p, struct operand *operand)
{
	int r = enter(p);

	p->at++;
	operand->kind = OPERAND_PIPE;
	if (r == 0)
		r = take_pipe(p, &operand->pipe);
	if (r < 0)
		return r;
	skip_spaces(p);
	if (p->text[p->at] != ')')
		return fail(p, "expected \")\"");
	p->at++;
	p->nesting--;
	return take_fields(p, operand);
}

static int take_name(struct parser *p, struct operand *operand)
{
	size_t from = p->at;

	operand->kind = OPERAND_FUNCTION;
	operand->name = take_word(p);
	if (!operand->name)
		return no_memory(p);
	if (strcmp(operand->name, "true") == 0 || strcmp(operand->name, "false") == 0)
		return set_literal(p, operand, json_boolean(operand->name[0] == 't'));
	if (strcmp(operand->name, "nil") == 0)
		return set_literal(p, operand, json_null());
	if (!template_function_exists(operand->name)) {
		p->at = from;
		return err_set(p->err, -EINVAL, "template: %zu: there is no function \"%s\"",
			p->at + 1, operand->name);
	}
	return 0;
}

static int take_operand(struct parser *p, struct operand **ret)
{
	struct operand *operand = arena_new(&p->template->arena, struct operand);
	char c = p->text[p->at];

	if (!operand)
		return no_memory(p);
	*ret = operand;
	if (c == '.' && !isdigit((unsigned char)p->text[p->at + 1])) {
		operand->kind = OPERAND_DOT;
		return take_fields(p, operand);
	}
	if (c == '$') {
		p->at++;
		operand->kind = OPERAND_VARIABLE;
		operand->name = take_word(p);
		return operand->name ? take_fields(p, operand) : no_memory(p);
	}
	if (c == '(')
		return take_parentheses(p, operand);
	if (c == '"' || c == '`')
		return take_string(p, operand);
	if (c == '\'')
		return take_character(p, operand);
	if (isdigit((unsigned char)c) || (c && strchr("+-.", c)))
		return take_number(p, operand);
	if (is_word(c))
		return take_name(p, operand);
	return fail(p, c ? "unexpected character" : "unterminated action");
}

static bool ends_call(const struct parser *p)
{
	char c = p->text[p->at];

	return c == '|' || c == ')' || c == '\0' || at_close(p);
}

static int take_call(struct parser *p, struct call **ret)
{
	struct call *call = arena_new(&p->template->arena, struct call);
	struct operand **last;
	int r;

	if (!call)
		return no_memory(p);
	last = &call->operands;
	for (skip_spaces(p); !ends_call(p); skip_spaces(p)) {
		size_t from = p->at;

		r = take_operand(p, last);
		if (r < 0)
			return r;
		if (p->at == from)
			return fail(p, "unexpected character");
		if (!ends_call(p) && !strchr(" \t\r\n", p->text[p->at]))
			return fail(p, "expected a space");
		last = &(*last)->next;
	}
	if (!call->operands)
		return fail(p, "missing value");
	*ret = call;
	return 0;
}

/* "$x :=", "$i, $e :=" or "$x =" in front of a pipe; leaves the place when there is none. */
static int take_declaration(struct parser *p, struct pipe *pipe)
{
	size_t from = p->at, count = 0;

	skip_spaces(p);
	while (p->text[p->at] == '$' && count < 2) {
		p->at++;
		pipe->variables[count] = take_word(p);
		if (!pipe->variables[count++])
			return no_memory(p);
		skip_spaces(p);
		if (p->text[p->at] != ',')
			break;
		p->at++;
		skip_spaces(p);
	}
	pipe->assign = p->text[p->at] == '=';
	if (count && (pipe->assign || strncmp(p->text + p->at, ":=", 2) == 0)) {
		p->at += pipe->assign ? 1 : 2;
		return 0;
	}
	pipe->variables[0] = pipe->variables[1] = NULL;
	pipe->assign = false;
	p->at = from;
	return 0;
}

static int take_pipe(struct parser *p, struct pipe **ret)
{
	struct pipe *pipe = arena_new(&p->template->arena, struct pipe);
	struct call **last;
	int r;

	if (!pipe)
		return no_memory(p);
	pipe->offset = p->at;
	last = &pipe->calls;
	r = take_declaration(p, pipe);
	if (r < 0)
		return r;
	for (;;) {
		r = take_call(p, last);
		if (r < 0)
			return r;
		/* Only a function can take what comes through a pipe. */
		if (last != &pipe->calls && (*last)->operands->kind == OPERAND_LITERAL)
			return fail(p, "a literal cannot follow \"|\"");
		last = &(*last)->next;
		if (p->text[p->at] != '|')
			break;
		p->at++;
	}
	*ret = pipe;
	return 0;
}

/* ---- nodes ---- */

static int take_nodes(struct parser *p, struct node **ret, enum block_end *ret_end);

/* The blocks of an if, range or with, up to its end. Begins behind the keyword. */
static int take_block(struct parser *p, struct node *node)
{
	enum block_end end;
	int r = enter(p);

	if (r == 0)
		r = take_pipe(p, &node->pipe);
	if (r == 0)
		r = close_action(p);
	if (r < 0)
		return r;
	if (node->pipe->variables[1] && node->kind != NODE_RANGE)
		return fail(p, "only range sets two variables");
	p->ranges += node->kind == NODE_RANGE;
	r = take_nodes(p, &node->body, &end);
	p->ranges -= node->kind == NODE_RANGE;
	if (r == 0 && end == END_ELSE) {
		skip_spaces(p);
		if (!at_close(p)) { /* "else if": a block in the other branch, with our end */
			struct node *inner = arena_new(&p->template->arena, struct node);

			if (!inner)
				return no_memory(p);
			if (take_keyword(p, "if"))
				inner->kind = NODE_IF;
			else if (node->kind == NODE_WITH && take_keyword(p, "with"))
				inner->kind = NODE_WITH;
			else
				return fail(p, "expected \"if\" or \"}}\"");
			node->otherwise = inner;
			r = take_block(p, inner);
			p->nesting--;
			return r;
		}
		r = close_action(p);
		if (r == 0)
			r = take_nodes(p, &node->otherwise, &end);
		if (r == 0 && end == END_ELSE)
			return fail(p, "a second \"else\"");
	}
	if (r == 0 && end == END_OF_TEXT)
		return fail(p, "\"end\" is missing");
	p->nesting--;
	return r < 0 ? r : close_action(p);
}

static int take_comment(struct parser *p)
{
	const char *end = strstr(p->text + p->at, "*/");

	if (!end)
		return fail(p, "unterminated comment");
	p->at = (size_t)(end + 2 - p->text);
	return close_action(p);
}

/* One action, behind its "{{". *RET_END tells whether it ended the list. */
static int take_action(struct parser *p, struct node ***last, enum block_end *ret_end)
{
	struct node *node;
	int r;

	if (strncmp(p->text + p->at, "/*", 2) == 0)
		return take_comment(p);
	if (take_keyword(p, "end")) {
		*ret_end = END_END;
		return 0;
	}
	if (take_keyword(p, "else")) {
		*ret_end = END_ELSE;
		return 0;
	}
	node = arena_new(&p->template->arena, struct node);
	if (!node)
		return no_memory(p);
	**last = node;
	*last = &node->next;
	if (take_keyword(p, "if"))
		node->kind = NODE_IF;
	else if (take_keyword(p, "range"))
		node->kind = NODE_RANGE;
	else if (take_keyword(p, "with"))
		node->kind = NODE_WITH;
	else if (take_keyword(p, "break"))
		node->kind = NODE_BREAK;
	else if (take_keyword(p, "continue"))
		node->kind = NODE_CONTINUE;
	else
		node->kind = NODE_PRINT;
	if (node->kind == NODE_BREAK || node->kind == NODE_CONTINUE)
		return p->ranges ? close_action(p) : fail(p, "not inside of a range");
	if (node->kind != NODE_PRINT)
		return take_block(p, node);
	r = take_pipe(p, &node->pipe);
	if (r == 0 && node->pipe->variables[1])
		return fail(p, "only range sets two variables");
	return r < 0 ? r : close_action(p);
}

/* Text up to the next action; "{{- " takes the white space before it away. */
static int take_text(struct parser *p, struct node ***last, bool *ret_action)
{
	const char *from = p->text + p->at, *open = strstr(from, "{{");
	size_t len = open ? (size_t)(open - from) : strlen(from);
	struct node *node;

	p->at += len;
	*ret_action = open != NULL;
	if (open) {
		p->at += 2;
		if (open[2] == '-' && open[3] && strchr(" \t\r\n", open[3])) {
			p->at++;
			while (len && strchr(" \t\r\n", from[len - 1]))
				len--;
		}
		skip_spaces(p);
	}
	if (len == 0)
		return 0;
	node = arena_new(&p->template->arena, struct node);
	if (!node)
		return no_memory(p);
	node->text = arena_printf(&p->template->arena, "%.*s", (int)len, from);
	if (!node->text)
		return no_memory(p);
	node->len = len;
	**last = node;
	*last = &node->next;
	return 0;
}

static int take_nodes(struct parser *p, struct node **ret, enum block_end *ret_end)
{
	struct node **last = ret;
	bool action;
	int r;

	*ret_end = END_OF_TEXT;
	for (;;) {
		r = take_text(p, &last, &action);
		if (r < 0 || !action)
			return r;
		r = take_action(p, &last, ret_end);
		if (r < 0)
			return r;
		if (*ret_end == END_END || *ret_end == END_ELSE)
			return 0;
	}
}

int template_parse(const char *text, struct template **ret, struct err *err)
{
	autotemplate struct template *template = calloc(1, sizeof(*template));
	struct parser p = {.text = text, .template = template, .err = err};
	enum block_end end;
	int r;

	if (!template)
		return no_memory(&p);
	if (strlen(text) > 1 << 20)
		return err_set(err, -EINVAL, "template: too long");
	r = take_nodes(&p, &template->nodes, &end);
	if (r < 0)
		return r;
	if (end != END_OF_TEXT)
		return fail(&p,
			end == END_END ? "\"end\" without a block" : "\"else\" without a block");
	*ret = take_ptr(template);
	return 0;
}

void template_free(struct template *template)
{
	if (!template)
		return;
	for (struct literal *l = template->literals; l; l = l->next)
		json_decref(l->value);
	arena_free(&template->arena);
	free(template);
}

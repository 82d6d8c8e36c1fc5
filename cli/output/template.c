/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: carrying out a syntax tree. */
#include "base/json.h"
#include "cli/output/template_private.h"

#include <string.h>

struct variable {
	const char *name; /* "" for $ */
	json_t *value;    /* owned */
};

enum { VARIABLES_MAX = 256, ARGS_MAX = 64, TEXT_PER_STEP = 16 };

struct execution {
	struct variable variables[VARIABLES_MAX];
	size_t variable_count;
	unsigned long steps;
	struct buf *out;
	struct err *err;
};

enum flow { FLOW_ON = 0, FLOW_BREAK, FLOW_CONTINUE };

static int step(struct execution *x)
{
	if (++x->steps > TEMPLATE_STEPS_MAX || x->out->len > TEMPLATE_OUTPUT_MAX)
		return err_set(x->err, -EINVAL, "does too much");
	return x->out->failed ? err_set(x->err, -ENOMEM, "out of memory") : 0;
}

/* ---- variables ---- */

static struct variable *find_variable(struct execution *x, const char *name)
{
	for (size_t i = x->variable_count; i > 0; i--)
		if (strcmp(x->variables[i - 1].name, name) == 0)
			return &x->variables[i - 1];
	return NULL;
}

static int declare_variable(struct execution *x, const char *name, json_t *value)
{
	if (x->variable_count == VARIABLES_MAX)
		return err_set(x->err, -EINVAL, "more than %d variables", VARIABLES_MAX);
	x->variables[x->variable_count++] = (struct variable){name, json_incref(value)};
	return 0;
}

static int set_variable(struct execution *x, const char *name, bool assign, json_t *value)
{
	struct variable *variable;

	if (!assign)
		return declare_variable(x, name, value);
	variable = find_variable(x, name);
	if (!variable)
		return err_set(x->err, -EINVAL, "there is no variable $%s", name);
	json_decref(variable->value);
	variable->value = json_incref(value);
	return 0;
}

static void end_scope(struct execution *x, size_t count)
{
	while (x->variable_count > count)
		json_decref(x->variables[--x->variable_count].value);
}

/* ---- values ---- */

static int run_pipe(struct execution *x, const struct pipe *pipe, json_t *dot, json_t **ret);

/* VALUE.A.B; takes VALUE over. */
static int get_fields(struct execution *x, json_t *value, const char *const *fields, json_t **ret)
{
	for (; fields && *fields; fields++) {
		json_t *member = json_object_get(value, *fields);

		if (!member) {
			err_set(x->err, -EINVAL, "%s has no field \"%s\"", template_type(value),
				*fields);
			json_decref(value);
			return -EINVAL;
		}
		json_incref(member);
		json_decref(value);
		value = member;
	}
	*ret = value;
	return 0;
}

static int get_operand(
	struct execution *x, const struct operand *operand, json_t *dot, json_t **ret)
{
	struct variable *variable;
	json_t *value = NULL;
	int r;

	switch (operand->kind) {
	case OPERAND_DOT:
		return get_fields(x, json_incref(dot), operand->fields, ret);
	case OPERAND_VARIABLE:
		variable = find_variable(x, operand->name);
		if (!variable)
			return err_set(x->err, -EINVAL, "there is no variable $%s", operand->name);
		return get_fields(x, json_incref(variable->value), operand->fields, ret);
	case OPERAND_LITERAL:
		*ret = json_incref(operand->literal);
		return 0;
	case OPERAND_PIPE:
		r = run_pipe(x, operand->pipe, dot, &value);
		return r < 0 ? r : get_fields(x, value, operand->fields, ret);
	case OPERAND_FUNCTION:
		break;
	}
	r = step(x);
	if (r == 0 && (strcmp(operand->name, "and") == 0 || strcmp(operand->name, "or") == 0))
		return err_set(x->err, -EINVAL, "%s: wrong number of arguments: 0", operand->name);
	return r < 0 ? r : template_call(operand->name, NULL, 0, ret, x->err);
}

/* "and" and "or" stop at the first argument that decides, as people rely on. */
static int run_logic(
	struct execution *x, const struct call *call, json_t *dot, json_t *piped, json_t **ret)
{
	bool until = strcmp(call->operands->name, "or") == 0;
	autojson json_t *value = NULL;
	int r;

	for (const struct operand *o = call->operands->next; o; o = o->next) {
		json_release(&value);
		r = get_operand(x, o, dot, &value);
		if (r < 0)
			return r;
		if (template_truth(value) == until) {
			*ret = take_ptr(value);
			return 0;
		}
	}
	*ret = piped ? json_incref(piped) : take_ptr(value);
	return 0;
}

/* PIPED becomes the last argument; NULL for none. */
static int run_function(
	struct execution *x, const struct call *call, json_t *dot, json_t *piped, json_t **ret)
{
	json_t *args[ARGS_MAX] = {};
	size_t count = 0;
	int r = 0;

	for (const struct operand *o = call->operands->next; o && r == 0; o = o->next) {
		if (count + 1 >= ARGS_MAX)
			r = err_set(x->err, -EINVAL, "more than %d arguments", ARGS_MAX - 1);
		else
			r = get_operand(x, o, dot, &args[count]);
		count += r == 0;
	}
	if (r == 0 && piped)
		args[count++] = json_incref(piped);
	if (r == 0)
		r = template_call(call->operands->name, args, count, ret, x->err);
	if (r == 0) /* or text that doubles itself would take all memory in a few steps */
		x->steps += json_string_length(*ret) / TEXT_PER_STEP;
	while (count > 0)
		json_decref(args[--count]);
	return r;
}

/* A field with an argument is a lookup in it: {{.Label "key"}}. */
static int run_lookup(
	struct execution *x, const struct call *call, json_t *dot, json_t *piped, json_t **ret)
{
	autojson json_t *object = NULL, *key = NULL;
	json_t *args[2];
	int r = get_operand(x, call->operands, dot, &object);

	if (r < 0)
		return r;
	if (call->operands->next && (piped || call->operands->next->next))
		return err_set(x->err, -EINVAL, "a field takes one argument");
	if (piped)
		key = json_incref(piped);
	else
		r = get_operand(x, call->operands->next, dot, &key);
	if (r < 0)
		return r;
	if (!json_is_object(object))
		return err_set(x->err, -EINVAL, "%s takes no argument", template_type(object));
	args[0] = object;
	args[1] = key;
	return template_call("index", args, 2, ret, x->err);
}

static int run_call(
	struct execution *x, const struct call *call, json_t *dot, json_t *piped, json_t **ret)
{
	const struct operand *first = call->operands;
	int r = step(x);

	if (r < 0)
		return r;
	if (first->kind == OPERAND_FUNCTION && (first->next || piped)) {
		if (strcmp(first->name, "and") == 0 || strcmp(first->name, "or") == 0)
			return run_logic(x, call, dot, piped, ret);
		return run_function(x, call, dot, piped, ret);
	}
	if (!first->next && !piped)
		return get_operand(x, first, dot, ret);
	if (first->fields)
		return run_lookup(x, call, dot, piped, ret);
	return err_set(x->err, -EINVAL, "only a function takes arguments");
}

/* Without setting its variables. */
static int run_calls(struct execution *x, const struct pipe *pipe, json_t *dot, json_t **ret)
{
	json_t *value = NULL, *next = NULL;
	int r;

	for (const struct call *call = pipe->calls; call; call = call->next) {
		r = run_call(x, call, dot, value, &next);
		json_decref(value);
		if (r < 0)
			return r;
		value = next;
	}
	*ret = value;
	return 0;
}

static int run_pipe(struct execution *x, const struct pipe *pipe, json_t *dot, json_t **ret)
{
	autojson json_t *value = NULL;
	int r = run_calls(x, pipe, dot, &value);

	if (r == 0 && pipe->variables[0])
		r = set_variable(x, pipe->variables[0], pipe->assign, value);
	if (r < 0)
		return r;
	*ret = take_ptr(value);
	return 0;
}

/* ---- nodes ---- */

/* FLOW_… or an error. */
static int run_nodes(struct execution *x, const struct node *node, json_t *dot);

static int run_scope(struct execution *x, const struct node *node, json_t *dot)
{
	size_t variables = x->variable_count;
	int r = run_nodes(x, node, dot);

	end_scope(x, variables);
	return r;
}

static int run_element(struct execution *x, const struct node *node, json_t *key, json_t *value)
{
	const struct pipe *pipe = node->pipe;
	size_t variables = x->variable_count;
	autojson json_t *owned_key = key;
	int r = 0;

	(void)owned_key;
	if (!key)
		return err_set(x->err, -ENOMEM, "out of memory");
	if (pipe->variables[1]) {
		r = set_variable(x, pipe->variables[0], pipe->assign, key);
		if (r == 0)
			r = set_variable(x, pipe->variables[1], pipe->assign, value);
	} else if (pipe->variables[0]) {
		r = set_variable(x, pipe->variables[0], pipe->assign, value);
	}
	if (r == 0)
		r = step(x);
	if (r == 0)
		r = run_nodes(x, node->body, value);
	end_scope(x, variables);
	return r == FLOW_CONTINUE ? FLOW_ON : r;
}

static int range_object(struct execution *x, const struct node *node, json_t *object)
{
	autoarena struct arena arena = {};
	const char **keys = template_sorted_keys(object, &arena);
	int r = 0;

	if (!keys)
		return err_set(x->err, -ENOMEM, "out of memory");
	for (size_t i = 0; keys[i] && r == FLOW_ON; i++)
		r = run_element(x, node, json_string(keys[i]), json_object_get(object, keys[i]));
	return r;
}

static int run_range(struct execution *x, const struct node *node, json_t *dot)
{
	autojson json_t *value = NULL;
	json_t *element;
	size_t i;
	int r = run_calls(x, node->pipe, dot, &value);

	if (r < 0)
		return r;
	if (!json_is_array(value) && !json_is_object(value) && !json_is_null(value))
		return err_set(x->err, -EINVAL, "cannot range over %s", template_type(value));
	if (!template_truth(value))
		return run_scope(x, node->otherwise, dot);
	if (json_is_object(value)) {
		r = range_object(x, node, value);
	} else {
		json_array_foreach (value, i, element) {
			r = run_element(x, node, json_integer((json_int_t)i), element);
			if (r != FLOW_ON)
				break;
		}
	}
	return r == FLOW_BREAK ? FLOW_ON : r;
}

static int run_condition(struct execution *x, const struct node *node, json_t *dot)
{
	size_t variables = x->variable_count;
	autojson json_t *value = NULL;
	int r = run_pipe(x, node->pipe, dot, &value);

	if (r == 0 && template_truth(value))
		r = run_scope(x, node->body, node->kind == NODE_WITH ? value : dot);
	else if (r == 0)
		r = run_scope(x, node->otherwise, dot);
	end_scope(x, variables);
	return r;
}

static int run_print(struct execution *x, const struct node *node, json_t *dot)
{
	autojson json_t *value = NULL;
	int r = run_pipe(x, node->pipe, dot, &value);

	if (r < 0 || node->pipe->variables[0])
		return r;
	if (json_is_null(value))
		buf_puts(x->out, "<no value>");
	else
		template_print_value(value, x->out);
	return 0;
}

static int run_node(struct execution *x, const struct node *node, json_t *dot)
{
	switch (node->kind) {
	case NODE_TEXT:
		buf_add(x->out, node->text, node->len);
		return 0;
	case NODE_PRINT:
		return run_print(x, node, dot);
	case NODE_IF:
	case NODE_WITH:
		return run_condition(x, node, dot);
	case NODE_RANGE:
		return run_range(x, node, dot);
	case NODE_BREAK:
		return FLOW_BREAK;
	case NODE_CONTINUE:
		break;
	}
	return FLOW_CONTINUE;
}

static int run_nodes(struct execution *x, const struct node *node, json_t *dot)
{
	int r;

	for (; node; node = node->next) {
		r = step(x);
		if (r == 0)
			r = run_node(x, node, dot);
		if (r < 0 && node->pipe && strncmp(x->err->text, "template: ", 10) != 0)
			err_add(x->err, "template: %zu", node->pipe->offset + 1);
		if (r != 0)
			return r;
	}
	return 0;
}

int template_execute(
	const struct template *template, json_t *data, struct buf *ret, struct err *err)
{
	struct execution *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return err_set(err, -ENOMEM, "template: out of memory");
	x->out = ret;
	x->err = err;
	r = declare_variable(x, "", data);
	if (r == 0)
		r = run_nodes(x, template->nodes, data);
	end_scope(x, 0);
	free(x);
	return r < 0 ? r : 0;
}

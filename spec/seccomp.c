/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/names.h"
#include "spec/tables.h"

#include <string.h>

enum { SYSCALL_ARGS = 6, ERRNO_MAX = 4095 };

static bool takes_errno(int action)
{
	return action == SPEC_SECCOMP_ERRNO || action == SPEC_SECCOMP_TRACE;
}

/* The specification: an action that cannot return a number must not be given one. */
static int check_errno(int action, struct opt_u32 value, const char *action_key, const char *key,
	const struct json_context *ctx)
{
	if (!value.set)
		return 0;
	if (!takes_errno(action))
		return json_fail(ctx, key,
			"only SCMP_ACT_ERRNO and SCMP_ACT_TRACE return a number, and \"%s\" is "
			"neither: remove it",
			action_key);
	if (action == SPEC_SECCOMP_ERRNO && value.value > ERRNO_MAX)
		return json_fail(ctx, key, "must be at most %d, the highest errno", ERRNO_MAX);
	if (value.value > UINT16_MAX)
		return json_fail(ctx, key, "must be at most 65535; see seccomp(2)");
	return 0;
}

static int finish_arg(void *out, const struct json_context *ctx)
{
	const struct spec_seccomp_arg *arg = out;

	if (arg->index >= SYSCALL_ARGS)
		return json_fail(ctx, "index",
			"must be from 0 to %d: system calls have %d "
			"arguments",
			SYSCALL_ARGS - 1, SYSCALL_ARGS);
	return 0;
}

static const struct json_rule arg_rules[] = {
	{"index", JSON_U32, .required = true, JSON_AT(spec_seccomp_arg, index)},
	{"value", JSON_U64, .required = true, JSON_AT(spec_seccomp_arg, value)},
	{"valueTwo", JSON_U64, JSON_AT(spec_seccomp_arg, value_two)},
	{"op", JSON_NAME, .required = true, JSON_AT(spec_seccomp_arg, op),
		.names = spec_seccomp_op_names, .what = "a seccomp operator"},
	{},
};

static const struct json_table arg_table = {
	.size = sizeof(struct spec_seccomp_arg),
	.rules = arg_rules,
	.finish = finish_arg,
};

static int finish_rule(void *out, const struct json_context *ctx)
{
	const struct spec_seccomp_rule *rule = out;

	if (!rule->names.count)
		return json_fail(ctx, "names", "must name at least one system call");
	for (size_t i = 0; i < rule->names.count; i++)
		if (!rule->names.items[i][0])
			return json_fail(ctx, "names", "a system call's name must not be empty");
	return check_errno(rule->action, rule->errno_ret, "action", "errnoRet", ctx);
}

static const struct json_rule rule_rules[] = {
	{"names", JSON_TEXTS, .required = true, JSON_AT(spec_seccomp_rule, names)},
	{"action", JSON_NAME, .required = true, JSON_AT(spec_seccomp_rule, action),
		.names = spec_seccomp_action_names, .what = "a seccomp action"},
	{"errnoRet", JSON_OPT_U32, JSON_AT(spec_seccomp_rule, errno_ret)},
	{"args", JSON_STRUCTS, JSON_AT(spec_seccomp_rule, args), .table = &arg_table},
	{},
};

static const struct json_table rule_table = {
	.size = sizeof(struct spec_seccomp_rule),
	.rules = rule_rules,
	.finish = finish_rule,
};

static bool uses_notify(const struct spec_seccomp *seccomp)
{
	for (size_t i = 0; i < seccomp->syscalls.count; i++)
		if (seccomp->syscalls.items[i].action == SPEC_SECCOMP_NOTIFY)
			return true;
	return false;
}

/* A listener without SCMP_ACT_NOTIFY is ignored, as the specification has it. */
static int check_listener(const struct spec_seccomp *seccomp, const struct json_context *ctx)
{
	const char *path = seccomp->listener_path;

	if (seccomp->default_action == SPEC_SECCOMP_NOTIFY)
		return json_fail(ctx, "defaultAction",
			"SCMP_ACT_NOTIFY would stop the call that hands the listener over: name "
			"the system calls under \"syscalls\"");
	if (path && path[0] != '/')
		return json_fail(ctx, "listenerPath", "\"%s\" must be an absolute path", path);
	if (!path && uses_notify(seccomp))
		return json_fail(ctx, "listenerPath",
			"is missing: SCMP_ACT_NOTIFY needs the socket of who answers");
	if (!path && seccomp->listener_metadata)
		return json_fail(ctx, "listenerMetadata", "must not be there without listenerPath");
	return 0;
}

static int finish_seccomp(void *out, const struct json_context *ctx)
{
	struct spec_seccomp *seccomp = out;
	int r;

	if (seccomp->listener_path && !seccomp->listener_path[0])
		seccomp->listener_path = NULL;
	if (seccomp->listener_metadata && !seccomp->listener_metadata[0])
		seccomp->listener_metadata = NULL;
	for (size_t i = 0; i < seccomp->flags.count; i++) {
		int64_t flag;

		if (!json_name_find(spec_seccomp_flag_names, seccomp->flags.items[i], &flag))
			return json_fail(ctx, "flags", "\"%s\" is not a seccomp flag",
				seccomp->flags.items[i]);
	}
	r = check_errno(seccomp->default_action, seccomp->default_errno_ret, "defaultAction",
		"defaultErrnoRet", ctx);
	return r < 0 ? r : check_listener(seccomp, ctx);
}

static const struct json_rule seccomp_rules[] = {
	{"defaultAction", JSON_NAME, .required = true, JSON_AT(spec_seccomp, default_action),
		.names = spec_seccomp_action_names, .what = "a seccomp action"},
	{"defaultErrnoRet", JSON_OPT_U32, JSON_AT(spec_seccomp, default_errno_ret)},
	{"architectures", JSON_NAMES, JSON_AT(spec_seccomp, architectures),
		.names = spec_seccomp_arch_names, .what = "a seccomp architecture"},
	{"flags", JSON_TEXTS, JSON_AT(spec_seccomp, flags)},
	{"listenerPath", JSON_TEXT, JSON_AT(spec_seccomp, listener_path)},
	{"listenerMetadata", JSON_TEXT, JSON_AT(spec_seccomp, listener_metadata)},
	{"syscalls", JSON_STRUCTS, JSON_AT(spec_seccomp, syscalls), .table = &rule_table},
	{},
};

const struct json_table spec_seccomp_table = {
	.size = sizeof(struct spec_seccomp),
	.rules = seccomp_rules,
	.finish = finish_seccomp,
};

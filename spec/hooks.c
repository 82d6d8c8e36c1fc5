/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/tables.h"

static int finish_hook(void *out, const struct json_context *ctx)
{
	const struct spec_hook *hook = out;

	if (hook->path[0] != '/')
		return json_fail(ctx, "path", "\"%s\" must be an absolute path", hook->path);
	if (hook->timeout.set && hook->timeout.value <= 0)
		return json_fail(ctx, "timeout",
			"must be a number of seconds above 0: leave it out for no limit");
	return 0;
}

static const struct json_rule hook_rules[] = {
	{"path", JSON_TEXT, .required = true, JSON_AT(spec_hook, path)},
	{"args", JSON_TEXTS, JSON_AT(spec_hook, args)},
	{"env", JSON_TEXTS, JSON_AT(spec_hook, env)},
	{"timeout", JSON_OPT_I64, JSON_AT(spec_hook, timeout)},
	{},
};

static const struct json_table hook_table = {
	.size = sizeof(struct spec_hook),
	.rules = hook_rules,
	.finish = finish_hook,
};

static const struct json_rule hooks_rules[] = {
	{"prestart", JSON_STRUCTS, JSON_AT(spec_hooks, prestart), .table = &hook_table},
	{"createRuntime", JSON_STRUCTS, JSON_AT(spec_hooks, create_runtime), .table = &hook_table},
	{"createContainer", JSON_STRUCTS, JSON_AT(spec_hooks, create_container),
		.table = &hook_table},
	{"startContainer", JSON_STRUCTS, JSON_AT(spec_hooks, start_container),
		.table = &hook_table},
	{"poststart", JSON_STRUCTS, JSON_AT(spec_hooks, poststart), .table = &hook_table},
	{"poststop", JSON_STRUCTS, JSON_AT(spec_hooks, poststop), .table = &hook_table},
	{},
};

const struct json_table spec_hooks_table = {
	.size = sizeof(struct spec_hooks),
	.rules = hooks_rules,
};

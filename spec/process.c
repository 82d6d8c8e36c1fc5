/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/names.h"
#include "spec/tables.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>

enum { IOPRIO_LEVELS = 8, SCHED_ISO = 4, CONSOLE_MAX = UINT16_MAX };

static int finish_console_size(void *out, const struct json_context *ctx)
{
	const struct spec_console_size *size = out;

	/* struct winsize has 16 bits for each; see ioctl_tty(2). */
	if (size->height > CONSOLE_MAX || size->width > CONSOLE_MAX)
		return json_fail(ctx, NULL, "height and width must be at most %d", CONSOLE_MAX);
	return 0;
}

static const struct json_rule console_size_rules[] = {
	{"height", JSON_U64, .required = true, JSON_AT(spec_console_size, height)},
	{"width", JSON_U64, .required = true, JSON_AT(spec_console_size, width)},
	{},
};

static const struct json_table console_size_table = {
	.size = sizeof(struct spec_console_size),
	.rules = console_size_rules,
	.finish = finish_console_size,
};

static int finish_user(void *out, const struct json_context *ctx)
{
	const struct spec_user *user = out;

	if (user->umask.value > 0777)
		return json_fail(ctx, "umask",
			"must be at most 511 (octal 0777): JSON has decimal numbers only");
	/* (uid_t)-1 means "unchanged" to setresuid(2). */
	if (user->uid == UINT32_MAX || user->gid == UINT32_MAX)
		return json_fail(ctx, user->uid == UINT32_MAX ? "uid" : "gid",
			"4294967295 is no id that a process can have");
	for (size_t i = 0; i < user->additional_gids.count; i++)
		if (user->additional_gids.items[i] == UINT32_MAX)
			return json_fail(ctx, "additionalGids",
				"4294967295 is no id that a process can have");
	return 0;
}

static const struct json_rule user_rules[] = {
	{"uid", JSON_U32, JSON_AT(spec_user, uid)},
	{"gid", JSON_U32, JSON_AT(spec_user, gid)},
	{"umask", JSON_OPT_U32, JSON_AT(spec_user, umask)},
	{"additionalGids", JSON_U32S, JSON_AT(spec_user, additional_gids)},
	{"username", JSON_TEXT, JSON_AT(spec_user, username)},
	{},
};

static const struct json_table user_table = {
	.size = sizeof(struct spec_user),
	.rules = user_rules,
	.finish = finish_user,
};

/*
 * Only what the kernel would refuse: capset(2) wants effective within permitted, and inheritable
 * within bounding; PR_CAP_AMBIENT_RAISE wants permitted. See capabilities(7). It wants inheritable,
 * too, but engines that stopped to ask for inheritable ones still list the ambient ones (buildah
 * 1.28): the process then goes without.
 */
static int finish_capabilities(void *out, const struct json_context *ctx)
{
	const struct spec_capabilities *caps = out;
	const struct {
		const char *set, *within;
		uint64_t excess;
	} rules[] = {
		{"effective", "permitted", caps->effective & ~caps->permitted},
		{"inheritable", "bounding", caps->inheritable & ~caps->bounding},
		{"ambient", "permitted", caps->ambient & ~caps->permitted},
	};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (rules[i].excess)
			return json_fail(ctx, rules[i].set,
				"the kernel refuses %s, which is not in \"%s\": add it there or "
				"remove it here",
				spec_capability_name(__builtin_ctzll(rules[i].excess)),
				rules[i].within);
	return 0;
}

#define CAPABILITY_SET(name)                                                   \
	{                                                                      \
#name, JSON_FLAGS, JSON_AT(spec_capabilities, name),           \
			.names = spec_capability_names, .what = "a capability" \
	}

static const struct json_rule capabilities_rules[] = {
	CAPABILITY_SET(bounding),
	CAPABILITY_SET(effective),
	CAPABILITY_SET(inheritable),
	CAPABILITY_SET(permitted),
	CAPABILITY_SET(ambient),
	{},
};

static const struct json_table capabilities_table = {
	.size = sizeof(struct spec_capabilities),
	.rules = capabilities_rules,
	.finish = finish_capabilities,
};

static int finish_rlimit(void *out, const struct json_context *ctx)
{
	const struct spec_rlimit *limit = out;

	if (limit->soft > limit->hard)
		return json_fail(ctx, "soft", "must not be above \"hard\"; see setrlimit(2)");
	return 0;
}

static const struct json_rule rlimit_rules[] = {
	{"type", JSON_NAME, .required = true, JSON_AT(spec_rlimit, resource),
		.names = spec_rlimit_names, .what = "a resource limit"},
	{"soft", JSON_U64, .required = true, JSON_AT(spec_rlimit, soft)},
	{"hard", JSON_U64, .required = true, JSON_AT(spec_rlimit, hard)},
	{},
};

static const struct json_table rlimit_table = {
	.size = sizeof(struct spec_rlimit),
	.rules = rlimit_rules,
	.finish = finish_rlimit,
};

/* See ioprio_set(2). */
static int finish_io_priority(void *out, const struct json_context *ctx)
{
	const struct spec_io_priority *io = out;

	if (io->priority < 0 || io->priority >= IOPRIO_LEVELS)
		return json_fail(ctx, "priority", "must be from 0 (highest) to %d (lowest)",
			IOPRIO_LEVELS - 1);
	return 0;
}

static const struct json_rule io_priority_rules[] = {
	{"class", JSON_NAME, .required = true, JSON_AT(spec_io_priority, class),
		.names = spec_ioprio_class_names, .what = "an I/O priority class"},
	{"priority", JSON_I32, JSON_AT(spec_io_priority, priority)},
	{},
};

static const struct json_table io_priority_table = {
	.size = sizeof(struct spec_io_priority),
	.rules = io_priority_rules,
	.finish = finish_io_priority,
};

/* The kernel's conditions for SCHED_DEADLINE; see sched_setattr(2). */
static int check_deadline(const struct spec_scheduler *s, const struct json_context *ctx)
{
	enum { SHORTEST = 1024 };

	if (s->runtime < SHORTEST)
		return json_fail(
			ctx, "runtime", "SCHED_DEADLINE needs at least %d (nanoseconds)", SHORTEST);
	if (s->deadline < s->runtime)
		return json_fail(ctx, "deadline", "must not be below \"runtime\"");
	if (s->period && s->period < s->deadline)
		return json_fail(ctx, "period", "must be 0 or not below \"deadline\"");
	if (s->deadline > INT64_MAX || s->period > INT64_MAX)
		return json_fail(ctx, NULL, "deadline and period must be below 2^63");
	return 0;
}

static int finish_scheduler(void *out, const struct json_context *ctx)
{
	const struct spec_scheduler *s = out;
	bool real_time = s->policy == SCHED_FIFO || s->policy == SCHED_RR;

	if (s->policy == SCHED_ISO)
		return json_fail(ctx, "policy", "Linux has no SCHED_ISO: choose another policy");
	if (real_time && (s->priority < 1 || s->priority > 99))
		return json_fail(
			ctx, "priority", "SCHED_FIFO and SCHED_RR need a priority from 1 to 99");
	if (!real_time && s->priority)
		return json_fail(ctx, "priority", "only SCHED_FIFO and SCHED_RR have one: use 0");
	if (s->nice < -20 || s->nice > 19)
		return json_fail(ctx, "nice", "must be from -20 to 19");
	if (s->policy == SCHED_DEADLINE)
		return check_deadline(s, ctx);
	if (s->runtime || s->deadline || s->period)
		return json_fail(
			ctx, NULL, "runtime, deadline and period belong to SCHED_DEADLINE only");
	return 0;
}

static const struct json_rule scheduler_rules[] = {
	{"policy", JSON_NAME, .required = true, JSON_AT(spec_scheduler, policy),
		.names = spec_sched_policy_names, .what = "a scheduling policy"},
	{"nice", JSON_I32, JSON_AT(spec_scheduler, nice)},
	{"priority", JSON_I32, JSON_AT(spec_scheduler, priority)},
	{"flags", JSON_FLAGS, JSON_AT(spec_scheduler, flags), .names = spec_sched_flag_names,
		.what = "a scheduler flag"},
	{"runtime", JSON_U64, JSON_AT(spec_scheduler, runtime)},
	{"deadline", JSON_U64, JSON_AT(spec_scheduler, deadline)},
	{"period", JSON_U64, JSON_AT(spec_scheduler, period)},
	{},
};

static const struct json_table scheduler_table = {
	.size = sizeof(struct spec_scheduler),
	.rules = scheduler_rules,
	.finish = finish_scheduler,
};

static int finish_affinity(void *out, const struct json_context *ctx)
{
	struct spec_cpu_affinity *affinity = out;

	for (int i = 0; i < 2; i++) {
		const char **list = i ? &affinity->final : &affinity->initial;

		if (*list && !**list)
			*list = NULL;
		if (*list && !spec_is_list(*list))
			return json_fail(ctx, i ? "final" : "initial",
				"\"%s\" is no list of CPUs such as \"0-3,7\"", *list);
	}
	return 0;
}

static const struct json_rule affinity_rules[] = {
	{"initial", JSON_TEXT, JSON_AT(spec_cpu_affinity, initial)},
	{"final", JSON_TEXT, JSON_AT(spec_cpu_affinity, final)},
	{},
};

static const struct json_table affinity_table = {
	.size = sizeof(struct spec_cpu_affinity),
	.rules = affinity_rules,
	.finish = finish_affinity,
};

static int check_rlimits(const struct spec_process *process, const struct json_context *ctx)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < process->rlimits.count; i++) {
		int resource = process->rlimits.items[i].resource;

		if (seen & 1ULL << resource)
			return json_fail(ctx, "rlimits",
				"%s is there twice: keep one of the entries",
				json_name_of(spec_rlimit_names, resource));
		seen |= 1ULL << resource;
	}
	return 0;
}

static int finish_process(void *out, const struct json_context *ctx)
{
	const struct spec_process *process = out;

	if (process->cwd[0] != '/')
		return json_fail(ctx, "cwd", "\"%s\" must be an absolute path", process->cwd);
	if (!process->args.count)
		return json_fail(ctx, "args", "must name the program to run");
	if (!process->args.items[0][0])
		return json_fail(ctx, "args[0]", "must not be empty: it names the program to run");
	if (process->oom_score_adj.value < -1000 || process->oom_score_adj.value > 1000)
		return json_fail(ctx, "oomScoreAdj", "must be from -1000 to 1000; see proc(5)");
	return check_rlimits(process, ctx);
}

static const struct json_rule process_rules[] = {
	{"terminal", JSON_BOOL, JSON_AT(spec_process, terminal)},
	{"noNewPrivileges", JSON_BOOL, JSON_AT(spec_process, no_new_privileges)},
	{"consoleSize", JSON_STRUCT, JSON_AT(spec_process, console_size),
		.table = &console_size_table},
	{"user", JSON_PART, JSON_AT(spec_process, user), .table = &user_table},
	{"args", JSON_TEXTS, JSON_AT(spec_process, args)},
	{"env", JSON_TEXTS, JSON_AT(spec_process, env)},
	{"cwd", JSON_TEXT, .required = true, JSON_AT(spec_process, cwd)},
	{"capabilities", JSON_STRUCT, JSON_AT(spec_process, capabilities),
		.table = &capabilities_table},
	{"rlimits", JSON_STRUCTS, JSON_AT(spec_process, rlimits), .table = &rlimit_table},
	{"apparmorProfile", JSON_TEXT, JSON_AT(spec_process, apparmor_profile)},
	{"selinuxLabel", JSON_TEXT, JSON_AT(spec_process, selinux_label)},
	{"oomScoreAdj", JSON_OPT_I64, JSON_AT(spec_process, oom_score_adj)},
	{"scheduler", JSON_STRUCT, JSON_AT(spec_process, scheduler), .table = &scheduler_table},
	{"ioPriority", JSON_STRUCT, JSON_AT(spec_process, io_priority),
		.table = &io_priority_table},
	{"execCPUAffinity", JSON_STRUCT, JSON_AT(spec_process, exec_cpu_affinity),
		.table = &affinity_table},
	{},
};

const struct json_table spec_process_table = {
	.size = sizeof(struct spec_process),
	.rules = process_rules,
	.finish = finish_process,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/seccomp/compile.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "runtime/attrs/seccomp/multiplex.h"
#include "runtime/attrs/seccomp/names.h"
#include "runtime/attrs/seccomp/prologue.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_ARCHES = 3,
	MAX_ARGS = 6,
	ERRNO_MAX = 4095, /* what the kernel lets through */
	OLD_NUMBER = 423, /* the last before the numbers that are common to all */
};

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* What a machine of the first architecture can run. */
static const uint32_t families[][MAX_ARCHES] = {
	{SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32},
	{SCMP_ARCH_AARCH64, SCMP_ARCH_ARM},
	{SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS, SCMP_ARCH_MIPS64N32},
	{SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL, SCMP_ARCH_MIPSEL64N32},
	{SCMP_ARCH_PPC64, SCMP_ARCH_PPC},
	{SCMP_ARCH_S390X, SCMP_ARCH_S390},
	{SCMP_ARCH_PARISC64, SCMP_ARCH_PARISC},
};

static const struct {
	const char *name;
	unsigned int flag;
} flags_known[] = {
	{"SECCOMP_FILTER_FLAG_TSYNC", 0},
	{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
};

/* One rule as it is added: a name, or one of several alternatives of it. */
struct rule {
	const char *name;
	uint32_t verdict; /* SECCOMP_RET_…, which are libseccomp's SCMP_ACT_… */
	const struct spec_seccomp_arg *args;
	size_t arg_count;
};

/* What the rules say about one call that can also come through socketcall(2) or ipc(2). */
struct mux {
	bool conditional, unconditional;
	uint32_t strictest; /* of the rules with conditions */
	uint32_t otherwise; /* of the first rule without */
	struct spec_seccomp_arg arg;
};

struct compiler {
	uint32_t native;
	uint32_t arches[MAX_ARCHES];
	size_t arch_count;
	uint32_t default_verdict;
	scmp_filter_ctx ctx;
	/* Per architecture, for what stands in front. */
	struct prologue_arch front[MAX_ARCHES];
	size_t front_room[MAX_ARCHES];
	struct mux mux[SECCOMP_MULTIPLEXED];
	bool notify;
};

static void compiler_end(struct compiler *c)
{
	if (c->ctx)
		seccomp_release(c->ctx);
	for (size_t i = 0; i < MAX_ARCHES; i++)
		free(c->front[i].rules);
}
CLEANUP_DEFINE(compiler, struct compiler, compiler_end)

void seccomp_program_free(struct seccomp_program *program)
{
	free(program->insns);
	*program = (struct seccomp_program){};
}

int seccomp_flags_parse(const struct strings *names, unsigned int *ret, struct err *err)
{
	unsigned int flags = 0;

	for (size_t i = 0; i < names->count; i++) {
		size_t j = 0;

		while (j < ARRAY_LEN(flags_known) &&
			strcmp(names->items[i], flags_known[j].name) != 0)
			j++;
		if (j == ARRAY_LEN(flags_known))
			return err_set(err, -EINVAL, "linux.seccomp.flags: \"%s\" is not known",
				names->items[i]);
		flags |= flags_known[j].flag;
	}
	*ret = flags;
	return 0;
}

/* ACTION with its errno or message as the kernel's verdict. WHERE names it in errors. */
static int make_verdict(
	const char *where, int action, struct opt_u32 data, uint32_t *ret, struct err *err)
{
	const bool takes_data = action == SPEC_SECCOMP_ERRNO || action == SPEC_SECCOMP_TRACE;
	const uint32_t value = data.set ? data.value : EPERM;

	if (data.set && !takes_data)
		return err_set(err, -EINVAL,
			"%s: an errno is given for an action that returns none; use SCMP_ACT_ERRNO "
			"or "
			"leave it out",
			where);
	if (takes_data && value > (action == SPEC_SECCOMP_ERRNO ? ERRNO_MAX : SECCOMP_RET_DATA))
		return err_set(err, -EINVAL, "%s: %u is no errno", where, value);
	switch ((enum spec_seccomp_action)action) {
	case SPEC_SECCOMP_KILL_THREAD:
		*ret = SECCOMP_RET_KILL_THREAD;
		return 0;
	case SPEC_SECCOMP_KILL_PROCESS:
		*ret = SECCOMP_RET_KILL_PROCESS;
		return 0;
	case SPEC_SECCOMP_TRAP:
		*ret = SECCOMP_RET_TRAP;
		return 0;
	case SPEC_SECCOMP_ERRNO:
		*ret = SECCOMP_RET_ERRNO | value;
		return 0;
	case SPEC_SECCOMP_TRACE:
		*ret = SECCOMP_RET_TRACE | value;
		return 0;
	case SPEC_SECCOMP_ALLOW:
		*ret = SECCOMP_RET_ALLOW;
		return 0;
	case SPEC_SECCOMP_LOG:
		*ret = SECCOMP_RET_LOG;
		return 0;
	case SPEC_SECCOMP_NOTIFY:
		*ret = SECCOMP_RET_USER_NOTIF;
		return 0;
	}
	return err_set(err, -EINVAL, "%s: the action is missing", where);
}

static bool can_run(uint32_t native, uint32_t arch)
{
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		for (size_t j = 1; families[i][0] == native && j < MAX_ARCHES; j++)
			if (families[i][j] == arch)
				return true;
	return false;
}

/* The native architecture first, then those of the profile that can occur here, each once. */
static void choose_arches(struct compiler *c, const struct spec_seccomp *seccomp)
{
	c->arches[c->arch_count++] = c->native;
	for (size_t i = 0; i < seccomp->architectures.count; i++) {
		const uint32_t arch = (uint32_t)seccomp->architectures.items[i];
		size_t j = 0;

		while (j < c->arch_count && c->arches[j] != arch)
			j++;
		if (j == c->arch_count && can_run(c->native, arch))
			c->arches[c->arch_count++] = arch;
	}
}

static int open_context(struct compiler *c, struct err *err)
{
	const uint32_t build = seccomp_arch_native();
	int r = 0;

	c->ctx = seccomp_init(c->default_verdict);
	if (!c->ctx)
		return err_set(err, -EINVAL,
			"linux.seccomp.defaultAction: this kernel does not have the action");
	for (size_t i = 0; r == 0 && i < c->arch_count; i++)
		r = c->arches[i] == build ? 0 : seccomp_arch_add(c->ctx, c->arches[i]);
	if (r == 0 && c->native != build)
		r = seccomp_arch_remove(c->ctx, build);
	r = r ?: seccomp_attr_set(c->ctx, SCMP_FLTATR_CTL_NNP, 0);
	r = r ?: seccomp_attr_set(c->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* A killed thread would leave the rest of its process in an unknown state. */
	r = r ?: seccomp_attr_set(c->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	return r < 0 ? err_sys(err, r, "linux.seccomp: preparing libseccomp") : 0;
}

/* Remembers that the profile knows NUMBER on architecture INDEX. */
static void note_number(struct compiler *c, size_t index, uint32_t number)
{
	if (number > c->front[index].newest)
		c->front[index].newest = number;
}

/* For a call that has a number of its own beside socketcall(2), libseccomp gives a pseudo number
 * by name, and only the way back from the number tells. */
static bool find_direct_number(const char *name, uint32_t arch, uint32_t *ret)
{
	const uint32_t offset = seccomp_arch_offset(arch);

	for (uint32_t n = 0; n <= OLD_NUMBER; n++) {
		char *found = seccomp_syscall_resolve_num_arch(arch, (int)(offset + n));
		const bool same = found && strcmp(found, name) == 0;

		free(found);
		if (same) {
			*ret = offset + n;
			return true;
		}
	}
	return false;
}

/* The number of NAME on ARCH, whoever knows it; false when ARCH does not have the call. */
static bool find_number(const char *name, uint32_t arch, uint32_t *ret)
{
	const int number = seccomp_syscall_resolve_name_arch(arch, name);

	if (number == __NR_SCMP_ERROR)
		return seccomp_newer_number(name, arch, ret);
	if (number < 0)
		return seccomp_multiplexed_find(name) >= 0 && find_direct_number(name, arch, ret);
	*ret = (uint32_t)number;
	return true;
}

static void note_name(struct compiler *c, const char *name)
{
	for (size_t i = 0; i < c->arch_count; i++) {
		const uint32_t offset = seccomp_arch_offset(c->arches[i]);
		uint32_t number;

		/* What goes through socketcall(2), and x32's own numbers, 512 to 547, are older
		 * than the common ones. */
		if (seccomp_multiplexed_find(name) < 0 &&
			find_number(name, c->arches[i], &number) &&
			!(c->arches[i] == SCMP_ARCH_X32 && number - offset >= 512))
			note_number(c, i, number);
	}
}

static int add_front(struct compiler *c, size_t index, const struct prologue_rule *rule)
{
	struct prologue_arch *front = &c->front[index];

	if (front->rule_count == c->front_room[index]) {
		const size_t room = c->front_room[index] * 2 ?: 16;
		struct prologue_rule *rules =
			reallocarray(front->rules, room, sizeof(*front->rules));

		if (!rules)
			return -ENOMEM;
		front->rules = rules;
		c->front_room[index] = room;
	}
	front->rules[front->rule_count++] = *rule;
	return 0;
}

static int add_own(struct compiler *c, const struct rule *rule)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->arch_count; i++) {
		struct prologue_rule front = {
			.verdict = rule->verdict,
			.args = rule->args,
			.arg_count = rule->arg_count,
		};

		if (find_number(rule->name, c->arches[i], &front.number))
			r = add_front(c, i, &front);
	}
	return r;
}

/* Of two verdicts the one that lets less happen, as the kernel orders them (seccomp(2)). */
static uint32_t stricter(uint32_t a, uint32_t b)
{
	return (int32_t)(a & SECCOMP_RET_ACTION_FULL) <= (int32_t)(b & SECCOMP_RET_ACTION_FULL) ? a
												: b;
}

static void note_mux(struct compiler *c, const struct rule *rule)
{
	const int at = seccomp_multiplexed_find(rule->name);
	struct mux *mux = at < 0 ? NULL : &c->mux[at];

	if (!mux)
		return;
	if (rule->arg_count > 0) {
		mux->strictest =
			mux->conditional ? stricter(mux->strictest, rule->verdict) : rule->verdict;
		mux->conditional = true;
	} else if (!mux->unconditional && rule->verdict != c->default_verdict) {
		mux->otherwise = rule->verdict;
		mux->unconditional = true;
	}
}

/* Conditions cannot be checked behind socketcall(2): the strictest outcome is what it gets, or
 * it would be the way round them. */
static int add_muxes(struct compiler *c)
{
	for (size_t i = 0; i < SECCOMP_MULTIPLEXED; i++) {
		struct mux *mux = &c->mux[i];
		const struct rule rule = {
			.name = seccomp_multiplexed[i].by,
			.verdict = stricter(mux->strictest,
				mux->unconditional ? mux->otherwise : c->default_verdict),
			.args = &mux->arg,
			.arg_count = 1,
		};

		mux->arg = (struct spec_seccomp_arg){
			.value = seccomp_multiplexed[i].call, .op = SPEC_SECCOMP_EQ};
		if (mux->conditional && add_own(c, &rule) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_rule(struct compiler *c, const struct rule *rule, struct err *err)
{
	int number = 0;
	const enum seccomp_name_kind kind = seccomp_name_resolve(rule->name, &number);
	int r = 0;

	if (kind == SECCOMP_NAME_UNKNOWN)
		return err_set(err, -EINVAL, "linux.seccomp.syscalls: \"%s\" is no system call",
			rule->name);
	note_name(c, rule->name);
	note_mux(c, rule);
	c->notify |= rule->verdict == SECCOMP_RET_USER_NOTIF;
	if (rule->arg_count == 0 && rule->verdict == c->default_verdict)
		return 0;
	if (rule->arg_count > 0 || kind == SECCOMP_NAME_NEWER)
		r = add_own(c, rule);
	else
		r = seccomp_rule_add_array(c->ctx, rule->verdict, number, 0, NULL);
	/* The first counts. libseccomp says so for what goes through socketcall(2) only, and is
	 * silent about the rest. */
	if (r < 0 && r != -EEXIST)
		return err_sys(
			err, r, "linux.seccomp.syscalls: adding the rule for %s", rule->name);
	return 0;
}

/* Checks the conditions; RET_SPLIT: two are on one argument, so each stands alone. */
static int check_args(
	const struct spec_seccomp_rule *rule, const char *name, bool *ret_split, struct err *err)
{
	unsigned int seen = 0;

	*ret_split = false;
	for (size_t i = 0; i < rule->args.count; i++) {
		const struct spec_seccomp_arg *arg = &rule->args.items[i];

		if (arg->index >= MAX_ARGS)
			return err_set(err, -EINVAL,
				"linux.seccomp.syscalls: %s: argument %u is not from 0 to 5", name,
				arg->index);
		if (arg->op < SPEC_SECCOMP_NE || arg->op > SPEC_SECCOMP_MASKED_EQ)
			return err_set(err, -EINVAL,
				"linux.seccomp.syscalls: %s: a condition without an operator",
				name);
		*ret_split |= seen >> arg->index & 1;
		seen |= 1u << arg->index;
	}
	return 0;
}

static int add_spec_rule(
	struct compiler *c, const struct spec_seccomp_rule *spec, bool with_args, struct err *err)
{
	struct rule rule = {.args = spec->args.items, .arg_count = spec->args.count};
	const char *first = spec->names.count ? spec->names.items[0] : "(no names)";
	char where[300];
	bool split;
	int r;

	if ((spec->args.count > 0) != with_args)
		return 0;
	snprintf(where, sizeof(where), "linux.seccomp.syscalls: the rule for %.200s", first);
	r = make_verdict(where, spec->action, spec->errno_ret, &rule.verdict, err);
	r = r ?: check_args(spec, first, &split, err);
	for (size_t i = 0; r == 0 && i < spec->names.count; i++) {
		rule.name = spec->names.items[i];
		if (!split) {
			r = add_rule(c, &rule, err);
			continue;
		}
		for (size_t j = 0; r == 0 && j < spec->args.count; j++) {
			const struct rule one = {rule.name, rule.verdict, &spec->args.items[j], 1};

			r = add_rule(c, &one, err);
		}
	}
	return r;
}

/* Rules with conditions come first: they are the exceptions to those without. */
static int add_all_rules(struct compiler *c, const struct spec_seccomp *seccomp, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < seccomp->syscalls.count; i++)
		r = add_spec_rule(c, &seccomp->syscalls.items[i], true, err);
	for (size_t i = 0; r == 0 && i < seccomp->syscalls.count; i++)
		r = add_spec_rule(c, &seccomp->syscalls.items[i], false, err);
	if (r == 0 && add_muxes(c) < 0)
		r = err_sys(err, -ENOMEM, "linux.seccomp");
	return r;
}

/* ENOSYS helps where the default is an errno that does not already say so. */
static void plan_front(struct compiler *c)
{
	const bool enosys = (c->default_verdict & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO &&
			    c->default_verdict != (SECCOMP_RET_ERRNO | ENOSYS);

	for (size_t i = 0; i < c->arch_count; i++) {
		c->front[i].arch = c->arches[i];
		c->front[i].enosys = enosys;
		note_number(c, i, seccomp_arch_offset(c->arches[i]) + OLD_NUMBER);
	}
}

/* libseccomp 2.5 writes to descriptors only. */
static int export_program(struct compiler *c, struct buf *ret, struct err *err)
{
	autoclose int fd = sys_memfd_create("seccomp", 0);
	int r = fd < 0 ? fd : seccomp_export_bpf(c->ctx, fd);

	if (r < 0)
		return err_sys(err, r, "linux.seccomp: exporting the filter");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, -errno, "linux.seccomp: reading the filter back");
	r = fd_read_all(fd, sizeof(struct sock_filter) * 65536, ret);
	return r < 0 ? err_sys(err, r, "linux.seccomp: reading the filter back") : 0;
}

/* Our part and libseccomp's, one after the other: jumps are relative, so neither changes. */
static int join_program(struct compiler *c, struct seccomp_program *ret, struct err *err)
{
	autofree struct sock_filter *insns = NULL;
	autobuf struct buf library = {};
	size_t count;
	int front, r;

	r = export_program(c, &library, err);
	if (r < 0)
		return r;
	insns = calloc(BPF_MAXINSNS, sizeof(*insns));
	if (!insns)
		return err_sys(err, -ENOMEM, "linux.seccomp");
	front = seccomp_prologue(c->front, c->arch_count, insns, BPF_MAXINSNS);
	count = library.len / sizeof(*insns);
	if (front < 0 || (size_t)front + count > BPF_MAXINSNS)
		return err_set(err, -E2BIG,
			"linux.seccomp: the filter is longer than the %d instructions that the "
			"kernel "
			"takes; name fewer system calls, conditions or architectures",
			BPF_MAXINSNS);
	memcpy(insns + front, library.data, library.len);
	ret->count = (size_t)front + count;
	ret->insns = take_ptr(insns);
	return 0;
}

int seccomp_compile_for(uint32_t native, const struct spec_seccomp *seccomp,
	struct seccomp_program *ret, struct err *err)
{
	__attribute__((cleanup(cleanup_compiler))) struct compiler c = {.native = native};
	struct seccomp_program program = {};
	int r;

	r = make_verdict("linux.seccomp.defaultAction", seccomp->default_action,
		seccomp->default_errno_ret, &c.default_verdict, err);
	r = r ?: seccomp_flags_parse(&seccomp->flags, &program.flags, err);
	if (r < 0)
		return r;
	c.notify = c.default_verdict == SECCOMP_RET_USER_NOTIF;
	choose_arches(&c, seccomp);
	r = open_context(&c, err);
	r = r ?: add_all_rules(&c, seccomp, err);
	if (r < 0)
		return r;
	plan_front(&c);
	r = join_program(&c, &program, err);
	if (r < 0)
		return r;
	program.notify = c.notify;
	/* The kernel takes this one only together with a listener. */
	if (!c.notify)
		program.flags &= ~(unsigned int)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	*ret = program;
	return 0;
}

int seccomp_compile(
	const struct spec_seccomp *seccomp, struct seccomp_program *ret, struct err *err)
{
	return seccomp_compile_for(seccomp_arch_native(), seccomp, ret, err);
}

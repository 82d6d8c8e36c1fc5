/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/devices.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	ACCESS_ALL = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD,
	RULE_INSNS = 5, /* at most */
	FRAME_INSNS = 12,
	JUMP_MAX = 32000, /* jumps have 16 bits with a sign */
};

/* null, zero, full, random, urandom, tty, console, ptmx, pts. A node alone opens nothing and is
 * CAP_MKNOD's matter, so making any is allowed: unpacking an archive must not fail for that. */
const struct spec_device_rule devices_default_rules[] = {
	{true, 'a', -1, -1, BPF_DEVCG_ACC_MKNOD},
	{true, 'c', 1, 3, ACCESS_ALL},
	{true, 'c', 1, 5, ACCESS_ALL},
	{true, 'c', 1, 7, ACCESS_ALL},
	{true, 'c', 1, 8, ACCESS_ALL},
	{true, 'c', 1, 9, ACCESS_ALL},
	{true, 'c', 5, 0, ACCESS_ALL},
	{true, 'c', 5, 1, ACCESS_ALL},
	{true, 'c', 5, 2, ACCESS_ALL},
	{true, 'c', 136, -1, ACCESS_ALL},
};
const size_t devices_default_count = ARRAY_LEN(devices_default_rules);

/* Registers: 2 the type, 3 the kinds of access still to be allowed, 4 and 5 the numbers. */
#define INSN(op, dst, src, offset, value) \
	((struct bpf_insn){.code = (op),  \
		.dst_reg = (dst),         \
		.src_reg = (src),         \
		.off = (offset),          \
		.imm = (value)})
#define LOAD(dst, member)                               \
	INSN(BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_1, \
		offsetof(struct bpf_cgroup_dev_ctx, member), 0)
#define ALU(op, dst, value)  INSN(BPF_ALU | BPF_K | (op), dst, 0, 0, value)
#define JUMP(op, dst, value) INSN(BPF_JMP32 | BPF_K | (op), dst, 0, 0, value)
#define EXIT                 INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* Where a jump goes that is not resolved yet. */
enum target { TARGET_NONE, TARGET_LATER, TARGET_ALLOW, TARGET_DENY };

/*
 * Rules that follow each other and name the same type, or type and major number, share the check of
 * it. That is less for the kernel to run, and much less for its verifier to walk through, which is
 * most of what a device filter costs: it follows every path, and asked the same thing twice it has
 * to remember which answer it came with.
 */
struct assembly {
	struct bpf_insn *insns;
	size_t count;
	const struct spec_device_rule *last; /* the rule before, whose checks are open */
	size_t type_check, major_check;      /* their place, plus one; 0: none is open */
};

static void emit(struct assembly *a, struct bpf_insn insn, enum target target)
{
	insn.off = target == TARGET_NONE ? insn.off : (int16_t)target;
	a->insns[a->count++] = insn;
}

static bool is_jump(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_JMP32;
}

/* A check of the register that leads away, to where close_check() is called. */
static size_t open_check(struct assembly *a, int reg, int32_t value)
{
	emit(a, JUMP(BPF_JNE, reg, value), TARGET_LATER);
	return a->count;
}

static void close_check(struct assembly *a, size_t *check)
{
	if (*check)
		a->insns[*check - 1].off = (int16_t)(-1 - (int)(a->count - *check));
	*check = 0;
}

/* What decides for the kinds of access that RULE names, when all that it asks for is given. */
static void emit_verdict(struct assembly *a, const struct spec_device_rule *rule)
{
	size_t minor_check = 0;

	if (rule->access == ACCESS_ALL && rule->minor >= 0) {
		emit(a, JUMP(BPF_JEQ, BPF_REG_5, (int32_t)rule->minor),
			rule->allow ? TARGET_ALLOW : TARGET_DENY);
		return;
	}
	if (rule->minor >= 0)
		minor_check = open_check(a, BPF_REG_5, (int32_t)rule->minor);
	if (rule->allow) {
		emit(a, ALU(BPF_AND, BPF_REG_3, (int32_t)~rule->access), TARGET_NONE);
		emit(a, JUMP(BPF_JEQ, BPF_REG_3, 0), TARGET_ALLOW);
	} else {
		emit(a, JUMP(BPF_JSET, BPF_REG_3, (int32_t)rule->access), TARGET_DENY);
	}
	close_check(a, &minor_check);
}

static void emit_rule(struct assembly *a, const struct spec_device_rule *rule)
{
	bool same_type = a->last && a->last->type == rule->type;
	bool same_major = same_type && a->last->major == rule->major;

	if (!same_major)
		close_check(a, &a->major_check);
	if (!same_type)
		close_check(a, &a->type_check);
	if (!same_type && rule->type != 'a')
		a->type_check = open_check(
			a, BPF_REG_2, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	a->last = rule;
	if (rule->access == ACCESS_ALL && rule->major >= 0 && rule->minor < 0) {
		emit(a, JUMP(BPF_JEQ, BPF_REG_4, (int32_t)rule->major),
			rule->allow ? TARGET_ALLOW : TARGET_DENY);
		return;
	}
	if (!a->major_check && rule->major >= 0)
		a->major_check = open_check(a, BPF_REG_4, (int32_t)rule->major);
	emit_verdict(a, rule);
}

/* Turns the targets into distances: negative marks a resolved one, so that they are not mixed up.
 */
static void resolve(struct assembly *a, size_t deny, size_t allow)
{
	for (size_t i = 0; i < a->count; i++) {
		struct bpf_insn *insn = &a->insns[i];

		if (!is_jump(insn))
			continue;
		if (insn->off < 0)
			insn->off = (int16_t)(-1 - insn->off);
		else
			insn->off = (int16_t)((insn->off == TARGET_DENY ? deny : allow) - i - 1);
	}
}

static void assemble(struct assembly *a, const struct spec_device_rule *const *rules, size_t count)
{
	size_t deny, allow, first = 0;

	emit(a, LOAD(BPF_REG_2, access_type), TARGET_NONE);
	emit(a, INSN(BPF_ALU | BPF_X | BPF_MOV, BPF_REG_3, BPF_REG_2, 0, 0), TARGET_NONE);
	emit(a, ALU(BPF_AND, BPF_REG_2, 0xffff), TARGET_NONE);
	emit(a, ALU(BPF_RSH, BPF_REG_3, 16), TARGET_NONE);
	emit(a, LOAD(BPF_REG_4, major), TARGET_NONE);
	emit(a, LOAD(BPF_REG_5, minor), TARGET_NONE);
	emit(a, JUMP(BPF_JEQ, BPF_REG_3, 0), TARGET_ALLOW);
	emit(a, JUMP(BPF_JSET, BPF_REG_3, (int32_t)~ACCESS_ALL), TARGET_DENY);
	/* Backwards, so that the first match is the last rule; what none matches is denied, so the
	 * denials that come first need not be there. */
	while (first < count && !rules[first]->allow)
		first++;
	while (count-- > first)
		emit_rule(a, rules[count]);
	close_check(a, &a->major_check);
	close_check(a, &a->type_check);
	deny = a->count;
	emit(a, ALU(BPF_MOV, BPF_REG_0, 0), TARGET_NONE);
	emit(a, EXIT, TARGET_NONE);
	allow = a->count;
	emit(a, ALU(BPF_MOV, BPF_REG_0, 1), TARGET_NONE);
	emit(a, EXIT, TARGET_NONE);
	resolve(a, deny, allow);
}

static bool is_valid(const struct spec_device_rule *rule)
{
	return rule->major >= -1 && rule->major <= INT32_MAX && rule->minor >= -1 &&
	       rule->minor <= INT32_MAX && (rule->access & ~ACCESS_ALL) == 0 &&
	       (rule->type == 'a' || rule->type == 'b' || rule->type == 'c');
}

static bool matches_all(const struct spec_device_rule *rule)
{
	return rule->type == 'a' && rule->major < 0 && rule->minor < 0 &&
	       rule->access == ACCESS_ALL;
}

/* Whether the first of them allows everything and none behind takes anything back. */
static bool allows_all(const struct spec_device_rule *const *rules, size_t count)
{
	if (!count || !matches_all(rules[0]))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!rules[i]->allow)
			return false;
	return true;
}

int devices_compile(const struct spec_device_rule *rules, size_t count, bool defaults,
	struct devices_program *ret, size_t *ret_bad)
{
	size_t extra = defaults ? devices_default_count : 0, used = 0;
	autofree const struct spec_device_rule **order = NULL;
	autofree struct bpf_insn *insns = NULL;
	struct assembly assembly = {};

	if (count > (JUMP_MAX - FRAME_INSNS) / RULE_INSNS - extra)
		return -E2BIG;
	order = calloc(count + extra + 1, sizeof(*order));
	insns = calloc((count + extra) * RULE_INSNS + FRAME_INSNS, sizeof(*insns));
	if (!order || !insns)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (!is_valid(&rules[i])) {
			*ret_bad = i;
			return -EINVAL;
		}
		if (matches_all(&rules[i]))
			used = 0; /* nothing before it counts */
		order[used++] = &rules[i];
	}
	for (size_t i = 0; i < extra; i++)
		order[used++] = &devices_default_rules[i];
	*ret = (struct devices_program){};
	if (allows_all(order, used))
		return 0;
	assembly.insns = insns;
	assemble(&assembly, order, used);
	ret->insns = take_ptr(insns);
	ret->count = assembly.count;
	return 0;
}

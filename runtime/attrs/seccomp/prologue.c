/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/seccomp/prologue.h"

#include "base/cleanup.h"
#include "runtime/attrs/seccomp/names.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>

enum {
	MAX_ARGS = 6,
	X32_BIT = 0x40000000,
	/* x32's own copies of old calls, which are not newer than any profile. */
	X32_OWN_FIRST = 512,
	X32_OWN_LAST = 547,
};

/* Where a jump of a rule's argument checks goes. */
enum target { GO_ON, PASS, FAIL };

/*
 * What is being written. `ja` instructions whose goal is not known yet hold LEAVE_BLOCK or
 * LEAVE_ALL in k until patch() puts in the distance; real distances are shorter than BPF_MAXINSNS.
 */
struct writer {
	struct sock_filter *insns;
	size_t count, max;
	bool narrow; /* arguments have 32 bits: what is above does not count */
};

enum { LEAVE_BLOCK = 0x10000, LEAVE_ALL = 0x10001 };

static void put(struct writer *w, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (w->count < w->max)
		w->insns[w->count] = (struct sock_filter){code, jt, jf, k};
	w->count++;
}

static void put_load(struct writer *w, size_t offset)
{
	put(w, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* Goes to GOAL unless the comparison OP with K holds (or if it does, when NEGATED). */
static void put_guard(struct writer *w, uint16_t op, bool negated, uint32_t k, uint32_t goal)
{
	put(w, BPF_JMP | op | BPF_K, !negated, negated, k);
	put(w, BPF_JMP | BPF_JA, 0, 0, goal);
}

static void patch(struct writer *w, size_t from, uint32_t goal)
{
	for (size_t i = from; i < w->count && i < w->max; i++)
		if (w->insns[i].code == (BPF_JMP | BPF_JA) && w->insns[i].k == goal)
			w->insns[i].k = (uint32_t)(w->count - i - 1);
}

static size_t arg_offset(uint32_t index, bool high)
{
	bool second = high == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

	return offsetof(struct seccomp_data, args) + 8 * index + (second ? 4 : 0);
}

/* A jump of an argument check, with targets instead of distances. */
static void put_jump(struct writer *w, uint16_t op, uint32_t k, enum target yes, enum target no)
{
	put(w, BPF_JMP | op | BPF_K, (uint8_t)yes, (uint8_t)no, k);
}

/* arg > value (OP BPF_JGT) or arg ≥ value (BPF_JGE), as 64-bit numbers. */
static void put_order(struct writer *w, const struct spec_seccomp_arg *arg, uint16_t op,
	enum target yes, enum target no)
{
	if (!w->narrow) {
		put_load(w, arg_offset(arg->index, true));
		put_jump(w, BPF_JGT, (uint32_t)(arg->value >> 32), yes, GO_ON);
		put_jump(w, BPF_JEQ, (uint32_t)(arg->value >> 32), GO_ON, no);
	}
	put_load(w, arg_offset(arg->index, false));
	put_jump(w, op, (uint32_t)arg->value, yes, no);
}

/* (arg & mask) = value. */
static void put_equal(struct writer *w, const struct spec_seccomp_arg *arg, uint64_t mask,
	uint64_t value, enum target yes, enum target no)
{
	for (int high = !w->narrow; high >= 0; high--) {
		const uint32_t m = (uint32_t)(high ? mask >> 32 : mask);
		const uint32_t v = (uint32_t)(high ? value >> 32 : value);

		put_load(w, arg_offset(arg->index, high));
		if (m != UINT32_MAX)
			put(w, BPF_ALU | BPF_AND | BPF_K, 0, 0, m);
		put_jump(w, BPF_JEQ, v & m, high ? GO_ON : yes, no);
	}
}

static void put_arg(struct writer *w, const struct spec_seccomp_arg *arg)
{
	switch ((enum spec_seccomp_op)arg->op) {
	case SPEC_SECCOMP_EQ:
		return put_equal(w, arg, UINT64_MAX, arg->value, PASS, FAIL);
	case SPEC_SECCOMP_NE:
		return put_equal(w, arg, UINT64_MAX, arg->value, FAIL, PASS);
	case SPEC_SECCOMP_MASKED_EQ:
		return put_equal(w, arg, arg->value, arg->value_two, PASS, FAIL);
	case SPEC_SECCOMP_GT:
		return put_order(w, arg, BPF_JGT, PASS, FAIL);
	case SPEC_SECCOMP_GE:
		return put_order(w, arg, BPF_JGE, PASS, FAIL);
	case SPEC_SECCOMP_LE:
		return put_order(w, arg, BPF_JGT, FAIL, PASS);
	case SPEC_SECCOMP_LT:
		return put_order(w, arg, BPF_JGE, FAIL, PASS);
	}
}

/* Turns the targets of the jumps from FROM into distances: PASS is the next instruction to be
 * written, FAIL lies FAIL_AFTER instructions beyond END. */
static void place_targets(struct writer *w, size_t from, size_t pass, size_t fail)
{
	for (size_t i = from; i < pass && i < w->max; i++) {
		struct sock_filter *insn = &w->insns[i];
		const uint8_t distance[] = {
			[GO_ON] = 0,
			[PASS] = (uint8_t)(pass - i - 1),
			[FAIL] = (uint8_t)(fail - i - 1),
		};

		if (BPF_CLASS(insn->code) != BPF_JMP)
			continue;
		insn->jt = distance[insn->jt];
		insn->jf = distance[insn->jf];
	}
}

static size_t arg_length(const struct spec_seccomp_arg *arg, bool narrow)
{
	struct sock_filter scratch[8];
	struct writer w = {.insns = scratch, .max = ARRAY_LEN(scratch), .narrow = narrow};

	put_arg(&w, arg);
	return w.count;
}

/* The rule's checks, then its verdict; falls through when a check fails. The accumulator is the
 * number before, and after it when there are no checks. */
static void put_rule(struct writer *w, const struct prologue_rule *rule)
{
	size_t end = w->count;

	for (size_t i = 0; i < rule->arg_count; i++)
		end += arg_length(&rule->args[i], w->narrow);
	for (size_t i = 0; i < rule->arg_count; i++) {
		size_t from = w->count;

		put_arg(w, &rule->args[i]);
		place_targets(w, from, w->count, end + 1);
	}
	put(w, BPF_RET | BPF_K, 0, 0, rule->verdict);
}

static void put_rules(struct writer *w, const struct prologue_arch *arch)
{
	for (size_t i = 0; i < arch->rule_count; i++) {
		const struct prologue_rule *rule = &arch->rules[i];
		struct sock_filter scratch[MAX_ARGS * 8 + 1];
		struct writer body = {
			.insns = scratch, .max = ARRAY_LEN(scratch), .narrow = w->narrow};

		put_rule(&body, rule);
		put(w, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(body.count + (rule->arg_count > 0)),
			rule->number);
		for (size_t j = 0; j < body.count; j++)
			put(w, scratch[j].code, scratch[j].jt, scratch[j].jf, scratch[j].k);
		if (rule->arg_count > 0)
			put_load(w, offsetof(struct seccomp_data, nr));
	}
}

static uint32_t lowest_number(const struct prologue_arch *arch)
{
	uint32_t lowest = arch->enosys ? arch->newest + 1 : UINT32_MAX;

	for (size_t i = 0; i < arch->rule_count; i++)
		if (arch->rules[i].number < lowest)
			lowest = arch->rules[i].number;
	return lowest;
}

/* The architectures whose arguments libseccomp takes for 32-bit ones, as their kernels do. */
static bool is_narrow(uint32_t arch)
{
	switch (arch) {
	case SCMP_ARCH_X86:
	case SCMP_ARCH_X32:
	case SCMP_ARCH_ARM:
	case SCMP_ARCH_MIPS:
	case SCMP_ARCH_MIPSEL:
	case SCMP_ARCH_MIPS64N32:
	case SCMP_ARCH_MIPSEL64N32:
	case SCMP_ARCH_PARISC:
	case SCMP_ARCH_PPC:
	case SCMP_ARCH_S390:
		return true;
	default:
		return false;
	}
}

static void put_arch(struct writer *w, const struct prologue_arch *arch)
{
	const bool x32 = arch->arch == SCMP_ARCH_X32;
	const uint32_t token = x32 ? SCMP_ARCH_X86_64 : arch->arch;
	const size_t from = w->count;

	w->narrow = is_narrow(arch->arch);
	put_load(w, offsetof(struct seccomp_data, arch));
	put_guard(w, BPF_JEQ, false, token, LEAVE_BLOCK);
	put_load(w, offsetof(struct seccomp_data, nr));
	if (token == SCMP_ARCH_X86_64)
		put_guard(w, BPF_JGE, !x32, X32_BIT, LEAVE_BLOCK);
	put_guard(w, BPF_JGE, false, lowest_number(arch), LEAVE_ALL);
	put_rules(w, arch);
	if (arch->enosys) {
		put_guard(w, BPF_JGT, false, arch->newest, LEAVE_ALL);
		if (x32) {
			put(w, BPF_JMP | BPF_JGE | BPF_K, 0, 2, X32_BIT + X32_OWN_FIRST);
			put_guard(w, BPF_JGT, false, X32_BIT + X32_OWN_LAST, LEAVE_ALL);
		}
		put(w, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
	} else {
		put(w, BPF_JMP | BPF_JA, 0, 0, LEAVE_ALL);
	}
	patch(w, from, LEAVE_BLOCK);
}

int seccomp_prologue(
	const struct prologue_arch *arches, size_t count, struct sock_filter *insns, size_t max)
{
	struct writer w = {.insns = insns, .max = max};

	for (size_t i = 0; i < count; i++)
		if (arches[i].rule_count > 0 || arches[i].enosys)
			put_arch(&w, &arches[i]);
	patch(&w, 0, LEAVE_ALL);
	return w.count > max ? -E2BIG : (int)w.count;
}

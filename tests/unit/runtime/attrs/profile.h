/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp profiles built by hand, for tests: an arena and spec_seccomp structs from it.
 */
#pragma once

#include "base/arena.h"
#include "base/cleanup.h"
#include "spec/config.h"

#include <seccomp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { PROFILE_RULES = 64, PROFILE_NAMES = 512 };

struct profile {
	struct arena arena;
	struct spec_seccomp seccomp;
};

static inline struct profile profile_new(int default_action)
{
	struct profile p = {};

	p.seccomp.default_action = default_action;
	p.seccomp.syscalls.items = arena_array(&p.arena, PROFILE_RULES, struct spec_seccomp_rule);
	p.seccomp.architectures.items = arena_array(&p.arena, 8, int);
	p.seccomp.flags.items = arena_array(&p.arena, 8, const char *);
	return p;
}

static inline void profile_arch(struct profile *p, uint32_t arch)
{
	p->seccomp.architectures.items[p->seccomp.architectures.count++] = (int)arch;
}

static inline void profile_flag(struct profile *p, const char *flag)
{
	p->seccomp.flags.items[p->seccomp.flags.count++] = flag;
}

static inline struct spec_seccomp_rule *profile_rule(struct profile *p, int action)
{
	struct spec_seccomp_rule *rule = &p->seccomp.syscalls.items[p->seccomp.syscalls.count++];

	rule->action = action;
	rule->names.items = arena_array(&p->arena, PROFILE_NAMES, const char *);
	rule->args.items = arena_array(&p->arena, 64, struct spec_seccomp_arg);
	return rule;
}

static inline void rule_name(struct spec_seccomp_rule *rule, const char *name)
{
	rule->names.items[rule->names.count++] = name;
}

static inline struct spec_seccomp_rule *rule_arg(
	struct spec_seccomp_rule *rule, uint32_t index, int op, uint64_t value, uint64_t two)
{
	rule->args.items[rule->args.count++] = (struct spec_seccomp_arg){index, value, two, op};
	return rule;
}

/* A rule for one name. */
static inline struct spec_seccomp_rule *profile_add(struct profile *p, int action, const char *name)
{
	struct spec_seccomp_rule *rule = profile_rule(p, action);

	rule_name(rule, name);
	return rule;
}

/* About 350 names of libseccomp's own table for x86-64, as an engine's default profile has them:
 * two rules in front, a rule with conditions, and every seventh name left out. */
static inline struct profile profile_like_an_engine(void)
{
	struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	struct spec_seccomp_rule *all;

	profile_arch(&p, SCMP_ARCH_X86_64);
	profile_arch(&p, SCMP_ARCH_X86);
	profile_arch(&p, SCMP_ARCH_X32);
	all = profile_rule(&p, SPEC_SECCOMP_ALLOW);
	for (int n = 0; n < 450; n++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, n);

		if (name && n % 14 != 13 && strcmp(name, "personality") && strcmp(name, "socket"))
			rule_name(all, arena_strdup(&p.arena, name));
		free(name);
	}
	rule_arg(profile_add(&p, SPEC_SECCOMP_ALLOW, "personality"), 0, SPEC_SECCOMP_EQ, 0, 0);
	rule_arg(profile_add(&p, SPEC_SECCOMP_ALLOW, "personality"), 0, SPEC_SECCOMP_EQ, 8, 0);
	rule_arg(profile_add(&p, SPEC_SECCOMP_ALLOW, "socket"), 0, SPEC_SECCOMP_NE, 40, 0);
	profile_add(&p, SPEC_SECCOMP_ALLOW, "mseal");
	return p;
}

static inline void profile_end(struct profile *p)
{
	arena_free(&p->arena);
}
CLEANUP_DEFINE(profile, struct profile, profile_end)
#define autoprofile __attribute__((cleanup(cleanup_profile)))

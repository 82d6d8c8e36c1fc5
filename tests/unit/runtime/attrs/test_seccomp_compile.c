/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/seccomp/compile.h"
#include "runtime/attrs/seccomp/multiplex.h"
#include "runtime/attrs/seccomp/names.h"
#include "tests/unit/runtime/attrs/bpf.h"
#include "tests/unit/runtime/attrs/profile.h"

#include <errno.h>
#include <linux/audit.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { NUMBERS = 640, X32 = 0x40000000, ROUNDS = 60 };

#define EPERM_VERDICT  (SECCOMP_RET_ERRNO | EPERM)
#define ENOSYS_VERDICT (SECCOMP_RET_ERRNO | ENOSYS)

static struct seccomp_program compile(uint32_t native, const struct profile *p)
{
	struct seccomp_program program = {};
	struct err err = {};
	int r = seccomp_compile_for(native, &p->seccomp, &program, &err);

	if (r < 0)
		fail_msg("%s", err.text);
	assert_true(bpf_valid(program.insns, program.count));
	return program;
}

static uint32_t verdict(
	const struct seccomp_program *program, uint32_t arch, uint32_t nr, const uint64_t *args)
{
	struct seccomp_data data = {.nr = (int)nr, .arch = arch};

	if (args)
		memcpy(data.args, args, sizeof(data.args));
	return bpf_run(program->insns, program->count, &data);
}

/* ---- what the profile means, worked out in another way ---- */

/* The name of each number of one architecture. */
struct map {
	uint32_t arch, audit, offset;
	uint64_t width; /* of arguments, as a mask */
	char *names[NUMBERS];
	uint32_t newest; /* that the profile names, 423 at least */
};

static void map_fill(struct map *map, uint32_t arch)
{
	static const char *const newer[] = {"statmount", "mseal", "file_getattr"};

	map->arch = arch;
	map->audit = arch == SCMP_ARCH_X32 ? SCMP_ARCH_X86_64 : arch;
	map->offset = arch == SCMP_ARCH_X32 ? X32 : 0;
	map->width =
		arch == SCMP_ARCH_X32 || !(arch & __AUDIT_ARCH_64BIT) ? UINT32_MAX : UINT64_MAX;
	for (uint32_t n = 0; n < NUMBERS; n++)
		map->names[n] = seccomp_syscall_resolve_num_arch(arch, (int)(map->offset + n));
	for (size_t i = 0; i < ARRAY_LEN(newer); i++) {
		static const uint32_t numbers[] = {457, 462, 468};

		if (!map->names[numbers[i]])
			map->names[numbers[i]] = strdup(newer[i]);
	}
}

static void map_end(struct map *map)
{
	for (uint32_t n = 0; n < NUMBERS; n++)
		free(map->names[n]);
}

static bool holds(const struct spec_seccomp_arg *a, const uint64_t *args, uint64_t width)
{
	const uint64_t x = args[a->index] & width, value = a->value & width;

	switch (a->op) {
	case SPEC_SECCOMP_NE:
		return x != value;
	case SPEC_SECCOMP_LT:
		return x < value;
	case SPEC_SECCOMP_LE:
		return x <= value;
	case SPEC_SECCOMP_EQ:
		return x == value;
	case SPEC_SECCOMP_GE:
		return x >= value;
	case SPEC_SECCOMP_GT:
		return x > value;
	default:
		return (x & value) == (a->value_two & value);
	}
}

static bool rule_holds(const struct spec_seccomp_rule *rule, const uint64_t *args, uint64_t width)
{
	unsigned int seen = 0;
	bool twice = false, all = true, any = false;

	for (size_t i = 0; i < rule->args.count; i++) {
		const bool h = holds(&rule->args.items[i], args, width);

		twice |= seen >> rule->args.items[i].index & 1;
		seen |= 1u << rule->args.items[i].index;
		all &= h;
		any |= h;
	}
	return twice ? any : all;
}

static uint32_t verdict_of(int action, struct opt_u32 errno_ret)
{
	static const uint32_t verdicts[] = {
		[SPEC_SECCOMP_KILL_THREAD] = SECCOMP_RET_KILL_THREAD,
		[SPEC_SECCOMP_KILL_PROCESS] = SECCOMP_RET_KILL_PROCESS,
		[SPEC_SECCOMP_TRAP] = SECCOMP_RET_TRAP,
		[SPEC_SECCOMP_ERRNO] = SECCOMP_RET_ERRNO,
		[SPEC_SECCOMP_TRACE] = SECCOMP_RET_TRACE,
		[SPEC_SECCOMP_ALLOW] = SECCOMP_RET_ALLOW,
		[SPEC_SECCOMP_LOG] = SECCOMP_RET_LOG,
		[SPEC_SECCOMP_NOTIFY] = SECCOMP_RET_USER_NOTIF,
	};
	const bool number = action == SPEC_SECCOMP_ERRNO || action == SPEC_SECCOMP_TRACE;

	return verdicts[action] | (number ? errno_ret.set ? errno_ret.value : EPERM : 0);
}

static bool names(const struct spec_seccomp_rule *rule, const char *name)
{
	for (size_t i = 0; i < rule->names.count; i++)
		if (strcmp(rule->names.items[i], name) == 0)
			return true;
	return false;
}

/* Only actions have an order: of two error numbers neither is the stricter. */
static bool is_stricter(uint32_t a, uint32_t b)
{
	return (int32_t)(a & SECCOMP_RET_ACTION_FULL) < (int32_t)(b & SECCOMP_RET_ACTION_FULL);
}

/* The verdict of the rules for NAME; false when none decides. HIDDEN: arguments are not to be seen,
 * and the strictest outcome counts if there are conditions. */
static bool decide(const struct spec_seccomp *s, const char *name, const uint64_t *args,
	uint64_t width, bool hidden, uint32_t *ret)
{
	const uint32_t otherwise = verdict_of(s->default_action, s->default_errno_ret);
	uint32_t plain = otherwise, strictest = SECCOMP_RET_ALLOW;
	bool conditions = false, found = false;

	for (size_t i = 0; i < s->syscalls.count; i++) {
		const struct spec_seccomp_rule *rule = &s->syscalls.items[i];
		const uint32_t v = verdict_of(rule->action, rule->errno_ret);

		if (!names(rule, name))
			continue;
		if (rule->args.count > 0) {
			if (!hidden && rule_holds(rule, args, width)) {
				*ret = v;
				return true;
			}
			if (is_stricter(v, strictest) || !conditions)
				strictest = v;
			conditions = true;
		} else if (!found && v != otherwise) {
			plain = v;
			found = true;
		}
	}
	if (hidden && conditions) {
		*ret = is_stricter(plain, strictest) ? plain : strictest;
		return true;
	}
	*ret = plain;
	return found;
}

static void find_newest(struct map *map, const struct spec_seccomp *s)
{
	map->newest = 423;
	for (uint32_t i = 424; i < (map->offset ? 512u : (uint32_t)NUMBERS); i++)
		for (size_t j = 0; map->names[i] && j < s->syscalls.count; j++)
			if (names(&s->syscalls.items[j], map->names[i]))
				map->newest = i;
}

static uint32_t expect(
	const struct spec_seccomp *s, const struct map *map, uint32_t n, const uint64_t *args)
{
	const uint32_t otherwise = verdict_of(s->default_action, s->default_errno_ret);
	const char *name = n < NUMBERS ? map->names[n] : NULL;
	uint32_t v;

	if (name && decide(s, name, args, map->width, false, &v))
		return v;
	for (size_t i = 0; name && i < SECCOMP_MULTIPLEXED; i++)
		if (strcmp(name, seccomp_multiplexed[i].by) == 0 &&
			(args[0] & map->width) == seccomp_multiplexed[i].call &&
			decide(s, seccomp_multiplexed[i].name, args, map->width, true, &v))
			return v;
	if (map->offset && n >= 512 && n <= 547)
		return otherwise; /* x32's own numbers of old calls */
	if (s->default_action == SPEC_SECCOMP_ERRNO && otherwise != ENOSYS_VERDICT &&
		n > map->newest)
		return ENOSYS_VERDICT;
	return otherwise;
}

/* ---- random profiles ---- */

static uint64_t random_value(void)
{
	static const uint64_t corners[] = {0, 1, 2, 16, 40, 0x7fffffff, 0x80000000, 0xffffffff,
		0x100000000, 0x100000001, 0x1000000000000002, UINT64_MAX - 1, UINT64_MAX};

	if (rand() % 3)
		return corners[(size_t)rand() % ARRAY_LEN(corners)];
	return (uint64_t)rand() << 33 ^ (uint64_t)rand() << 11 ^ (uint64_t)rand();
}

static const char *random_name(const struct map *map)
{
	for (;;) {
		const char *name = map->names[rand() % NUMBERS];

		/* These two mean all that goes through them; their own rules are another case. */
		/* libseccomp has one pseudo number for sys_debug_setcontext and switch_endian,
		 * which means the first or the second of them by its version. */
		if (name && strcmp(name, "socketcall") != 0 && strcmp(name, "ipc") != 0 &&
			strcmp(name, "sys_debug_setcontext") != 0 &&
			strcmp(name, "switch_endian") != 0)
			return name;
	}
}

static struct profile random_profile(const struct map *map)
{
	struct profile p = profile_new(1 + rand() % SPEC_SECCOMP_LOG);
	const int rules = 1 + rand() % 12;

	if (rand() % 2)
		p.seccomp.default_action = SPEC_SECCOMP_ERRNO;
	for (int i = 0; i < rules; i++) {
		struct spec_seccomp_rule *rule = profile_rule(&p, 1 + rand() % SPEC_SECCOMP_NOTIFY);
		const int args = rand() % 2 ? rand() % 4 : 0;
		const int count = 1 + rand() % (args > 0 || rand() % 4 ? 4 : 60);

		if (rule->action == SPEC_SECCOMP_ERRNO && rand() % 2)
			rule->errno_ret = (struct opt_u32){true, (uint32_t)rand() % 200};
		for (int j = 0; j < count; j++)
			rule_name(rule, rand() % 9   ? random_name(map)
					: rand() % 2 ? "socket"
						     : "shmget");
		for (int j = 0; j < args; j++)
			rule_arg(rule, (uint32_t)rand() % 6, 1 + rand() % SPEC_SECCOMP_MASKED_EQ,
				random_value(), random_value());
	}
	return p;
}

static void random_args(const struct spec_seccomp *s, uint64_t args[6])
{
	for (int i = 0; i < 6; i++)
		args[i] = random_value();
	for (size_t i = 0; i < s->syscalls.count; i++)
		for (size_t j = 0; j < s->syscalls.items[i].args.count; j++) {
			const struct spec_seccomp_arg *a = &s->syscalls.items[i].args.items[j];

			if (rand() % 3 == 0)
				args[a->index] =
					(rand() % 2 ? a->value : a->value_two) + rand() % 3 - 1;
		}
	if (rand() % 2)
		args[0] = (uint64_t)rand() % 26; /* the calls behind socketcall and ipc */
}

static void check_arch(
	const struct seccomp_program *program, const struct spec_seccomp *s, struct map *map)
{
	find_newest(map, s);
	for (uint32_t i = 0; i < NUMBERS + 40; i++) {
		const uint32_t n = i < NUMBERS ? i : 1000 + (uint32_t)rand() % 100000;
		uint64_t args[6];
		uint32_t want, got;

		/* libseccomp knows nothing of ipc(2) on POWER. */
		if (map->arch == SCMP_ARCH_PPC64LE && (n == 102 || n == 117))
			continue;
		random_args(s, args);
		want = expect(s, map, n, args);
		got = verdict(program, map->audit, map->offset + n, args);
		if (got != want)
			fail_msg("arch %#x call %u (%s, %#llx): %#x instead of %#x", map->arch, n,
				n < NUMBERS && map->names[n] ? map->names[n] : "?",
				(unsigned long long)args[0], got, want);
	}
}

static void check_family(uint32_t native, const uint32_t *arches, size_t count, uint32_t foreign)
{
	struct map maps[3] = {};

	for (size_t i = 0; i < count; i++)
		map_fill(&maps[i], arches[i]);
	for (int round = 0; round < ROUNDS; round++) {
		autoprofile struct profile p = random_profile(&maps[0]);
		const size_t used = 1 + (size_t)rand() % count;
		autoprogram struct seccomp_program program = {};

		for (size_t i = 0; i < used; i++)
			profile_arch(&p, arches[i]);
		profile_arch(&p, foreign);
		program = compile(native, &p);
		for (size_t i = 0; i < used; i++)
			check_arch(&program, &p.seccomp, &maps[i]);
		assert_int_equal(verdict(&program, foreign, 1, NULL), SECCOMP_RET_KILL_PROCESS);
	}
	for (size_t i = 0; i < count; i++)
		map_end(&maps[i]);
}

static void random_x86(void **state)
{
	(void)state;
	srand(1);
	check_family(SCMP_ARCH_X86_64, (uint32_t[]){SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32},
		3, SCMP_ARCH_AARCH64);
}

static void random_arm(void **state)
{
	(void)state;
	srand(2);
	check_family(SCMP_ARCH_AARCH64, (uint32_t[]){SCMP_ARCH_AARCH64, SCMP_ARCH_ARM}, 2,
		SCMP_ARCH_X86_64);
}

static void random_riscv(void **state)
{
	(void)state;
	srand(3);
	check_family(SCMP_ARCH_RISCV64, (uint32_t[]){SCMP_ARCH_RISCV64}, 1, SCMP_ARCH_X86);
}

static void random_power(void **state)
{
	(void)state;
	srand(4);
	check_family(SCMP_ARCH_PPC64LE, (uint32_t[]){SCMP_ARCH_PPC64LE}, 1, SCMP_ARCH_ARM);
}

/* ---- single properties ---- */

static void enosys_for_newer_than_profile(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program program = {};

	(void)state;
	profile_arch(&p, SCMP_ARCH_X32);
	profile_add(&p, SPEC_SECCOMP_ALLOW, "read");
	profile_add(&p, SPEC_SECCOMP_ALLOW, "openat2"); /* 437 */
	program = compile(SCMP_ARCH_X86_64, &p);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 0, NULL), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 437, NULL), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 436, NULL), EPERM_VERDICT);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 438, NULL), ENOSYS_VERDICT);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 5000, NULL), ENOSYS_VERDICT);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, X32 + 437, NULL), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, X32 + 436, NULL), EPERM_VERDICT);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, X32 + 438, NULL), ENOSYS_VERDICT);
}

/* Without x32, a number with its bit is another architecture's and never ENOSYS or allowed. */
static void x32_is_killed_unless_asked_for(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program program = {};

	(void)state;
	profile_add(&p, SPEC_SECCOMP_ALLOW, "read");
	program = compile(SCMP_ARCH_X86_64, &p);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, X32, NULL), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(
		verdict(&program, SCMP_ARCH_X86_64, X32 + 600, NULL), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86, 3, NULL), SECCOMP_RET_KILL_PROCESS);
}

static void old_calls_keep_the_default(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program program = {};

	(void)state;
	profile_add(&p, SPEC_SECCOMP_ALLOW, "read");
	program = compile(SCMP_ARCH_X86_64, &p);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 257, NULL), EPERM_VERDICT);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 423, NULL), EPERM_VERDICT);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 424, NULL), ENOSYS_VERDICT);
}

static void other_defaults_have_no_enosys(void **state)
{
	static const int actions[] = {
		SPEC_SECCOMP_ALLOW, SPEC_SECCOMP_LOG, SPEC_SECCOMP_KILL_PROCESS, SPEC_SECCOMP_TRAP};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		autoprofile struct profile p = profile_new(actions[i]);
		autoprogram struct seccomp_program program = {};

		profile_add(&p, SPEC_SECCOMP_ERRNO, "mkdir");
		program = compile(SCMP_ARCH_X86_64, &p);
		assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 5000, NULL),
			verdict_of(actions[i], (struct opt_u32){}));
	}
}

/* A denial with a condition beside a permission without one must not get lost. */
static void condition_beside_permission(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program program = {};
	const uint64_t userns[6] = {0x10000000}, thread[6] = {0x3d0f00};

	(void)state;
	profile_add(&p, SPEC_SECCOMP_ALLOW, "clone");
	rule_arg(profile_add(&p, SPEC_SECCOMP_ERRNO, "clone"), 0, SPEC_SECCOMP_MASKED_EQ,
		0x10000000, 0x10000000);
	program = compile(SCMP_ARCH_X86_64, &p);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 56, userns), EPERM_VERDICT);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, 56, thread), SECCOMP_RET_ALLOW);
}

/* G3: what is allowed for some sockets only is not to be had through socketcall(2). */
static void socketcall_is_no_way_round(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program program = {};
	const uint64_t call_socket[6] = {1}, call_bind[6] = {2}, af_unix[6] = {1},
		       af_vsock[6] = {40};

	(void)state;
	profile_arch(&p, SCMP_ARCH_X86);
	rule_arg(profile_add(&p, SPEC_SECCOMP_ALLOW, "socket"), 0, SPEC_SECCOMP_NE, 40, 0);
	profile_add(&p, SPEC_SECCOMP_ALLOW, "bind");
	profile_add(&p, SPEC_SECCOMP_ALLOW, "socketcall");
	program = compile(SCMP_ARCH_X86_64, &p);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86, 359, af_unix), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86, 359, af_vsock), EPERM_VERDICT);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86, 102, call_socket), EPERM_VERDICT);
	assert_int_equal(verdict(&program, SCMP_ARCH_X86, 102, call_bind), SECCOMP_RET_ALLOW);
}

static void newer_names_are_resolved(void **state)
{
	static const struct {
		const char *name;
		uint32_t native, number;
	} cases[] = {
		{"mseal", SCMP_ARCH_X86_64, 462},
		{"mseal", SCMP_ARCH_RISCV64, 462},
		{"mseal", SCMP_ARCH_MIPSEL64, 5462},
		{"file_setattr", SCMP_ARCH_AARCH64, 469},
		{"uretprobe", SCMP_ARCH_X86_64, 335},
		{"riscv_hwprobe", SCMP_ARCH_RISCV64, 258},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
		autoprogram struct seccomp_program program = {};

		profile_add(&p, SPEC_SECCOMP_ALLOW, cases[i].name);
		program = compile(cases[i].native, &p);
		assert_int_equal(verdict(&program, cases[i].native, cases[i].number, NULL),
			SECCOMP_RET_ALLOW);
		assert_int_not_equal(verdict(&program, cases[i].native, cases[i].number + 1, NULL),
			SECCOMP_RET_ALLOW);
	}
}

/* Where libseccomp knows a call of the table too, both must say the same. */
static void table_agrees_with_the_library(void **state)
{
	static const uint32_t natives[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32,
		SCMP_ARCH_AARCH64, SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL, SCMP_ARCH_S390X};
	int compared = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(natives); i++)
		for (uint32_t n = 443; n < 500; n++) {
			const uint32_t number = seccomp_arch_offset(natives[i]) + n;
			char *name = seccomp_syscall_resolve_num_arch(natives[i], (int)number);
			uint32_t mine;

			if (name && seccomp_newer_number(name, natives[i], &mine)) {
				assert_int_equal(mine, number);
				compared++;
			}
			free(name);
		}
	assert_true(compared > 20);
}

static void expect_error(const struct profile *p, int code, const char *text)
{
	struct seccomp_program program = {};
	struct err err = {};

	assert_int_equal(seccomp_compile_for(SCMP_ARCH_X86_64, &p->seccomp, &program, &err), code);
	assert_null(program.insns);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void unknown_name_is_named(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);

	(void)state;
	profile_add(&p, SPEC_SECCOMP_ALLOW, "read");
	profile_add(&p, SPEC_SECCOMP_ERRNO, "raed");
	expect_error(&p, -EINVAL, "\"raed\" is no system call");
}

static void other_architectures_names_are_fine(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program program = {};

	(void)state;
	profile_add(&p, SPEC_SECCOMP_ALLOW, "s390_sthyi");
	profile_add(&p, SPEC_SECCOMP_ALLOW, "arm_fadvise64_64");
	profile_add(&p, SPEC_SECCOMP_ALLOW, "riscv_flush_icache");
	program = compile(SCMP_ARCH_X86_64, &p);
	for (uint32_t n = 0; n < 424; n++)
		assert_int_equal(verdict(&program, SCMP_ARCH_X86_64, n, NULL), EPERM_VERDICT);
}

static void errno_only_where_it_belongs(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprofile struct profile q = profile_new(SPEC_SECCOMP_ERRNO);
	autoprofile struct profile d = profile_new(SPEC_SECCOMP_ALLOW);

	(void)state;
	profile_add(&p, SPEC_SECCOMP_ALLOW, "read")->errno_ret = (struct opt_u32){true, 1};
	expect_error(&p, -EINVAL, "the rule for read");
	profile_add(&q, SPEC_SECCOMP_ERRNO, "read")->errno_ret = (struct opt_u32){true, 4096};
	expect_error(&q, -EINVAL, "4096 is no errno");
	d.seccomp.default_errno_ret = (struct opt_u32){true, 1};
	expect_error(&d, -EINVAL, "linux.seccomp.defaultAction");
}

static void bad_conditions(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprofile struct profile q = profile_new(SPEC_SECCOMP_ERRNO);

	(void)state;
	rule_arg(profile_add(&p, SPEC_SECCOMP_ALLOW, "read"), 6, SPEC_SECCOMP_EQ, 0, 0);
	expect_error(&p, -EINVAL, "argument 6");
	rule_arg(profile_add(&q, SPEC_SECCOMP_ALLOW, "read"), 0, 99, 0, 0);
	expect_error(&q, -EINVAL, "without an operator");
}

static void too_long(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);

	(void)state;
	for (int i = 0; i < 60; i++) {
		struct spec_seccomp_rule *rule = profile_add(&p, SPEC_SECCOMP_ALLOW, "read");

		for (uint64_t j = 0; j < 60; j++)
			rule_arg(rule, 0, SPEC_SECCOMP_EQ, (uint64_t)i << 8 | j, 0);
	}
	expect_error(&p, -E2BIG, "4096 instructions");
}

static void flags_are_turned_into_bits(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ALLOW);
	autoprofile struct profile n = profile_new(SPEC_SECCOMP_ALLOW);
	autoprogram struct seccomp_program program = {}, notify = {};

	(void)state;
	profile_flag(&p, "SECCOMP_FILTER_FLAG_TSYNC");
	profile_flag(&p, "SECCOMP_FILTER_FLAG_LOG");
	profile_flag(&p, "SECCOMP_FILTER_FLAG_SPEC_ALLOW");
	profile_flag(&p, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
	program = compile(SCMP_ARCH_X86_64, &p);
	assert_int_equal(program.flags, 1 << 1 | 1 << 2);
	assert_false(program.notify);
	profile_flag(&n, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
	profile_add(&n, SPEC_SECCOMP_NOTIFY, "mkdir");
	notify = compile(SCMP_ARCH_X86_64, &n);
	assert_int_equal(notify.flags, 1 << 5);
	assert_true(notify.notify);
	profile_flag(&n, "SECCOMP_FILTER_FLAG_NOT");
	expect_error(&n, -EINVAL, "SECCOMP_FILTER_FLAG_NOT");
}

static void engine_profile(void **state)
{
	autoprofile struct profile p = profile_like_an_engine();
	autoprogram struct seccomp_program program = compile(SCMP_ARCH_X86_64, &p);
	struct map map = {};

	(void)state;
	assert_true(p.seccomp.syscalls.items[0].names.count > 300);
	map_fill(&map, SCMP_ARCH_X86_64);
	for (int i = 0; i < 20; i++)
		check_arch(&program, &p.seccomp, &map);
	map_end(&map);
	print_message("%zu names, 3 architectures: %zu instructions\n",
		p.seccomp.syscalls.items[0].names.count, program.count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_x86),
		cmocka_unit_test(random_arm),
		cmocka_unit_test(random_riscv),
		cmocka_unit_test(random_power),
		cmocka_unit_test(enosys_for_newer_than_profile),
		cmocka_unit_test(x32_is_killed_unless_asked_for),
		cmocka_unit_test(old_calls_keep_the_default),
		cmocka_unit_test(other_defaults_have_no_enosys),
		cmocka_unit_test(condition_beside_permission),
		cmocka_unit_test(socketcall_is_no_way_round),
		cmocka_unit_test(newer_names_are_resolved),
		cmocka_unit_test(table_agrees_with_the_library),
		cmocka_unit_test(unknown_name_is_named),
		cmocka_unit_test(other_architectures_names_are_fine),
		cmocka_unit_test(errno_only_where_it_belongs),
		cmocka_unit_test(bad_conditions),
		cmocka_unit_test(too_long),
		cmocka_unit_test(flags_are_turned_into_bits),
		cmocka_unit_test(engine_profile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

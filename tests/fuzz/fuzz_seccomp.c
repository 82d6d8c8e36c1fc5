/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seccomp profile from anybody, made of the input's bytes: what compiles is a program that the
 * kernel takes and that ends, for every call, in a verdict which the profile speaks of.
 *
 * Input: default action, flags, then rules. A byte of a name picks from a table; see take_rule().
 */
#include "runtime/attrs/seccomp/compile.h"
#include "spec/config.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/runtime/attrs/bpf.h"

#include <seccomp.h>

enum { MAX_RULES = 40, MAX_NAMES = 8, MAX_ARGS = 8 };

static const char *const names[] = {"read", "write", "socket", "socketpair", "socketcall", "ipc",
	"shmget", "semtimedop", "accept", "clone", "clone3", "personality", "openat2", "execve",
	"rt_sigreturn", "preadv2", "mseal", "statmount", "file_setattr", "uretprobe", "futex_wait",
	"riscv_hwprobe", "s390_sthyi", "no_such_call"};
static const uint32_t arches[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32, SCMP_ARCH_AARCH64,
	SCMP_ARCH_ARM, SCMP_ARCH_S390X};
static const char *const flags[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
	"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_NOT"};

struct input {
	const uint8_t *at;
	size_t left;
};

static uint8_t take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static uint64_t take_value(struct input *in)
{
	const uint8_t kind = take(in);
	uint64_t value = take(in);

	if (kind & 1)
		value |= (uint64_t)take(in) << 24;
	if (kind & 2)
		value |= (uint64_t)take(in) << 32;
	return kind & 4 ? ~value : value;
}

/* A profile's storage, all of it, so that nothing is allocated. */
struct storage {
	struct spec_seccomp_rule rules[MAX_RULES];
	const char *names[MAX_RULES][MAX_NAMES], *flags[4];
	struct spec_seccomp_arg args[MAX_RULES][MAX_ARGS];
	int arches[8];
};

static void take_rule(struct input *in, struct storage *s, size_t index)
{
	struct spec_seccomp_rule *rule = &s->rules[index];
	const uint8_t counts = take(in);

	*rule = (struct spec_seccomp_rule){
		.action = take(in) % 10,
		.names = {s->names[index], counts % (MAX_NAMES + 1)},
		.args = {s->args[index], counts / 16 % (MAX_ARGS + 1)},
	};
	if (counts & 8)
		rule->errno_ret = (struct opt_u32){true, (uint32_t)take_value(in)};
	for (size_t i = 0; i < rule->names.count; i++)
		rule->names.items[i] = names[take(in) % (sizeof(names) / sizeof(*names))];
	for (size_t i = 0; i < rule->args.count; i++)
		rule->args.items[i] = (struct spec_seccomp_arg){
			.index = take(in) % 7,
			.op = take(in) % 9,
			.value = take_value(in),
			.value_two = take_value(in),
		};
}

static bool speaks_of(const struct spec_seccomp *s, uint32_t verdict)
{
	static const uint32_t actions[] = {0, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_KILL_PROCESS,
		SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO, SECCOMP_RET_TRACE, SECCOMP_RET_ALLOW,
		SECCOMP_RET_LOG, SECCOMP_RET_USER_NOTIF};
	const uint32_t action = verdict & SECCOMP_RET_ACTION_FULL;

	if (verdict == SECCOMP_RET_KILL_PROCESS || action == actions[s->default_action])
		return true;
	for (size_t i = 0; i < s->syscalls.count; i++)
		if (action == actions[s->syscalls.items[i].action])
			return true;
	return false;
}

static void run(
	const struct spec_seccomp *s, const struct seccomp_program *program, struct input *in)
{
	for (size_t i = 0; i < sizeof(arches) / sizeof(*arches); i++)
		for (uint32_t n = 0; n < 560; n += 1 + take(in) % 16) {
			struct seccomp_data data = {
				.nr = (int)(n | (n & 1 ? 0x40000000 : 0)),
				.arch = arches[i],
				.args = {take_value(in), n, UINT64_MAX, take(in)},
			};

			REQUIRE(speaks_of(s, bpf_run(program->insns, program->count, &data)));
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct storage s = {};
	struct spec_seccomp seccomp = {
		.default_action = take(&in) % 10,
		.architectures = {s.arches, take(&in) % 8},
		.flags = {s.flags, take(&in) % 4},
		.syscalls = {s.rules, take(&in) % (MAX_RULES + 1)},
	};
	struct seccomp_program program = {};
	struct err err = {};
	const uint32_t native = take(&in) & 1 ? SCMP_ARCH_AARCH64 : SCMP_ARCH_X86_64;

	for (size_t i = 0; i < seccomp.architectures.count; i++)
		s.arches[i] = (int)arches[take(&in) % (sizeof(arches) / sizeof(*arches))];
	for (size_t i = 0; i < seccomp.flags.count; i++)
		s.flags[i] = flags[take(&in) % 4];
	for (size_t i = 0; i < seccomp.syscalls.count; i++)
		take_rule(&in, &s, i);
	if (seccomp_compile_for(native, &seccomp, &program, &err) < 0) {
		REQUIRE(err.code < 0 && err.text[0] && !program.insns);
		return 0;
	}
	REQUIRE(bpf_valid(program.insns, program.count));
	run(&seccomp, &program, &in);
	seccomp_program_free(&program);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attrs/seccomp/verdict.h"

#include "tests/unit/runtime/attrs/bpf.h"
#include "tests/unit/runtime/attrs/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include <cmocka.h>

static const uint64_t none[6];

static struct seccomp_program compile(const struct profile *p)
{
	struct seccomp_program program = {};
	struct err err = {};

	if (seccomp_compile(&p->seccomp, &program, &err) < 0)
		fail_msg("%s", err.text);
	return program;
}

static void what_the_profile_says(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program program = {};

	(void)state;
	profile_add(&p, SPEC_SECCOMP_ALLOW, "setsid");
	profile_add(&p, SPEC_SECCOMP_LOG, "getpid");
	profile_add(&p, SPEC_SECCOMP_NOTIFY, "mkdir");
	profile_add(&p, SPEC_SECCOMP_TRACE, "getuid");
	profile_add(&p, SPEC_SECCOMP_KILL_PROCESS, "reboot");
	program = compile(&p);
	assert_true(seccomp_allows(&program, SYS_setsid, none));
	assert_true(seccomp_allows(&program, SYS_getpid, none));
	assert_false(seccomp_allows(&program, SYS_mkdir, none));
	assert_false(seccomp_allows(&program, SYS_getuid, none));
	assert_false(seccomp_allows(&program, SYS_reboot, none));
	assert_false(seccomp_allows(&program, SYS_clone, none));
}

static void conditions_count(void **state)
{
	autoprofile struct profile p = profile_new(SPEC_SECCOMP_ERRNO);
	autoprogram struct seccomp_program program = {};
	uint64_t args[6] = {0x4000 | 0x8000};

	(void)state;
	rule_arg(profile_add(&p, SPEC_SECCOMP_ALLOW, "clone"), 0, SPEC_SECCOMP_MASKED_EQ,
		0x7e020000, 0);
	program = compile(&p);
	assert_true(seccomp_allows(&program, SYS_clone, args));
	args[0] |= 0x10000000;
	assert_false(seccomp_allows(&program, SYS_clone, args));
	args[0] = 1ULL << 40;
	assert_true(seccomp_allows(&program, SYS_clone, args));
}

/* The same verdict as another implementation of the kernel's rules. */
static void a_whole_profile(void **state)
{
	autoprofile struct profile p = profile_like_an_engine();
	autoprogram struct seccomp_program program = compile(&p);
	size_t allowed = 0;

	(void)state;
	for (int nr = 0; nr < 600; nr++)
		for (uint64_t arg = 0; arg < 48; arg++) {
			struct seccomp_data data = {
				.nr = nr, .arch = seccomp_arch_native(), .args = {arg}};
			uint32_t verdict = bpf_run(program.insns, program.count, &data);

			assert_int_equal(seccomp_allows(&program, nr, (uint64_t[6]){arg}),
				verdict == SECCOMP_RET_ALLOW);
			allowed += verdict == SECCOMP_RET_ALLOW;
		}
	assert_true(allowed > 1000);
}

static void unknown_instructions_allow_nothing(void **state)
{
	struct sock_filter insns[] = {
		{BPF_ALU | BPF_ADD | BPF_K, 0, 0, 1},
		{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
	};
	const struct seccomp_program program = {.insns = insns, .count = ARRAY_LEN(insns)};

	(void)state;
	assert_false(seccomp_allows(&program, SYS_getpid, none));
	insns[0] = (struct sock_filter){BPF_LD | BPF_W | BPF_ABS, 0, 0, 64};
	assert_false(seccomp_allows(&program, SYS_getpid, none));
	insns[0] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, 5};
	assert_false(seccomp_allows(&program, SYS_getpid, none));
	insns[0] = (struct sock_filter){BPF_LD | BPF_W | BPF_ABS, 0, 0, 60};
	assert_true(seccomp_allows(&program, SYS_getpid, none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_profile_says),
		cmocka_unit_test(conditions_count),
		cmocka_unit_test(a_whole_profile),
		cmocka_unit_test(unknown_instructions_allow_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

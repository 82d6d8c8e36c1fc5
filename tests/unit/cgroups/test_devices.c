/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device filter: a small interpreter runs the generated program and must agree with a plain
 * reading of the rules; then the kernel runs it.
 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "cgroups/cgroup.h"
#include "cgroups/devices.h"
#include "cgroups/tree.h"
#include "tests/unit/cgroups/check.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <sys/sysmacros.h>

enum { ALL = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD };

/* What the program may do: only the instructions that it is known to use. −1: it misbehaves. */
static int interpret(const struct devices_program *program, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t reg[11] = {};
	size_t steps = 0;

	for (size_t pc = 0; pc < program->count; pc++) {
		const struct bpf_insn *i = &program->insns[pc];
		uint32_t *words = (uint32_t *)(uintptr_t)ctx, value = (uint32_t)i->imm;
		bool jump = false;

		if (++steps > program->count)
			return -1;
		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			if (i->src_reg != BPF_REG_1 || i->off < 0 || i->off > 8)
				return -1;
			reg[i->dst_reg] = words[i->off / 4];
			continue;
		case BPF_ALU | BPF_X | BPF_MOV:
			reg[i->dst_reg] = (uint32_t)reg[i->src_reg];
			continue;
		case BPF_ALU | BPF_K | BPF_MOV:
			reg[i->dst_reg] = value;
			continue;
		case BPF_ALU | BPF_K | BPF_AND:
			reg[i->dst_reg] = (uint32_t)reg[i->dst_reg] & value;
			continue;
		case BPF_ALU | BPF_K | BPF_RSH:
			reg[i->dst_reg] = (uint32_t)reg[i->dst_reg] >> value;
			continue;
		case BPF_JMP | BPF_EXIT:
			return (int)reg[0];
		case BPF_JMP32 | BPF_K | BPF_JEQ:
			jump = (uint32_t)reg[i->dst_reg] == value;
			break;
		case BPF_JMP32 | BPF_K | BPF_JNE:
			jump = (uint32_t)reg[i->dst_reg] != value;
			break;
		case BPF_JMP32 | BPF_K | BPF_JSET:
			jump = ((uint32_t)reg[i->dst_reg] & value) != 0;
			break;
		default:
			return -1;
		}
		if (jump && i->off < 0)
			return -1;
		if (jump)
			pc += (size_t)i->off;
	}
	return -1;
}

static bool matches(const struct spec_device_rule *rule, char type, uint32_t major, uint32_t minor)
{
	return (rule->type == 'a' || rule->type == type) &&
	       (rule->major < 0 || rule->major == (int64_t)major) &&
	       (rule->minor < 0 || rule->minor == (int64_t)minor);
}

/* Each kind of access by itself: the last rule that speaks of it decides. */
static bool reference(const struct spec_device_rule *rules, size_t count, bool defaults, char type,
	unsigned int access, uint32_t major, uint32_t minor)
{
	for (unsigned int kind = 1; kind <= BPF_DEVCG_ACC_WRITE << 1; kind <<= 1) {
		bool allowed = false;

		if (!(access & kind))
			continue;
		for (size_t i = 0; i < count; i++)
			if (matches(&rules[i], type, major, minor) && rules[i].access & kind)
				allowed = rules[i].allow;
		for (size_t i = 0; defaults && i < devices_default_count; i++)
			if (matches(&devices_default_rules[i], type, major, minor) &&
				devices_default_rules[i].access & kind)
				allowed = devices_default_rules[i].allow;
		if (!allowed)
			return false;
	}
	return true;
}

static bool decides(const struct devices_program *program, char type, unsigned int access,
	uint32_t major, uint32_t minor)
{
	struct bpf_cgroup_dev_ctx ctx = {
		.access_type =
			access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
		.major = major,
		.minor = minor,
	};
	int r = program->insns ? interpret(program, &ctx) : 1;

	assert_in_range(r, 0, 1);
	return r;
}

static void fill(struct spec_device_rule *rules, size_t count)
{
	static const int64_t numbers[] = {-1, 0, 1, 2, 3, 5, 136, INT32_MAX};

	for (size_t i = 0; i < count; i++)
		rules[i] = (struct spec_device_rule){
			.allow = rand() % 2,
			.type = "abc"[rand() % 3],
			.major = numbers[(size_t)rand() % ARRAY_LEN(numbers)],
			.minor = numbers[(size_t)rand() % ARRAY_LEN(numbers)],
			.access = rand() % 8 ? (unsigned int)(rand() % 7 + 1) : ALL,
		};
}

static void test_program_agrees_with_the_rules(void **state)
{
	static const uint32_t numbers[] = {0, 1, 2, 3, 4, 5, 7, 136, INT32_MAX, UINT32_MAX};
	struct spec_device_rule rules[12];

	(void)state;
	srand(1);
	for (int round = 0; round < 5000; round++) {
		struct devices_program program;
		size_t count = (size_t)rand() % (ARRAY_LEN(rules) + 1), bad;
		bool defaults = rand() % 2;

		fill(rules, count);
		assert_int_equal(devices_compile(rules, count, defaults, &program, &bad), 0);
		for (int i = 0; i < 40; i++) {
			char type = "bc"[rand() % 2];
			unsigned int access = (unsigned int)rand() % 8;
			uint32_t major = numbers[(size_t)rand() % ARRAY_LEN(numbers)];
			uint32_t minor = numbers[(size_t)rand() % ARRAY_LEN(numbers)];

			assert_int_equal(decides(&program, type, access, major, minor),
				reference(rules, count, defaults, type, access, major, minor));
		}
		free(program.insns);
	}
}

static void test_no_program_when_all_is_allowed(void **state)
{
	const struct spec_device_rule rules[] = {
		{false, 'a', -1, -1, ALL}, {true, 'a', -1, -1, ALL}, {false, 'b', 8, 0, ALL}};
	struct devices_program program;
	size_t bad;

	(void)state;
	assert_int_equal(devices_compile(rules, 2, true, &program, &bad), 0);
	assert_null(program.insns);
	assert_int_equal(devices_compile(rules, 3, true, &program, &bad), 0);
	assert_non_null(program.insns);
	free(program.insns);
	assert_int_equal(devices_compile(NULL, 0, false, &program, &bad), 0);
	assert_non_null(program.insns); /* no rule: denied */
	assert_false(decides(&program, 'c', BPF_DEVCG_ACC_READ, 1, 3));
	free(program.insns);
}

static void test_what_a_later_rule_covers_costs_nothing(void **state)
{
	struct spec_device_rule rules[101];
	struct devices_program program;
	size_t bad;

	(void)state;
	fill(rules, 100);
	rules[100] = (struct spec_device_rule){false, 'a', -1, -1, ALL};
	assert_int_equal(devices_compile(rules, 101, false, &program, &bad), 0);
	assert_true(program.count <= 12);
	free(program.insns);
}

static void test_bad_numbers_are_refused(void **state)
{
	struct spec_device_rule rules[] = {{true, 'c', 1, 3, ALL}, {true, 'c', 1, -2, ALL}};
	struct devices_program program;
	size_t bad = 0;

	(void)state;
	assert_int_equal(devices_compile(rules, 2, false, &program, &bad), -EINVAL);
	assert_int_equal(bad, 1);
	rules[1].minor = 1LL << 32;
	assert_int_equal(devices_compile(rules, 2, false, &program, &bad), -EINVAL);
}

/* ---- the kernel's word ---- */

/* Opens the device C:MAJOR:MINOR from within the cgroup; the errno. */
static int open_inside(const struct cgroup *cgroup, const char *path, int flags)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup->dirfd,
	};
	int status = 0;
	pid_t pid = sys_clone3(&args);

	if (pid == 0) {
		int fd = sys_openat(AT_FDCWD, path, flags, 0);

		_exit(fd < 0 ? -fd : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(sys_waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void apply(
	struct cgroup *cgroup, struct spec_device_rule *rules, size_t count, bool defaults)
{
	struct spec_resources resources = {.devices = {rules, count}};

	ok(cgroup_apply_devices, cgroup, &resources, defaults);
}

static void test_kernel_denies_and_replaces(void **state)
{
	struct spec_device_rule deny = {false, 'a', -1, -1, ALL}, allow = {true, 'a', -1, -1, ALL};
	struct spec_device_rule reading[] = {deny, {true, 'c', 1, 5, BPF_DEVCG_ACC_READ}};
	autocgrouphost struct cgroup_host host = {};
	autocgroup struct cgroup *cgroup = NULL;
	char path[64];
	struct cgroup_plan plan = {.driver = CGROUP_CGROUPFS, .path = path};
	struct err err = {};

	(void)state;
	if (getuid() != 0 || cgroup_host_probe(&host, &err) < 0)
		skip();
	snprintf(path, sizeof(path), "/brig-test-devices-%d", (int)getpid());
	ok(cgroup_create, &plan, &host, &cgroup);
	assert_int_equal(open_inside(cgroup, "/dev/zero", O_RDWR), 0);
	apply(cgroup, &deny, 1, false);
	assert_int_equal(open_inside(cgroup, "/dev/zero", O_RDONLY), EPERM);
	apply(cgroup, reading, 2, false);
	assert_int_equal(open_inside(cgroup, "/dev/zero", O_RDONLY), 0);
	assert_int_equal(open_inside(cgroup, "/dev/zero", O_RDWR), EPERM);
	assert_int_equal(open_inside(cgroup, "/dev/null", O_RDONLY), EPERM);
	apply(cgroup, &deny, 1, true);
	assert_int_equal(open_inside(cgroup, "/dev/null", O_RDWR), 0);
	assert_int_equal(open_inside(cgroup, "/dev/kmsg", O_RDONLY), EPERM);
	apply(cgroup, &allow, 1, true);
	assert_int_equal(open_inside(cgroup, "/dev/zero", O_RDWR), 0);
	ok(cgroup_destroy, cgroup, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_program_agrees_with_the_rules),
		cmocka_unit_test(test_no_program_when_all_is_allowed),
		cmocka_unit_test(test_what_a_later_rule_covers_costs_nothing),
		cmocka_unit_test(test_bad_numbers_are_refused),
		cmocka_unit_test(test_kernel_denies_and_replaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

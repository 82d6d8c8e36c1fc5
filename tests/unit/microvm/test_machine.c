/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole VMM, jail and filters and all, with a kernel of a few bytes: where /dev/kvm can run
 * those. A KVM that cannot is skipped with the reason.
 */
#include "runtime/microvm/vmm/machine.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "tests/unit/microvm/guest.h"
#include "tests/unit/microvm/kernel.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* 32-bit: print the first device's magic value to the serial port, then switch off. */
static const uint8_t power_off[] = {
	0xbe, 0x00, 0x00, 0x00, 0xd0, /* mov esi, 0xd0000000 */
	0x8b, 0x06,                   /* mov eax, [esi] */
	0xba, 0xf8, 0x03, 0x00, 0x00, /* mov edx, 0x3f8 */
	0xb9, 0x04, 0x00, 0x00, 0x00, /* mov ecx, 4 */
	0xee,                         /* out dx, al */
	0xc1, 0xe8, 0x08,             /* shr eax, 8 */
	0xe2, 0xfa,                   /* loop: to out */
	0xb0, 0x0a, 0xee,             /* mov al, '\n'; out dx, al */
	0x66, 0xba, 0x00, 0x06,       /* mov dx, 0x600 */
	0xb0, 0x34, 0xee,             /* mov al, 0x34; out dx, al */
	0xf4,                         /* hlt */
};

/* The keyboard controller's reset line. */
static const uint8_t reset[] = {0xb0, 0xfe, 0xe6, 0x64, 0xf4};

/* No interrupt table: the first fault is the third. */
static const uint8_t triple_fault[] = {0x0f, 0x0b};

/* Runs CODE in a VMM of its own; its outcome, and in TEXT what it printed. */
static int run(const uint8_t *code, size_t len, char *text, size_t size)
{
	int out[2], status;
	ssize_t n, total = 0;
	pid_t pid;

	assert_int_equal(sys_pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		static struct machine machine;
		struct plan_jail jail = {64123, 64123};
		struct plan plan = {.vcpus = 2,
			.memory_mib = 16,
			.command_line = "",
			.rng = true,
			.serial = {true, (uint32_t)out[1]},
			.kernel = kernel_of(code, len),
			.jail = geteuid() == 0 ? &jail : NULL};
		struct err err = {};
		int kvm = sys_openat(AT_FDCWD, "/dev/kvm", O_RDWR, 0), r;

		alarm(20);
		r = machine_open(&machine, &plan, kvm, &err);
		if (r == 0)
			r = machine_run(&machine, &plan, &err);
		if (err.code)
			(void)!write(2, err.text, strlen(err.text));
		_exit(r);
	}
	close(out[1]);
	while ((n = read(out[0], text + total, size - 1 - (size_t)total)) > 0)
		total += n;
	text[total] = 0;
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_power_off(void **state)
{
	char text[64];

	(void)state;
	assert_int_equal(run(power_off, sizeof(power_off), text, sizeof(text)), VM_POWER_OFF);
	assert_string_equal(text, "virt\n");
}

static void test_reset(void **state)
{
	char text[64];

	(void)state;
	assert_int_equal(run(reset, sizeof(reset), text, sizeof(text)), VM_RESET);
	assert_int_equal(run(triple_fault, sizeof(triple_fault), text, sizeof(text)), VM_RESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_off),
		cmocka_unit_test(test_reset),
	};
	int kvm = sys_openat(AT_FDCWD, "/dev/kvm", O_RDWR, 0);

#ifdef __SANITIZE_ADDRESS__
	printf("skipped: the sanitizer's own system calls are not in the filters\n");
	return 77;
#endif
	if (kvm < 0) {
		printf("skipped: /dev/kvm: %s\n", strerror(-kvm));
		return 77;
	}
	close(kvm);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

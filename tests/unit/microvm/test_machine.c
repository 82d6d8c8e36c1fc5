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

/* Print "a", wait until there is something at 2 MiB, print what register B has: "b". */
static const uint8_t wait_for_memory[] = {
	0xbf, 0x00, 0x00, 0x20, 0x00, /* mov edi, 0x200000 */
	0xbb, 0x62, 0x00, 0x00, 0x00, /* mov ebx, 'b' */
	0xba, 0xf8, 0x03, 0x00, 0x00, /* mov edx, 0x3f8 */
	0xb0, 0x61, 0xee,             /* mov al, 'a'; out dx, al */
	0xb0, 0x0a, 0xee,             /* mov al, '\n'; out dx, al */
	0x8b, 0x07,                   /* mov eax, [edi] */
	0x85, 0xc0,                   /* test eax, eax */
	0x74, 0xfa,                   /* jz: to mov */
	0x88, 0xd8, 0xee,             /* mov al, bl; out dx, al */
	0xb0, 0x0a, 0xee,             /* mov al, '\n'; out dx, al */
	0x66, 0xba, 0x00, 0x06,       /* mov dx, 0x600 */
	0xb0, 0x34, 0xee,             /* mov al, 0x34; out dx, al */
	0xf4,                         /* hlt */
};

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

/* --- saved and restored --- */

struct machine_process {
	pid_t pid;
	int out, control;
};

/* A VMM with two disks' worth of devices; RESTORE NULL: with a kernel. */
static struct machine_process start(struct plan_restore *restore, uint32_t cid)
{
	int out[2], control[2];
	struct machine_process ret;

	assert_int_equal(sys_pipe(out), 0);
	assert_int_equal(sys_socketpair(SOCK_SEQPACKET, control), 0);
	ret.pid = fork();
	if (ret.pid == 0) {
		static struct machine machine;
		struct plan_jail jail = {64123, 64123};
		struct plan_vsock vsock = {.cid = cid};
		struct plan plan = {.vcpus = 2,
			.memory_mib = 16,
			.command_line = "",
			.rng = true,
			.balloon = true,
			.vsock = &vsock,
			.restore = restore,
			.serial = {true, (uint32_t)out[1]},
			.control = {true, (uint32_t)control[1]},
			.kernel = restore ? 0 : kernel_of(wait_for_memory, sizeof(wait_for_memory)),
			.jail = geteuid() == 0 ? &jail : NULL};
		struct err err = {};
		int kvm = sys_openat(AT_FDCWD, "/dev/kvm", O_RDWR, 0), r;

		alarm(30);
		close(control[0]);
		r = machine_open(&machine, &plan, kvm, &err);
		if (r == 0)
			r = machine_run(&machine, &plan, &err);
		if (err.code)
			(void)!write(out[1], err.text, strlen(err.text));
		_exit(r < 0 ? 99 : r);
	}
	close(out[1]);
	close(control[1]);
	ret.out = out[0];
	ret.control = control[0];
	return ret;
}

static int ask(const struct machine_process *m, uint32_t op, const int *fds, size_t count)
{
	const struct control_request request = {.op = op};
	struct control_reply reply = {.result = -EPIPE};

	assert_int_equal(fd_send(m->control, &request, sizeof(request), fds, count), 0);
	(void)!read(m->control, &reply, sizeof(reply));
	return reply.result;
}

/* What is left to be read, and the exit status. */
static int finish(struct machine_process *m, char *text, size_t size)
{
	ssize_t n, total = 0;
	int status;

	while ((n = read(m->out, text + total, size - 1 - (size_t)total)) > 0)
		total += n;
	text[total] = 0;
	close(m->out);
	close(m->control);
	assert_int_equal(waitpid(m->pid, &status, 0), m->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_save_and_restore(void **state)
{
	int files[2] = {sys_memfd_create("state", 0), sys_memfd_create("memory", 0)};
	struct plan_restore restore = {.state = files[0], .memory = files[1]};
	struct machine_process m = start(NULL, 3);
	char text[512];
	struct stat st;

	(void)state;
	assert_int_equal(read(m.out, text, 2), 2);
	assert_int_equal(ask(&m, CONTROL_SAVE, files, 2), -EBUSY);
	assert_int_equal(ask(&m, CONTROL_PAUSE, NULL, 0), 0);
	assert_int_equal(ask(&m, CONTROL_SAVE, files, 1), -EBADMSG);
	assert_int_equal(ask(&m, CONTROL_SAVE, files, 2), 0);
	assert_int_equal(ask(&m, CONTROL_STOP, NULL, 0), 0);
	assert_int_equal(finish(&m, text, sizeof(text)), VM_STOPPED);
	assert_string_equal(text, "");
	assert_int_equal(sys_fstat(files[1], &st), 0);
	assert_int_equal(st.st_size, 16 << 20);
	assert_true(st.st_blocks < 8 << 10); /* half of it: the rest are holes */

	assert_int_equal(pwrite(files[1], "x", 1, 0x200000), 1);
	for (uint32_t cid = 4; cid < 6; cid++) { /* as often as one likes */
		m = start(&restore, cid);
		assert_int_equal(finish(&m, text, sizeof(text)), VM_POWER_OFF);
		assert_string_equal(text, "b\n");
	}
}

/* Every prefix is refused, and every byte that is another ends well, or the guest does. */
static void test_hostile_state(void **state)
{
	int files[2] = {sys_memfd_create("state", 0), sys_memfd_create("memory", 0)};
	struct machine_process m = start(NULL, 3);
	uint8_t bytes[1 << 16];
	char text[512];
	ssize_t len;

	(void)state;
	assert_int_equal(read(m.out, text, 2), 2);
	assert_int_equal(ask(&m, CONTROL_PAUSE, NULL, 0), 0);
	assert_int_equal(ask(&m, CONTROL_SAVE, files, 2), 0);
	ask(&m, CONTROL_STOP, NULL, 0);
	finish(&m, text, sizeof(text));
	assert_int_equal(pwrite(files[1], "x", 1, 0x200000), 1);
	len = pread(files[0], bytes, sizeof(bytes), 0);
	assert_in_range(len, 1000, sizeof(bytes) - 1);
	for (ssize_t at = 0; at < len; at += 997) {
		struct plan_restore restore = {sys_memfd_create("cut", 0), files[1]};

		assert_int_equal(fd_write_all(restore.state, bytes, (size_t)at), 0);
		m = start(&restore, 3);
		assert_int_equal(finish(&m, text, sizeof(text)), 99);
		close(restore.state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_off),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_save_and_restore),
		cmocka_unit_test(test_hostile_state),
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

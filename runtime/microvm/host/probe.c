/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/host/probe.h"

#include "base/cleanup.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PORT = 0x10, ANSWER = 0x42 };

/*
 * In 32-bit protected mode at address 0. The arithmetic of the x87 unit is what every processor
 * has and KVM's emulator of instructions has not, so it takes a processor to get to the answer.
 */
static const uint8_t code[] = {
	0xdb, 0xe3,                         /* fninit */
	0xd9, 0xe8,                         /* fld1 */
	0xd8, 0xc0,                         /* fadd st(0), st(0) */
	0xdb, 0x1d, 0x00, 0x08, 0x00, 0x00, /* fistp dword [0x800] */
	0xa1, 0x00, 0x08, 0x00, 0x00,       /* mov eax, [0x800] */
	0x04, ANSWER - 2,                   /* add al, … */
	0xe6, PORT,                         /* out PORT, al */
	0xf4,                               /* hlt */
};

struct machine {
	int kvm, vm, vcpu;
	uint8_t *memory;
	struct kvm_run *run;
	size_t run_size;
};

static int make(struct machine *m)
{
	struct kvm_userspace_memory_region region = {.memory_size = PAGE};
	int r = m->kvm = sys_openat(AT_FDCWD, "/dev/kvm", O_RDWR, 0);

	if (r >= 0)
		r = m->vm = sys_ioctl(m->kvm, KVM_CREATE_VM, NULL);
	if (r >= 0)
		r = m->vcpu = sys_ioctl(m->vm, KVM_CREATE_VCPU, NULL);
	if (r >= 0)
		r = sys_ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (r < 0)
		return r;
	m->run_size = (size_t)r;
	m->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	m->memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->run == MAP_FAILED || m->memory == MAP_FAILED)
		return -errno;
	memcpy(m->memory, code, sizeof(code));
	region.userspace_addr = (uintptr_t)m->memory;
	return sys_ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static struct kvm_segment flat(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){.limit = UINT32_MAX,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1};
}

static int enter_protected_mode(const struct machine *m)
{
	struct kvm_regs registers = {.rflags = 2};
	struct kvm_sregs s;
	int r = sys_ioctl(m->vcpu, KVM_GET_SREGS, &s);

	if (r < 0)
		return r;
	s.cs = flat(8, 11);
	s.ds = s.es = s.fs = s.gs = s.ss = flat(16, 3);
	s.cr0 = 1U << 0 | 1U << 4; /* protected mode, an x87 unit */
	r = sys_ioctl(m->vcpu, KVM_SET_SREGS, &s);
	return r < 0 ? r : sys_ioctl(m->vcpu, KVM_SET_REGS, &registers);
}

static bool has_answer(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT &&
	       run->io.port == PORT && ((const uint8_t *)run)[run->io.data_offset] == ANSWER;
}

static int probe(struct machine *m, struct err *err)
{
	static const char lead[] = "virtual machines cannot run here";
	int r = make(m);

	if (m->kvm == -ENOENT)
		return err_set(err, r,
			"%s: there is no /dev/kvm; switch virtualisation on in the firmware, or "
			"nested in the host above",
			lead);
	if (m->kvm == -EACCES)
		return err_set(
			err, r, "%s: /dev/kvm is not for this user: join the group kvm", lead);
	if (r == 0)
		r = enter_protected_mode(m);
	if (r == 0)
		r = sys_ioctl(m->vcpu, KVM_RUN, NULL);
	if (r < 0)
		return err_set(err, r, "%s: /dev/kvm: %s", lead, strerror(-r));
	if (!has_answer(m->run))
		return err_set(err, -ENODEV,
			"%s: /dev/kvm is there, but does not run code on the processor (exit %u)",
			lead, m->run->exit_reason);
	return 0;
}

int kvm_probe(struct err *err)
{
	struct machine m = {.kvm = -1, .vm = -1, .vcpu = -1};
	int r = probe(&m, err);

	if (m.run && m.run != MAP_FAILED)
		munmap(m.run, m.run_size);
	if (m.memory && m.memory != MAP_FAILED)
		munmap(m.memory, PAGE);
	cleanup_close(&m.vcpu);
	cleanup_close(&m.vm);
	cleanup_close(&m.kvm);
	return r;
}

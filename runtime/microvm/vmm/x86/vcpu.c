/* SPDX-License-Identifier: Apache-2.0 */
/* What a vCPU looks like when it begins: processor features, model-specific registers, FPU, local
 * APIC and general registers (Documentation/virt/kvm/api.rst). */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/vmm/arch.h"
#include "runtime/microvm/vmm/x86/x86.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
	CPUID_MAX = 256,
	CPUID_VMX = 1 << 5,
	CPUID_SVM = 1 << 2,
	MSR_TSC = 0x10,
	MSR_MISC_ENABLE = 0x1a0,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MISC_ENABLE_FAST_STRING = 1,
	MTRR_ENABLE_WRITE_BACK = 0x806,
	APIC_LVT0 = 0x350,
	APIC_LVT1 = 0x360,
	APIC_MODE_EXTINT = 0x700,
	APIC_MODE_NMI = 0x400,
	IDENTITY_MAP = 0xfffbc000,
	TSS = 0xfffbd000,
	IO_APIC_PINS = 24,
	PIC_PINS = 8,
};

int arch_vm_init(int vm_fd, struct err *err)
{
	uint64_t identity = IDENTITY_MAP;
	int r;

	/* Three pages that KVM needs on some processors, out of the way of RAM and devices. */
	r = sys_ioctl(vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (r == 0)
		r = sys_ioctl(vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)(unsigned int)TSS);
	if (r < 0)
		return err_sys(err, r, "KVM_SET_TSS_ADDR");
	/* No PIT: with reduced-hardware ACPI and KVM's clock, nobody asks for it. */
	r = sys_ioctl(vm_fd, KVM_CREATE_IRQCHIP, NULL);
	return r < 0 ? err_sys(err, r, "KVM_CREATE_IRQCHIP") : 0;
}

static struct kvm_irq_routing_entry chip_route(uint32_t gsi, uint32_t chip, uint32_t pin)
{
	return (struct kvm_irq_routing_entry){.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = {.irqchip = chip, .pin = pin}};
}

uint32_t arch_routes(struct kvm_irq_routing_entry *ret, uint32_t *ret_next)
{
	uint32_t count = 0;

	for (uint32_t gsi = 0; gsi < IO_APIC_PINS; gsi++)
		ret[count++] = chip_route(gsi, KVM_IRQCHIP_IOAPIC, gsi);
	for (uint32_t gsi = 0; gsi < 2 * PIC_PINS; gsi++)
		ret[count++] = chip_route(gsi,
			gsi < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
			gsi % PIC_PINS);
	*ret_next = IO_APIC_PINS;
	return count;
}

static void fix_cpuid(
	struct kvm_cpuid_entry2 *entry, unsigned int index, bool deadline_timer, bool nested)
{
	switch (entry->function) {
	case 1:
		entry->ebx = (entry->ebx & 0x00ffffff) | index << 24; /* initial APIC id */
		entry->ecx |= 1U << 31;                               /* a hypervisor is there */
		if (!nested)
			entry->ecx &= ~(uint32_t)CPUID_VMX;
		if (deadline_timer)
			entry->ecx |= 1U << 24;
		break;
	case 0x80000001: /* a guest's own guests would be a way into KVM's largest part */
		if (!nested)
			entry->ecx &= ~(uint32_t)CPUID_SVM;
		break;
	case 0xb:
	case 0x1f:
		entry->edx = index; /* x2APIC id */
		break;
	}
}

int x86_supported_cpuid(int kvm_fd, struct kvm_cpuid2 **ret)
{
	autofree struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));
	int r;

	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = CPUID_MAX;
	r = sys_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
	if (r < 0)
		return r;
	*ret = take_ptr(cpuid);
	return 0;
}

void x86_generalise_cpuid(struct kvm_cpuid2 *cpuid)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = cpuid->entries + i;

		switch (entry->function) {
		case 1: /* initial APIC id */
			entry->ebx &= 0x00ffffff;
			break;
		case 0xb:
		case 0x1f: /* x2APIC id */
			entry->edx = 0;
			break;
		case 0x8000001e: /* AMD: APIC id, core, node */
			entry->eax = entry->ebx = entry->ecx = 0;
			break;
		}
	}
}

static int set_cpuid(int kvm_fd, int vcpu_fd, unsigned int index, bool nested)
{
	autofree struct kvm_cpuid2 *cpuid = NULL;
	bool deadline_timer;
	int r = x86_supported_cpuid(kvm_fd, &cpuid);

	if (r < 0)
		return r;
	deadline_timer = sys_ioctl(kvm_fd, KVM_CHECK_EXTENSION,
				 (void *)(uintptr_t)KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	for (uint32_t i = 0; i < cpuid->nent; i++)
		fix_cpuid(cpuid->entries + i, index, deadline_timer, nested);
	return sys_ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid);
}

static int set_msrs(int vcpu_fd)
{
	static const struct kvm_msr_entry entries[] = {
		{.index = MSR_TSC},
		{.index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING},
		{.index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE_WRITE_BACK},
	};
	autofree struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + sizeof(entries));
	int r;

	if (!msrs)
		return -ENOMEM;
	msrs->nmsrs = ARRAY_LEN(entries);
	memcpy(msrs->entries, entries, sizeof(entries));
	r = sys_ioctl(vcpu_fd, KVM_SET_MSRS, msrs);
	return r < 0 ? r : r == (int)ARRAY_LEN(entries) ? 0 : -EIO;
}

static int set_fpu(int vcpu_fd)
{
	struct kvm_fpu fpu = {.fcw = 0x37f, .mxcsr = 0x1f80};

	return sys_ioctl(vcpu_fd, KVM_SET_FPU, &fpu);
}

static void lapic_route(struct kvm_lapic_state *apic, size_t offset, uint32_t mode)
{
	uint32_t value;

	memcpy(&value, apic->regs + offset, sizeof(value));
	value = (value & ~0x700U) | mode;
	memcpy(apic->regs + offset, &value, sizeof(value));
}

static int set_lapic(int vcpu_fd)
{
	struct kvm_lapic_state apic;
	int r = sys_ioctl(vcpu_fd, KVM_GET_LAPIC, &apic);

	if (r < 0)
		return r;
	lapic_route(&apic, APIC_LVT0, APIC_MODE_EXTINT);
	lapic_route(&apic, APIC_LVT1, APIC_MODE_NMI);
	return sys_ioctl(vcpu_fd, KVM_SET_LAPIC, &apic);
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, bool long_mode)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = !long_mode,
		.s = 1,
		.l = long_mode,
		.g = 1,
	};
}

static int set_sregs(int vcpu_fd, const struct arch_start *start)
{
	struct kvm_sregs sregs;
	struct kvm_segment data = segment(0x18, 3, false);
	int r = sys_ioctl(vcpu_fd, KVM_GET_SREGS, &sregs);

	if (r < 0)
		return r;
	sregs.cs = segment(0x10, 0xb, !start->flat32);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.tr = (struct kvm_segment){.limit = 0x67, .type = 0xb, .present = 1};
	sregs.gdt = (struct kvm_dtable){.base = X86_GDT, .limit = 4 * 8 - 1};
	sregs.cr0 |= 1; /* protection */
	if (!start->flat32) {
		sregs.cr0 |= 1U << 31; /* paging */
		sregs.cr3 = X86_PML4;
		sregs.cr4 |= 1 << 5;            /* PAE */
		sregs.efer |= 1 << 8 | 1 << 10; /* long mode enabled and active */
	}
	return sys_ioctl(vcpu_fd, KVM_SET_SREGS, &sregs);
}

static int set_regs(int vcpu_fd, const struct arch_start *start)
{
	struct kvm_regs regs = {
		.rip = start->entry,
		.rsp = X86_STACK,
		.rsi = start->argument, /* the 64-bit protocol */
		.rbx = start->argument, /* PVH */
		.rflags = 2,
	};

	return sys_ioctl(vcpu_fd, KVM_SET_REGS, &regs);
}

int arch_vcpu_made(int vm_fd, int vcpu_fd, unsigned int index, struct err *err)
{
	(void)vm_fd;
	(void)vcpu_fd;
	(void)index;
	(void)err;
	return 0;
}

int arch_vm_ready(int vm_fd, unsigned int vcpus, struct err *err)
{
	(void)vm_fd;
	(void)vcpus;
	(void)err;
	return 0;
}

int arch_vcpu_init(int kvm_fd, int vcpu_fd, unsigned int index, bool nested,
	const struct arch_start *start, struct err *err)
{
	int r = set_cpuid(
		kvm_fd, vcpu_fd, index, nested); /* first: it decides which MSRs there are */

	if (r < 0)
		return err_sys(err, r, "vCPU %u: KVM_SET_CPUID2", index);
	r = set_msrs(vcpu_fd);
	if (r < 0)
		return err_sys(err, r, "vCPU %u: KVM_SET_MSRS", index);
	r = set_fpu(vcpu_fd);
	if (r == 0)
		r = set_lapic(vcpu_fd);
	if (r == 0 && start)
		r = set_sregs(vcpu_fd, start);
	if (r == 0 && start)
		r = set_regs(vcpu_fd, start);
	return r < 0 ? err_sys(err, r, "vCPU %u: registers", index) : 0;
}

/* EINVAL: the guest has no clock of KVM's. #syscalls:io ioctl=KVM_KVMCLOCK_CTRL */
void arch_vcpu_rested(int vcpu_fd)
{
	(void)!sys_ioctl(vcpu_fd, KVM_KVMCLOCK_CTRL, NULL);
}

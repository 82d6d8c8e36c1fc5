/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs that start by PSCI, and the interrupt controller: Documentation/virt/kvm/api.rst and
 * devices/arm-vgic-v3.rst. */
#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/microvm/vmm/aarch64/aarch64.h"
#include "runtime/microvm/vmm/arch.h"

#include <stddef.h>

enum { INTERRUPTS = 64, PSTATE_EL1H_MASKED = 0x3c5 };

int arch_vm_init(int vm_fd, struct err *err)
{
	(void)vm_fd; /* the interrupt controller comes after the vCPUs */
	(void)err;
	return 0;
}

int arch_vcpu_made(int vm_fd, int vcpu_fd, unsigned int index, struct err *err)
{
	struct kvm_vcpu_init init = {};
	int r = sys_ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, &init);

	init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
	if (index)
		init.features[0] |= 1U << KVM_ARM_VCPU_POWER_OFF;
	if (r == 0)
		r = sys_ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, &init);
	return r < 0 ? err_sys(err, r, "vCPU %u: KVM_ARM_VCPU_INIT", index) : 0;
}

static int gic_set(int gic, uint32_t group, uint64_t attribute, const void *value)
{
	struct kvm_device_attr attr = {
		.group = group, .attr = attribute, .addr = (uint64_t)(uintptr_t)value};

	return sys_ioctl(gic, KVM_SET_DEVICE_ATTR, &attr);
}

int arch_vm_ready(int vm_fd, unsigned int vcpus, struct err *err)
{
	struct kvm_create_device create = {.type = KVM_DEV_TYPE_ARM_VGIC_V3};
	const uint32_t interrupts = AARCH64_SPI_FIRST + INTERRUPTS;
	const uint64_t dist = AARCH64_GIC_DIST;
	/* Count, base, flags and index of a region of redistributors. */
	const uint64_t redist = (uint64_t)vcpus << 52 | AARCH64_GIC_REDIST;
	autoclose int gic = -1;
	int r = sys_ioctl(vm_fd, KVM_CREATE_DEVICE, &create);

	if (r < 0)
		return err_sys(err, r, "a GICv3");
	gic = (int)create.fd;
	r = gic_set(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist);
	if (r == 0)
		r = gic_set(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
			&redist);
	if (r == 0)
		r = gic_set(gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts);
	if (r == 0)
		r = gic_set(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return r < 0 ? err_sys(err, r, "the GICv3") : 0; /* KVM keeps it */
}

static int set_register(int vcpu_fd, size_t offset, uint64_t value)
{
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
		      offset / sizeof(uint32_t),
		.addr = (uint64_t)(uintptr_t)&value,
	};

	return sys_ioctl(vcpu_fd, KVM_SET_ONE_REG, &reg);
}

/* x0 is the device tree, x1 to x3 are zero, interrupts are masked (booting.rst). */
int arch_vcpu_init(int kvm_fd, int vcpu_fd, unsigned int index, bool nested,
	const struct arch_start *start, struct err *err)
{
	int r;

	(void)kvm_fd;
	(void)nested;
	if (!start)
		return 0;
	r = set_register(vcpu_fd, offsetof(struct kvm_regs, regs.pstate), PSTATE_EL1H_MASKED);
	if (r == 0)
		r = set_register(vcpu_fd, offsetof(struct kvm_regs, regs.pc), start->entry);
	if (r == 0)
		r = set_register(vcpu_fd, offsetof(struct kvm_regs, regs.regs[0]), start->argument);
	return r < 0 ? err_sys(err, r, "vCPU %u: registers", index) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between processor architectures, and nothing else: where memory and devices are, how
 * a kernel is entered, what a vCPU's state is made of, and the few devices that the architecture
 * itself expects. One folder beside this file per architecture implements it.
 *
 * Order: arch_layout() → arch_vm_init() → arch_load() → arch_vcpu_init() for each vCPU →
 * KVM_RUN, with arch_exit() for what the generic code does not know.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/memory.h"
#include "runtime/microvm/devices/serial.h"

#include <linux/kvm.h>
#include <stdbool.h>

enum {
	ARCH_DEVICES_MAX = 16,
#ifdef __x86_64__
	ARCH_ROUTES_MAX = 40, /* 24 inputs of the IO-APIC, 16 of the old controllers */
	ARCH_VCPUS_MAX = 128, /* 8-bit APIC ids, with room below the broadcast */
	ARCH_SERIAL_IRQ = 4,
#endif
};

/* Where a device of devices/mmio.h is. */
struct arch_device {
	uint64_t gpa;
	uint32_t irq; /* GSI */
};

struct arch_range {
	uint64_t gpa, size; /* bytes */
};

/* The root bus of PCI: configuration space of bus 0, and where base addresses may be. */
struct arch_pci {
	bool present;
	struct arch_range ecam, low, high; /* low: below 4 GiB; high: chosen by who adds devices */
};

struct arch_layout {
	struct arch_range ram[GUEST_REGION_MAX];
	size_t ram_count;
	struct arch_device devices[ARCH_DEVICES_MAX];
	uint64_t high_gpa; /* above everything: free for memory that is not RAM */
	struct arch_pci pci;
};

/* Pure. −EINVAL when SIZE (bytes) is not a number of pages, or too small or too large. */
int arch_layout(uint64_t size, struct arch_layout *ret, struct err *err);

struct arch_boot {
	int kernel, initramfs; /* descriptors; initramfs may be −1 */
	const char *command_line;
	unsigned int vcpus, devices; /* the first DEVICES of the layout are there */
};

/* How the first vCPU begins. */
struct arch_start {
	bool flat32; /* x86: 32-bit flat mode rather than 64-bit */
	uint64_t entry, argument;
};

/* The in-kernel interrupt controller and what must exist before vCPUs. */
int arch_vm_init(int vm_fd, struct err *err);
/* The routes that KVM has from the beginning, which KVM_SET_GSI_ROUTING would take away: into RET,
 * of ARCH_ROUTES_MAX. Returns how many; RET_NEXT is the first interrupt number behind them. */
uint32_t arch_routes(struct kvm_irq_routing_entry *ret, uint32_t *ret_next);
/* Kernel, initramfs, command line, and the tables that describe the machine, into fresh memory. */
int arch_load(const struct arch_boot *boot, const struct arch_layout *layout,
	const struct guest_memory *memory, struct arch_start *ret, struct err *err);
/* START is NULL for vCPUs that the guest starts itself. */
int arch_vcpu_init(int kvm_fd, int vcpu_fd, unsigned int index, const struct arch_start *start,
	struct err *err);

enum arch_event {
	ARCH_CONTINUE,
	ARCH_POWER_OFF, /* the guest switched itself off */
	ARCH_RESET,     /* the guest wants to start again */
	ARCH_UNKNOWN,   /* not an exit of this architecture */
};

/* Handles exits that the generic code does not know. */
enum arch_event arch_exit(struct kvm_run *run, struct serial *serial);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between processor architectures, and nothing else: where memory and devices are, how
 * a kernel is entered, what a vCPU's state is made of, and the few devices that the architecture
 * itself expects. One folder beside this file per architecture implements it.
 *
 * Order: arch_layout() → arch_vm_init() → arch_vcpu_made() for each vCPU → arch_vm_ready() →
 * arch_load() → arch_vcpu_init() for each vCPU → KVM_RUN, with arch_exit() and arch_mmio() for what
 * the generic code does not know.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/memory.h"
#include "runtime/microvm/devices/serial.h"

#include <linux/kvm.h>
#include <stdbool.h>

#ifdef __x86_64__
#define ARCH_HAS_PCI /* a root bus, with what arch_routes() needs */
/* What is written to memory is what a guest reads there that takes it for registers. On aarch64 its
 * reads would go past our caches. */
#define ARCH_READS_ARE_COHERENT
#endif

enum {
	ARCH_GENERATION_SIZE = 16, /* bytes */
	ARCH_DEVICES_MAX = 16,
#ifdef __x86_64__
	ARCH_ROUTES_MAX = 40, /* 24 inputs of the IO-APIC, 16 of the old controllers */
	ARCH_VCPUS_MAX = 128, /* 8-bit APIC ids, with room below the broadcast */
	ARCH_SERIAL_IRQ = 4,
#elif defined(__aarch64__)
	ARCH_VCPUS_MAX =
		123, /* redistributors between the interrupt controller and the serial port */
	ARCH_SERIAL_IRQ = 8,
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
	/* Reserved memory that holds the machine's generation id, and the interrupt that tells of
	 * another one; .gpa 0: the architecture has none. */
	struct arch_device generation;
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

/* What must exist before vCPUs; a vCPU that was just made; what needs all of them, and must be
 * there before interrupts are wired: the in-kernel interrupt controller is in one of the three. */
int arch_vm_init(int vm_fd, struct err *err);
int arch_vcpu_made(int vm_fd, int vcpu_fd, unsigned int index, struct err *err);
int arch_vm_ready(int vm_fd, unsigned int vcpus, struct err *err);
/* The routes that KVM has from the beginning, which KVM_SET_GSI_ROUTING would take away: into RET,
 * of ARCH_ROUTES_MAX. Returns how many; RET_NEXT is the first interrupt number behind them. */
uint32_t arch_routes(struct kvm_irq_routing_entry *ret, uint32_t *ret_next);
/* Kernel, initramfs, command line, and the tables that describe the machine, into fresh memory. */
int arch_load(const struct arch_boot *boot, const struct arch_layout *layout,
	const struct guest_memory *memory, struct arch_start *ret, struct err *err);
/* START is NULL for vCPUs that the guest starts itself. NESTED: it may use what the processor has
 * for virtual machines. */
int arch_vcpu_init(int kvm_fd, int vcpu_fd, unsigned int index, bool nested,
	const struct arch_start *start, struct err *err);

/* A vCPU that ran has come to rest: that the clock goes on meanwhile is no lock-up of the guest's.
 */
void arch_vcpu_rested(int vcpu_fd);

/*
 * Saving and restoring (vmm/snapshot.h). *RET is what KVM tells about it before the jail, and lives
 * as long as the process. arch_vm_restore() goes before arch_vcpu_restore(), which takes the place
 * of arch_vcpu_init(). Saving allocates nothing; all vCPUs rest.
 */
struct arch_state;
struct snapshot_writer;
struct snapshot_reader;
int arch_state_open(int kvm_fd, struct arch_state **ret, struct err *err);
int arch_vm_save(struct arch_state *state, int vm_fd, struct snapshot_writer *w);
int arch_vcpu_save(
	struct arch_state *state, int vcpu_fd, uint32_t index, struct snapshot_writer *w);
int arch_vm_restore(
	struct arch_state *state, int vm_fd, struct snapshot_reader *reader, struct err *err);
int arch_vcpu_restore(struct arch_state *state, int kvm_fd, int vcpu_fd, uint32_t index,
	struct snapshot_reader *reader, struct err *err);

enum arch_event {
	ARCH_CONTINUE,
	ARCH_POWER_OFF, /* the guest switched itself off */
	ARCH_RESET,     /* the guest wants to start again */
	ARCH_UNKNOWN,   /* not an exit of this architecture */
};

/* Handles exits that the generic code does not know. */
enum arch_event arch_exit(struct kvm_run *run, struct serial *serial);
/* An access to memory where there is no device of the layout; false when nothing is there. */
bool arch_mmio(struct kvm_run *run, struct serial *serial);

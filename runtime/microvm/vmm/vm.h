/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine on /dev/kvm: its memory, its devices' registers, its vCPUs.
 *
 * Order: vm_open() → vm_add() for each device → vm_show_registers() → vm_load() → [jail] →
 * vm_run(). Everything up to vm_run() is done by the main thread alone, and everything that needs
 * memory, files or ioctls on /dev/kvm happens there. vm_run() starts one thread per vCPU and serves
 * the devices on its own until the machine ends.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/mmio.h"
#include "runtime/microvm/devices/serial.h"
#include "runtime/microvm/vmm/arch.h"

#include <pthread.h>
#include <stdbool.h>

enum vm_outcome {
	VM_RUNNING,
	VM_POWER_OFF,
	VM_RESET,   /* the guest asked to start again; there is nothing to go back to */
	VM_STOPPED, /* by the control socket */
	VM_FAILED,  /* vm.err says why */
};

enum { VM_RANGES_MAX = 32 };
enum { VM_EXITS_MAX = 40 }; /* exit reasons that are counted one by one, KVM_EXIT_… */

struct vm;

struct vcpu {
	struct vm *vm;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	size_t run_size;
	pthread_t thread;
	bool started;
	uint64_t exits[VM_EXITS_MAX]; /* by its own thread */
	int stats_fd;                 /* KVM's own counters, or −1 */
	off_t exits_offset;           /* of the one that counts all exits */
};

/* Guest addresses that are neither memory nor registers of devices/mmio.h. */
struct vm_range {
	uint64_t gpa, size; /* bytes */
	/* OFFSET is in the range, LEN 1 to 8. DATA is filled in unless WRITE. Any vCPU's thread. */
	void (*access)(void *context, uint64_t offset, void *data, uint32_t len, bool write);
	void *context;
};

struct vm_options {
	int kvm;              /* /dev/kvm */
	uint64_t memory_size; /* bytes */
	bool huge_pages, nested;
	unsigned int vcpus;
	int serial; /* where the debug port's output goes, or −1 */
};

struct vm {
	int kvm, fd, memory_fd;
	struct arch_layout layout;
	struct guest_memory memory;
	struct loop loop;
	struct serial serial;
	int serial_irq, generation_irq; /* eventfds; −1: none */
	struct mmio mmios[ARCH_DEVICES_MAX];
	unsigned int mmio_count;
	uint8_t *registers; /* MMIO_SIZE bytes for each of ARCH_DEVICES_MAX */
	struct vm_range ranges[VM_RANGES_MAX];
	unsigned int range_count;
	struct vcpu *vcpus;
	unsigned int vcpu_count;
	bool nested;
	struct loop_source ended; /* eventfd: a vCPU set .outcome */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	enum vm_outcome outcome;
	bool paused;          /* vCPUs shall not run… */
	unsigned int wakers;  /* …but for these */
	unsigned int resting; /* vCPUs that do not */
	struct err err;
};

int vm_open(struct vm *vm, const struct vm_options *options, struct err *err);
/* Gives DEVICE the next page of registers and the next interrupt. */
int vm_add(struct vm *vm, struct device *device, struct err *err);
/* After the last of them: the guest reads the devices' registers, and tells that it took
 * interrupts, without us. */
int vm_show_registers(struct vm *vm, struct err *err);
/* Another range of guest memory, which devices cannot reach; see KVM_SET_USER_MEMORY_REGION. SLOT
 * counts from 0, below 256. */
int vm_map(struct vm *vm, unsigned int slot, uint64_t gpa, uint64_t size, void *hva, bool read_only,
	struct err *err);
/* Calls RANGE.access for what the guest does there. Before the guest runs. */
int vm_add_range(struct vm *vm, const struct vm_range *range, struct err *err);
/* What to boot; the caller keeps the descriptors. */
int vm_load(struct vm *vm, int kernel, int initramfs, const char *command_line, struct err *err);

/* A machine that was restored is another one than that which was saved: it gets a generation id of
 * its own, and is told. After all else of it is restored, before it runs. */
int vm_renew(struct vm *vm, struct err *err);

/* Runs until the end. ENTER is called first by each thread, with its role's name, and is where it
 * takes its filter on; an error there is fatal. */
enum vm_outcome vm_run(
	struct vm *vm, int (*enter)(const char *role, struct err *err), struct err *err);

/* From the loop's thread. All return when it is so. */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
/* A paused machine runs from vm_wake() to the vm_rest() that belongs to it. */
void vm_wake(struct vm *vm);
void vm_rest(struct vm *vm);
/* Whether no vCPU runs, nor will before the loop's thread wants it. */
bool vm_is_resting(struct vm *vm);
/* With .lock held. */
static inline bool vm_rests(const struct vm *vm)
{
	return vm->paused && !vm->wakers && vm->outcome == VM_RUNNING;
}

/* Any thread; the first reason counts. */
void vm_end(struct vm *vm, enum vm_outcome outcome);

/* vcpu.c: the thread's function, and the way out of KVM_RUN. */
void *vcpu_main(void *vcpu);
void vcpu_interrupt(struct vcpu *vcpu);
int vcpu_signals(struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine that a plan describes: the VM with all its devices. The one place that knows every
 * device's file.
 */
#pragma once

#include "runtime/microvm/devices/balloon.h"
#include "runtime/microvm/devices/block.h"
#include "runtime/microvm/devices/console.h"
#include "runtime/microvm/devices/fs.h"
#include "runtime/microvm/devices/net.h"
#include "runtime/microvm/devices/pmem.h"
#include "runtime/microvm/devices/rng.h"
#include "runtime/microvm/devices/vsock.h"
#include "runtime/microvm/plan.h"
#include "runtime/microvm/vmm/control.h"
#include "runtime/microvm/vmm/vfio.h"
#include "runtime/microvm/vmm/vm.h"

/* Who asks for something: a command, or the runtime. */
struct control_client {
	struct loop_source source; /* .fd −1: none */
	struct machine *machine;
	bool wakes;
};

struct machine {
	struct vm vm;
	struct vsock vsock;
	struct rng rng;
	struct balloon balloon;
	struct console console;
	struct block *blocks; /* as many as the plan has */
	struct net *nets;
	struct pmem *pmems;
	struct fs *filesystems;
	struct vfio vfio;
	size_t filesystem_count;
	struct control_client control; /* the runtime's own */
	struct loop_source control_listener;
	struct control_client clients[CONTROL_CLIENTS_MAX];
	const struct control_client *saver; /* that saves it, or NULL */
	unsigned int held;                  /* devices that do nothing, the first so many */
	uint8_t *state;                     /* room for SNAPSHOT_MAX bytes */
	struct arch_state *arch_state;
};

/* Everything up to the first instruction. KVM is /dev/kvm. Main thread, not yet jailed. */
int machine_open(struct machine *machine, const struct plan *plan, int kvm, struct err *err);
/* The jail, then the guest, until its end. */
enum vm_outcome machine_run(struct machine *machine, const struct plan *plan, struct err *err);

/*
 * state.c. Saving: the loop's thread, of a machine that is paused; −EBUSY otherwise, −EOPNOTSUPP
 * with devices of the host's, or −errno of a write (the files are of no use then) or of the file
 * server, which writes FILES (−1: it need not). Nothing touches the memory from then on until
 * machine_saved(), so that it can be copied. Restoring: instead of vm_load().
 */
int machine_state_open(struct machine *machine, struct err *err);
int machine_save(struct machine *machine, int state, int files);
void machine_saved(struct machine *machine);
int machine_restore(struct machine *machine, int state, int memory, struct err *err);
/* Of these the part of one device, behind its registers. */
struct snapshot_writer;
struct snapshot_reader;
void machine_save_device(struct mmio *mmio, uint32_t index, struct snapshot_writer *w);
int machine_restore_device(
	struct mmio *mmio, uint32_t index, struct snapshot_reader *reader, struct err *err);

/* control.c: serves SOCK and who connects to LISTENER, as control.h says; −1: not there. */
int control_open(struct machine *machine, int sock, int listener, struct err *err);

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
#include "runtime/microvm/vmm/vfio.h"
#include "runtime/microvm/vmm/vm.h"

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
	struct loop_source control;
};

/* Everything up to the first instruction. KVM is /dev/kvm. Main thread, not yet jailed. */
int machine_open(struct machine *machine, const struct plan *plan, int kvm, struct err *err);
/* The jail, then the guest, until its end. */
enum vm_outcome machine_run(struct machine *machine, const struct plan *plan, struct err *err);

/* control.c: serves SOCK, as control.h says. */
int control_open(struct machine *machine, int sock, struct err *err);

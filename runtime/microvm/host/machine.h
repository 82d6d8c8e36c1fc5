/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine of one container, as the attendant starts, watches and ends it.
 *
 *	machine_start()    file server and VMM, with everything open that they will ever have
 *	machine_ready()    waits until the agent is up
 *	machine_reason()   why it ended, if it did
 *	machine_stop()
 *
 * It ends when the attendant does, whatever way: the VMM at the end of its control socket, the file
 * server at the end of the VMM's.
 */
#pragma once

#include "runtime/microvm/host/link.h"
#include "runtime/microvm/host/net.h"
#include "runtime/microvm/host/vfio.h"
#include "runtime/microvm/host/vmplan.h"

#define MACHINE_SOCKET "vsock" /* in the container's directory */
#define MACHINE_LOG    "vm.log"

struct machine_options {
	const struct vm_plan *plan;
	int state; /* the container's directory */
	int files; /* of files_build() */
	const struct nets *nets;
	const struct vfio_devices *vfio;
	const int *layers; /* images, topmost first */
	size_t layer_count;
	uid_t uid; /* of the VMM */
};

struct vm_machine {
	pid_t vmm, fsd; /* 0: not started, or ended */
	int vmm_status, fsd_status;
	int control, log;
	struct link ready;
};

void machine_init(struct vm_machine *m);
int machine_start(struct vm_machine *m, const struct machine_options *options, struct err *err);
/* −EIO with the reason when it ends first. */
int machine_ready(struct vm_machine *m, struct err *err);
/* Takes the status of children that have ended. True: the machine has ended, or is about to. */
bool machine_reap(struct vm_machine *m);
/* The reason, waiting a little for the processes' own word. */
void machine_reason(struct vm_machine *m, struct err *ret);
void machine_stop(struct vm_machine *m);
/* Descriptors that the attendant keeps; returns how many. */
size_t machine_descriptors(const struct vm_machine *m, int ret[3]);

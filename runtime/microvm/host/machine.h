/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine of one container, as the attendant starts, watches and ends it.
 *
 *	machine_start()    file server and VMM, with everything open that they will ever have
 *	machine_ready()    waits until the agent is up
 *	machine_save()     perhaps
 *	machine_reason()   why it ended, if it did
 *	machine_stop()
 *
 * It ends when the attendant does, whatever way: the VMM at the end of its control socket, the file
 * server at the end of the VMM's.
 */
#pragma once

#include "runtime/microvm/host/link.h"
#include "runtime/microvm/host/monitor.h"
#include "runtime/microvm/host/net.h"
#include "runtime/microvm/host/vfio.h"
#include "runtime/microvm/host/vmplan.h"

#define MACHINE_SOCKET "vsock" /* in the container's directory, as is monitor.h's */
#define MACHINE_LOG    "vm.log"

/* A saved machine: regular files. Without .files (−1) it has not mounted its file system yet. */
struct machine_files {
	int state, memory, files;
};

struct machine_options {
	const struct vm_plan *plan;
	const struct machine_files *restore; /* instead of a boot, or NULL; stays the caller's */
	int state;                           /* the container's directory */
	int files;                           /* of files_build() */
	const struct nets *nets;
	const struct vfio_devices *vfio; /* NULL: none */
	const int *layers;               /* images, topmost first */
	size_t layer_count;
	uid_t uid; /* of the VMM, and the guest's CID */
};

struct vm_machine {
	pid_t vmm, fsd; /* 0: not started, or ended */
	int vmm_status, fsd_status;
	int control, log;
	struct link ready;
};

/* The path of the program NAME in libexec; returns RET. */
const char *machine_helper(const char *name, char *ret, size_t size);
/*
 * Whether this host can have the machine of PLAN; and unpacks its kernel, if it is not in the
 * cache: that takes more memory than a small container has, and the initramfs does not. Parent.
 */
int machine_prepare(const struct vm_plan *plan, struct err *err);
void machine_init(struct vm_machine *m);
int machine_start(struct vm_machine *m, const struct machine_options *options, struct err *err);
/* −EIO with the reason when it ends first. */
int machine_ready(struct vm_machine *m, struct err *err);
/* Asks the guest to give MIB back until it may grow. */
void machine_inflate(struct vm_machine *m, uint32_t mib);
/* Writes a machine that is up to FILES, which are empty, and leaves it paused. −ENOSPC and the
 * like: they are of no use then. */
int machine_save(struct vm_machine *m, const struct machine_files *files, struct err *err);
/* Takes the status of children that have ended. True: the machine has ended, or is about to. */
bool machine_reap(struct vm_machine *m);
/* The reason, waiting a little for the processes' own word. */
void machine_reason(struct vm_machine *m, struct err *ret);
void machine_stop(struct vm_machine *m);
/* Descriptors that the attendant keeps; returns how many. */
size_t machine_descriptors(const struct vm_machine *m, int ret[3]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-fs (virtio 1.2, section 5.11), whose queues are served by another process.
 *
 * The VMM has no file system code and no file of the guest's. When the driver starts the device,
 * one message over a SEQPACKET socket hands the file server (brig-fsd) the guest's memory, the
 * state of the queues, and an eventfd per queue and for the interrupt. From then on KVM wakes the
 * server and the server interrupts the guest, with the VMM out of the way: as fast as a thread of
 * the VMM, and yet a server that falls to the guest has neither the VMM's descriptors nor /dev/kvm,
 * and a VMM that falls has no files. What the server can reach of the guest is the guest's own.
 *
 * A reset takes the queues back and waits for that, so that no request is under way afterwards.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/device.h"

#include <linux/virtio_fs.h>

enum { FS_QUEUES = 2, FS_QUEUE_SIZE = 256, FS_WIRES = 2 + FS_QUEUES };

enum fs_message_type {
	FS_ATTACH = 1, /* with FS_WIRES descriptors: memory, interrupt, kicks */
	FS_DETACH,     /* the queues come back in the reply */
	FS_SAVE,       /* a detached server, with a file for what the guest knows of the files */
};

/* Both ways; a reply has the type of its request. */
struct fs_message {
	uint32_t type;
	int32_t result; /* of the reply: 0 or a negative errno */
	uint32_t region_count;
	uint32_t reserved;
	struct {
		uint64_t gpa, size, offset; /* offset in the memory's descriptor */
	} regions[GUEST_REGION_MAX];
	struct virtq_state queues[FS_QUEUES];
};

struct fs {
	struct device device;
	struct virtio_fs_config config;
	int socket, memory_fd;
};

/* SOCKET (SEQPACKET, blocking) is taken over; MEMORY_FD holds the regions one behind the other and
 * stays the caller's. TAG is at most 36 bytes. */
int fs_open(struct fs *fs, const char *tag, int socket, int memory_fd,
	const struct guest_memory *memory, struct err *err);
/* For snapshots, between device_hold() and device_release(): has the server write what the guest
 * knows of the files to the empty FILE. −ESTALE: an open file was removed. */
int fs_save(struct fs *fs, int file);
void fs_close(struct fs *fs);

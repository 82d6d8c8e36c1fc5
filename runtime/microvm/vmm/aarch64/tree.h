/* SPDX-License-Identifier: Apache-2.0 */
/* The device tree of a machine with only virtio-mmio devices. Pure: one block of bytes out. */
#pragma once

#include "base/buf.h"
#include "runtime/microvm/vmm/arch.h"

struct tree_machine {
	unsigned int vcpus;
	uint64_t memory_size; /* bytes */
	const char *command_line;
	uint64_t initramfs, initramfs_size; /* size 0: none */
	const struct arch_device *devices;
	unsigned int device_count;
};

/* Appends the tree to RET; −ENOMEM. */
int tree_write(const struct tree_machine *machine, struct buf *ret);

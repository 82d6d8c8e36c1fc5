/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI devices of the host's in the guest, by VFIO's groups (Documentation/driver-api/vfio.rst of
 * the kernel): registers are mapped into the guest, DMA goes through the IOMMU to guest memory and
 * nowhere else, interrupts come by irqfd.
 *
 * Order: vfio_open() after all memory and pmem of the machine are there, and before the jail; it
 * maps guest memory for the devices, which pins all of it. Then vCPUs reach the functions through
 * the ranges of vm_add_range(). At run time nothing but reads and writes of the device's descriptor
 * and three ioctls are made.
 */
#pragma once

#include "runtime/microvm/devices/pci.h"
#include "runtime/microvm/plan.h"
#include "runtime/microvm/vmm/vm.h"

struct vfio_region {
	uint64_t offset; /* in the device's descriptor */
	uint64_t size;
	uint64_t trap_start,
		trap_end; /* what of a BAR is not mapped: the pages of the MSI-X table */
};

struct vfio_device {
	struct pci_function pci; /* first */
	struct vfio *vfio;
	const char *address; /* for messages: "0000:03:00.0" */
	int fd;
	struct vfio_region regions[PCI_BARS], config;
	uint32_t first_gsi; /* of vector 0 */
	int events[PCI_VECTORS_MAX];
	bool routed[PCI_VECTORS_MAX]; /* its event is connected to the guest */
};

struct vfio {
	struct vm *vm;
	struct vfio_device *devices;
	size_t count;
	pthread_mutex_t lock; /* of the routes */
	struct kvm_irq_routing *routes;
};

/* x86/vfio.c: only there is a root bus. Every device of PLAN, behind the machine's root bus, in
 * that order from device 1 on. FIRST_SLOT: of vm_map(), free from there on. HIGH: guest addresses
 * that are free from there on. */
int vfio_open(struct vfio *vfio, const struct plan_vfio *plan, struct vm *vm,
	unsigned int first_slot, uint64_t high, struct err *err);

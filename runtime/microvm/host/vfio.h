/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI devices of the host's for a machine: the groups of IOMMU that the configuration names as
 * /dev/vfio/N, with every device in them that vfio-pci has (Documentation/driver-api/vfio.rst of
 * the kernel). The host's administrator decides which those are, by giving a device that driver;
 * nothing is taken from a driver of the host's here.
 */
#pragma once

#include "runtime/microvm/host/vmplan.h"

enum { VFIO_DEVICES_MAX = 8 };

struct vfio_devices {
	int container; /* /dev/vfio/vfio, or −1 without any device */
	int groups[VFIO_DEVICES_MAX];
	size_t group_count;
	struct {
		char address[16];   /* "0000:03:00.0" */
		int group;          /* one of .groups; two devices may have the same */
		char modalias[128]; /* what its driver is found by (modules.alias) */
	} items[VFIO_DEVICES_MAX];
	size_t count;
};

/* Opens what PLAN names, end with vfio_devices_close(). −ENOTSUP without an IOMMU, −EBUSY when a
 * driver of the host's has a device of a group. The attendant, as root. */
int vfio_devices_open(const struct vm_plan *plan, struct vfio_devices *ret, struct err *err);
void vfio_devices_close(struct vfio_devices *devices);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables of a machine with virtio-mmio devices, and a root bus of PCI where there is one
 * (ACPI 6.5, PCI Firmware Specification 3.3): RSDP, XSDT, FADT with HW_REDUCED_ACPI, MADT, MCFG,
 * DSDT; with the device of the Virtual Machine Generation ID (Microsoft, 2012). Pure: one block of
 * bytes out, for the address where it will be.
 */
#pragma once

#include "base/buf.h"
#include "runtime/microvm/vmm/arch.h"

enum {
	ACPI_SLEEP_CONTROL = 0x600, /* I/O port: the guest writes SLP_EN and the state 5 here */
	ACPI_SLEEP_STATUS = 0x601,
	ACPI_SLEEP_OFF = 5 << 2 | 1 << 5,
};

struct acpi_machine {
	unsigned int vcpus;
	const struct arch_device *devices;
	unsigned int device_count;
	const struct arch_device *generation; /* NULL: no device that tells of a copy */
	const struct arch_pci *pci;           /* NULL or not present: no root bus */
};

/* Appends the tables to RET as they are to be at GPA (aligned to 16); the RSDP comes first. */
int acpi_write(const struct acpi_machine *machine, uint64_t gpa, struct buf *ret);

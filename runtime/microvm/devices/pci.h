/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI function as the guest sees it (PCI Express Base Specification, chapter 7): a type 0 header
 * whose base addresses are fixed, and MSI-X or MSI, which are ours; everything else is the device's
 * behind it, by an ops table. Firmware would do what pci_init() does, so a guest has nothing to
 * assign: a base address can be sized and not moved, which leaves the machine's memory map as it
 * was before the first instruction.
 *
 * Hidden from the guest: I/O ports, the expansion ROM, INTx, extended capabilities and whatever
 * capability is not named in pci.c.
 *
 * Any thread; calls take the function's lock, ops are called with it held. Nothing is allocated.
 */
#pragma once

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	PCI_BARS = 6,
	PCI_VECTORS_MAX = 64,
	PCI_HEADER_SIZE = 256,  /* what is not extended configuration space */
	PCI_CONFIG_SIZE = 4096, /* of one function in the bus's window */
	PCI_PAGE = 4096,
};

struct pci_bar {
	uint64_t gpa, size; /* bytes, a power of two; 0: there is none, or of I/O ports */
	bool wide;          /* of 64 bits, with the next one */
	bool prefetchable;
};

/* A message-signalled interrupt, as the guest programmed it. */
struct pci_vector {
	uint64_t address;
	uint32_t data;
	bool masked;
};

struct pci_function;

/* Errors of the device behind read as ones and drop writes, as on a bus. */
struct pci_ops {
	/* Its own configuration space, below PCI_HEADER_SIZE; LEN is 1, 2 or 4. */
	int (*config_read)(struct pci_function *f, uint32_t offset, void *ret, uint32_t len);
	int (*config_write)(
		struct pci_function *f, uint32_t offset, const void *data, uint32_t len);
	/* Its registers behind BAR, where they are not mapped into the guest. */
	int (*bar_read)(
		struct pci_function *f, unsigned int bar, uint64_t offset, void *ret, uint32_t len);
	int (*bar_write)(struct pci_function *f, unsigned int bar, uint64_t offset,
		const void *data, uint32_t len);
	/* From now on it may raise its first VECTORS interrupts; 0: none. */
	int (*enable)(struct pci_function *f, unsigned int vectors);
	/* VECTOR arrives in the guest as the message TO; NULL: it is kept until it is routed again.
	 */
	int (*route)(struct pci_function *f, unsigned int vector, const struct pci_vector *to);
};

struct pci_function {
	const struct pci_ops *ops;
	struct pci_bar bars[PCI_BARS];
	unsigned int vectors; /* 1 with MSI */
	/* Of the MSI-X table: which bar, and the bytes of it. vectors * 16 bytes of it are ours. */
	unsigned int table_bar;
	uint32_t table_offset;

	pthread_mutex_t lock;                      /* of what follows */
	uint8_t capabilities[PCI_HEADER_SIZE / 4]; /* the next one of that at 4 × index; 1: none */
	uint8_t first;                             /* capability */
	uint8_t msix, msi, express;                /* where that capability is, or 0 */
	bool msi_wide;
	bool sizing[PCI_BARS]; /* all ones were written to it */
	bool enabled, masked;  /* of all vectors */
	struct pci_vector table[PCI_VECTORS_MAX];
};

/*
 * Reads what the device is: header, capabilities, kinds of base addresses. F has .ops and sizes of
 * .bars set; the caller chooses .bars[].gpa afterwards, with each a multiple of its size.
 * −ENOTSUP for what cannot be passed on: bridges, and devices with neither MSI-X nor MSI.
 */
int pci_init(struct pci_function *f, struct err *err);

/* The guest's access to configuration space: OFFSET below PCI_CONFIG_SIZE, LEN 1, 2, 4 or 8. */
void pci_config_read(struct pci_function *f, uint32_t offset, void *ret, uint32_t len);
void pci_config_write(struct pci_function *f, uint32_t offset, const void *data, uint32_t len);

/* The guest's access to what of BAR is not mapped, at OFFSET of it. */
void pci_bar_read(
	struct pci_function *f, unsigned int bar, uint64_t offset, void *ret, uint32_t len);
void pci_bar_write(
	struct pci_function *f, unsigned int bar, uint64_t offset, const void *data, uint32_t len);

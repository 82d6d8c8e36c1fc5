/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every device of the VMM, one at a time, behind its registers and with a real host's side: files,
 * sockets, a tap, a file server in a thread. No KVM. For tests that do to each device what a guest
 * could.
 *
 * The guest's memory is two regions with pages around them that nobody may touch, so that a byte
 * beyond an end is a fault even where no sanitizer looks.
 */
#pragma once

#include "runtime/microvm/devices/balloon.h"
#include "runtime/microvm/devices/block.h"
#include "runtime/microvm/devices/console.h"
#include "runtime/microvm/devices/fs.h"
#include "runtime/microvm/devices/mmio.h"
#include "runtime/microvm/devices/net.h"
#include "runtime/microvm/devices/pmem.h"
#include "runtime/microvm/devices/rng.h"
#include "runtime/microvm/devices/vsock.h"
#include "runtime/microvm/fsd/session.h"

enum zoo_kind {
	ZOO_BLOCK,
	ZOO_NET,
	ZOO_VSOCK,
	ZOO_FS,
	ZOO_CONSOLE,
	ZOO_RNG,
	ZOO_BALLOON,
	ZOO_PMEM,
	ZOO_KINDS
};

enum {
	ZOO_LOW_SIZE = 0x40000,  /* region 0: 0 … */
	ZOO_HIGH_GPA = 0x100000, /* region 1 */
	ZOO_HIGH_SIZE = 0x10000,
	ZOO_RING_GPA = 0x1000, /* queue i: at RING_GPA + i × RING_STRIDE; used and avail behind */
	ZOO_RING_STRIDE = 0x3000,
	ZOO_DATA_GPA = 0x10000,
	ZOO_DISK_SIZE = 1 << 20,
	ZOO_PORT = 1024, /* of the host's, that the guest may connect to */
	ZOO_CID = 3,
};

struct zoo {
	enum zoo_kind kind;
	int memory_fd;
	uint8_t *area; /* with the guard pages */
	struct guest_memory memory;
	struct loop loop;
	struct mmio mmio;
	_Alignas(8) uint8_t page[MMIO_SIZE];
	struct device *device;
	bool shared;  /* several threads use the registers: one may change what another just read */
	int host;     /* the host's side: a socket, the console's input; or −1 */
	int host_out; /* what the console prints; or −1 */
	int listener; /* vsock: where the host connects; the device's */
	int file;     /* disk, pmem: another descriptor of it; or −1 */
	char path[64]; /* fs: the shared folder's parent */
	struct fsd fsd;
	struct session session;
	pthread_t server;
	union {
		struct block block;
		struct net net;
		struct vsock vsock;
		struct fs fs;
		struct console console;
		struct rng rng;
		struct balloon balloon;
		struct pmem pmem;
	};
};

extern const char *const zoo_names[ZOO_KINDS];

/* A fresh one. NULL when this host cannot have it: *RET_WHY says why. What else fails ends the
 * process. */
struct zoo *zoo_open(enum zoo_kind kind, const char **ret_why);
void zoo_close(struct zoo *zoo);

/* The guest's accesses. */
void zoo_write(struct zoo *zoo, uint32_t reg, uint32_t value);
uint32_t zoo_read(struct zoo *zoo, uint32_t reg);
/* What a guest sees there that reads without an exit. */
uint32_t zoo_shown(struct zoo *zoo, uint32_t reg);
/* One byte or more of guest memory; never NULL for a GPA that is there. */
void *zoo_at(struct zoo *zoo, uint64_t gpa);

/* The way of a good driver: features that are offered and in MASK; then queue by queue; then go. */
void zoo_negotiate(struct zoo *zoo, uint64_t mask);
void zoo_set_queue(struct zoo *zoo, unsigned int queue, uint32_t size);
void zoo_start(struct zoo *zoo, uint64_t mask, uint32_t size);

struct vring_desc *zoo_desc(struct zoo *zoo, unsigned int queue);
struct vring_avail *zoo_avail(struct zoo *zoo, unsigned int queue);
struct vring_used *zoo_used(struct zoo *zoo, unsigned int queue);

/* Posts the chain that begins at HEAD in a ring of SIZE entries. */
void zoo_post(struct zoo *zoo, unsigned int queue, uint16_t head, uint32_t size);
/* Kicks, and turns the loop until there is nothing to do. Returns the turns, at most MOST. */
int zoo_kick(struct zoo *zoo, unsigned int queue, int most);
int zoo_settle(struct zoo *zoo, int most);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime asks a running VMM, over SEQPACKET sockets: one request, one reply, in order.
 *
 * The plan names two. `control` is the attendant's: its end of file ends the machine, so no VMM
 * outlives its runtime. `controlListener` is where commands connect; what they may is decided by
 * the folder that its name is in.
 */
#pragma once

#include <stdint.h>

enum { CONTROL_CLIENTS_MAX = 16 };

/* The new files of CONTROL_SAVE, in order: state, memory. */
enum { CONTROL_FILES = 2 };

enum control_op {
	CONTROL_STATS = 1, /* fills .stats of the reply */
	CONTROL_PAUSE,     /* no vCPU runs when the reply comes */
	CONTROL_RESUME,
	CONTROL_STOP,    /* ends the machine at once, like pulling the plug */
	CONTROL_BALLOON, /* .value: MiB that the guest shall give back */
	CONTROL_STATUS,  /* nothing but the reply's .paused */
	CONTROL_SAVE,    /* a paused machine; with CONTROL_FILES descriptors */
	CONTROL_WAKE,    /* until this connection ends the vCPUs run, paused or not */
};

struct control_request {
	uint32_t op, reserved;
	uint64_t value;
};

struct control_stats {
	uint64_t exits;         /* of all vCPUs, to this process */
	uint64_t exits_io;      /* of those: ports (the serial console, sleep registers) */
	uint64_t exits_mmio;    /* of those: device registers */
	uint64_t exits_all;     /* with those that KVM handled itself; 0 where KVM does not count */
	uint64_t balloon_pages; /* of 4 KiB, that the guest's balloon holds */
	uint64_t given_back;    /* bytes that went back to the host, ever */
	/* What the guest last said of its memory, in bytes; UINT64_MAX: never. Asking has it say
	 * so again. */
	uint64_t memory_total, memory_free, memory_available;
};

struct control_reply {
	int32_t result;  /* 0 or a negative errno */
	uint32_t paused; /* whether a CONTROL_PAUSE is in force */
	struct control_stats stats;
};

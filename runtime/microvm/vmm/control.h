/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime asks a running VMM, over the SEQPACKET socket that the plan names: one request,
 * one reply, in order. The socket's end of file ends the machine, so no VMM outlives its runtime's
 * monitor.
 */
#pragma once

#include <stdint.h>

enum control_op {
	CONTROL_STATS = 1, /* fills .stats of the reply */
	CONTROL_PAUSE,     /* no vCPU runs when the reply comes */
	CONTROL_RESUME,
	CONTROL_STOP,    /* ends the machine at once, like pulling the plug */
	CONTROL_BALLOON, /* .value: MiB that the guest shall give back */
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
	int32_t result; /* 0 or a negative errno */
	uint32_t reserved;
	struct control_stats stats;
};

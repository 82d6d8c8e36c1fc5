/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host and the guest agent say to each other over vsock.
 *
 * When it is up, the agent dials PROTO_READY_PORT of the host, says READY and keeps that
 * connection. When it ends the agent dials once more: a restored machine has another host, which
 * waits for READY; where nobody answers is the end of the VM's use. Everything else are connections
 * of the host's to PROTO_PORT of the guest, which begin with a struct proto_hello:
 *
 *   a session   carries frames both ways: a struct proto_frame, then .len bytes. The host asks, and
 *               gets one DONE or FAILED for each, and asks nothing else meanwhile but what has
 *               no answer. EXITED comes of its own accord,
 *               on the session that started the process.
 *   a stream    of a process, raw bytes: the kernel's flow control is all there is. It is there
 *               before the request that starts the process.
 *
 * Each process of the host that stands for one in the guest has a session of its own, and its pid
 * is the id of the other. A process of EXEC or RUN is killed when its session is closed before it
 * has ended; a restored machine, whose connections are all reset, keeps them.
 *
 * Both ends are of one build; .version in READY lets the host refuse another one. Numbers are
 * little-endian. The host treats everything from the guest as hostile: lengths are bounded, texts
 * are cleaned, nothing is allocated by its word.
 */
#pragma once

#include <stdint.h>

#define GUEST_FILES "/brig/fs"   /* where the guest has what the host shares */
#define GUEST_TAG   "brig"       /* of that file system */
#define GUEST_ROOT  "/brig/root" /* a container's root that is made of layers */

/* The serial number of the disk with layer N, 0 being the topmost. */
#define PROTO_LAYER_SERIAL "layer-%u"

enum {
	PROTO_VERSION = 4,
	PROTO_READY_PORT = 1,
	PROTO_PORT = 2,
	PROTO_REQUEST_MAX = 1 << 20,
	PROTO_REPLY_MAX = 32768,
	PROTO_PROCESSES_MAX = 64, /* at a time */
	PROTO_LAYERS_MAX = 8,
};

enum proto_type {
	/* from the guest */
	PROTO_READY = 1, /* struct proto_ready; not on a session */
	PROTO_DONE,      /* what the request says */
	PROTO_FAILED,    /* struct proto_failed */
	PROTO_EXITED,    /* struct proto_exited */

	/* from the host */
	PROTO_CREATE =
		64,      /* struct proto_start, a struct proto_setup, config.json. DONE: nothing */
	PROTO_START,     /* nothing: the container goes on. DONE: nothing */
	PROTO_EXEC,      /* struct proto_start, the process as JSON. DONE: nothing */
	PROTO_RUN,       /* the same, outside of every container */
	PROTO_SIGNAL,    /* struct proto_signal; DONE only for PROTO_SIGNAL_ALL */
	PROTO_RESIZE,    /* struct proto_resize; no answer */
	PROTO_UPDATE,    /* resources as JSON. DONE: nothing */
	PROTO_STATS,     /* nothing. DONE: struct proto_stats */
	PROTO_PROCESSES, /* nothing. DONE: a struct proto_process for each */
	PROTO_ADOPT,     /* struct proto_start, a struct proto_setup: the container's first process,
			  * of a restored machine, is now this one. DONE: nothing */
	PROTO_FREEZE,    /* nothing: the container's processes stop. DONE: nothing */
	PROTO_THAW,      /* nothing: they go on. DONE: nothing */
	PROTO_MOUNTS_ADD,    /* mounts as JSON, all or none. DONE: nothing */
	PROTO_MOUNTS_REMOVE, /* the path of one. DONE: nothing */
	PROTO_FORGET,        /* a name in GUEST_FILES that the host has taken away. DONE: nothing */
	PROTO_POWER_OFF,     /* nothing; all file systems are synced first */
};

struct proto_frame {
	uint32_t type, len;
};

struct proto_ready {
	uint32_t version;
	uint32_t modules; /* kernel modules that were loaded */
	uint64_t boot_ns; /* since the guest's kernel began to count */
};

enum {
	PROTO_STDIN = 1,
	PROTO_STDOUT = 2,
	PROTO_STDERR = 4,
	PROTO_TERMINAL = 8,
	PROTO_STREAMS = 4,
	PROTO_SESSION = 0, /* in a hello: not a stream */
};

struct proto_hello {
	uint32_t what; /* PROTO_SESSION, or one of PROTO_STDIN …; TERMINAL is both ways */
	uint32_t id;   /* of a stream: the process's */
};

struct proto_start {
	uint32_t id;            /* the host's choice, not in use, not 0 */
	uint32_t streams;       /* PROTO_STDIN …, or PROTO_TERMINAL alone; else /dev/null */
	uint16_t rows, columns; /* of the terminal */
	uint32_t reserved;
	char cgroup[128]; /* EXEC: below the container's own; "": itself */
};

/* How the guest is set up before its container. The interfaces are found by their MACs. */
enum { PROTO_NETS_MAX = 8, PROTO_ADDRESSES_MAX = 16, PROTO_ROUTES_MAX = 32 };

struct proto_setup {
	char id[256];      /* the container's, NUL-terminated */
	char hostname[65]; /* of the guest, for a container without a name of its own; or "" */
	char reserved_text[7];
	int64_t clock_ns; /* the host's CLOCK_REALTIME */
	uint8_t seed[32]; /* of random numbers: nobody else's */
	uint32_t net_count;
	uint32_t address_count, route_count;
	uint32_t layer_count; /* not 0: the root is made of them */
	struct proto_net {
		uint8_t hardware[6]; /* the device's address, which tells it from the others */
		uint8_t mac[6];      /* what it shall be */
		uint16_t mtu, reserved;
		char name[16];
	} nets[PROTO_NETS_MAX];
	struct proto_address {
		uint8_t net, family, prefix, reserved;
		uint32_t flags;
		uint8_t address[16];
	} addresses[PROTO_ADDRESSES_MAX];
	struct proto_route {
		uint8_t net, family, prefix, scope; /* prefix 0: the default route */
		uint32_t metric;
		uint8_t protocol, has_gateway, has_source, onlink;
		uint8_t destination[16], gateway[16], source[16];
	} routes[PROTO_ROUTES_MAX];
};

struct proto_failed {
	int32_t error;  /* a negative errno */
	char text[508]; /* the sentence, NUL-terminated */
};

struct proto_exited {
	uint32_t id;
	int32_t status; /* as wait(2) says it */
	/* Bytes of stdout, stderr and terminal that the process, and those before it, had written:
	 * what the host must have passed on before the process may be known to have ended. */
	uint64_t written[3];
	uint64_t oom_kills; /* of the guest's kernel, until now */
};

enum { PROTO_SIGNAL_ALL = 0 };

struct proto_signal {
	uint32_t id; /* or PROTO_SIGNAL_ALL: to every process of the container */
	int32_t signal;
};

struct proto_resize {
	uint32_t id;
	uint16_t rows, columns;
};

struct proto_stats {
	uint64_t cpu_usage, cpu_user, cpu_system; /* microseconds */
	uint64_t pids, pids_limit;
	uint64_t memory_usage, memory_peak, memory_limit, memory_swap, swap_limit;
	uint64_t memory_file, memory_anon, memory_kernel, memory_sock, memory_inactive_file;
	uint64_t oom, oom_kill, events_max;
};

struct proto_process {
	uint32_t id;        /* of the process of the host that stands for it; 0: none does */
	uint32_t pid, ppid; /* in the guest */
	uint32_t uid;
	char command[112]; /* NUL-terminated */
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host and the guest agent say to each other over vsock.
 *
 * The agent dials PROTO_CONTROL_PORT of the host and says READY; from then on this one connection
 * carries frames both ways: a struct proto_frame, then .len bytes. The streams of a process are
 * connections of their own, so that the kernel's flow control is all there is: the host dials
 * PROTO_STREAM_PORT of the guest and first sends a struct proto_stream; what follows is raw bytes.
 * A process starts once its START and all the streams that START names are there.
 *
 * Both ends are of one build; .version in READY lets the host refuse another one. Numbers are
 * little-endian. The host treats everything from the guest as hostile: lengths are bounded by
 * PROTO_PAYLOAD_MAX, ids that it did not give out are errors.
 */
#pragma once

#include <stdint.h>

enum {
	PROTO_VERSION = 1,
	PROTO_CONTROL_PORT = 1,
	PROTO_STREAM_PORT = 2,
	PROTO_PAYLOAD_MAX = 1 << 20,
	PROTO_PROCESSES_MAX = 64, /* at a time */
	PROTO_STRINGS_MAX = 4096, /* arguments and variables of a process */
};

enum proto_type {
	/* from the guest */
	PROTO_READY = 1, /* struct proto_ready */
	PROTO_STARTED,   /* struct proto_started */
	PROTO_EXITED,    /* struct proto_exited */
	PROTO_FAILED,    /* struct proto_failed, instead of STARTED */

	/* from the host */
	PROTO_START = 64, /* struct proto_start, then its strings, each with its NUL */
	PROTO_SIGNAL,     /* struct proto_signal */
	PROTO_RESIZE,     /* struct proto_resize */
	PROTO_POWER_OFF,  /* nothing; all file systems are synced first */
};

struct proto_frame {
	uint32_t type, len;
};

struct proto_ready {
	uint32_t version;
	uint32_t modules; /* kernel modules that were loaded */
	uint64_t boot_ns; /* since the guest's kernel began to count */
};

enum { PROTO_STDIN = 1, PROTO_STDOUT = 2, PROTO_STDERR = 4, PROTO_TERMINAL = 8 };

/* The first bytes on a connection to PROTO_STREAM_PORT. */
struct proto_stream {
	uint32_t id;   /* the process's */
	uint32_t what; /* one of PROTO_STDIN …; TERMINAL is both ways */
};

struct proto_start {
	uint32_t id;      /* the host's choice, not in use */
	uint32_t streams; /* PROTO_STDIN …, or PROTO_TERMINAL alone; what is not named is /dev/null
			   */
	uint32_t uid, gid;
	uint16_t rows, columns; /* of the terminal */
	uint32_t arguments, variables;
	/* strings: the working directory, arguments, variables ("NAME=value") */
};

struct proto_started {
	uint32_t id;
	int32_t pid; /* in the guest */
};

struct proto_exited {
	uint32_t id;
	int32_t status; /* as wait(2) says it */
};

struct proto_failed {
	uint32_t id;
	int32_t error; /* a negative errno */
	char step[32]; /* which call failed, NUL-terminated */
};

struct proto_signal {
	uint32_t id;
	int32_t signal;
};

struct proto_resize {
	uint32_t id;
	uint16_t rows, columns;
};

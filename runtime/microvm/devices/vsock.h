/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock (virtio 1.2, section 5.10): stream sockets between the guest and unix sockets of
 * the host.
 *
 * Nothing is looked up by path, so that the VMM needs no file system:
 *  - The guest connects to (CID 2, port): ports are a fixed table, each with one connected stream
 *    socket that was passed in; a second connection to it is refused.
 *  - The host connects to the listener that was passed in and first sends the guest's port as a
 *    struct vsock_hello; what follows is the stream. A port where nobody listens closes it.
 *  - With its hello the host may pass the writing end of a pipe, which then gets what the guest
 *    sends, straight from guest memory: one copy, and no other process between the guest and who
 *    reads. On the socket the host then asks how far that is (struct vsock_mark).
 *
 * Each connection has a fixed buffer for what the host's side does not take yet, of the size that
 * is advertised as credit, so a slow reader on the host stops its own sender only. Data for the
 * guest is read straight into the guest's buffers. A guest that sends beyond its credit loses the
 * connection. What it was allowed to send reaches the host even when the guest resets the
 * connection afterwards: Linux does that to one that it closed when our RST is not there after
 * eight seconds, and ours waits for the reader.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/device.h"
#include "runtime/microvm/devices/loop.h"

#include <linux/virtio_vsock.h>

enum {
	VSOCK_CONNECTIONS_MAX = 128,
	VSOCK_DESCRIPTORS_MAX = 2 * VSOCK_CONNECTIONS_MAX,
	VSOCK_PORTS_MAX = 4,
	/* Bytes of credit: the first connections have sixteen of the guest's packets, so that it
	 * goes on while what it sent is passed on; the others share what is left of 32 MiB. */
	VSOCK_BUFFER = 1 << 20,
	VSOCK_BUFFER_SMALL = 128 << 10,
	VSOCK_LARGE = 16, /* connections that have VSOCK_BUFFER */
	VSOCK_BUFFERS = VSOCK_LARGE * VSOCK_BUFFER +
			(VSOCK_CONNECTIONS_MAX - VSOCK_LARGE) * VSOCK_BUFFER_SMALL,
	VSOCK_RESETS_MAX = 64,
	VSOCK_FIRST_HOST_PORT = 1 << 30,
};

/* The first bytes on a connection to the listener. A pipe comes with them, by SCM_RIGHTS: an open
 * file description of its own, O_WRONLY and O_NONBLOCK. Anything else ends the connection. */
struct vsock_hello {
	uint32_t port;
	uint32_t head; /* with a pipe: bytes for the guest that follow. Then come marks */
};

/*
 * On the socket of a connection with a pipe. From the host: tell me when so many bytes are in the
 * pipe; or, with VSOCK_MARK_LEAVE, that the connection goes on when the socket is closed, which
 * else ends it. To the host: the mark that was asked for last, once. The end of the socket: no more
 * will come, and all that came is in the pipe or has no reader.
 */
struct vsock_mark {
	uint64_t bytes;
};

#define VSOCK_MARK_LEAVE UINT64_MAX

struct vsock_port {
	uint32_t port;
	int fd; /* a connected stream socket; −1 once it is used */
};

enum vsock_phase {
	VSOCK_FREE,
	VSOCK_HELLO,     /* the host connected; its hello is awaited */
	VSOCK_DRAINING,  /* the guest has forgotten it; what it sent is on its way to the host */
	VSOCK_CALLING,   /* REQUEST went to the guest, or will */
	VSOCK_CONNECTED, /* both directions, but for what .guest_shut and .host_shut say */
};

struct vsock;

struct vsock_connection {
	struct loop_source source; /* .fd: the host's side */
	struct loop_source pipe;   /* .fd: where the guest's bytes go instead, or −1 */
	struct vsock *vsock;
	uint8_t *buffer;        /* a ring for what the host does not take yet */
	uint32_t size;          /* of it */
	enum vsock_phase phase; /* from here on: all zero while it is free */
	uint32_t guest_port, host_port;
	uint32_t guest_credit; /* the guest's buf_alloc */
	uint32_t guest_taken;  /* the guest's fwd_cnt */
	uint32_t sent;         /* bytes that went to the guest */
	uint32_t taken;        /* our fwd_cnt: bytes that went to the host */
	uint32_t told;         /* the last fwd_cnt that the guest heard of */
	uint32_t guest_shut;   /* VIRTIO_VSOCK_SHUTDOWN_… that the guest sent */
	uint32_t owes;         /* bits 1 << VIRTIO_VSOCK_OP_…: packets that the guest must get */
	bool readable;         /* the host's side may have data */
	bool host_shut;        /* the host's side has ended */
	bool host_told;        /* it knows that the guest has */
	bool buffered;         /* the buffer was used, and is memory */
	uint32_t start, len;   /* what is in the buffer */
	/* Of one that began with a pipe: */
	bool piped;            /* true, also when that is closed */
	bool left;             /* it needs no host any more */
	bool marked;           /* .mark is waited for */
	uint32_t head;         /* bytes that are still to be read for the guest */
	uint64_t mark, passed; /* bytes into the pipe */
};

struct vsock {
	struct device device;
	struct virtio_vsock_config config;
	struct loop *loop;
	struct loop_source listener;
	struct vsock_port ports[VSOCK_PORTS_MAX];
	size_t port_count;
	uint32_t next_host_port;
	unsigned int turn; /* the connection that is served first next time */
	struct vsock_connection connections[VSOCK_CONNECTIONS_MAX];
	struct virtio_vsock_hdr resets[VSOCK_RESETS_MAX]; /* answers to packets of no connection */
	unsigned int reset_count;
	uint8_t *buffers;
	/* After a restore: the guest has yet to hear that all connections are gone, and what it
	 * sent before is from this CID. */
	bool owes_reset;
	uint32_t former_cid;
};

struct vsock_options {
	uint32_t cid;                   /* the guest's, 3 or more */
	int listener;                   /* a listening unix stream socket, or −1 */
	const struct vsock_port *ports; /* the descriptors are taken over */
	size_t port_count;
};

/* Takes 30 MiB of address space, of which only what connections use becomes memory, until they
 * end. */
int vsock_open(struct vsock *vsock, const struct vsock_options *options,
	const struct guest_memory *memory, struct loop *loop, struct err *err);
void vsock_close(struct vsock *vsock);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of the guest agent's protocol (proto.h).
 *
 * Everything that comes from the guest is checked here: types, lengths, texts. A connection never
 * waits for the rest of a message: link_read() takes what is there, link_next() gives whole
 * messages.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/proto.h"

#include <stdbool.h>
#include <stddef.h>

/* A session, or the connection of READY. */
struct link {
	int fd; /* a connected stream, −1: none */
	size_t len;
	size_t taken; /* at the start of .buffer, by the message that was given out last */
	uint8_t buffer[sizeof(struct proto_frame) + PROTO_REPLY_MAX];
};

/* One message; .data points into the link until the next call. */
struct link_message {
	enum proto_type type;
	union {
		struct proto_ready ready;
		struct proto_exited exited;
		struct proto_failed failed; /* .text is terminated and printable, .error negative */
	};
	const uint8_t *data; /* of DONE */
	size_t len;
};

/* Connects to the VMM's listening socket NAME in the directory DIRFD. */
int link_connect(int dirfd, const char *name, struct err *err);
/* Says which port of the guest it is for, and WHAT and ID as in struct proto_hello. Not before
 * READY. Whether the guest takes it shows later. PIPE, or −1, is where the VMM writes what the
 * guest sends (vsock.h); FD then only carries marks. */
int link_greet(int fd, uint32_t what, uint32_t id, int pipe, struct err *err);
void link_close(struct link *link);

/* Sends a request whose payload is the COUNT pieces of PARTS in turn. */
struct iovec;
int link_send(const struct link *link, enum proto_type type, const struct iovec *parts,
	size_t count, struct err *err);
int link_send_signal(const struct link *link, uint32_t id, int signal, struct err *err);
int link_send_resize(
	const struct link *link, uint32_t id, uint16_t rows, uint16_t columns, struct err *err);

/* Reads what is there, or waits for some bytes. −EPIPE: the guest has ended the connection. */
int link_read(struct link *link);
/* 1 with the next message, 0 when it is not whole yet, −EPROTO for what makes no sense. */
int link_next(struct link *link, struct link_message *ret);
/* Waits for the next message, at most TIMEOUT_MS for each part of it (−1: for ever). */
int link_wait(struct link *link, int timeout_ms, struct link_message *ret, struct err *err);
/* The same for the answer to a request: FAILED becomes ERR. */
int link_answer(struct link *link, struct link_message *ret, struct err *err);
/* Waits for READY of an agent of our version. */
int link_wait_ready(struct link *link, int timeout_ms, struct proto_ready *ret, struct err *err);
/* What FAILED says, as an error. */
int link_failure(const struct proto_failed *failed, struct err *err);

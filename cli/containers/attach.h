/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a command talks to the monitor of a container: messages over a SOCK_SEQPACKET socket, each a
 * letter and what belongs to it. The command that starts a container in the foreground gets its end
 * before the container runs, so that nothing is lost; `attach` connects to attach.sock.
 *
 *	to the monitor    ATTACH_INPUT bytes · ATTACH_EOF · ATTACH_SIZE struct attach_size
 *	from the monitor  ATTACH_STDOUT bytes · ATTACH_STDERR bytes · ATTACH_EXIT struct attach_exit
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	ATTACH_INPUT = 'i',
	ATTACH_EOF = 'e',
	ATTACH_SIZE = 'w',
	ATTACH_STDOUT = '1',
	ATTACH_STDERR = '2',
	ATTACH_EXIT = 'x',
	ATTACH_DATA_MAX = 16 << 10,
};

struct attach_size {
	uint16_t rows, columns;
};

enum { ATTACH_REASON_MAX = 256 };

struct attach_exit {
	int32_t code;
	char reason[ATTACH_REASON_MAX]; /* when it was not the container that ended, else "" */
};

/* Sends one message. −EAGAIN when the other side has to read first (a non-blocking socket). */
int attach_send(int sock, char type, const void *data, size_t len);
/* Receives one into DATA of ATTACH_DATA_MAX bytes: its length without the letter, −EPIPE at the
 * end. */
ssize_t attach_recv(int sock, char *ret_type, void *data);

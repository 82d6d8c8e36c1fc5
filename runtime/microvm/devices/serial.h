/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A for debugging: what the guest's kernel prints, to a descriptor, from its first line on.
 * It sends only; the bytes are collected to lines, so that a line costs one system call. The last
 * of them are kept, for who wants to know afterwards why the guest's kernel gave up.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SERIAL_REGISTERS = 8,
	SERIAL_LINE = 256,
	SERIAL_KEPT = 16384, /* a panic with an oops before it, each with its registers and stack */
	SERIAL_WORDS = 400,
};

/* For snapshots: plain data. */
struct serial_state {
	uint8_t interrupt_enable, line_control, modem_control, scratch;
	uint8_t divisor[2];
	uint8_t fifo;         /* FIFOs are enabled */
	uint8_t send_pending; /* the interrupt "ready to send" has not been seen yet */
};

struct serial {
	int out; /* −1: nowhere */
	int irq; /* eventfd, or −1 */
	pthread_mutex_t lock;
	struct serial_state state;
	uint32_t len;
	char line[SERIAL_LINE];
	uint64_t count; /* bytes that were sent, of which the last are in .kept */
	char kept[SERIAL_KEPT];
};

/* Both descriptors stay the caller's. */
void serial_init(struct serial *serial, int out, int irq);
/* REGISTER below SERIAL_REGISTERS. Any thread. */
uint8_t serial_read(struct serial *serial, unsigned int reg);
void serial_write(struct serial *serial, unsigned int reg, uint8_t value);
/* Writes out what is left of a line. */
void serial_flush(struct serial *serial);
/*
 * The guest's last words as one line of printable ASCII: of what is kept the lines that tell why a
 * kernel panicked, else the last ones; without their time, "; " between them, and \xNN for any
 * other byte. Empty when nothing was said.
 */
void serial_words(struct serial *serial, char ret[SERIAL_WORDS]);

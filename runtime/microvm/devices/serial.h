/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A for debugging: what the guest's kernel prints, to a descriptor, from its first line on.
 * It sends only; the bytes are collected to lines, so that a line costs one system call.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

enum { SERIAL_REGISTERS = 8, SERIAL_LINE = 256 };

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
};

/* Both descriptors stay the caller's. */
void serial_init(struct serial *serial, int out, int irq);
/* REGISTER below SERIAL_REGISTERS. Any thread. */
uint8_t serial_read(struct serial *serial, unsigned int reg);
void serial_write(struct serial *serial, unsigned int reg, uint8_t value);
/* Writes out what is left of a line. */
void serial_flush(struct serial *serial);

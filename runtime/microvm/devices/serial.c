/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/serial.h"

#include "base/fd.h"
#include "runtime/microvm/devices/loop.h"

#include <linux/serial_reg.h>

enum { ALWAYS_READY = UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS };

void serial_init(struct serial *serial, int out, int irq)
{
	*serial = (struct serial){.out = out, .irq = irq};
	pthread_mutex_init(&serial->lock, NULL);
}

/* #syscalls:io,vcpu write */
static void line_out(struct serial *serial)
{
	if (serial->out >= 0 && serial->len)
		(void)!fd_write_all(serial->out, serial->line, serial->len);
	serial->len = 0;
}

static void put(struct serial *serial, uint8_t byte)
{
	serial->line[serial->len++] = (char)byte;
	if (byte == '\n' || serial->len == SERIAL_LINE)
		line_out(serial);
}

/* It is ready to send again at once, and says so when somebody listens. */
static void ready_to_send(struct serial *serial)
{
	if (!(serial->state.interrupt_enable & UART_IER_THRI))
		return;
	serial->state.send_pending = 1;
	if (serial->irq >= 0)
		event_signal(serial->irq);
}

static uint8_t interrupt_identity(struct serial_state *s)
{
	uint8_t fifo = s->fifo ? 0xc0 : 0;

	if (!s->send_pending)
		return fifo | UART_IIR_NO_INT;
	s->send_pending = 0;
	return fifo | UART_IIR_THRI;
}

/* In loop-back the modem's lines come back, which is how drivers find the chip. */
static uint8_t modem_status(const struct serial_state *s)
{
	uint8_t m = s->modem_control;

	if (!(m & UART_MCR_LOOP))
		return ALWAYS_READY;
	return (uint8_t)((m & UART_MCR_RTS ? UART_MSR_CTS : 0) |
			 (m & UART_MCR_DTR ? UART_MSR_DSR : 0) |
			 (m & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
			 (m & UART_MCR_OUT2 ? UART_MSR_DCD : 0));
}

static uint8_t read_register(struct serial_state *s, unsigned int reg)
{
	if (s->line_control & UART_LCR_DLAB && reg <= UART_DLM)
		return s->divisor[reg];
	switch (reg) {
	case UART_IER:
		return s->interrupt_enable;
	case UART_IIR:
		return interrupt_identity(s);
	case UART_LCR:
		return s->line_control;
	case UART_MCR:
		return s->modem_control;
	case UART_LSR:
		return UART_LSR_TEMT | UART_LSR_THRE;
	case UART_MSR:
		return modem_status(s);
	case UART_SCR:
		return s->scratch;
	default:
		return 0; /* nothing was received */
	}
}

static void write_register(struct serial *serial, unsigned int reg, uint8_t value)
{
	struct serial_state *s = &serial->state;

	if (s->line_control & UART_LCR_DLAB && reg <= UART_DLM) {
		s->divisor[reg] = value;
		return;
	}
	switch (reg) {
	case UART_TX:
		if (!(s->modem_control & UART_MCR_LOOP))
			put(serial, value);
		ready_to_send(serial);
		break;
	case UART_IER:
		s->interrupt_enable = value & 0x0f;
		ready_to_send(serial);
		break;
	case UART_FCR:
		s->fifo = value & UART_FCR_ENABLE_FIFO;
		break;
	case UART_LCR:
		s->line_control = value;
		break;
	case UART_MCR:
		s->modem_control = value & 0x1f;
		break;
	case UART_SCR:
		s->scratch = value;
		break;
	}
}

uint8_t serial_read(struct serial *serial, unsigned int reg)
{
	uint8_t value;

	pthread_mutex_lock(&serial->lock);
	value = read_register(&serial->state, reg);
	pthread_mutex_unlock(&serial->lock);
	return value;
}

void serial_write(struct serial *serial, unsigned int reg, uint8_t value)
{
	pthread_mutex_lock(&serial->lock);
	write_register(serial, reg, value);
	pthread_mutex_unlock(&serial->lock);
}

void serial_flush(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	line_out(serial);
	pthread_mutex_unlock(&serial->lock);
}

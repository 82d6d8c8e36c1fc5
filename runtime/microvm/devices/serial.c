/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/serial.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "runtime/microvm/devices/loop.h"

#include <ctype.h>
#include <linux/serial_reg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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
	serial->kept[serial->count++ % SERIAL_KEPT] = (char)byte;
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

/* --- last words --- */

/* A piece of what was sent, which is anything. */
struct words {
	const char *at;
	size_t len;
};

static bool has(const struct words *line, const char *word)
{
	return memmem(line->at, line->len, word, strlen(word));
}

/* What Linux says of why it gives up, in the order in which it says so. */
static bool tells_why(const struct words *line)
{
	static const char *const why[] = {"BUG:", "kernel BUG at", "Oops:", "general protection",
		"double fault", "Comm: ", "RIP: 0010:", "Kernel panic", "brig-guest: "};

	for (size_t i = 0; i < ARRAY_LEN(why); i++)
		if (has(line, why[i]))
			return true;
	return false;
}

/* "[   12.345678] text" is "text". */
static void drop_time(struct words *line)
{
	size_t i = 1;

	while (i < line->len &&
		(isdigit((unsigned char)line->at[i]) || line->at[i] == ' ' || line->at[i] == '.'))
		i++;
	if (!line->len || line->at[0] != '[' || i + 1 >= line->len || line->at[i] != ']' ||
		line->at[i + 1] != ' ')
		return;
	line->at += i + 2;
	line->len -= i + 2;
}

/* The line that begins at *FROM, whose end that then is; false at the end of TEXT. */
static bool next_line(const struct words *text, size_t *from, struct words *ret)
{
	const char *at = text->at + *from, *end;

	if (*from >= text->len)
		return false;
	end = memchr(at, '\n', text->len - *from);
	ret->at = at;
	ret->len = end ? (size_t)(end - at) : text->len - *from;
	*from += ret->len + 1;
	while (ret->len && ret->at[ret->len - 1] == '\r')
		ret->len--;
	drop_time(ret);
	return true;
}

static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7f && c != '\\';
}

/* As many bytes as fit; returns how long it is by then. */
static size_t add_words(char *ret, size_t used, const struct words *line)
{
	if (line->len && used && used + 2 < SERIAL_WORDS)
		used += (size_t)sprintf(ret + used, "; ");
	for (size_t i = 0; i < line->len; i++) {
		bool plain = is_plain(line->at[i]);

		if (used + (plain ? 1 : 4) >= SERIAL_WORDS)
			break;
		if (plain)
			ret[used++] = line->at[i];
		else
			used += (size_t)sprintf(ret + used, "\\x%02x", (uint8_t)line->at[i]);
	}
	ret[used] = '\0';
	return used;
}

/* Where the last lines begin that fit together. */
static size_t last_lines(const struct words *text)
{
	size_t begin = text->len, room = SERIAL_WORDS;

	while (begin > 0) {
		const char *end = memrchr(text->at, '\n', begin - 1);
		size_t at = end ? (size_t)(end + 1 - text->at) : 0;
		size_t needed = 2; /* "; " */

		for (size_t i = at; i < begin - 1; i++)
			needed += is_plain(text->at[i]) ? 1 : 4;
		if (needed > room)
			return begin < text->len ? begin : at;
		room -= needed;
		begin = at;
	}
	return begin;
}

void serial_words(struct serial *serial, char ret[SERIAL_WORDS])
{
	char kept[SERIAL_KEPT];
	struct words text = {.at = kept}, line;
	size_t used = 0, from = 0;

	pthread_mutex_lock(&serial->lock);
	text.len = serial->count < SERIAL_KEPT ? (size_t)serial->count : SERIAL_KEPT;
	for (size_t i = 0; i < text.len; i++)
		kept[i] = serial->kept[(serial->count - text.len + i) % SERIAL_KEPT];
	pthread_mutex_unlock(&serial->lock);
	ret[0] = '\0';
	while (next_line(&text, &from, &line))
		if (tells_why(&line))
			used = add_words(ret, used, &line);
	if (used)
		return;
	from = last_lines(&text);
	while (next_line(&text, &from, &line))
		used = add_words(ret, used, &line);
}

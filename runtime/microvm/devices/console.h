/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console with one port (virtio 1.2, section 5.3): hvc0 of the guest, for logs and rescue.
 * A container's own terminal is a vsock stream, not this.
 */
#pragma once

#include "base/err.h"
#include "runtime/microvm/devices/device.h"
#include "runtime/microvm/devices/loop.h"

struct console_end {
	struct loop_source source; /* .fd −1: nothing there */
	struct console *console;
};

struct console {
	struct device device;
	struct loop *loop;
	struct console_end in, out;
	uint32_t sent; /* bytes of the chain at the head of the queue that are out already */
};

/* IN and OUT are taken over and become non-blocking; −1 for none. */
int console_device_open(struct console *console, int in, int out, const struct guest_memory *memory,
	struct loop *loop, struct err *err);
void console_close(struct console *console);

/* SPDX-License-Identifier: Apache-2.0 */
/* The few I/O ports of the PC that a guest without legacy hardware still uses: the serial debug
 * port, the keyboard controller's reset line, and ACPI's sleep registers. */
#include "runtime/microvm/vmm/arch.h"
#include "runtime/microvm/vmm/x86/acpi.h"

#include <string.h>

enum {
	COM1 = 0x3f8,
	KEYBOARD_COMMAND = 0x64,
	KEYBOARD_RESET = 0xfe,
};

static uint8_t port_in(uint16_t port, struct serial *serial)
{
	if (port >= COM1 && port < COM1 + SERIAL_REGISTERS)
		return serial_read(serial, port - COM1);
	if (port == KEYBOARD_COMMAND || port == ACPI_SLEEP_STATUS)
		return 0; /* the controller is ready; not waking up */
	return 0xff;
}

static enum arch_event port_out(uint16_t port, uint8_t value, struct serial *serial)
{
	if (port >= COM1 && port < COM1 + SERIAL_REGISTERS)
		serial_write(serial, port - COM1, value);
	else if (port == KEYBOARD_COMMAND && value == KEYBOARD_RESET)
		return ARCH_RESET;
	else if (port == ACPI_SLEEP_CONTROL && value == ACPI_SLEEP_OFF)
		return ARCH_POWER_OFF;
	return ARCH_CONTINUE;
}

enum arch_event arch_exit(struct kvm_run *run, struct serial *serial)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	size_t total = (size_t)run->io.size * run->io.count;
	enum arch_event event = ARCH_CONTINUE;

	if (run->exit_reason != KVM_EXIT_IO)
		return ARCH_UNKNOWN;
	if (run->io.direction == KVM_EXIT_IO_IN) {
		memset(data, 0xff, total);
		for (uint32_t i = 0; i < run->io.count; i++)
			data[i * run->io.size] = port_in(run->io.port, serial);
		return ARCH_CONTINUE;
	}
	for (uint32_t i = 0; i < run->io.count && event == ARCH_CONTINUE; i++)
		event = port_out(run->io.port, data[i * run->io.size], serial);
	return event;
}

bool arch_mmio(struct kvm_run *run, struct serial *serial)
{
	(void)run;
	(void)serial;
	return false; /* all of the PC is ports */
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port is memory here; power off and reset come as KVM's system events. */
#include "runtime/microvm/vmm/aarch64/aarch64.h"
#include "runtime/microvm/vmm/arch.h"

#include <string.h>

bool arch_mmio(struct kvm_run *run, struct serial *serial)
{
	uint64_t reg = run->mmio.phys_addr - AARCH64_SERIAL;

	if (reg >= AARCH64_PAGE)
		return false;
	if (run->mmio.is_write) {
		if (reg < SERIAL_REGISTERS)
			serial_write(serial, (unsigned int)reg, run->mmio.data[0]);
		return true;
	}
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (reg < SERIAL_REGISTERS)
		run->mmio.data[0] = serial_read(serial, (unsigned int)reg);
	return true;
}

enum arch_event arch_exit(struct kvm_run *run, struct serial *serial)
{
	(void)run;
	(void)serial;
	return ARCH_UNKNOWN;
}

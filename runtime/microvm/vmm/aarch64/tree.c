/* SPDX-License-Identifier: Apache-2.0 */
/* Bindings: Documentation/devicetree/bindings of the kernel, one for each node here. */
#include "runtime/microvm/vmm/aarch64/tree.h"

#include "base/cleanup.h"
#include "runtime/microvm/vmm/aarch64/aarch64.h"
#include "runtime/microvm/vmm/aarch64/fdt.h"

#include <stdio.h>

enum { PHANDLE_GIC = 1, SPI = 0, PPI, EDGE = 1, LEVEL_LOW = 8 };

static void begin_at(struct fdt *fdt, const char *name, uint64_t address)
{
	char text[48];

	snprintf(text, sizeof(text), "%s@%llx", name, (unsigned long long)address);
	fdt_begin(fdt, text);
}

static void cell(struct fdt *fdt, const char *name, uint32_t value)
{
	fdt_cells(fdt, name, &value, 1);
}

static void registers(struct fdt *fdt, uint64_t address, uint64_t size)
{
	const uint64_t numbers[] = {address, size};

	fdt_numbers(fdt, "reg", numbers, ARRAY_LEN(numbers));
}

static void interrupt(struct fdt *fdt, uint32_t spi)
{
	const uint32_t cells[] = {SPI, spi, EDGE};

	fdt_cells(fdt, "interrupts", cells, ARRAY_LEN(cells));
}

static void write_chosen(struct fdt *fdt, const struct tree_machine *m)
{
	const uint64_t end = m->initramfs + m->initramfs_size;
	char serial[32];

	snprintf(serial, sizeof(serial), "/serial@%llx", AARCH64_SERIAL);
	fdt_begin(fdt, "chosen");
	fdt_text(fdt, "bootargs", m->command_line);
	fdt_text(fdt, "stdout-path", serial);
	if (m->initramfs_size) {
		fdt_numbers(fdt, "linux,initrd-start", &m->initramfs, 1);
		fdt_numbers(fdt, "linux,initrd-end", &end, 1);
	}
	fdt_end(fdt);
}

static void write_cpus(struct fdt *fdt, unsigned int count)
{
	fdt_begin(fdt, "cpus");
	cell(fdt, "#address-cells", 1);
	cell(fdt, "#size-cells", 0);
	for (unsigned int i = 0; i < count; i++) {
		/* MPIDR as KVM gives it out: 16 of the lowest level, then the next one. */
		uint32_t mpidr = (i & 0xf) | (i >> 4) << 8;

		begin_at(fdt, "cpu", mpidr);
		fdt_text(fdt, "device_type", "cpu");
		fdt_text(fdt, "compatible", "arm,arm-v8");
		fdt_text(fdt, "enable-method", "psci");
		cell(fdt, "reg", mpidr);
		fdt_end(fdt);
	}
	fdt_end(fdt);
}

static void write_gic(struct fdt *fdt, unsigned int vcpus)
{
	const uint64_t reg[] = {AARCH64_GIC_DIST, AARCH64_GIC_DIST_SIZE, AARCH64_GIC_REDIST,
		(uint64_t)vcpus * AARCH64_GIC_REDIST_SIZE};

	begin_at(fdt, "interrupt-controller", AARCH64_GIC_DIST);
	fdt_text(fdt, "compatible", "arm,gic-v3");
	fdt_empty(fdt, "interrupt-controller");
	cell(fdt, "#interrupt-cells", 3);
	fdt_numbers(fdt, "reg", reg, ARRAY_LEN(reg));
	cell(fdt, "phandle", PHANDLE_GIC);
	fdt_end(fdt);
}

/* The interrupts of the secure, the physical, the virtual and the hypervisor's timer. */
static void write_timer(struct fdt *fdt)
{
	static const uint32_t interrupts[] = {
		PPI, 13, LEVEL_LOW, PPI, 14, LEVEL_LOW, PPI, 11, LEVEL_LOW, PPI, 10, LEVEL_LOW};

	fdt_begin(fdt, "timer");
	fdt_text(fdt, "compatible", "arm,armv8-timer");
	fdt_empty(fdt, "always-on");
	fdt_cells(fdt, "interrupts", interrupts, ARRAY_LEN(interrupts));
	fdt_end(fdt);
}

static void write_psci(struct fdt *fdt)
{
	static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";

	fdt_begin(fdt, "psci");
	fdt_bytes(fdt, "compatible", compatible, sizeof(compatible));
	fdt_text(fdt, "method", "hvc");
	fdt_end(fdt);
}

static void write_serial(struct fdt *fdt)
{
	begin_at(fdt, "serial", AARCH64_SERIAL);
	fdt_text(fdt, "compatible", "ns16550a");
	registers(fdt, AARCH64_SERIAL, AARCH64_PAGE);
	cell(fdt, "clock-frequency", 1843200);
	interrupt(fdt, ARCH_SERIAL_IRQ);
	fdt_end(fdt);
}

static void write_virtio(struct fdt *fdt, const struct arch_device *device)
{
	begin_at(fdt, "virtio_mmio", device->gpa);
	fdt_text(fdt, "compatible", "virtio,mmio");
	registers(fdt, device->gpa, AARCH64_PAGE);
	interrupt(fdt, device->irq);
	fdt_empty(fdt, "dma-coherent");
	fdt_end(fdt);
}

int tree_write(const struct tree_machine *m, struct buf *ret)
{
	struct fdt fdt = {};

	fdt_begin(&fdt, "");
	fdt_text(&fdt, "compatible", "linux,dummy-virt");
	cell(&fdt, "#address-cells", 2);
	cell(&fdt, "#size-cells", 2);
	cell(&fdt, "interrupt-parent", PHANDLE_GIC);
	write_chosen(&fdt, m);
	begin_at(&fdt, "memory", AARCH64_RAM);
	fdt_text(&fdt, "device_type", "memory");
	registers(&fdt, AARCH64_RAM, m->memory_size);
	fdt_end(&fdt);
	write_cpus(&fdt, m->vcpus);
	write_gic(&fdt, m->vcpus);
	write_timer(&fdt);
	write_psci(&fdt);
	write_serial(&fdt);
	for (unsigned int i = 0; i < m->device_count; i++)
		write_virtio(&fdt, m->devices + i);
	fdt_end(&fdt);
	return fdt_finish(&fdt, ret);
}

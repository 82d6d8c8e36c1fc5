/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's memory before its first instruction: Documentation/arch/x86/boot.rst and pvh.rst of
 * the kernel, and Xen's hvm_start_info. */
#include "base/sys.h"
#include "runtime/microvm/vmm/arch.h"
#include "runtime/microvm/vmm/x86/acpi.h"
#include "runtime/microvm/vmm/x86/kernel.h"
#include "runtime/microvm/vmm/x86/x86.h"

#include <asm/bootparam.h>
#include <stdio.h>
#include <string.h>

enum {
	ZERO_PAGE = 0x7000, /* boot_params, or hvm_start_info with what it points to */
	COMMAND_LINE = 0x20000,
	COMMAND_LINE_MAX = 2048, /* COMMAND_LINE_SIZE of Linux on x86 */
	ACPI_TABLES = 0xe0000,   /* the RSDP is searched from here on */
	GENERATION = 0xff000,    /* a page of its own behind them */
	GENERATION_IRQ = 9,
	EBDA = 0x9fc00,
	PVH_MAGIC = 0x336ec578,
	E820_RAM = 1,
	E820_RESERVED = 2,
	LOADER_UNKNOWN = 0xff,
};

#define RAM_HOLE 0xc0000000ULL /* RAM goes on at 4 GiB */
#define RAM_HIGH 0x100000000ULL
#define DEVICES  0xd0000000ULL
#define PCI_LOW  0xd1000000ULL
#define PCI_ECAM 0xe0000000ULL
#define PCI_BUS  (256ULL * X86_PAGE) /* configuration space of one bus */
#define RAM_MIN  (16ULL << 20)
#define RAM_MAX  (1ULL << 40)

struct pvh_start {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line, rsdp, map;
	uint32_t map_count, reserved;
};

struct pvh_module {
	uint64_t gpa, size, command_line, reserved;
};

struct pvh_map {
	uint64_t gpa, size;
	uint32_t type, reserved;
};

/* IO-APIC inputs that no device of the PC has. */
static const uint32_t free_irqs[ARCH_DEVICES_MAX] = {
	16, 17, 18, 19, 20, 21, 22, 23, 5, 6, 7, 10, 11, 12, 14, 15};

int arch_layout(uint64_t size, struct arch_layout *ret, struct err *err)
{
	struct arch_layout layout = {.ram_count = 1,
		.high_gpa = RAM_HIGH,
		.generation = {GENERATION, GENERATION_IRQ},
		.pci = {.ecam = {PCI_ECAM, PCI_BUS}, .low = {PCI_LOW, PCI_ECAM - PCI_LOW}}};

	if (size < RAM_MIN || size > RAM_MAX || size % X86_PAGE)
		return err_set(err, -EINVAL, "memory: 16 MiB to 1 TiB, in pages of 4 KiB");
	layout.ram[0].size = size < RAM_HOLE ? size : RAM_HOLE;
	if (size > RAM_HOLE) {
		layout.ram[1].gpa = RAM_HIGH;
		layout.ram[1].size = size - RAM_HOLE;
		layout.ram_count = 2;
		layout.high_gpa = RAM_HIGH + layout.ram[1].size;
	}
	for (unsigned int i = 0; i < ARCH_DEVICES_MAX; i++) {
		layout.devices[i].gpa = DEVICES + i * X86_PAGE;
		layout.devices[i].irq = free_irqs[i];
	}
	*ret = layout;
	return 0;
}

/* What a boot needs to say about the machine, in either protocol. */
struct machine {
	const struct guest_memory *memory;
	const struct arch_layout *layout;
	struct x86_kernel kernel;
	uint64_t initramfs, initramfs_size;
	struct pvh_map map[GUEST_REGION_MAX + 4];
	unsigned int map_count;
};

static void map_add(struct machine *m, uint64_t gpa, uint64_t end, uint32_t type)
{
	m->map[m->map_count++] = (struct pvh_map){.gpa = gpa, .size = end - gpa, .type = type};
}

static void map_memory(struct machine *m)
{
	const struct arch_layout *l = m->layout;

	map_add(m, 0, EBDA, E820_RAM);
	map_add(m, EBDA, X86_KERNEL_FLOOR, E820_RESERVED);
	map_add(m, X86_KERNEL_FLOOR, l->ram[0].size, E820_RAM);
	if (l->ram_count > 1)
		map_add(m, l->ram[1].gpa, l->ram[1].gpa + l->ram[1].size, E820_RAM);
	if (l->pci.present)
		map_add(m, l->pci.ecam.gpa, l->pci.ecam.gpa + l->pci.ecam.size, E820_RESERVED);
}

static void write_pvh(const struct machine *m)
{
	uint8_t *page = gpa_to_hva(m->memory, ZERO_PAGE, X86_PAGE);
	size_t module = sizeof(struct pvh_start), map = module + sizeof(struct pvh_module);
	struct pvh_start start = {
		.magic = PVH_MAGIC,
		.version = 1,
		.module_count = m->initramfs_size ? 1 : 0,
		.modules = ZERO_PAGE + module,
		.command_line = COMMAND_LINE,
		.rsdp = ACPI_TABLES,
		.map = ZERO_PAGE + map,
		.map_count = m->map_count,
	};
	struct pvh_module initramfs = {.gpa = m->initramfs, .size = m->initramfs_size};

	memcpy(page, &start, sizeof(start));
	memcpy(page + module, &initramfs, sizeof(initramfs));
	memcpy(page + map, m->map, m->map_count * sizeof(*m->map));
}

static void write_linux64(const struct machine *m)
{
	struct boot_params *zero = gpa_to_hva(m->memory, ZERO_PAGE, sizeof(*zero));

	zero->hdr = m->kernel.header;
	zero->hdr.type_of_loader = LOADER_UNKNOWN;
	zero->hdr.boot_flag = 0xaa55;
	zero->hdr.header = 0x53726448;
	zero->hdr.cmd_line_ptr = COMMAND_LINE;
	zero->hdr.ramdisk_image = (uint32_t)m->initramfs;
	zero->hdr.ramdisk_size = (uint32_t)m->initramfs_size;
	zero->acpi_rsdp_addr = ACPI_TABLES;
	for (unsigned int i = 0; i < m->map_count; i++)
		zero->e820_table[i] = (struct boot_e820_entry){
			.addr = m->map[i].gpa, .size = m->map[i].size, .type = m->map[i].type};
	zero->e820_entries = (uint8_t)m->map_count;
}

static int write_command_line(const struct guest_memory *memory, const char *text, struct err *err)
{
	size_t len = strlen(text) + 1;

	if (len > COMMAND_LINE_MAX)
		return err_set(err, -E2BIG, "the kernel's command line is longer than %d bytes",
			COMMAND_LINE_MAX - 1);
	memcpy(gpa_to_hva(memory, COMMAND_LINE, COMMAND_LINE_MAX), text, len);
	return 0;
}

static int write_acpi(const struct arch_boot *boot, const struct machine *m, struct err *err)
{
	const struct acpi_machine machine = {
		.vcpus = boot->vcpus,
		.devices = m->layout->devices,
		.device_count = boot->devices,
		.pci = &m->layout->pci,
		.generation = &m->layout->generation,
	};
	autobuf struct buf tables = {};
	int r = acpi_write(&machine, ACPI_TABLES, &tables);

	if (r == 0 && tables.len > GENERATION - ACPI_TABLES)
		r = -E2BIG;
	if (r < 0)
		return err_sys(err, r, "ACPI tables");
	memcpy(gpa_to_hva(m->memory, ACPI_TABLES, tables.len), tables.data, tables.len);
	return 0;
}

/* A flat code and a flat data segment in both modes, and 1 GiB mapped one to one. */
static void write_tables(const struct guest_memory *memory)
{
	static const uint64_t gdt[] = {0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff};
	uint64_t *pml4 = gpa_to_hva(memory, X86_PML4, X86_PAGE);
	uint64_t *pdpt = gpa_to_hva(memory, X86_PML4 + X86_PAGE, X86_PAGE);
	uint64_t *pd = gpa_to_hva(memory, X86_PML4 + 2 * X86_PAGE, X86_PAGE);

	memcpy(gpa_to_hva(memory, X86_GDT, sizeof(gdt)), gdt, sizeof(gdt));
	pml4[0] = (X86_PML4 + X86_PAGE) | 3;
	pdpt[0] = (X86_PML4 + 2 * X86_PAGE) | 3;
	for (uint64_t i = 0; i < 512; i++)
		pd[i] = i << 21 | 0x83; /* present, writable, 2 MiB */
}

int arch_load(const struct arch_boot *boot, const struct arch_layout *layout,
	const struct guest_memory *memory, struct arch_start *ret, struct err *err)
{
	struct machine m = {.memory = memory, .layout = layout};
	int r = x86_kernel_load(boot->kernel, memory, &m.kernel, err);

	if (r == 0 && boot->initramfs >= 0)
		r = initramfs_load(boot->initramfs, memory, &m.kernel.image, &m.initramfs,
			&m.initramfs_size, err);
	if (r == 0)
		r = write_command_line(memory, boot->command_line, err);
	if (r == 0)
		r = write_acpi(boot, &m, err);
	if (r < 0)
		return r;
	map_memory(&m);
	write_tables(memory);
	if (m.kernel.protocol == KERNEL_PVH)
		write_pvh(&m);
	else
		write_linux64(&m);
	*ret = (struct arch_start){
		.flat32 = m.kernel.protocol == KERNEL_PVH,
		.entry = m.kernel.image.entry,
		.argument = ZERO_PAGE,
	};
	return 0;
}

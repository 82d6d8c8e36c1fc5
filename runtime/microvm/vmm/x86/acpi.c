/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/x86/acpi.h"

#include <stdio.h>
#include <string.h>

enum {
	IO_APIC_GPA = 0xfec00000,
	LOCAL_APIC_GPA = 0xfee00000,
	COM1 = 0x3f8,
	COM1_IRQ = 4,
	FADT_HW_REDUCED = 1 << 20,
	FADT_NO_VGA_NO_RTC = 1 << 2 | 1 << 5,
};

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

/* Generic address structure, 5.2.3.2 */
struct address {
	uint8_t space, width, offset, access;
	uint64_t address;
} __attribute__((packed));

/* Fixed ACPI description table, 5.2.9; what is not named stays zero. */
struct fadt {
	struct header header;
	uint8_t before_flags1[73]; /* offset 36 … 108 */
	uint16_t boot_flags;       /* 109: IAPC_BOOT_ARCH */
	uint8_t reserved;
	uint32_t flags; /* 112 */
	struct address reset;
	uint8_t reset_value;
	uint16_t arm_boot_flags;
	uint8_t minor_version;
	uint64_t x_firmware_control, x_dsdt; /* 132, 140 */
	uint8_t before_sleep[96];            /* 148 … 243 */
	struct address sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

_Static_assert(sizeof(struct fadt) == 276, "5.2.9: the FADT of revision 6");

/* Memory mapped configuration, 4.1.2 of the PCI Firmware Specification */
struct mcfg {
	struct header header;
	uint64_t reserved, base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t more_reserved;
} __attribute__((packed));

/* Multiple APIC description table, 5.2.12 */
struct madt {
	struct header header;
	uint32_t local_apic, flags;
} __attribute__((packed));

struct madt_cpu {
	uint8_t type, length, processor, apic;
	uint32_t flags;
} __attribute__((packed));

struct madt_io_apic {
	uint8_t type, length, id, reserved;
	uint32_t gpa, first_gsi;
} __attribute__((packed));

static uint8_t checksum(const void *data, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
	return (uint8_t)-sum;
}

static struct header header(const char *signature, uint8_t revision)
{
	struct header h = {
		.revision = revision,
		.oem = {'B', 'R', 'I', 'G', ' ', ' '},
		.oem_table = {'M', 'I', 'C', 'R', 'O', 'V', 'M', ' '},
		.oem_revision = 1,
		.creator = {'B', 'R', 'I', 'G'},
		.creator_revision = 1,
	};

	memcpy(h.signature, signature, sizeof(h.signature));
	return h;
}

/* The table that begins at START of BUF is complete. */
static void seal(struct buf *buf, size_t start)
{
	struct header *h;

	if (buf->failed)
		return;
	h = (struct header *)(buf->data + start);
	h->length = (uint32_t)(buf->len - start);
	h->checksum = 0;
	h->checksum = checksum(h, h->length);
}

/* --- AML, chapter 20 --- */

static void aml_u8(struct buf *aml, uint8_t byte)
{
	buf_add(aml, &byte, 1);
}

static void aml_u16(struct buf *aml, uint16_t value)
{
	buf_add(aml, &value, sizeof(value));
}

static void aml_u32(struct buf *aml, uint32_t value)
{
	buf_add(aml, &value, sizeof(value));
}

static void aml_int(struct buf *aml, uint32_t value)
{
	aml_u8(aml, 0x0c); /* DWordPrefix */
	aml_u32(aml, value);
}

static void aml_name(struct buf *aml, const char *name)
{
	aml_u8(aml, 0x08); /* NameOp */
	buf_puts(aml, name);
}

static void aml_string(struct buf *aml, const char *text)
{
	aml_u8(aml, 0x0d); /* StringPrefix */
	buf_add(aml, text, strlen(text) + 1);
}

/* PkgLength in its four-byte form (20.2.4) counts itself; then CONTENT. */
static void aml_package(struct buf *aml, const struct buf *content)
{
	size_t len = content->len + 4;

	aml_u8(aml, (uint8_t)(0xc0 | (len & 0xf)));
	aml_u8(aml, (uint8_t)(len >> 4));
	aml_u8(aml, (uint8_t)(len >> 12));
	aml_u8(aml, (uint8_t)(len >> 20));
	buf_add(aml, content->data, content->len);
	aml->failed |= content->failed;
}

/* Name(_CRS, …) of a resource template. */
static void aml_resources(struct buf *aml, struct buf *resources)
{
	autobuf struct buf content = {};

	aml_u16(resources, 0x0079); /* end tag, no checksum */
	aml_u8(&content, 0x0b);     /* WordPrefix: the buffer's size */
	aml_u16(&content, (uint16_t)resources->len);
	buf_add(&content, resources->data, resources->len);
	content.failed |= resources->failed;
	aml_name(aml, "_CRS");
	aml_u8(aml, 0x11); /* BufferOp */
	aml_package(aml, &content);
}

/* Extended interrupt descriptor (6.4.3.6): consumer, edge triggered, active high, exclusive. */
static void aml_interrupt(struct buf *resources, uint32_t gsi)
{
	aml_u8(resources, 0x89);
	aml_u16(resources, 6);
	aml_u8(resources, 0x03);
	aml_u8(resources, 1);
	aml_u32(resources, gsi);
}

/* 32-bit fixed memory range (6.4.3.4), writable. */
static void aml_memory(struct buf *resources, uint32_t gpa, uint32_t size)
{
	aml_u8(resources, 0x86);
	aml_u16(resources, 9);
	aml_u8(resources, 1);
	aml_u32(resources, gpa);
	aml_u32(resources, size);
}

/* I/O ports (6.4.2.5), decoded with 16 bits. */
static void aml_ports(struct buf *resources, uint16_t port, uint8_t count)
{
	aml_u8(resources, 0x47);
	aml_u8(resources, 1);
	aml_u16(resources, port);
	aml_u16(resources, port);
	aml_u8(resources, 1);
	aml_u8(resources, count);
}

enum { SPACE_MEMORY = 0, SPACE_BUS = 2, SPACE_PRODUCER = 0x0c /* both ends are fixed */ };

/* Address space descriptors (6.4.3.5): what a bridge hands on. */
static void aml_buses(struct buf *resources, uint16_t first, uint16_t last)
{
	const uint16_t range[] = {0, first, last, 0, (uint16_t)(last - first + 1)};

	aml_u8(resources, 0x88);
	aml_u16(resources, 3 + sizeof(range));
	aml_u8(resources, SPACE_BUS);
	aml_u8(resources, SPACE_PRODUCER);
	aml_u8(resources, 0);
	buf_add(resources, range, sizeof(range));
}

static void aml_window(struct buf *resources, const struct arch_range *window, bool prefetchable)
{
	const uint64_t range[] = {0, window->gpa, window->gpa + window->size - 1, 0, window->size};

	if (!window->size)
		return;
	aml_u8(resources, 0x8a);
	aml_u16(resources, 3 + sizeof(range));
	aml_u8(resources, SPACE_MEMORY);
	aml_u8(resources, SPACE_PRODUCER);
	aml_u8(resources, prefetchable ? 0x07 : 0x01); /* writable; prefetchable */
	buf_add(resources, range, sizeof(range));
}

static void aml_device(struct buf *aml, const char *name, const struct buf *body)
{
	autobuf struct buf content = {};

	buf_puts(&content, name);
	buf_add(&content, body->data, body->len);
	content.failed |= body->failed;
	aml_u16(aml, 0x825b); /* DeviceOp: 5b 82 */
	aml_package(aml, &content);
}

static void virtio_device(struct buf *aml, unsigned int index, const struct arch_device *device)
{
	autobuf struct buf body = {}, resources = {};
	char name[8];

	snprintf(name, sizeof(name), "V%03u", index % 1000);
	aml_name(&body, "_HID");
	aml_string(&body, "LNRO0005");
	aml_name(&body, "_UID");
	aml_int(&body, index);
	aml_name(&body, "_CCA"); /* devices see the guest's caches */
	aml_int(&body, 1);
	aml_memory(&resources, (uint32_t)device->gpa, 0x1000);
	aml_interrupt(&resources, device->irq);
	aml_resources(&body, &resources);
	aml_device(aml, name, &body);
}

static void serial_device(struct buf *aml)
{
	autobuf struct buf body = {}, resources = {};

	aml_name(&body, "_HID");
	aml_string(&body, "PNP0501");
	aml_name(&body, "_UID");
	aml_int(&body, 0);
	aml_ports(&resources, COM1, 8);
	aml_interrupt(&resources, COM1_IRQ);
	aml_resources(&body, &resources);
	aml_device(aml, "COM1", &body);
}

/* Linux takes configuration space only where a device of the mainboard's has claimed it. */
static void mainboard_device(struct buf *aml, const struct arch_pci *pci)
{
	autobuf struct buf body = {}, resources = {};

	aml_name(&body, "_HID");
	aml_string(&body, "PNP0C02");
	aml_name(&body, "_UID");
	aml_int(&body, 0);
	aml_memory(&resources, (uint32_t)pci->ecam.gpa, (uint32_t)pci->ecam.size);
	aml_resources(&body, &resources);
	aml_device(aml, "MB00", &body);
}

static void root_bus(struct buf *aml, const struct arch_pci *pci)
{
	autobuf struct buf body = {}, resources = {};
	static const char *const zeros[] = {"_UID", "_SEG", "_BBN"};

	aml_name(&body, "_HID");
	aml_string(&body, "PNP0A08");
	aml_name(&body, "_CID");
	aml_string(&body, "PNP0A03");
	for (size_t i = 0; i < 3; i++) {
		aml_name(&body, zeros[i]);
		aml_int(&body, 0);
	}
	aml_name(&body, "_CCA");
	aml_int(&body, 1);
	aml_buses(&resources, 0, 0);
	aml_window(&resources, &pci->low, false);
	aml_window(&resources, &pci->high, true);
	aml_resources(&body, &resources);
	aml_device(aml, "PCI0", &body);
}

/* The address of the id, in two halves. */
static void generation_device(struct buf *aml, const struct arch_device *generation)
{
	autobuf struct buf body = {}, halves = {};

	aml_name(&body, "_HID");
	aml_string(&body, "BRIG0001");
	aml_name(&body, "_CID");
	aml_string(&body, "VM_Gen_Counter");
	aml_name(&body, "_DDN");
	aml_string(&body, "VM_Gen_Counter");
	aml_u8(&halves, 2);
	aml_int(&halves, (uint32_t)generation->gpa);
	aml_int(&halves, (uint32_t)(generation->gpa >> 32));
	aml_name(&body, "ADDR");
	aml_u8(&body, 0x12); /* PackageOp */
	aml_package(&body, &halves);
	aml_device(aml, "VGEN", &body);
}

/* The generic event device (5.6.9): its one interrupt means that the id above has changed. */
static void event_device(struct buf *aml, const struct arch_device *generation)
{
	autobuf struct buf body = {}, resources = {}, method = {};

	aml_name(&body, "_HID");
	aml_string(&body, "ACPI0013");
	aml_name(&body, "_UID");
	aml_int(&body, 0);
	aml_interrupt(&resources, generation->irq);
	aml_resources(&body, &resources);
	buf_puts(&method, "_EVT");
	aml_u8(&method, 1);    /* one argument, the interrupt's number */
	aml_u8(&method, 0x86); /* NotifyOp */
	buf_puts(&method, "VGEN");
	aml_u16(&method, 0x800a); /* BytePrefix: 0x80 */
	aml_u8(&body, 0x14);      /* MethodOp */
	aml_package(&body, &method);
	aml_device(aml, "GED0", &body);
}

static bool has_pci(const struct acpi_machine *machine)
{
	return machine->pci && machine->pci->present;
}

static void dsdt_write(const struct acpi_machine *machine, struct buf *ret)
{
	autobuf struct buf scope = {};
	static const uint8_t s5[] = {4, 0x0a, 5, 0x0a, 5, 0, 0}; /* four elements: 5, 5, 0, 0 */
	struct buf elements = {.data = (char *)s5, .len = sizeof(s5)};
	struct header h = header("DSDT", 2);
	size_t start = ret->len;

	buf_add(ret, &h, sizeof(h));
	buf_puts(&scope, "\\_SB_");
	serial_device(&scope);
	for (unsigned int i = 0; i < machine->device_count; i++)
		virtio_device(&scope, i, machine->devices + i);
	if (machine->generation) {
		generation_device(&scope, machine->generation);
		event_device(&scope, machine->generation);
	}
	if (has_pci(machine)) {
		mainboard_device(&scope, machine->pci);
		root_bus(&scope, machine->pci);
	}
	aml_u8(ret, 0x10); /* ScopeOp */
	aml_package(ret, &scope);
	aml_name(ret, "_S5_");
	aml_u8(ret, 0x12); /* PackageOp */
	aml_package(ret, &elements);
	seal(ret, start);
}

static void madt_write(const struct acpi_machine *machine, struct buf *ret)
{
	struct madt madt = {.header = header("APIC", 5), .local_apic = LOCAL_APIC_GPA};
	struct madt_io_apic io = {.type = 1, .length = sizeof(io), .id = 0xff, .gpa = IO_APIC_GPA};
	size_t start = ret->len;

	buf_add(ret, &madt, sizeof(madt));
	for (unsigned int i = 0; i < machine->vcpus; i++) {
		struct madt_cpu cpu = {.length = sizeof(cpu),
			.processor = (uint8_t)i,
			.apic = (uint8_t)i,
			.flags = 1};

		buf_add(ret, &cpu, sizeof(cpu));
	}
	buf_add(ret, &io, sizeof(io));
	seal(ret, start);
}

static void mcfg_write(const struct arch_pci *pci, struct buf *ret)
{
	const struct mcfg mcfg = {.header = header("MCFG", 1), .base = pci->ecam.gpa};
	size_t start = ret->len;

	buf_add(ret, &mcfg, sizeof(mcfg));
	seal(ret, start);
}

static void fadt_write(uint64_t dsdt, struct buf *ret)
{
	struct address port = {.space = 1, .width = 8, .access = 1};
	struct fadt fadt = {
		.header = header("FACP", 6),
		.boot_flags = FADT_NO_VGA_NO_RTC,
		.flags = FADT_HW_REDUCED,
		.minor_version = 5,
		.x_dsdt = dsdt,
		.sleep_control = port,
		.sleep_status = port,
	};
	size_t start = ret->len;

	fadt.sleep_control.address = ACPI_SLEEP_CONTROL;
	fadt.sleep_status.address = ACPI_SLEEP_STATUS;
	buf_add(ret, &fadt, sizeof(fadt));
	seal(ret, start);
}

/* Pads so that the next table begins at a multiple of 16, and returns its address. */
static uint64_t next_table(struct buf *ret, uint64_t gpa, size_t start)
{
	static const char zeros[16];

	buf_add(ret, zeros, -(ret->len - start) & 15);
	return gpa + ret->len - start;
}

int acpi_write(const struct acpi_machine *machine, uint64_t gpa, struct buf *ret)
{
	struct rsdp rsdp = {.signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
		.oem = {'B', 'R', 'I', 'G', ' ', ' '},
		.revision = 2,
		.length = sizeof(rsdp)};
	struct header xsdt = header("XSDT", 1);
	uint64_t tables[3], dsdt;
	size_t start = ret->len, count = 2, at;

	buf_add(ret, &rsdp, sizeof(rsdp));
	dsdt = next_table(ret, gpa, start);
	dsdt_write(machine, ret);
	tables[0] = next_table(ret, gpa, start);
	fadt_write(dsdt, ret);
	tables[1] = next_table(ret, gpa, start);
	madt_write(machine, ret);
	if (has_pci(machine)) {
		tables[count++] = next_table(ret, gpa, start);
		mcfg_write(machine->pci, ret);
	}
	rsdp.xsdt = next_table(ret, gpa, start);
	at = ret->len;
	buf_add(ret, &xsdt, sizeof(xsdt));
	buf_add(ret, tables, count * sizeof(tables[0]));
	seal(ret, at);
	rsdp.checksum = checksum(&rsdp, offsetof(struct rsdp, length)); /* the first 20 bytes */
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	if (ret->failed)
		return -ENOMEM;
	memcpy(ret->data + start, &rsdp, sizeof(rsdp));
	return 0;
}

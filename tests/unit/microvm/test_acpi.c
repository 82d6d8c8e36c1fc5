/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/x86/acpi.h"

#include "tests/unit/microvm/guest.h"

enum { GPA = 0xe0000 };

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *p++);
	return total;
}

static uint32_t u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint64_t u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

/* The table at GPA, whose length and checksum are right. */
static const uint8_t *table(const struct buf *b, uint64_t gpa, const char *signature)
{
	const uint8_t *p = (const uint8_t *)b->data + (gpa - GPA);

	assert_true(gpa >= GPA && gpa + 36 <= GPA + b->len);
	assert_int_equal(gpa % 16, 0);
	assert_memory_equal(p, signature, 4);
	assert_true(u32(p + 4) <= GPA + b->len - gpa);
	assert_int_equal(sum(p, u32(p + 4)), 0);
	return p;
}

/* Walks AML packages: the lengths of scopes and devices must nest exactly. Returns the devices. */
static int count_devices(const uint8_t *p, size_t len)
{
	int devices = 0;

	for (size_t i = 0; i + 6 < len; i++) {
		size_t n;

		if (p[i] != 0x5b || p[i + 1] != 0x82)
			continue;
		n = (size_t)(p[i + 2] & 0xf) | (size_t)p[i + 3] << 4 | (size_t)p[i + 4] << 12;
		assert_true(i + 2 + n <= len);
		devices++;
		i += 1 + n;
	}
	return devices;
}

static void test_tables(void **state)
{
	const struct arch_device devices[] = {{0xd0000000, 16}, {0xd0001000, 17}, {0xd0002000, 5}};
	const struct acpi_machine machine = {.vcpus = 3, .devices = devices, .device_count = 3};
	autobuf struct buf b = {};
	const uint8_t *rsdp, *xsdt, *fadt, *madt, *dsdt;
	int cpus = 0;

	(void)state;
	assert_int_equal(acpi_write(&machine, GPA, &b), 0);
	rsdp = (const uint8_t *)b.data;
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	xsdt = table(&b, u64(rsdp + 24), "XSDT");
	assert_int_equal(u32(xsdt + 4), 36 + 2 * 8);
	fadt = table(&b, u64(xsdt + 36), "FACP");
	madt = table(&b, u64(xsdt + 44), "APIC");
	assert_int_equal(u32(fadt + 4), 276);
	assert_true(u32(fadt + 112) & 1 << 20); /* HW_REDUCED_ACPI */
	assert_int_equal(u64(fadt + 244 + 4), ACPI_SLEEP_CONTROL);
	dsdt = table(&b, u64(fadt + 140), "DSDT");
	assert_int_equal(
		count_devices(dsdt + 36, u32(dsdt + 4) - 36), 4); /* with the serial port */
	for (uint32_t at = 44; at < u32(madt + 4); at += madt[at + 1]) {
		assert_true(madt[at + 1] >= 8);
		if (madt[at] == 0)
			assert_int_equal(madt[at + 3], cpus++);
		else
			assert_int_equal(u32(madt + at + 4), 0xfec00000);
	}
	assert_int_equal(cpus, 3);
}

/* Where LEN bytes of WHAT are in the table, which must be there once. */
static const uint8_t *find(const uint8_t *dsdt, const void *what, size_t len)
{
	const uint8_t *found = memmem(dsdt, u32(dsdt + 4), what, len);

	assert_non_null(found);
	assert_null(memmem(found + 1, u32(dsdt + 4) - (size_t)(found + 1 - dsdt), what, len));
	return found;
}

/* Guests know the device by its compatible id, and hear of another id by Notify (VGEN, 0x80). */
static void test_generation(void **state)
{
	const struct arch_device generation = {0x1234ff000, 9};
	const struct acpi_machine machine = {.vcpus = 1, .generation = &generation};
	static const uint8_t address[] = {'A', 'D', 'D', 'R', 0x12, 0xcf, 0, 0, 0, 2, 0x0c, 0x00,
		0xf0, 0x4f, 0x23, 0x0c, 1, 0, 0, 0};
	static const uint8_t interrupt[] = {0x89, 6, 0, 3, 1, 9, 0, 0, 0};
	static const uint8_t event[] = {
		'_', 'E', 'V', 'T', 1, 0x86, 'V', 'G', 'E', 'N', 0x0a, 0x80};
	autobuf struct buf b = {};
	const uint8_t *fadt, *dsdt;

	(void)state;
	assert_int_equal(acpi_write(&machine, GPA, &b), 0);
	fadt = table(&b, u64(table(&b, u64((const uint8_t *)b.data + 24), "XSDT") + 36), "FACP");
	dsdt = table(&b, u64(fadt + 140), "DSDT");
	assert_int_equal(count_devices(dsdt + 36, u32(dsdt + 4) - 36), 3);
	find(dsdt, "_CID\x0dVM_Gen_Counter", sizeof("_CID\x0dVM_Gen_Counter"));
	find(dsdt, address, sizeof(address));
	assert_true(find(dsdt, "ACPI0013", 9) < find(dsdt, interrupt, sizeof(interrupt)));
	find(dsdt, event, sizeof(event));
}

/* Its root bus: a window of configuration space, claimed by the mainboard and told in MCFG. */
static void test_root_bus(void **state)
{
	const struct arch_pci pci = {.present = true,
		.ecam = {0xe0000000, 1 << 20},
		.low = {0xd1000000, 0xf000000},
		.high = {0x100000000, 1 << 20}};
	const struct acpi_machine machine = {.vcpus = 1, .pci = &pci};
	autobuf struct buf b = {};
	const uint8_t *xsdt, *fadt, *mcfg, *dsdt;

	(void)state;
	assert_int_equal(acpi_write(&machine, GPA, &b), 0);
	xsdt = table(&b, u64((const uint8_t *)b.data + 24), "XSDT");
	assert_int_equal(u32(xsdt + 4), 36 + 3 * 8);
	mcfg = table(&b, u64(xsdt + 52), "MCFG");
	assert_int_equal(u32(mcfg + 4), 60);
	assert_int_equal(u64(mcfg + 44), pci.ecam.gpa);
	assert_int_equal(u32(mcfg + 52), 0); /* segment 0, bus 0 to 0 */
	fadt = table(&b, u64(xsdt + 36), "FACP");
	dsdt = table(&b, u64(fadt + 140), "DSDT");
	assert_int_equal(count_devices(dsdt + 36, u32(dsdt + 4) - 36), 3);
}

/* The largest machine fits where the tables go. */
static void test_size(void **state)
{
	struct arch_layout layout;
	struct acpi_machine machine = {.vcpus = ARCH_VCPUS_MAX, .device_count = ARCH_DEVICES_MAX};
	autobuf struct buf b = {};
	struct err err = {};

	(void)state;
	assert_int_equal(arch_layout(64 << 20, &layout, &err), 0);
	machine.devices = layout.devices;
	layout.pci.present = true;
	machine.pci = &layout.pci;
	assert_int_equal(acpi_write(&machine, GPA, &b), 0);
	assert_true(b.len <= 0x100000 - GPA);
}

static void test_layout(void **state)
{
	struct arch_layout l;
	struct err err = {};

	(void)state;
	assert_true(arch_layout(1 << 20, &l, &err) < 0);
	assert_true(arch_layout((64 << 20) + 1, &l, &err) < 0);
	assert_true(arch_layout(UINT64_MAX & ~4095ULL, &l, &err) < 0);
	assert_int_equal(arch_layout(3ULL << 30, &l, &err), 0);
	assert_int_equal(l.ram_count, 1);
	assert_int_equal(arch_layout(5ULL << 30, &l, &err), 0);
	assert_int_equal(l.ram_count, 2);
	assert_int_equal(l.ram[0].size, 3ULL << 30);
	assert_int_equal(l.ram[1].gpa, 4ULL << 30);
	assert_int_equal(l.ram[1].size, 2ULL << 30);
	for (int i = 0; i < ARCH_DEVICES_MAX; i++) {
		assert_true(l.devices[i].gpa >= l.ram[0].size && l.devices[i].gpa < 4ULL << 30);
		assert_int_not_equal(l.devices[i].irq, ARCH_SERIAL_IRQ);
		assert_int_not_equal(l.devices[i].irq, l.generation.irq);
		for (int j = 0; j < i; j++)
			assert_int_not_equal(l.devices[i].irq, l.devices[j].irq);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_generation),
		cmocka_unit_test(test_root_bus),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

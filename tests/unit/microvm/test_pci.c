/* SPDX-License-Identifier: Apache-2.0 */
/* A PCI function in front of a device of bytes. */
#include "runtime/microvm/devices/pci.h"

#include "tests/unit/microvm/guest.h"

#include <errno.h>
#include <linux/pci_regs.h>

enum {
	PM = 0x40,
	HIDDEN = 0x48, /* vital product data: not for guests */
	EXPRESS = 0x50,
	MSI = 0x90,
	MSIX = 0xb0,
	BAR_SIZE = 0x4000,
	TABLE = 0x2000,
	VECTORS = 4,
};

struct fake {
	struct pci_function pci; /* first */
	uint8_t config[PCI_HEADER_SIZE];
	uint8_t bar[BAR_SIZE];
	unsigned int enabled; /* vectors */
	struct pci_vector routes[PCI_VECTORS_MAX];
	bool routed[PCI_VECTORS_MAX];
	int config_writes;
};

static int config_read(struct pci_function *f, uint32_t offset, void *ret, uint32_t len)
{
	memcpy(ret, ((struct fake *)f)->config + offset, len);
	return 0;
}

static int config_write(struct pci_function *f, uint32_t offset, const void *data, uint32_t len)
{
	struct fake *fake = (struct fake *)f;

	memcpy(fake->config + offset, data, len);
	fake->config_writes++;
	return 0;
}

static int bar_read(
	struct pci_function *f, unsigned int bar, uint64_t offset, void *ret, uint32_t len)
{
	if (bar || offset > BAR_SIZE - len)
		return -ERANGE;
	memcpy(ret, ((struct fake *)f)->bar + offset, len);
	return 0;
}

static int bar_write(
	struct pci_function *f, unsigned int bar, uint64_t offset, const void *data, uint32_t len)
{
	if (bar || offset > BAR_SIZE - len)
		return -ERANGE;
	memcpy(((struct fake *)f)->bar + offset, data, len);
	return 0;
}

static int enable(struct pci_function *f, unsigned int vectors)
{
	((struct fake *)f)->enabled = vectors;
	return 0;
}

static int route(struct pci_function *f, unsigned int vector, const struct pci_vector *to)
{
	struct fake *fake = (struct fake *)f;

	fake->routed[vector] = to;
	if (to)
		fake->routes[vector] = *to;
	return 0;
}

static const struct pci_ops ops = {config_read, config_write, bar_read, bar_write, enable, route};

static void put(struct fake *fake, uint32_t offset, uint32_t value, uint32_t len)
{
	memcpy(fake->config + offset, &value, len);
}

/* A disk's function: a wide BAR, and capabilities that the test may take away. */
static void fake_begin(struct fake *fake)
{
	*fake = (struct fake){.pci = {.ops = &ops, .bars = {{.size = BAR_SIZE}}}};
	put(fake, PCI_VENDOR_ID, 0x00101b36, 4);
	put(fake, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	put(fake, PCI_HEADER_TYPE, 0x80, 1);
	put(fake, PCI_BASE_ADDRESS_0, 0xfebf0000 | PCI_BASE_ADDRESS_MEM_TYPE_64, 4);
	put(fake, PCI_BASE_ADDRESS_2, PCI_BASE_ADDRESS_SPACE_IO, 4);
	put(fake, PCI_ROM_ADDRESS, 0xfeb00001, 4);
	put(fake, PCI_INTERRUPT_LINE, 0x010b, 2);
	put(fake, PCI_CAPABILITY_LIST, PM, 1);
	put(fake, PM, PCI_CAP_ID_PM | HIDDEN << 8, 2);
	put(fake, HIDDEN, PCI_CAP_ID_VPD | EXPRESS << 8, 2);
	put(fake, EXPRESS, PCI_CAP_ID_EXP | MSI << 8 | 2U << 16, 4);
	put(fake, MSI, PCI_CAP_ID_MSI | MSIX << 8 | PCI_MSI_FLAGS_64BIT << 16, 4);
	put(fake, MSIX, PCI_CAP_ID_MSIX | (uint32_t)(VECTORS - 1) << 16, 4);
	put(fake, MSIX + PCI_MSIX_TABLE, TABLE, 4);
}

static void fake_ready(struct fake *fake)
{
	struct err err = {};

	assert_int_equal(pci_init(&fake->pci, &err), 0);
	fake->pci.bars[0].gpa = 0x1d1000000;
}

static uint32_t get(struct fake *fake, uint32_t offset, uint32_t len)
{
	uint32_t value = 0;

	pci_config_read(&fake->pci, offset, &value, len);
	return value;
}

static void set(struct fake *fake, uint32_t offset, uint32_t value, uint32_t len)
{
	pci_config_write(&fake->pci, offset, &value, len);
}

static void test_header(void **state)
{
	struct fake fake;
	uint8_t all[8];

	(void)state;
	fake_begin(&fake);
	fake_ready(&fake);
	assert_int_equal(get(&fake, PCI_VENDOR_ID, 2), 0x1b36);
	assert_int_equal(get(&fake, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(get(&fake, PCI_INTERRUPT_LINE, 2), 0x000b);
	assert_int_equal(get(&fake, PCI_ROM_ADDRESS, 4), 0);
	/* Extended configuration space is empty, and what crosses its border is nothing. */
	assert_int_equal(get(&fake, PCI_HEADER_SIZE, 4), 0);
	pci_config_read(&fake.pci, PCI_HEADER_SIZE - 4, all, 8);
	set(&fake, PCI_HEADER_SIZE, 1, 4);
	set(&fake, PCI_COMMAND + 1, 1, 4);
	assert_int_equal(fake.config_writes, 0);
	set(&fake, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	assert_int_equal(get(&fake, PCI_COMMAND, 2), 6);
	assert_int_equal(fake.config_writes, 1);
}

static void test_bars_can_be_sized_and_not_moved(void **state)
{
	struct fake fake;

	(void)state;
	fake_begin(&fake);
	fake_ready(&fake);
	assert_int_equal(get(&fake, PCI_BASE_ADDRESS_0, 4), 0xd1000004);
	assert_int_equal(get(&fake, PCI_BASE_ADDRESS_1, 4), 1);
	set(&fake, PCI_BASE_ADDRESS_0, ~0U, 4);
	set(&fake, PCI_BASE_ADDRESS_1, ~0U, 4);
	assert_int_equal(get(&fake, PCI_BASE_ADDRESS_0, 4), (uint32_t)-BAR_SIZE | 4);
	assert_int_equal(get(&fake, PCI_BASE_ADDRESS_1, 4), ~0U);
	set(&fake, PCI_BASE_ADDRESS_0, 0x10000000, 4);
	set(&fake, PCI_BASE_ADDRESS_1, 0, 4);
	assert_int_equal(get(&fake, PCI_BASE_ADDRESS_0, 4), 0xd1000004);
	assert_int_equal(get(&fake, PCI_BASE_ADDRESS_1, 4), 1);
	assert_int_equal(get(&fake, PCI_BASE_ADDRESS_2, 4), 0); /* I/O ports */
	assert_int_equal(fake.config_writes, 0);
}

static void test_capabilities(void **state)
{
	struct fake fake;
	struct err err = {};

	(void)state;
	fake_begin(&fake);
	fake_ready(&fake);
	/* In any order, each once: what is hidden, and MSI beside MSI-X, are not among them. */
	assert_int_equal(get(&fake, PCI_CAPABILITY_LIST, 4), MSIX);
	assert_int_equal(get(&fake, MSIX, 2), PCI_CAP_ID_MSIX | EXPRESS << 8);
	assert_int_equal(get(&fake, EXPRESS, 2), PCI_CAP_ID_EXP | PM << 8);
	assert_int_equal(get(&fake, PM, 2), PCI_CAP_ID_PM);
	assert_int_equal(get(&fake, EXPRESS + 2, 2) >> 4 & 0xf, 9);

	/* A chain that goes round. */
	fake_begin(&fake);
	put(&fake, HIDDEN, PCI_CAP_ID_PM | PM << 8, 2);
	assert_int_equal(pci_init(&fake.pci, &err), -ENOTSUP);
	assert_int_equal(fake.pci.vectors, 0);
}

static uint64_t entry(unsigned int vector, uint32_t word)
{
	return TABLE + PCI_MSIX_ENTRY_SIZE * vector + word;
}

static void table_write(struct fake *fake, unsigned int vector, uint32_t word, uint32_t value)
{
	pci_bar_write(&fake->pci, 0, entry(vector, word), &value, 4);
}

static void test_msix(void **state)
{
	struct fake fake;
	uint32_t value = 0;
	uint64_t both;

	(void)state;
	fake_begin(&fake);
	fake_ready(&fake);
	assert_int_equal(get(&fake, MSIX + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	set(&fake, MSIX + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	assert_int_equal(fake.enabled, VECTORS);
	assert_int_equal(get(&fake, MSIX + PCI_MSIX_FLAGS, 2), 0xc000 | (VECTORS - 1));
	table_write(&fake, 1, PCI_MSIX_ENTRY_LOWER_ADDR, 0xfee01003);
	table_write(&fake, 1, PCI_MSIX_ENTRY_UPPER_ADDR, 7);
	table_write(&fake, 1, PCI_MSIX_ENTRY_DATA, 0x4031);
	table_write(&fake, 1, PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
	assert_false(fake.routed[1]); /* all are masked */
	set(&fake, MSIX + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
	assert_true(fake.routed[1] && !fake.routed[0]);
	assert_int_equal(fake.routes[1].address, 0x7fee01000);
	assert_int_equal(fake.routes[1].data, 0x4031);
	table_write(&fake, 1, PCI_MSIX_ENTRY_VECTOR_CTRL, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	assert_false(fake.routed[1]);
	both = 0x9fee02000;
	pci_bar_write(&fake.pci, 0, entry(1, 0), &both, 8);
	table_write(&fake, 1, PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
	assert_int_equal(fake.routes[1].address, both);
	pci_bar_read(&fake.pci, 0, entry(1, PCI_MSIX_ENTRY_DATA), &value, 4);
	assert_int_equal(value, 0x4031);
	set(&fake, MSIX + PCI_MSIX_FLAGS, 0, 2);
	assert_int_equal(fake.enabled, 0);
	assert_false(fake.routed[1]);
}

/* The page of the table has registers of the device's beside it. */
static void test_beside_the_table(void **state)
{
	struct fake fake;
	uint64_t value = 0x1122334455667788;

	(void)state;
	fake_begin(&fake);
	fake_ready(&fake);
	pci_bar_write(&fake.pci, 0, entry(VECTORS, 0), &value, 8);
	assert_memory_equal(fake.bar + entry(VECTORS, 0), &value, 8);
	pci_bar_write(&fake.pci, 0, TABLE - 4, &value, 4);
	assert_memory_equal(fake.bar + TABLE - 4, &value, 4);
	/* A part of a row is nobody's: ones, and no write. */
	pci_bar_write(&fake.pci, 0, entry(1, 2), &value, 2);
	pci_bar_write(&fake.pci, 0, entry(1, 2), &value, 8);
	pci_bar_read(&fake.pci, 0, entry(1, 2), &value, 2);
	assert_int_equal(value & 0xffff, 0xffff);
	assert_int_equal(fake.pci.table[1].address, 0);
	assert_int_equal(fake.bar[entry(1, 2)], 0);
	/* Outside of the device, and in no BAR: ones. */
	pci_bar_read(&fake.pci, 0, BAR_SIZE - 4, &value, 8);
	assert_true(value == ~0ULL);
	value = 0;
	pci_bar_read(&fake.pci, 5, 0, &value, 8);
	assert_true(value == ~0ULL);
	pci_bar_write(&fake.pci, 0, BAR_SIZE, &value, 8);
}

static void test_msi(void **state)
{
	struct fake fake;

	(void)state;
	fake_begin(&fake);
	put(&fake, MSIX, PCI_CAP_ID_VPD, 2);
	fake_ready(&fake);
	assert_int_equal(fake.pci.vectors, 1);
	assert_int_equal(get(&fake, MSI + PCI_MSI_FLAGS, 2), PCI_MSI_FLAGS_64BIT);
	set(&fake, MSI + PCI_MSI_ADDRESS_LO, 0xfee00000, 4);
	set(&fake, MSI + PCI_MSI_ADDRESS_HI, 0, 4);
	set(&fake, MSI + PCI_MSI_DATA_64, 0x41, 2);
	assert_false(fake.routed[0]);
	set(&fake, MSI + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE, 2);
	assert_int_equal(fake.enabled, 1);
	assert_true(fake.routed[0]);
	assert_int_equal(fake.routes[0].address, 0xfee00000);
	assert_int_equal(get(&fake, MSI + PCI_MSI_FLAGS, 2), PCI_MSI_FLAGS_64BIT | 1);
	set(&fake, MSI + PCI_MSI_DATA_64, 0x42, 2);
	assert_int_equal(fake.routes[0].data, 0x42);
	assert_int_equal(fake.config_writes, 0);
}

static int init_without(struct fake *fake, uint32_t offset, uint32_t value, uint32_t len)
{
	struct err err = {};

	fake_begin(fake);
	put(fake, offset, value, len);
	return pci_init(&fake->pci, &err);
}

static void test_what_cannot_be_passed_on(void **state)
{
	struct fake fake;

	(void)state;
	assert_int_equal(init_without(&fake, PCI_VENDOR_ID, ~0U, 4), -ENODEV);
	assert_int_equal(init_without(&fake, PCI_HEADER_TYPE, PCI_HEADER_TYPE_BRIDGE, 1), -ENOTSUP);
	assert_int_equal(init_without(&fake, PCI_STATUS, 0, 2), -ENOTSUP);
	assert_int_equal(init_without(&fake, MSIX + PCI_MSIX_TABLE, BAR_SIZE - 16, 4), -EINVAL);
	assert_int_equal(init_without(&fake, MSIX + PCI_MSIX_TABLE, 7, 4), -EINVAL);
	/* More vectors than there is room for: the guest is told of fewer. */
	assert_int_equal(init_without(&fake, MSIX, PCI_CAP_ID_MSIX | 0x7ffU << 16, 4), 0);
	assert_int_equal(get(&fake, MSIX + PCI_MSIX_FLAGS, 2), PCI_VECTORS_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_bars_can_be_sized_and_not_moved),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_msix),
		cmocka_unit_test(test_beside_the_table),
		cmocka_unit_test(test_msi),
		cmocka_unit_test(test_what_cannot_be_passed_on),
	};

	return cmocka_run_group_tests_name("microvm/pci", tests, NULL, NULL);
}

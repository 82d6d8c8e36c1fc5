/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/devices/pci.h"

#include <linux/pci_regs.h>
#include <string.h>

/* The MSI-X table begins at a multiple of 8, so no aligned access lies across its ends. */
enum {
	CHAIN_MAX = 48, /* as many as there is room for: a chain that goes round ends */
	CHAIN_END = 1,
	TABLE_ENTRY = PCI_MSIX_ENTRY_SIZE,
	MSI_SIZE = 16,       /* without masks */
	ROOT_INTEGRATED = 9, /* device/port type: no link, hence no bridge above it */
};

/* ---- what the device is ---- */

static uint32_t device_read(struct pci_function *f, uint32_t offset, uint32_t len)
{
	uint32_t value = 0;

	return f->ops->config_read(f, offset, &value, len) < 0 ? ~0U : value;
}

/* Those that say nothing of the host's buses and need nothing of the monitor. */
static bool is_shown(const struct pci_function *f, uint8_t id)
{
	return id == PCI_CAP_ID_PM || id == PCI_CAP_ID_EXP || id == PCI_CAP_ID_VNDR ||
	       id == PCI_CAP_ID_MSIX || (id == PCI_CAP_ID_MSI && !f->msix);
}

/* Calls VISIT with each capability; bounded, whatever the device says. */
static void walk_capabilities(
	struct pci_function *f, void (*visit)(struct pci_function *f, uint8_t at, uint8_t id))
{
	uint8_t at = (uint8_t)device_read(f, PCI_CAPABILITY_LIST, 1) & ~3U;

	if (!(device_read(f, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return;
	for (int i = 0; i < CHAIN_MAX && at >= PCI_STD_HEADER_SIZEOF; i++) {
		uint32_t head = device_read(f, at, 2);

		visit(f, at, (uint8_t)head);
		at = (uint8_t)(head >> 8) & ~3U;
	}
}

static void note_capability(struct pci_function *f, uint8_t at, uint8_t id)
{
	if (id == PCI_CAP_ID_MSIX && at <= PCI_HEADER_SIZE - PCI_CAP_MSIX_SIZEOF)
		f->msix = at;
	else if (id == PCI_CAP_ID_MSI && at <= PCI_HEADER_SIZE - MSI_SIZE)
		f->msi = at;
	else if (id == PCI_CAP_ID_EXP)
		f->express = at;
}

/* Built from its end: each one that is shown leads to the one that was found before. */
static void chain_capability(struct pci_function *f, uint8_t at, uint8_t id)
{
	uint8_t *next = f->capabilities + at / 4;

	if (!is_shown(f, id) || *next)
		return;
	*next = f->first ? f->first : CHAIN_END;
	f->first = at;
}

static int read_vectors(struct pci_function *f, struct err *err)
{
	uint32_t table;

	if (f->msix) {
		f->msi = 0;
		f->vectors =
			(device_read(f, f->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
		table = device_read(f, f->msix + PCI_MSIX_TABLE, 4);
		f->table_bar = table & PCI_MSIX_TABLE_BIR;
		f->table_offset = table & PCI_MSIX_TABLE_OFFSET;
	} else if (f->msi) {
		f->vectors = 1;
		f->msi_wide = device_read(f, f->msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_64BIT;
	} else {
		return err_set(err, -ENOTSUP,
			"it has neither MSI-X nor MSI, and its interrupts cannot be passed on");
	}
	if (f->vectors > PCI_VECTORS_MAX)
		f->vectors = PCI_VECTORS_MAX;
	for (unsigned int i = 0; i < f->vectors; i++)
		f->table[i].masked = f->msix;
	if (f->msix &&
		(f->table_bar >= PCI_BARS || !f->bars[f->table_bar].size ||
			f->bars[f->table_bar].size - TABLE_ENTRY * f->vectors < f->table_offset))
		return err_set(err, -EINVAL, "its MSI-X table is not in one of its BARs");
	return 0;
}

static int read_bars(struct pci_function *f, struct err *err)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = f->bars + i;
		uint32_t value = device_read(f, PCI_BASE_ADDRESS_0 + 4 * i, 4);

		if (value & PCI_BASE_ADDRESS_SPACE_IO)
			bar->size = 0;
		if (!bar->size)
			continue;
		bar->wide =
			(value & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
		bar->prefetchable = value & PCI_BASE_ADDRESS_MEM_PREFETCH;
		if (bar->size & (bar->size - 1) || (!bar->wide && bar->size > UINT32_MAX) ||
			(bar->wide && i + 1 == PCI_BARS))
			return err_set(err, -EINVAL, "its BAR %u has no possible size", i);
		if (bar->wide)
			f->bars[++i].size = 0;
	}
	return 0;
}

int pci_init(struct pci_function *f, struct err *err)
{
	int r;

	pthread_mutex_init(&f->lock, NULL);
	if (device_read(f, PCI_VENDOR_ID, 4) == ~0U)
		return err_set(err, -ENODEV, "it does not answer");
	if ((device_read(f, PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL)
		return err_set(err, -ENOTSUP, "it is a bridge");
	r = read_bars(f, err);
	walk_capabilities(f, note_capability);
	if (r == 0)
		r = read_vectors(f, err);
	walk_capabilities(f, chain_capability);
	return r;
}

/* ---- interrupts ---- */

static void route(struct pci_function *f, unsigned int vector)
{
	const struct pci_vector *v = f->table + vector;

	(void)f->ops->route(f, vector, f->enabled && !f->masked && !v->masked ? v : NULL);
}

static void set_enabled(struct pci_function *f, bool enabled, bool masked)
{
	bool changed = enabled != f->enabled;

	f->enabled = enabled;
	f->masked = masked;
	if (changed && !enabled)
		(void)f->ops->enable(f, 0);
	for (unsigned int i = 0; i < f->vectors; i++)
		route(f, i);
	if (changed && enabled)
		(void)f->ops->enable(f, f->vectors);
}

static void set_low(uint64_t *address, uint32_t value)
{
	*address = (*address & ~0xffffffffULL) | (value & ~3U);
}

static void set_high(uint64_t *address, uint32_t value)
{
	*address = (*address & 0xffffffffULL) | (uint64_t)value << 32;
}

/* The four words of a vector's row, 7.7.2.5 onwards. */
static uint32_t table_word(const struct pci_vector *v, uint32_t offset)
{
	switch (offset) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return (uint32_t)v->address;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return (uint32_t)(v->address >> 32);
	case PCI_MSIX_ENTRY_DATA:
		return v->data;
	default:
		return v->masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0;
	}
}

static void table_set(struct pci_function *f, unsigned int vector, uint32_t offset, uint32_t value)
{
	struct pci_vector *v = f->table + vector;

	if (offset == PCI_MSIX_ENTRY_LOWER_ADDR)
		set_low(&v->address, value);
	else if (offset == PCI_MSIX_ENTRY_UPPER_ADDR)
		set_high(&v->address, value);
	else if (offset == PCI_MSIX_ENTRY_DATA)
		v->data = value;
	else
		v->masked = value & PCI_MSIX_ENTRY_CTRL_MASKBIT;
	/* A row is only to be changed while it is masked; its last word brings it into force. */
	if (offset == PCI_MSIX_ENTRY_VECTOR_CTRL || !v->masked)
		route(f, vector);
}

/* Whether any of it is in our table; AT is where, when it is a whole word or two of a row. */
static bool in_table(
	const struct pci_function *f, unsigned int bar, uint64_t offset, uint32_t len, int64_t *at)
{
	uint64_t end = f->table_offset + (uint64_t)TABLE_ENTRY * f->vectors;

	*at = (len == 4 || len == 8) && offset % len == 0 ? (int64_t)(offset - f->table_offset)
							  : -1;
	return f->msix && bar == f->table_bar && offset < end && offset + len > f->table_offset;
}

static void table_read(const struct pci_function *f, int64_t at, uint8_t *ret, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 4, at += 4) {
		uint32_t word =
			table_word(f->table + at / TABLE_ENTRY, (uint32_t)(at % TABLE_ENTRY));

		memcpy(ret + i, &word, 4);
	}
}

static void table_write(struct pci_function *f, int64_t at, const uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i += 4, at += 4) {
		uint32_t word;

		memcpy(&word, data + i, 4);
		table_set(f, (unsigned int)(at / TABLE_ENTRY), (uint32_t)(at % TABLE_ENTRY), word);
	}
}

void pci_bar_read(
	struct pci_function *f, unsigned int bar, uint64_t offset, void *ret, uint32_t len)
{
	int64_t at;

	memset(ret, 0xff, len);
	pthread_mutex_lock(&f->lock);
	if (!in_table(f, bar, offset, len, &at)) {
		if (f->ops->bar_read(f, bar, offset, ret, len) < 0)
			memset(ret, 0xff, len);
	} else if (at >= 0) {
		table_read(f, at, ret, len);
	}
	pthread_mutex_unlock(&f->lock);
}

void pci_bar_write(
	struct pci_function *f, unsigned int bar, uint64_t offset, const void *data, uint32_t len)
{
	int64_t at;

	pthread_mutex_lock(&f->lock);
	if (!in_table(f, bar, offset, len, &at))
		(void)f->ops->bar_write(f, bar, offset, data, len);
	else if (at >= 0)
		table_write(f, at, data, len);
	pthread_mutex_unlock(&f->lock);
}

/* ---- configuration space ---- */

static uint32_t bar_register(const struct pci_function *f, unsigned int index)
{
	bool high = index && f->bars[index - 1].size && f->bars[index - 1].wide;
	const struct pci_bar *bar = f->bars + index - high;
	uint64_t value = f->sizing[index] ? -bar->size : bar->gpa;

	if (!bar->size)
		return 0;
	if (high)
		return (uint32_t)(value >> 32);
	return (uint32_t)value | (bar->wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
	       (bar->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
}

static uint32_t high_half(uint32_t value, uint32_t half)
{
	return (value & 0xffff) | half << 16;
}

/* The words of MSI: control, address (of one word or two), data. No masks, one vector. */
static uint32_t msi_word(const struct pci_function *f, uint32_t word, uint32_t device)
{
	const struct pci_vector *v = f->table;

	if (word == 0)
		return high_half(device, (f->msi_wide ? PCI_MSI_FLAGS_64BIT : 0) |
						 (f->enabled ? PCI_MSI_FLAGS_ENABLE : 0));
	if (word == 1)
		return (uint32_t)v->address;
	if (word == 2 && f->msi_wide)
		return (uint32_t)(v->address >> 32);
	return v->data;
}

static uint32_t msi_words(const struct pci_function *f)
{
	return f->msi_wide ? 4 : 3;
}

/* What the guest sees of the aligned word at OFFSET, where the device says VALUE. */
static uint32_t shown_word(const struct pci_function *f, uint32_t offset, uint32_t value)
{
	if (offset == (PCI_HEADER_TYPE & ~3U))
		return value & ~(0x80U << 16); /* one function */
	if (offset >= PCI_BASE_ADDRESS_0 && offset <= PCI_BASE_ADDRESS_5)
		return bar_register(f, (offset - PCI_BASE_ADDRESS_0) / 4);
	if (offset == PCI_CARDBUS_CIS || offset == PCI_ROM_ADDRESS)
		return 0;
	if (offset == PCI_CAPABILITY_LIST)
		return f->first;
	if (offset == PCI_INTERRUPT_LINE)
		return value & 0xff; /* no pin, so no INTx */
	if (f->capabilities[offset / 4])
		value = (value & ~0xff00U) | (f->capabilities[offset / 4] & ~3U) << 8;
	if (f->msix && offset == f->msix)
		return high_half(value, (f->vectors - 1) |
						(f->enabled ? PCI_MSIX_FLAGS_ENABLE : 0) |
						(f->masked ? PCI_MSIX_FLAGS_MASKALL : 0));
	if (f->express && offset == f->express)
		return (value & ~((uint32_t)PCI_EXP_FLAGS_TYPE << 16)) | ROOT_INTEGRATED << 20;
	if (f->msi && offset >= f->msi && (offset - f->msi) / 4 < msi_words(f))
		return msi_word(f, (offset - f->msi) / 4, value);
	return value;
}

void pci_config_read(struct pci_function *f, uint32_t offset, void *ret, uint32_t len)
{
	uint8_t *bytes = ret;
	uint32_t word;

	memset(ret, 0, len);
	if (offset >= PCI_HEADER_SIZE || len > PCI_HEADER_SIZE - offset)
		return;
	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i < len;) {
		uint32_t at = (offset + i) & ~3U, skip = (offset + i) & 3U, n = 4 - skip;

		n = n > len - i ? len - i : n;
		word = shown_word(f, at, device_read(f, at, 4)) >> (8 * skip);
		memcpy(bytes + i, &word, n);
		i += n;
	}
	pthread_mutex_unlock(&f->lock);
}

/* The guest's word at OFFSET with the LEN bytes of DATA in it; what one of ours then means. */
static void own_written(struct pci_function *f, uint32_t offset, uint32_t value)
{
	if (offset >= PCI_BASE_ADDRESS_0 && offset <= PCI_BASE_ADDRESS_5) {
		f->sizing[(offset - PCI_BASE_ADDRESS_0) / 4] = (value | 0xf) == ~0U;
	} else if (f->msix && offset == f->msix) {
		set_enabled(f, value >> 16 & PCI_MSIX_FLAGS_ENABLE,
			value >> 16 & PCI_MSIX_FLAGS_MASKALL);
	} else if (f->msi && offset == f->msi) {
		set_enabled(f, value >> 16 & PCI_MSI_FLAGS_ENABLE, false);
	} else if (f->msi && offset == f->msi + 4U) {
		set_low(&f->table->address, value);
	} else if (f->msi && f->msi_wide && offset == f->msi + 8U) {
		set_high(&f->table->address, value);
	} else {
		f->table->data = value & 0xffff;
	}
	if (f->msi && f->enabled && offset > f->msi)
		route(f, 0);
}

static bool is_own(const struct pci_function *f, uint32_t offset)
{
	return (offset >= PCI_BASE_ADDRESS_0 && offset <= PCI_BASE_ADDRESS_5) ||
	       offset == PCI_ROM_ADDRESS || offset == PCI_CARDBUS_CIS ||
	       (f->msix && offset == f->msix) ||
	       (f->msi && offset >= f->msi && (offset - f->msi) / 4 < msi_words(f));
}

void pci_config_write(struct pci_function *f, uint32_t offset, const void *data, uint32_t len)
{
	uint32_t at = offset & ~3U, skip = offset & 3U, word;

	/* What crosses a word is no access of configuration space. */
	if (offset >= PCI_HEADER_SIZE || len > 4 - skip)
		return;
	pthread_mutex_lock(&f->lock);
	if (!is_own(f, at)) {
		(void)f->ops->config_write(f, offset, data, len);
	} else if (at != PCI_ROM_ADDRESS && at != PCI_CARDBUS_CIS) {
		word = shown_word(f, at, device_read(f, at, 4));
		memcpy((uint8_t *)&word + skip, data, len);
		own_written(f, at, word);
	}
	pthread_mutex_unlock(&f->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/microvm/vmm/aarch64/fdt.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

enum {
	MAGIC = 0xd00dfeed,
	VERSION = 17,
	COMPATIBLE_VERSION = 16,
	BEGIN_NODE = 1,
	END_NODE = 2,
	PROPERTY = 3,
	END = 9,
};

/* 5.2; all big-endian. */
struct header {
	uint32_t magic, total, nodes, names, reserved, version, compatible, boot_cpu, names_len,
		nodes_len;
};

static void add_u32(struct buf *buf, uint32_t value)
{
	value = htobe32(value);
	buf_add(buf, &value, sizeof(value));
}

/* Bytes, and zeros up to the next word. */
static void add_padded(struct buf *buf, const void *data, size_t len)
{
	static const char zeros[4];

	buf_add(buf, data, len);
	buf_add(buf, zeros, -len & 3);
}

void fdt_begin(struct fdt *fdt, const char *name)
{
	add_u32(&fdt->nodes, BEGIN_NODE);
	add_padded(&fdt->nodes, name, strlen(name) + 1);
	fdt->depth++;
}

void fdt_end(struct fdt *fdt)
{
	add_u32(&fdt->nodes, END_NODE);
	fdt->depth--;
}

/* Where NAME is among the names; each is there once. */
static uint32_t name_offset(struct fdt *fdt, const char *name)
{
	size_t len = strlen(name) + 1, at = 0;

	while (at < fdt->names.len) {
		if (!strcmp(fdt->names.data + at, name))
			return (uint32_t)at;
		at += strlen(fdt->names.data + at) + 1;
	}
	buf_add(&fdt->names, name, len);
	return (uint32_t)at;
}

void fdt_bytes(struct fdt *fdt, const char *name, const void *data, size_t len)
{
	add_u32(&fdt->nodes, PROPERTY);
	add_u32(&fdt->nodes, (uint32_t)len);
	add_u32(&fdt->nodes, name_offset(fdt, name));
	add_padded(&fdt->nodes, data, len);
}

void fdt_empty(struct fdt *fdt, const char *name)
{
	fdt_bytes(fdt, name, "", 0);
}

void fdt_text(struct fdt *fdt, const char *name, const char *text)
{
	fdt_bytes(fdt, name, text, strlen(text) + 1);
}

void fdt_cells(struct fdt *fdt, const char *name, const uint32_t *cells, size_t count)
{
	add_u32(&fdt->nodes, PROPERTY);
	add_u32(&fdt->nodes, (uint32_t)(count * sizeof(*cells)));
	add_u32(&fdt->nodes, name_offset(fdt, name));
	for (size_t i = 0; i < count; i++)
		add_u32(&fdt->nodes, cells[i]);
}

void fdt_numbers(struct fdt *fdt, const char *name, const uint64_t *numbers, size_t count)
{
	add_u32(&fdt->nodes, PROPERTY);
	add_u32(&fdt->nodes, (uint32_t)(count * sizeof(*numbers)));
	add_u32(&fdt->nodes, name_offset(fdt, name));
	for (size_t i = 0; i < count; i++) {
		add_u32(&fdt->nodes, (uint32_t)(numbers[i] >> 32));
		add_u32(&fdt->nodes, (uint32_t)numbers[i]);
	}
}

int fdt_finish(struct fdt *fdt, struct buf *ret)
{
	static const uint64_t no_reservation[2];
	const uint32_t nodes = sizeof(struct header) + sizeof(no_reservation);
	int r = fdt->depth ? -EINVAL : 0;

	add_u32(&fdt->nodes, END);
	const uint32_t names = nodes + (uint32_t)fdt->nodes.len;
	const struct header header = {
		.magic = htobe32(MAGIC),
		.total = htobe32(names + (uint32_t)fdt->names.len),
		.nodes = htobe32(nodes),
		.names = htobe32(names),
		.reserved = htobe32(sizeof(struct header)),
		.version = htobe32(VERSION),
		.compatible = htobe32(COMPATIBLE_VERSION),
		.names_len = htobe32((uint32_t)fdt->names.len),
		.nodes_len = htobe32((uint32_t)fdt->nodes.len),
	};

	buf_add(ret, &header, sizeof(header));
	buf_add(ret, no_reservation, sizeof(no_reservation));
	buf_add(ret, fdt->nodes.data, fdt->nodes.len);
	buf_add(ret, fdt->names.data, fdt->names.len);
	if (r == 0 && (fdt->nodes.failed || fdt->names.failed || ret->failed))
		r = -ENOMEM;
	buf_free(&fdt->nodes);
	buf_free(&fdt->names);
	*fdt = (struct fdt){};
	return r;
}

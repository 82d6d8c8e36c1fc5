/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a flattened device tree (Devicetree Specification 0.4, chapter 5). Pure.
 *
 * Use: from {}; fdt_begin() for a node ("" is the root), its properties, its children, fdt_end();
 * at last fdt_finish(). A failure on the way shows there.
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>

struct fdt {
	struct buf nodes, names;
	unsigned int depth;
};

void fdt_begin(struct fdt *fdt, const char *name);
void fdt_end(struct fdt *fdt);
void fdt_bytes(struct fdt *fdt, const char *name, const void *data, size_t len);
void fdt_empty(struct fdt *fdt, const char *name);
void fdt_text(struct fdt *fdt, const char *name, const char *text);
/* Numbers of 32 and of 64 bits, COUNT of them. */
void fdt_cells(struct fdt *fdt, const char *name, const uint32_t *cells, size_t count);
void fdt_numbers(struct fdt *fdt, const char *name, const uint64_t *numbers, size_t count);
/* Appends the tree to RET. −ENOMEM, or −EINVAL when a node was not ended. FDT is empty
 * afterwards. */
int fdt_finish(struct fdt *fdt, struct buf *ret);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns that stand under each other: lines of cells that are separated by tabs. Every column but
 * the last is as wide as its widest cell and three spaces, and at least ten. What could command a
 * terminal (images and containers come from strangers) becomes '?'. Pure; any process.
 */
#pragma once

#include "base/buf.h"

/* Appends the LEN bytes of TEXT aligned. Lines end with a newline. */
void table_align(const char *text, size_t len, struct buf *ret);

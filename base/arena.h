/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena: many small allocations with one lifetime, freed together.
 *
 * Used for what is built once and then only read (a parsed configuration, a plan), where one free
 * per object would be the larger half of the code. Start from {}, end with arena_free().
 *
 * Memory from an arena is zeroed and aligned for any type. NULL means that memory ran out (or that
 * SIZE × COUNT overflowed); callers turn that into −ENOMEM. Any process; not thread-safe.
 */
#pragma once

#include "base/cleanup.h"

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
};

void *arena_alloc(struct arena *arena, size_t count, size_t size);
char *arena_strdup(struct arena *arena, const char *s);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_free(struct arena *arena);

CLEANUP_DEFINE(arena, struct arena, arena_free)
#define autoarena __attribute__((cleanup(cleanup_arena)))

#define arena_new(arena, type)          ((type *)arena_alloc(arena, 1, sizeof(type)))
#define arena_array(arena, count, type) ((type *)arena_alloc(arena, count, sizeof(type)))

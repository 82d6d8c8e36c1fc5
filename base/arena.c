/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_SIZE = 8192 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	alignas(max_align_t) unsigned char data[];
};

static struct arena_chunk *chunk_new(struct arena *arena, size_t want)
{
	size_t size = want > CHUNK_SIZE / 4 ? want : CHUNK_SIZE;
	struct arena_chunk *chunk;

	if (size > SIZE_MAX - sizeof(*chunk))
		return NULL;
	chunk = calloc(1, sizeof(*chunk) + size);
	if (!chunk)
		return NULL;
	chunk->size = size;
	/* A large object gets a chunk of its own behind the current one, which stays in use. */
	if (size != CHUNK_SIZE && arena->chunks) {
		chunk->next = arena->chunks->next;
		arena->chunks->next = chunk;
	} else {
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct arena_chunk *chunk = arena->chunks;
	size_t want;
	void *p;

	if (__builtin_mul_overflow(count, size, &want) || want > SIZE_MAX - align)
		return NULL;
	want = (want + align - 1) / align * align;
	if (!want)
		want = align;
	if (!chunk || chunk->size - chunk->used < want)
		chunk = chunk_new(arena, want);
	if (!chunk)
		return NULL;
	p = chunk->data + chunk->used;
	chunk->used += want;
	return p;
}

char *arena_strdup(struct arena *arena, const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = arena_alloc(arena, n, 1);

	return copy ? memcpy(copy, s, n) : NULL;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	s = arena_alloc(arena, (size_t)n + 1, 1);
	if (!s)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void arena_free(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		free(chunk);
	}
}

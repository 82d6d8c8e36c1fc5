/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "tests/unit/unit.h"

#include <stdalign.h>
#include <stdint.h>

static void test_zeroed_and_aligned(void **state)
{
	autoarena struct arena arena = {};
	(void)state;

	for (size_t i = 0; i < 2000; i++) {
		unsigned char *p = arena_alloc(&arena, 1, i % 97);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
		for (size_t j = 0; j < i % 97; j++) {
			assert_int_equal(p[j], 0);
			p[j] = 0xff;
		}
	}
}

static void test_large_object_leaves_current_chunk(void **state)
{
	autoarena struct arena arena = {};
	char *a = arena_alloc(&arena, 1, 16), *big = arena_alloc(&arena, 1, 100000), *b;
	(void)state;

	assert_non_null(big);
	memset(big, 1, 100000);
	b = arena_alloc(&arena, 1, 16);
	assert_ptr_equal(b, a + 16);
}

static void test_overflow(void **state)
{
	autoarena struct arena arena = {};
	(void)state;

	assert_null(arena_alloc(&arena, SIZE_MAX, 2));
	assert_null(arena_alloc(&arena, 1, SIZE_MAX - 3));
	assert_non_null(arena_alloc(&arena, 0, 8));
	assert_ptr_not_equal(arena_alloc(&arena, 0, 8), arena_alloc(&arena, 0, 8));
}

static void test_texts(void **state)
{
	autoarena struct arena arena = {};
	char *text = arena_printf(&arena, "%s-%d", "a", 7);
	(void)state;

	assert_string_equal(text, "a-7");
	assert_string_equal(arena_strdup(&arena, "copy"), "copy");
	assert_string_equal(arena_printf(&arena, "%5000d", 1) + 4999, "1");
	arena_free(&arena);
	assert_null(arena.chunks);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_and_aligned),
		cmocka_unit_test(test_large_object_leaves_current_chunk),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

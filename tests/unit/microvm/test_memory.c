/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/microvm/guest.h"

#include <errno.h>

static void test_edges(void **state)
{
	struct guest_memory m = {};
	uint8_t low[0x100], high[0x100];

	(void)state;
	assert_int_equal(guest_memory_add(&m, 0x1000, sizeof(low), low), 0);
	assert_int_equal(guest_memory_add(&m, 0x1100, sizeof(high), high), 0);
	assert_int_equal(guest_memory_size(&m), 0x200);

	assert_ptr_equal(gpa_to_hva(&m, 0x1000, 1), low);
	assert_ptr_equal(gpa_to_hva(&m, 0x1000, 0x100), low);
	assert_ptr_equal(gpa_to_hva(&m, 0x10ff, 1), low + 0xff);
	assert_ptr_equal(gpa_to_hva(&m, 0x1100, 1), high);
	assert_ptr_equal(gpa_to_hva(&m, 0x11ff, 1), high + 0xff);

	assert_null(gpa_to_hva(&m, 0xfff, 1));
	assert_null(gpa_to_hva(&m, 0xfff, 2));
	assert_null(gpa_to_hva(&m, 0x1200, 1));
	assert_null(gpa_to_hva(&m, 0x11ff, 2));
	assert_null(gpa_to_hva(&m, 0x1000, 0)); /* nothing is not a buffer */
	assert_null(gpa_to_hva(&m, 0x10ff, 2)); /* spans two regions, though they touch */
	assert_null(gpa_to_hva(&m, 0x1000, 0x101));
	assert_null(gpa_to_hva(&m, 0x1001, UINT64_MAX));
	assert_null(gpa_to_hva(&m, UINT64_MAX, 1));
	assert_null(gpa_to_hva(&m, UINT64_MAX, 2));
}

static void test_table(void **state)
{
	struct guest_memory m = {};
	uint8_t bytes[16];

	(void)state;
	assert_int_equal(guest_memory_add(&m, 0, 0, bytes), -EINVAL);
	assert_int_equal(guest_memory_add(&m, UINT64_MAX, 2, bytes), -EINVAL);
	assert_int_equal(guest_memory_add(&m, 0x10, 16, bytes), 0);
	assert_int_equal(guest_memory_add(&m, 0x1f, 16, bytes), -EINVAL); /* overlaps */
	assert_int_equal(guest_memory_add(&m, 0x00, 8, bytes), -EINVAL);  /* out of order */
	assert_int_equal(guest_memory_add(&m, 0x20, 16, bytes), 0);
	assert_int_equal(guest_memory_add(&m, 0x40, 16, bytes), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

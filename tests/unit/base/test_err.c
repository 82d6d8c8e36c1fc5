/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "tests/unit/unit.h"

static void test_sentence(void **state)
{
	struct err err = {};
	(void)state;

	assert_int_equal(err_set(&err, -EINVAL, "%s: wrong", "here"), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.text, "here: wrong");
	assert_int_equal(err_add(&err, "file %d", 3), -EINVAL);
	assert_string_equal(err.text, "file 3: here: wrong");
	err_clear(&err);
	assert_int_equal(err.code, 0);
	assert_string_equal(err.text, "");
}

static void test_meaning_of_the_code(void **state)
{
	struct err err = {};
	(void)state;

	assert_int_equal(err_sys(&err, -ENOENT, "open %s", "/x"), -ENOENT);
	assert_string_equal(err.text, "open /x: No such file or directory");
}

static void test_keeps_errno(void **state)
{
	struct err err = {};
	(void)state;

	errno = EXDEV;
	err_set(&err, -EINVAL, "a");
	err_sys(&err, -EIO, "b");
	err_add(&err, "c");
	assert_int_equal(errno, EXDEV);
}

static void test_long_text_is_cut(void **state)
{
	static char big[3 * ERR_TEXT_MAX];
	struct err err = {};
	(void)state;

	memset(big, 'b', sizeof(big) - 1);
	err_set(&err, -EINVAL, "%s", big);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_sys(&err, -EIO, "%s", big);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_set(&err, -EINVAL, "cause");
	err_add(&err, "%s", big);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_int_equal(err.code, -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sentence),
		cmocka_unit_test(test_meaning_of_the_code),
		cmocka_unit_test(test_keeps_errno),
		cmocka_unit_test(test_long_text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

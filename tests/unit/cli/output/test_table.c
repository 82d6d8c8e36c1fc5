/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void gives(const char *text, const char *wanted)
{
	autobuf struct buf out = {};

	table_align(text, strlen(text), &out);
	assert_string_equal(buf_str(&out), wanted);
}

static void aligned(void **state)
{
	(void)state;
	gives("", "");
	gives("A\tB\n1\t2\n", "A         B\n1         2\n");
	gives("ID\tNAME\nabcdefghijkl\tx\n", "ID             NAME\nabcdefghijkl   x\n");
	gives("äöüäöüäöü\tx\n123456789\ty\n", "äöüäöüäöü   x\n123456789   y\n");
	gives("no end", "no end\n");
	gives("short\n\na\tb\tc\n", "short\n\na         b         c\n");
}

static void harmless(void **state)
{
	(void)state;
	gives("\033[31mred\tx\n", "?[31mred   x\n");
}

static void many_columns(void **state)
{
	autobuf struct buf in = {}, out = {};

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_puts(&in, "x\t");
	table_align(buf_str(&in), in.len, &out);
	assert_false(out.failed);
	/* The cells behind the last column are text, in which a tab is a control character. */
	assert_non_null(strstr(buf_str(&out), "x?x?x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligned),
		cmocka_unit_test(harmless),
		cmocka_unit_test(many_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cli/containers/unit_text.c: files of systemd, and the words of its command lines. */
#include "cli/containers/unit_text.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static int parse(const char *given, struct arena *arena, struct unit_file *ret, struct err *err)
{
	char *text = arena_strdup(arena, given);

	assert_non_null(text);
	return unit_parse("x", text, arena, ret, err);
}

static void test_lines(void **state)
{
	autoarena struct arena arena = {};
	struct unit_file f = {};
	struct err err = {};

	(void)state;
	assert_int_equal(parse("# note\n\n[One]\n A = b c \n;x\nB=\n[Two]\r\nC=1 \\\n# between\n "
			       "2\\\n3\nD==e",
				 &arena, &f, &err),
		0);
	assert_int_equal(f.count, 4);
	assert_string_equal(f.lines[0].section, "One");
	assert_string_equal(f.lines[0].key, "A");
	assert_string_equal(f.lines[0].value, "b c");
	assert_int_equal(f.lines[0].number, 4);
	assert_string_equal(f.lines[1].value, "");
	assert_string_equal(f.lines[2].section, "Two");
	assert_string_equal(f.lines[2].value, "1  2 3");
	assert_int_equal(f.lines[2].number, 8);
	assert_string_equal(f.lines[3].value, "=e");
	assert_int_equal(parse("", &arena, &f, &err), 0);
}

static void test_wrong_lines(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {{"A=b", "x:1: stands in no section"},
		{"[One]\nA", "x:2: \"A\" is not KEY=VALUE"},
		{"[One]\n=b", "x:2: \"=b\" is not KEY=VALUE"},
		{"\n[One", "x:2: \"[One\" is no section"}, {"[]", "x:1: \"[]\" is no section"},
		{"[One]\nA \\", "x:2: \"A\" is not KEY=VALUE"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		autoarena struct arena arena = {};
		struct unit_file f = {};
		struct err err = {};

		assert_int_equal(parse(rows[i].text, &arena, &f, &err), -EINVAL);
		if (i != 5) /* the joined line ends in a space */
			assert_string_equal(err.text, rows[i].words);
	}
}

static void test_words(void **state)
{
	static const char *const words[] = {"a", "b c", "d\"e", "f g", "", "h\ti", "A"};
	autoarena struct arena arena = {};
	struct strings list = {};

	(void)state;
	assert_int_equal(unit_split("  a \"b c\" 'd\"e' f\\sg '' h\\ti \\x41 ", &arena, &list), 0);
	assert_int_equal(list.count, ARRAY_LEN(words));
	for (size_t i = 0; i < list.count; i++)
		assert_string_equal(list.items[i], words[i]);
	assert_int_equal(unit_split("\"a", &arena, &list), -EINVAL);
	assert_int_equal(unit_split("a\\", &arena, &list), -EINVAL);
	assert_int_equal(unit_split("\\q", &arena, &list), -EINVAL);
	assert_int_equal(unit_split("\\x00", &arena, &list), -EINVAL);
}

static void test_quoting(void **state)
{
	autobuf struct buf out = {};

	(void)state;
	unit_add_word(&out, "plain-1.2:/x", true);
	unit_add_word(&out, "", true);
	unit_add_word(&out, "a b\"c\\\n", true);
	unit_add_word(&out, "%i $x", true);
	unit_add_word(&out, "%i $x", false);
	assert_string_equal(
		buf_str(&out), " plain-1.2:/x \"\" \"a b\\\"c\\\\\\n\" \"%%i $$x\" \"%i $x\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_quoting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

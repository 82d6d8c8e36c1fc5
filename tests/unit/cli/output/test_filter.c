/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const keys[] = {"name", "label", "dangling", NULL};

static int parse(const char *first, const char *second, struct arena *arena, struct filters *ret,
	struct err *err)
{
	const char *items[] = {first, second};
	const struct strings texts = {items, second ? 2 : 1};

	return filters_parse(&texts, keys, arena, ret, err);
}

static void parsed(void **state)
{
	autoarena struct arena arena = {};
	struct filters f = {};
	struct err err = {};

	(void)state;
	assert_int_equal(parse("name=a=b", "label!=x", &arena, &f, &err), 0);
	assert_int_equal(f.count, 2);
	assert_string_equal(f.items[0].value, "a=b");
	assert_false(f.items[0].negated);
	assert_true(f.items[1].negated);
	assert_string_equal(filters_value(&f, "name"), "a=b");
	assert_true(filters_have(&f, "label"));
	assert_false(filters_have(&f, "dangling"));
	assert_int_equal(parse("name", NULL, &arena, &f, &err), -EINVAL);
	assert_int_equal(parse("=x", NULL, &arena, &f, &err), -EINVAL);
	assert_int_equal(parse("nme=x", NULL, &arena, &f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "did you mean \"name\"?"));
	assert_int_equal(parse("zzzzzzz=x", NULL, &arena, &f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "only name, label, dangling"));
}

static void accepted(void **state)
{
	autoarena struct arena arena = {};
	struct filters f = {};
	struct err err = {};

	(void)state;
	assert_int_equal(parse("name=one", "name=two", &arena, &f, &err), 0);
	assert_true(filters_accept_equal(&f, "name", "two"));
	assert_false(filters_accept_equal(&f, "name", "three"));
	assert_true(filters_accept_equal(&f, "dangling", "anything"));
	assert_true(filters_accept_prefix(&f, "name", "twofold"));
	assert_false(filters_accept_prefix(&f, "name", "a two"));
	assert_true(filters_accept_part(&f, "name", "a two b"));
	assert_int_equal(parse("name=o*", "name!=on?", &arena, &f, &err), 0);
	assert_true(filters_accept_pattern(&f, "name", "other"));
	assert_false(filters_accept_pattern(&f, "name", "one"));
	assert_int_equal(parse("name!=one", NULL, &arena, &f, &err), 0);
	assert_true(filters_accept_equal(&f, "name", "two"));
	assert_false(filters_accept_equal(&f, "name", "one"));
}

static void labels(void **state)
{
	autoarena struct arena arena = {};
	json_t *have = json_pack("{ssss}", "a", "1", "b", "2");
	struct filters f = {};
	struct err err = {};

	(void)state;
	assert_int_equal(parse("label=a", "label=b=2", &arena, &f, &err), 0);
	assert_true(filters_accept_labels(&f, "label", have));
	assert_false(filters_accept_labels(&f, "label", NULL));
	assert_int_equal(parse("label=a", "label=b=3", &arena, &f, &err), 0);
	assert_false(filters_accept_labels(&f, "label", have));
	assert_int_equal(parse("label!=c", NULL, &arena, &f, &err), 0);
	assert_true(filters_accept_labels(&f, "label", have));
	assert_int_equal(parse("label!=a=1", NULL, &arena, &f, &err), 0);
	assert_false(filters_accept_labels(&f, "label", have));
	json_decref(have);
}

static void booleans(void **state)
{
	autoarena struct arena arena = {};
	struct filters f = {};
	struct err err = {};

	(void)state;
	assert_int_equal(parse("dangling=true", NULL, &arena, &f, &err), 0);
	assert_int_equal(filters_check_bool(&f, "dangling", &err), 0);
	assert_true(filters_accept_bool(&f, "dangling", true));
	assert_false(filters_accept_bool(&f, "dangling", false));
	assert_int_equal(parse("dangling=maybe", NULL, &arena, &f, &err), 0);
	assert_int_equal(filters_check_bool(&f, "dangling", &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsed),
		cmocka_unit_test(accepted),
		cmocka_unit_test(labels),
		cmocka_unit_test(booleans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

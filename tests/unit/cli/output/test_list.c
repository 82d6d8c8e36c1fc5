/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output/list.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct list_field fields[] = {
	{"ID", "CONTAINER ID"}, {"Names", "NAMES"}, {"Label", NULL}, {NULL, NULL}};

static int print(struct list_options *options, struct buf *out, struct err *err)
{
	static const char text[] = "[{\"ID\":\"a1\",\"Names\":\"one\",\"Label\":{\"k\":\"v\"}},"
				   "{\"ID\":\"b2\",\"Names\":\"two\",\"Label\":{}}]";
	autojson json_t *rows = json_loads(text, 0, NULL);

	assert_non_null(rows);
	options->fields = fields;
	options->columns = "{{.ID}}\t{{.Names}}";
	options->quiet = "{{.ID}}";
	return list_print(options, rows, out, err);
}

static void gives(struct list_options options, const char *wanted)
{
	autobuf struct buf out = {};
	struct err err = {};

	assert_int_equal(print(&options, &out, &err), 0);
	assert_string_equal(buf_str(&out), wanted);
}

static void tables(void **state)
{
	(void)state;
	gives((struct list_options){},
		"CONTAINER ID   NAMES\na1             one\nb2             two\n");
	gives((struct list_options){.format = "table"},
		"CONTAINER ID   NAMES\na1             one\nb2             two\n");
	gives((struct list_options){.no_heading = true}, "a1        one\nb2        two\n");
	gives((struct list_options){.format = "table {{.Names}}\\t{{.Label \"k\"}}"},
		"NAMES     \none       v\ntwo       \n");
	gives((struct list_options){.format = "table {{upper .ID}}"}, "CONTAINER ID\nA1\nB2\n");
}

static void other_forms(void **state)
{
	(void)state;
	gives((struct list_options){.is_quiet = true}, "a1\nb2\n");
	gives((struct list_options){.format = "json"},
		"{\"ID\":\"a1\",\"Names\":\"one\"}\n{\"ID\":\"b2\",\"Names\":\"two\"}\n");
	gives((struct list_options){.format = "{{.ID}}\\t{{.Names}}"}, "a1\tone\nb2\ttwo\n");
	gives((struct list_options){.format = "{{.ID}}", .is_quiet = true}, "a1\nb2\n");
}

static void errors(void **state)
{
	struct list_options options = {.format = "{{.Nothing}}"};
	autobuf struct buf out = {};
	struct err err = {};

	(void)state;
	assert_int_equal(print(&options, &out, &err), -EINVAL);
	assert_string_equal(err.text, "--format: template: 3: an object has no field \"Nothing\"");
}

static void values(void **state)
{
	autojson json_t *values = json_loads("[{\"A\":1}]", 0, NULL);
	autobuf struct buf out = {};
	struct err err = {};

	(void)state;
	assert_int_equal(list_print_values(NULL, values, &out, &err), 0);
	assert_string_equal(buf_str(&out), "[\n    {\n        \"A\": 1\n    }\n]\n");
	out.len = 0;
	assert_int_equal(list_print_values("json", values, &out, &err), 0);
	assert_string_equal(buf_str(&out), "[{\"A\":1}]\n");
	out.len = 0;
	assert_int_equal(list_print_values("{{.A}}", values, &out, &err), 0);
	assert_string_equal(buf_str(&out), "1\n");
	out.len = 0;
	assert_int_equal(list_print_value("{{.A}}", json_array_get(values, 0), &out, &err), 0);
	assert_string_equal(buf_str(&out), "1\n");
	out.len = 0;
	assert_int_equal(list_print_value("json", json_array_get(values, 0), &out, &err), 0);
	assert_string_equal(buf_str(&out), "{\"A\":1}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),
		cmocka_unit_test(other_forms),
		cmocka_unit_test(errors),
		cmocka_unit_test(values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

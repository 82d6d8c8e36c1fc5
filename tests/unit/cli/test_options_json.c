/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct values {
	struct strings networks;
	bool quiet, hidden;
	struct opt_u64 size;
};

static const struct option table[] = {
	{"net", 0, OPTION_TEXTS, OPTION_AT(values, networks), .hidden = true},
	{"network", 0, OPTION_TEXTS, OPTION_AT(values, networks)},
	{"old", 0, OPTION_FLAG, OPTION_AT(values, hidden), .hidden = true},
	{"quiet", 'q', OPTION_FLAG, OPTION_AT(values, quiet)},
	{"size", 0, OPTION_SIZE, OPTION_AT(values, size)},
	{},
};

static const char *const names[] = {"a", "b"};

static void comes_back(void **state)
{
	const struct values values = {
		.networks = {(const char **)names, 2}, .hidden = true, .size = {true, 0}};
	autoarena struct arena arena = {};
	autojson json_t *object = NULL;
	struct values again = {};
	struct err err = {};

	(void)state;
	assert_int_equal(options_to_json(table, &values, &object, &err), 0);
	assert_int_equal(options_from_json(table, object, &arena, &again, &err), 0);
	assert_int_equal(again.networks.count, 2);
	assert_string_equal(again.networks.items[1], "b");
	assert_true(again.hidden && !again.quiet && again.size.set && !again.size.value);
}

/* Whoever asks for all of it again would else ask for each network twice. */
static void says_each_value_once(void **state)
{
	const struct values values = {.networks = {(const char **)names, 2}, .hidden = true};
	autojson json_t *object = NULL;
	struct err err = {};

	(void)state;
	assert_int_equal(options_to_json(table, &values, &object, &err), 0);
	assert_null(json_object_get(object, "net"));
	assert_int_equal(json_array_size(json_object_get(object, "network")), 2);
	assert_true(json_is_true(json_object_get(object, "old")));
	assert_int_equal(json_object_size(object), 2);
}

static void refuses_other_types(void **state)
{
	autojson json_t *object = json_pack("{s:s}", "quiet", "yes");
	autoarena struct arena arena = {};
	struct values values = {};
	struct err err = {};

	(void)state;
	assert_int_equal(options_from_json(table, object, &arena, &values, &err), -EINVAL);
	assert_non_null(strstr(err.text, "quiet"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(says_each_value_once),
		cmocka_unit_test(refuses_other_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/mode.h"

#include "tests/unit/unit.h"

static int parse(
	struct arena *arena, bool rootless, const char *a, const char *b, struct network_wants *ret)
{
	const char *items[] = {a, b};
	const struct strings texts = {items, !a ? 0 : !b ? 1 : 2};
	struct err err = {};

	return network_mode_parse(&texts, rootless, arena, ret, &err);
}

static void test_modes(void **state)
{
	static const struct {
		const char *text;
		bool rootless;
		int mode;
		const char *name;
	} modes[] = {
		{"none", false, NETWORK_MODE_NONE, NULL},
		{"private", true, NETWORK_MODE_NONE, NULL},
		{"host", false, NETWORK_MODE_HOST, NULL},
		{"container:web", false, NETWORK_MODE_CONTAINER, "web"},
		{"ns:/run/x", false, NETWORK_MODE_PATH, "/run/x"},
		{"pasta", false, NETWORK_MODE_PASTA, NULL},
		{"pasta:--mtu,1400", false, NETWORK_MODE_PASTA, "--mtu,1400"},
		{"bridge", true, NETWORK_MODE_NETWORKS, NULL},
		{NULL, true, NETWORK_MODE_PASTA, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		autoarena struct arena arena = {};
		struct network_wants w;

		assert_int_equal(parse(&arena, modes[i].rootless, modes[i].text, NULL, &w), 0);
		assert_int_equal(w.mode, modes[i].mode);
		assert_int_equal(w.name != NULL, modes[i].name != NULL);
		if (w.name)
			assert_string_equal(w.name, modes[i].name);
	}
}

static void test_networks(void **state)
{
	autoarena struct arena arena = {};
	struct network_wants w;

	(void)state;
	assert_int_equal(parse(&arena, false, NULL, NULL, &w), 0);
	assert_int_equal(w.mode, NETWORK_MODE_NETWORKS);
	assert_string_equal(w.items[0].network, "brig");
	assert_int_equal(parse(&arena, false, "bridge",
				 "front:ip=10.0.0.2,ip6=fd00::2,mac=02:00:00:00:00:01,alias=a,"
				 "alias=b,interface_name=net1",
				 &w),
		0);
	assert_int_equal(w.count, 2);
	assert_string_equal(w.items[0].network, "brig");
	assert_string_equal(w.items[1].network, "front");
	assert_string_equal(w.items[1].ip, "10.0.0.2");
	assert_string_equal(w.items[1].ip6, "fd00::2");
	assert_string_equal(w.items[1].mac, "02:00:00:00:00:01");
	assert_string_equal(w.items[1].interface, "net1");
	assert_int_equal(w.items[1].aliases.count, 2);
}

static void test_wrong(void **state)
{
	static const char *const wrong[][2] = {{"none", "a"}, {"a", "host"}, {"a", "a"},
		{"bridge", "brig"}, {"a:ip=x", NULL}, {"a:what=1", NULL}, {"container:", NULL},
		{"a:mac=1", NULL}, {"a:interface_name=0123456789abcdef", NULL}, {"a:", NULL}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		autoarena struct arena arena = {};
		struct network_wants w;

		if (parse(&arena, false, wrong[i][0], wrong[i][1], &w) != -EINVAL)
			fail_msg("\"%s\" was taken", wrong[i][0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

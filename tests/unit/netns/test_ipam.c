/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/ipam.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "netns/network_private.h"

#include <fcntl.h>
#include <stdio.h>

#include "tests/unit/unit.h"

struct fixture {
	char path[64];
	int dir;
	struct network_store store;
	struct network network;
	struct network_subnet subnet;
};

static struct address address(const char *text)
{
	struct address a;

	if (address_parse(text, &a) < 0)
		assert_int_equal(address_parse_prefix(text, &a), 0);
	return a;
}

static int set_up(void **state)
{
	static struct fixture f;
	struct network_places places = {};
	struct err err = {};

	f = (struct fixture){.path = "/tmp/brig-ipam.XXXXXX"};
	assert_non_null(mkdtemp(f.path));
	f.dir = sys_openat(AT_FDCWD, f.path, O_RDONLY | O_DIRECTORY, 0);
	places.data = places.run = f.dir;
	assert_int_equal(network_store_open(&places, &f.store, &err), 0);
	f.subnet = (struct network_subnet){
		.subnet = address("10.1.0.0/29"), .gateway = address("10.1.0.1")};
	f.network = (struct network){.name = "n", .id = "0", .subnets = {&f.subnet, 1}};
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	network_store_close(&f->store);
	close(f->dir);
	return path_remove_tree(AT_FDCWD, f->path);
}

static int take(
	struct fixture *f, const char *id, const char *wanted, const char *preferred, char *ret)
{
	struct address w = wanted ? address(wanted) : (struct address){},
		       p = preferred ? address(preferred) : (struct address){}, got;
	struct err err = {};
	int r = ipam_take(&f->store, &f->network, &f->subnet, id, wanted ? &w : NULL,
		preferred ? &p : NULL, &got, &err);

	if (r == 0)
		address_format_prefix(&got, ret);
	return r;
}

static void give(struct fixture *f, const char *id, const char *text)
{
	struct address a = address(text);
	struct err err = {};

	assert_int_equal(ipam_give(&f->store, "n", &a, id, &err), 0);
}

static void test_order(void **state)
{
	struct fixture *f = *state;
	char text[ADDRESS_TEXT_MAX];

	assert_int_equal(take(f, "a", NULL, NULL, text), 0);
	assert_string_equal(text, "10.1.0.2/29");
	assert_int_equal(take(f, "b", NULL, NULL, text), 0);
	assert_string_equal(text, "10.1.0.3/29");
	/* One that was given back rests. */
	give(f, "a", "10.1.0.2");
	for (int i = 4; i <= 6; i++)
		assert_int_equal(take(f, "c", NULL, NULL, text), 0);
	assert_int_equal(take(f, "d", NULL, NULL, text), 0);
	assert_string_equal(text, "10.1.0.2/29");
	assert_int_equal(take(f, "e", NULL, NULL, text), -ENOSPC);
}

static void test_asked_for(void **state)
{
	struct fixture *f = *state;
	char text[ADDRESS_TEXT_MAX], who[16];
	struct address five = address("10.1.0.5");

	assert_int_equal(take(f, "a", "10.1.0.5", NULL, text), 0);
	assert_int_equal(take(f, "a", "10.1.0.5", NULL, text), 0);
	assert_int_equal(take(f, "b", "10.1.0.5", NULL, text), -EADDRINUSE);
	assert_int_equal(ipam_owner(&f->store, "n", &five, who, sizeof(who)), 0);
	assert_string_equal(who, "a");
	/* Only who has it gives it back. */
	give(f, "b", "10.1.0.5");
	assert_int_equal(ipam_owner(&f->store, "n", &five, who, sizeof(who)), 0);
	give(f, "a", "10.1.0.5");
	assert_int_equal(ipam_owner(&f->store, "n", &five, who, sizeof(who)), -ENOENT);
	/* Preferred, when it is free and a container's */
	assert_int_equal(take(f, "c", NULL, "10.1.0.5", text), 0);
	assert_string_equal(text, "10.1.0.5/29");
	assert_int_equal(take(f, "d", NULL, "10.1.0.5", text), 0);
	assert_string_equal(text, "10.1.0.2/29");
	assert_int_equal(take(f, "e", NULL, "10.1.0.1", text), 0);
	assert_string_equal(text, "10.1.0.3/29");
}

static void test_range(void **state)
{
	struct fixture *f = *state;
	char text[ADDRESS_TEXT_MAX];

	f->subnet.first = address("10.1.0.4");
	f->subnet.last = address("10.1.0.5");
	assert_int_equal(take(f, "a", NULL, NULL, text), 0);
	assert_string_equal(text, "10.1.0.4/29");
	assert_int_equal(take(f, "b", NULL, NULL, text), 0);
	assert_int_equal(take(f, "c", NULL, NULL, text), -ENOSPC);
}

static void test_usable(void **state)
{
	struct network_subnet four = {.subnet = address("10.1.0.0/24"),
				      .gateway = address("10.1.0.1")},
			      six = {.subnet = address("fd00::/64"), .gateway = address("fd00::1")},
			      two = {.subnet = address("10.1.0.0/31")};
	static const char *const no4[] = {
		"10.1.0.0", "10.1.0.1", "10.1.0.255", "10.1.1.0", "fd00::2"};
	struct address a = address("10.1.0.2"), last = address("fd00::ffff:ffff:ffff:ffff"),
		       zero = address("fd00::"), one = address("10.1.0.0");

	(void)state;
	assert_true(ipam_usable(&four, &a));
	for (size_t i = 0; i < ARRAY_LEN(no4); i++) {
		a = address(no4[i]);
		assert_false(ipam_usable(&four, &a));
	}
	assert_true(ipam_usable(&six, &last));
	assert_false(ipam_usable(&six, &zero));
	assert_true(ipam_usable(&two, &one));
}

/* ---- networks, whose checks need nothing but the host's routes ---- */

static int create(struct fixture *f, const char *name, const char *subnet, struct network *ret)
{
	static struct arena arena;
	const char *subnets[] = {subnet};
	struct network_request request = {.name = name, .subnets = {subnets, subnet != NULL}};
	struct err err = {};

	return network_create(&f->store, &request, &arena, ret, &err);
}

static void test_networks(void **state)
{
	struct fixture *f = *state;
	autoarena struct arena arena = {};
	struct network one, two, found;
	struct networks all;
	struct err err = {};

	assert_int_equal(create(f, "one", "198.18.5.0/24", &one), 0);
	assert_int_equal(create(f, "two", NULL, &two), 0);
	assert_false(address_overlap(&one.subnets.items[0].subnet, &two.subnets.items[0].subnet));
	assert_string_not_equal(one.interface, two.interface);
	assert_int_equal(create(f, "three", "198.18.5.128/25", &found), -EEXIST);
	assert_int_equal(create(f, "one", NULL, &found), -EEXIST);
	assert_int_equal(create(f, "../x", NULL, &found), -EINVAL);
	assert_int_equal(network_load(&f->store, "one", &arena, &found, &err), 0);
	assert_string_equal(found.id, one.id);
	assert_true(address_equal(&found.subnets.items[0].gateway, &one.subnets.items[0].gateway));
	assert_true(found.dns);
	assert_true(found.isolate);
	/* By the beginning of its id */
	assert_int_equal(network_load(&f->store, arena_printf(&arena, "%.12s", two.id), &arena,
				 &found, &err),
		0);
	assert_string_equal(found.name, "two");
	assert_int_equal(network_load(&f->store, "none-such", &arena, &found, &err), -ENOENT);
	err_clear(&err);
	/* The default one comes by itself. */
	assert_int_equal(network_list(&f->store, &arena, &all, &err), 0);
	assert_int_equal(all.count, 3);
	assert_string_equal(all.items[0].name, NETWORK_DEFAULT);
	assert_int_equal(all.items[0].subnets.items[0].subnet.prefix, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_range, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_networks, set_up, tear_down),
		cmocka_unit_test(test_usable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/address.h"

#include "base/cleanup.h"

#include <errno.h>

#include "tests/unit/unit.h"

static struct address prefix(const char *text)
{
	struct address a;

	assert_int_equal(address_parse_prefix(text, &a), 0);
	return a;
}

static struct address alone(const char *text)
{
	struct address a;

	assert_int_equal(address_parse(text, &a), 0);
	return a;
}

static void test_text(void **state)
{
	static const char *const wrong[] = {
		"", "1.2.3", "1.2.3.4.5", "1.2.3.4/8", "fe80::1%eth0", "::g", " 1.2.3.4"};
	static const char *const wrong_prefix[] = {
		"1.2.3.4", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/8x", "::/129", "/8"};
	char text[ADDRESS_TEXT_MAX];
	struct address a;

	(void)state;
	a = alone("192.0.2.1");
	assert_int_equal(a.prefix, 32);
	assert_string_equal(address_format(&a, text), "192.0.2.1");
	a = prefix("2001:DB8:0::1/64");
	assert_string_equal(address_format_prefix(&a, text), "2001:db8::1/64");
	a = (struct address){};
	assert_string_equal(address_format_prefix(&a, text), "");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(address_parse(wrong[i], &a), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(wrong_prefix); i++)
		assert_int_equal(address_parse_prefix(wrong_prefix[i], &a), -EINVAL);
}

static void test_networks(void **state)
{
	struct address n = prefix("10.1.2.3/20"), first = address_first(&n),
		       last = address_last(&n);
	struct address in = alone("10.1.15.255"), out = alone("10.1.16.0"),
		       wide = prefix("10.0.0.0/8"), other = prefix("10.1.16.0/20"),
		       six = prefix("2001:db8::/33"), six_in = alone("2001:db8:7fff::"),
		       six_out = alone("2001:db8:8000::"), all = prefix("0.0.0.0/0");
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_string_equal(address_format(&first, text), "10.1.0.0");
	assert_string_equal(address_format(&last, text), "10.1.15.255");
	assert_true(address_in(&in, &n));
	assert_false(address_in(&out, &n));
	assert_true(address_in(&in, &all));
	assert_false(address_in(&six_in, &all));
	assert_true(address_overlap(&n, &wide));
	assert_true(address_overlap(&wide, &n));
	assert_false(address_overlap(&n, &other));
	assert_true(address_in(&six_in, &six));
	assert_false(address_in(&six_out, &six));
}

static void test_counting(void **state)
{
	struct address a = alone("10.0.255.255"), end = alone("255.255.255.255"),
		       six = alone("2001:db8::ffff:ffff:ffff:ffff");
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_true(address_add(&a, 1));
	assert_string_equal(address_format(&a, text), "10.1.0.0");
	assert_true(address_add(&a, 65536 + 257));
	assert_string_equal(address_format(&a, text), "10.2.1.1");
	assert_false(address_add(&end, 1));
	assert_string_equal(address_format(&end, text), "255.255.255.255");
	assert_true(address_add(&six, 1));
	assert_string_equal(address_format(&six, text), "2001:db8:0:1::");
	assert_true(address_compare(&a, &six) < 0);
	assert_true(address_compare(&six, &a) > 0);
}

static void test_mac(void **state)
{
	static const char *const wrong[] = {"", "02:42:ac:11:00", "02:42:ac:11:00:0g",
		"01:00:5e:00:00:01", "00:00:00:00:00:00",
		"02:42:ac:11:00:02:", "02.42.ac.11.00.02"};
	uint8_t mac[MAC_LEN];
	char text[MAC_TEXT_MAX];

	(void)state;
	assert_int_equal(mac_parse("02:42:AC:11:00:02", mac), 0);
	assert_string_equal(mac_format(mac, text), "02:42:ac:11:00:02");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(mac_parse(wrong[i], mac), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_counting),
		cmocka_unit_test(test_mac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

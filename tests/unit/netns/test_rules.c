/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/rules.h"

#include "tests/unit/unit.h"

static struct address address(const char *text)
{
	struct address a;

	if (address_parse(text, &a) < 0)
		assert_int_equal(address_parse_prefix(text, &a), 0);
	return a;
}

static void assert_has(const struct buf *text, const char *part)
{
	if (!strstr(buf_str(text), part))
		fail_msg("no \"%s\" in:\n%s", part, buf_str(text));
}

static void assert_has_not(const struct buf *text, const char *part)
{
	if (strstr(buf_str(text), part))
		fail_msg("\"%s\" in:\n%s", part, buf_str(text));
}

static void write_one(const struct port *port, struct buf *ret)
{
	struct network_subnet subnets[] = {
		{.subnet = address("10.1.0.0/24"), .gateway = address("10.1.0.1")},
		{.subnet = address("fd00:1::/64"), .gateway = address("fd00:1::1")},
	};
	struct network network = {
		.name = "n", .interface = "brig1", .isolate = true, .subnets = {subnets, 2}};
	struct port ports[] = {*port};
	struct rules_published published = {.id = "c",
		.ports = {ports, 1},
		.ip = address("10.1.0.2"),
		.ip6 = address("fd00:1::2")};
	const uint16_t dns_ports[] = {0};
	const struct rules rules = {&network, 1, dns_ports, &published, 1};

	rules_write(&rules, ret);
	assert_false(ret->failed);
}

/* Removed and made anew in one transaction. */
static void test_nothing(void **state)
{
	autobuf struct buf text = {};
	const struct rules rules = {};

	(void)state;
	rules_write(&rules, &text);
	assert_string_equal(buf_str(&text), "table inet brig\ndelete table inet brig\n");
}

static void test_ports(void **state)
{
	autobuf struct buf any = {}, at = {}, row = {}, shifted = {}, six = {};

	(void)state;
	write_one(&(struct port){.host = 8080, .container = 80, .count = 1}, &any);
	assert_has(&any, "elements = { 8080 : 10.1.0.2 . 80 }");
	assert_has(&any, "elements = { 8080 : fd00:1::2 . 80 }");
	write_one(&(struct port){address("192.0.2.1"), 8080, 0, 80, 1, PORT_UDP}, &at);
	assert_has(&at, "elements = { 192.0.2.1 . 8080 : 10.1.0.2 . 80 }");
	assert_has_not(&at, "fd00:1::2");
	write_one(&(struct port){.host = 8000, .container = 8000, .count = 11}, &row);
	assert_has(&row, "meta nfproto ipv4 tcp dport 8000-8010 dnat ip to 10.1.0.2\n");
	assert_has(&row, "meta nfproto ipv6 tcp dport 8000-8010 dnat ip6 to fd00:1::2\n");
	write_one(&(struct port){.host = 8000, .container = 80, .count = 2}, &shifted);
	assert_has(&shifted, "elements = { 8000 : 10.1.0.2 . 80, 8001 : 10.1.0.2 . 81 }");
	write_one(&(struct port){address("::"), 8080, 0, 80, 1, PORT_TCP}, &six);
	assert_has(&six, "elements = { 8080 : fd00:1::2 . 80 }");
	assert_has_not(&six, "10.1.0.2");
}

static void test_networks(void **state)
{
	struct network_subnet one = {
		.subnet = address("10.1.0.0/24"), .gateway = address("10.1.0.1")};
	struct network networks[] = {
		{.name = "a", .interface = "brig1", .isolate = true, .subnets = {&one, 1}},
		{.name = "b", .interface = "brig2", .internal = true},
		{.name = "c", .interface = "eth0", .driver = NETWORK_MACVLAN},
	};
	const uint16_t dns_ports[] = {5300, 0, 0};
	const struct rules rules = {networks, 3, dns_ports, NULL, 0};
	autobuf struct buf text = {};

	(void)state;
	rules_write(&rules, &text);
	assert_has(
		&text, "set bridges {\n\t\ttype ifname\n\t\telements = { \"brig1\", \"brig2\" }");
	assert_has(&text, "set internal {\n\t\ttype ifname\n\t\telements = { \"brig2\" }");
	assert_has(&text, "set isolated {\n\t\ttype ifname\n\t\telements = { \"brig1\" }");
	assert_has(&text,
		"iifname \"brig1\" ip daddr 10.1.0.1 meta l4proto { tcp, udp } th dport 53 "
		"redirect to :5300");
	assert_has(&text, "iifname @bridges ip daddr 127.0.0.0/8 drop");
	assert_has_not(&text, "eth0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

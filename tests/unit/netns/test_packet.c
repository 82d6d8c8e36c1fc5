/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/dns/packet.h"

#include "base/cleanup.h"
#include "netns/dns/names.h"
#include "netns/dns/resolv.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/unit.h"

static size_t question(uint8_t *data, const char *name, uint16_t type)
{
	return packet_write_query(name, type, 0x1234, data);
}

static void test_query(void **state)
{
	uint8_t data[PACKET_UDP_MAX];
	struct packet_query q;
	size_t len = question(data, "web.example", PACKET_AAAA);

	(void)state;
	assert_int_equal(packet_parse(data, len, &q), 0);
	assert_int_equal(q.id, 0x1234);
	assert_string_equal(q.name, "web.example");
	assert_true(q.plain);
	assert_int_equal(q.type, PACKET_AAAA);
	assert_int_equal(q.udp_size, PACKET_UDP_MAX);
	assert_int_equal(q.question_len, len - PACKET_HEADER_LEN);
}

static void test_edns(void **state)
{
	static const uint8_t opt[] = {0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0};
	uint8_t data[PACKET_UDP_MAX];
	struct packet_query q;
	size_t len = question(data, "web", PACKET_A);

	(void)state;
	memcpy(data + len, opt, sizeof(opt));
	data[11] = 1;
	assert_int_equal(packet_parse(data, len + sizeof(opt), &q), 0);
	assert_int_equal(q.udp_size, 4096);
	/* One that is cut off does not count. */
	assert_int_equal(packet_parse(data, len + sizeof(opt) - 1, &q), 0);
	assert_int_equal(q.udp_size, PACKET_UDP_MAX);
}

/* No length between nothing and the whole is read beyond, and none but the whole is a query. */
static void test_cut(void **state)
{
	uint8_t whole[PACKET_UDP_MAX];
	size_t len = question(whole, "a.long.name.of.some.labels", PACKET_A);

	(void)state;
	for (size_t n = 0; n < len; n++) {
		autofree uint8_t *data = malloc(n + 1);
		struct packet_query q;

		memcpy(data, whole, n);
		assert_int_not_equal(packet_parse(data, n, &q), 0);
	}
}

static void test_bad_names(void **state)
{
	uint8_t data[PACKET_UDP_MAX];
	struct packet_query q;
	size_t len = question(data, "web", PACKET_A);

	(void)state;
	data[PACKET_HEADER_LEN] = 0xc0; /* a pointer, to itself */
	data[PACKET_HEADER_LEN + 1] = PACKET_HEADER_LEN;
	assert_int_equal(packet_parse(data, len, &q), PACKET_FORMAT_ERROR);
	data[PACKET_HEADER_LEN] = 64;
	assert_int_equal(packet_parse(data, len, &q), PACKET_FORMAT_ERROR);
	len = question(data, "web", PACKET_A);
	data[PACKET_HEADER_LEN + 2] = '.';
	assert_int_equal(packet_parse(data, len, &q), 0);
	assert_false(q.plain);
	data[PACKET_HEADER_LEN + 2] = '\0';
	assert_int_equal(packet_parse(data, len, &q), 0);
	assert_false(q.plain);
	/* More than 255 bytes in all */
	memset(data + PACKET_HEADER_LEN, 0, 400);
	for (size_t i = 0; i < 300; i += 2) {
		data[PACKET_HEADER_LEN + i] = 1;
		data[PACKET_HEADER_LEN + i + 1] = 'a';
	}
	assert_int_equal(packet_parse(data, 400, &q), PACKET_FORMAT_ERROR);
}

static void test_other_messages(void **state)
{
	uint8_t data[PACKET_UDP_MAX];
	struct packet_query q;
	size_t len = question(data, "web", PACKET_A);

	(void)state;
	data[2] |= 0x80; /* an answer */
	assert_int_equal(packet_parse(data, len, &q), -EINVAL);
	data[2] = 0x28; /* an update */
	assert_int_equal(packet_parse(data, len, &q), PACKET_NOT_IMPLEMENTED);
	data[2] = 1;
	data[5] = 2; /* two questions */
	assert_int_equal(packet_parse(data, len, &q), PACKET_FORMAT_ERROR);
}

static void test_answer(void **state)
{
	struct address list[3], got[8];
	struct packet_answer answer = {.addresses = list, .count = 3, .authoritative = true};
	uint8_t data[PACKET_UDP_MAX], out[PACKET_UDP_MAX];
	struct packet_query q;
	size_t len = question(data, "web", PACKET_A), n;

	(void)state;
	address_parse("10.0.0.1", &list[0]);
	address_parse("10.0.0.2", &list[1]);
	address_parse("2001:db8::1", &list[2]);
	assert_int_equal(packet_parse(data, len, &q), 0);
	n = packet_write(&q, data, &answer, out, sizeof(out));
	assert_true(packet_is_answer(out, n, 0x1234, data, len));
	assert_false(packet_is_answer(out, n, 0x1235, data, len));
	assert_int_equal(packet_read_addresses(out, n, got, 8), 3);
	for (int i = 0; i < 3; i++)
		assert_true(address_equal(&got[i], &list[i]));
	assert_int_equal(packet_read_addresses(out, n, got, 2), 2);
	for (size_t cut = 0; cut < n; cut++) {
		autofree uint8_t *copy = malloc(cut + 1);

		memcpy(copy, out, cut);
		assert_true(packet_read_addresses(copy, cut, got, 8) < 3);
	}
	/* Another question is no answer. */
	len = question(data, "wob", PACKET_A);
	assert_false(packet_is_answer(out, n, 0x1234, data, len));
}

static void test_answer_that_does_not_fit(void **state)
{
	struct address list[64] = {};
	struct packet_answer answer = {.addresses = list, .count = ARRAY_LEN(list)};
	uint8_t data[PACKET_UDP_MAX], out[PACKET_UDP_MAX];
	struct packet_query q;
	size_t len = question(data, "web", PACKET_A);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		list[i].family = AF_INET;
	assert_int_equal(packet_parse(data, len, &q), 0);
	assert_true(packet_write(&q, data, &answer, out, sizeof(out)) <= sizeof(out));
	assert_int_equal(out[2] & 0x02, 0x02);
}

static void test_reverse(void **state)
{
	static const char *const wrong[] = {"1.2.3.in-addr.arpa", "1.2.3.4.5.in-addr.arpa",
		"256.2.3.4.in-addr.arpa", "a.in-addr.arpa", ".in-addr.arpa", "in-addr.arpa", "",
		"1.2.3.4", "1.ip6.arpa"};
	char text[ADDRESS_TEXT_MAX];
	struct address a;

	(void)state;
	assert_true(packet_reverse("3.0.76.10.IN-ADDR.arpa", &a));
	assert_string_equal(address_format(&a, text), "10.76.0.3");
	assert_true(packet_reverse(
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", &a));
	assert_string_equal(address_format(&a, text), "2001:db8::1");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(packet_reverse(wrong[i], &a));
}

/* A name becomes a file's: nothing of it may lead elsewhere. */
static void test_names(void **state)
{
	static const char *const wrong[] = {
		"", ".", "..", "../x", "a/b", ".a", "a..b", "a b", "a\n", "\xc3\xa4", "a*", "-/-"};
	char name[NAMES_NAME_MAX + 1], longest[NAMES_NAME_MAX + 2] = "";

	(void)state;
	assert_true(names_normalize("Web-1.Example_2.", name));
	assert_string_equal(name, "web-1.example_2");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(names_normalize(wrong[i], name));
	for (size_t i = 0; i < NAMES_NAME_MAX; i++)
		longest[i] = i % 50 == 49 ? '.' : 'a';
	assert_true(names_normalize(longest, name));
	longest[NAMES_NAME_MAX] = 'a';
	longest[NAMES_NAME_MAX + 1] = '\0';
	assert_false(names_normalize(longest, name));
	memset(longest, 'a', 64);
	longest[64] = '\0';
	assert_false(names_normalize(longest, name));
}

static void test_resolv_conf(void **state)
{
	struct resolv r;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	resolv_parse("# nameserver 9.9.9.9\nsearch a b\nnameserver\t192.0.2.1 # first\n"
		     "nameserver fe80::1%eth0\nnameservers 1.1.1.1\nnameserver 2001:db8::1\n"
		     "nameserver 192.0.2.3\nnameserver 192.0.2.4",
		&r);
	assert_int_equal(r.count, 3);
	assert_string_equal(address_format(&r.servers[0], text), "192.0.2.1");
	assert_string_equal(address_format(&r.servers[1], text), "2001:db8::1");
	assert_string_equal(address_format(&r.servers[2], text), "192.0.2.3");
	resolv_parse("", &r);
	assert_int_equal(r.count, 0);
	resolv_parse_list("192.0.2.1\n2001:db8::1\n", &r);
	assert_int_equal(r.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_edns),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_other_messages),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_answer_that_does_not_fit),
		cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_resolv_conf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

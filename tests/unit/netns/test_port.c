/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/port.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct ports parse(struct arena *arena, const char *text)
{
	struct ports list = {};
	struct err err = {};

	if (port_parse(text, arena, &list, &err) < 0)
		fail_msg("%s", err.text);
	return list;
}

static void test_forms(void **state)
{
	static const struct {
		const char *text, *ip;
		uint16_t host, choices, container, count;
		int protocol;
	} forms[] = {
		{"80", "", 0, 0, 80, 1, PORT_TCP},
		{"8080:80", "", 8080, 0, 80, 1, PORT_TCP},
		{"8080:80/udp", "", 8080, 0, 80, 1, PORT_UDP},
		{"8080:80/sctp", "", 8080, 0, 80, 1, PORT_SCTP},
		{"127.0.0.1:8080:80", "127.0.0.1", 8080, 0, 80, 1, PORT_TCP},
		{"127.0.0.1::80", "127.0.0.1", 0, 0, 80, 1, PORT_TCP},
		{"127.0.0.1:80", "127.0.0.1", 0, 0, 80, 1, PORT_TCP},
		{"[2001:db8::1]:8080:80", "2001:db8::1", 8080, 0, 80, 1, PORT_TCP},
		{"[2001:db8::1]::80", "2001:db8::1", 0, 0, 80, 1, PORT_TCP},
		{"0.0.0.0:8080:80", "0.0.0.0", 8080, 0, 80, 1, PORT_TCP},
		{"8000-8009:9000-9009", "", 8000, 0, 9000, 10, PORT_TCP},
		{"8000-8009:80", "", 8000, 10, 80, 1, PORT_TCP},
		{"0:80", "", 0, 0, 80, 1, PORT_TCP},
		{"65535:65535", "", 65535, 0, 65535, 1, PORT_TCP},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		autoarena struct arena arena = {};
		struct ports list = parse(&arena, forms[i].text);
		char ip[ADDRESS_TEXT_MAX];

		assert_int_equal(list.count, 1);
		assert_string_equal(address_format(&list.items[0].host_ip, ip), forms[i].ip);
		assert_int_equal(list.items[0].host, forms[i].host);
		assert_int_equal(list.items[0].host_choices, forms[i].choices);
		assert_int_equal(list.items[0].container, forms[i].container);
		assert_int_equal(list.items[0].count, forms[i].count);
		assert_int_equal(list.items[0].protocol, forms[i].protocol);
	}
}

static void test_row_without_a_start(void **state)
{
	autoarena struct arena arena = {};
	struct ports list = parse(&arena, "80-82");

	(void)state;
	assert_int_equal(list.count, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(list.items[i].container, 80 + i);
		assert_int_equal(list.items[i].count, 1);
		assert_int_equal(list.items[i].host, 0);
	}
}

static void test_wrong(void **state)
{
	static const char *const wrong[] = {"", "x", "0", "65536", "80/icmp", "80-70", "8080:", ":",
		"1-2:1-3", "a:80:80", "2001:db8::1:80:80", "[::1:80:80", "80:80:80:80", "-1:80",
		"80:-80", " 80", "80 ", "1.2.3.4:1.2.3.4:80"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		autoarena struct arena arena = {};
		struct ports list = {};
		struct err err = {};

		if (port_parse(wrong[i], &arena, &list, &err) != -EINVAL)
			fail_msg("\"%s\" was taken", wrong[i]);
	}
}

static void test_exposed(void **state)
{
	autoarena struct arena arena = {};
	struct ports list = parse(&arena, "8080:80");
	struct err err = {};

	(void)state;
	assert_int_equal(port_parse_exposed("80/tcp", &arena, &list, &err), 0);
	assert_int_equal(list.count, 1); /* is published already */
	assert_int_equal(port_parse_exposed("80/udp", &arena, &list, &err), 0);
	assert_int_equal(port_parse_exposed("90-91", &arena, &list, &err), 0);
	assert_int_equal(list.count, 4);
	assert_int_equal(port_parse_exposed("8080:80", &arena, &list, &err), -EINVAL);
}

static int overlap(const char *a, const char *b)
{
	autoarena struct arena arena = {};
	struct ports x = parse(&arena, a), y = parse(&arena, b);
	struct err err = {};

	return port_check_overlap(&x, &y, "other", &err);
}

static void test_overlap(void **state)
{
	autoarena struct arena arena = {};
	struct ports list = parse(&arena, "8080:80");
	struct err err = {};

	(void)state;
	assert_int_equal(overlap("8080:80", "8080:90"), -EADDRINUSE);
	assert_int_equal(overlap("8080:80", "8080:80/udp"), 0);
	assert_int_equal(overlap("8080:80", "127.0.0.1:8080:80"), -EADDRINUSE);
	assert_int_equal(overlap("127.0.0.2:8080:80", "127.0.0.1:8080:80"), 0);
	assert_int_equal(overlap("0.0.0.0:8080:80", "127.0.0.1:8080:80"), -EADDRINUSE);
	assert_int_equal(overlap("0.0.0.0:8080:80", "[::]:8080:80"), 0);
	assert_int_equal(overlap("8000-8010:8000-8010", "8010:1"), -EADDRINUSE);
	assert_int_equal(overlap("8000-8010:8000-8010", "8011:1"), 0);
	assert_int_equal(overlap("80", "80"), 0); /* both are to be chosen */
	assert_int_equal(port_parse("8080:81", &arena, &list, &err), 0);
	assert_int_equal(port_check_overlap(&list, NULL, "", &err), -EADDRINUSE);
}

static void test_holding(void **state)
{
	autoarena struct arena arena = {};
	struct ports first = parse(&arena, "127.0.0.1::80"), second = {};
	int fds[PORT_HELD_MAX], more[PORT_HELD_MAX];
	struct err err = {};
	size_t count, none = 0;
	char text[64];

	(void)state;
	assert_int_equal(port_hold(&first, fds, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_not_equal(first.items[0].host, 0);
	snprintf(text, sizeof(text), "127.0.0.1:%u:80", first.items[0].host);
	second = parse(&arena, text);
	assert_int_equal(port_hold(&second, more, &none, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "is in use on this host"));
	/* Out of a range: the next one. */
	second.items[0].host_choices = 100;
	err_clear(&err);
	assert_int_equal(port_hold(&second, more, &none, &err), 0);
	assert_int_not_equal(second.items[0].host, first.items[0].host);
	close(more[0]);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_row_without_a_start),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_exposed),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_holding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

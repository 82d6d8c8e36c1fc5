/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/netlink.h"

#include "base/cleanup.h"
#include "tests/unit/unit.h"

#include <net/if.h>

static void test_message(void **state)
{
	struct netlink_request request;
	const struct ifinfomsg info = {.ifi_index = 7};
	const struct nlmsghdr *header = (const void *)request.data;
	const struct rtattr *a;

	(void)state;
	netlink_begin(&request, RTM_NEWLINK, NLM_F_CREATE, &info, sizeof(info));
	netlink_put_text(&request, IFLA_IFNAME, "eth0");
	netlink_put_u32(&request, IFLA_MTU, 1400);
	assert_false(request.failed);
	((struct nlmsghdr *)request.data)->nlmsg_len = (uint32_t)request.len;
	assert_int_equal(header->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE);
	assert_int_equal(request.len, 16 + 16 + 12 + 8);
	a = netlink_find(header, sizeof(info), IFLA_IFNAME, 1);
	assert_int_equal(netlink_attribute_len(a), 5);
	assert_string_equal(RTA_DATA(a), "eth0");
	a = netlink_find(header, sizeof(info), IFLA_MTU, 4);
	assert_int_equal(*(const uint32_t *)RTA_DATA(a), 1400);
	assert_null(netlink_find(header, sizeof(info), IFLA_MTU, 5));
	assert_null(netlink_find(header, sizeof(info), IFLA_ADDRESS, 0));
	netlink_begin(&request, RTM_GETADDR, NLM_F_DUMP, &info, sizeof(info));
	assert_int_equal(header->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
}

/* E6: lengths that would wrap around in 16 bits, or lie behind the buffer. */
static void test_nothing_overflows(void **state)
{
	static const size_t sizes[] = {NETLINK_REQUEST_MAX - 16 - 4 + 1, NETLINK_REQUEST_MAX,
		UINT16_MAX - 4, UINT16_MAX - 3, UINT16_MAX, UINT16_MAX + 5, (size_t)-1, (size_t)-3,
		(size_t)-4};
	struct guarded {
		struct netlink_request request;
		uint8_t guard[64];
	} *g = calloc(1, sizeof(*g));
	uint8_t *data = calloc(1, 1 << 17);

	(void)state;
	memset(g->guard, 0xa5, sizeof(g->guard));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		netlink_begin(&g->request, RTM_NEWLINK, 0, NULL, 0);
		netlink_put(&g->request, 1, data, sizes[i]);
		assert_true(g->request.failed);
		assert_int_equal(g->request.len, 16);
		/* And it stays so. */
		netlink_put_u32(&g->request, 2, 3);
		assert_int_equal(g->request.len, 16);
	}
	netlink_begin(&g->request, RTM_NEWLINK, 0, NULL, 0);
	netlink_put(&g->request, 1, data, NETLINK_REQUEST_MAX - 16 - 4);
	assert_false(g->request.failed);
	assert_int_equal(g->request.len, NETLINK_REQUEST_MAX);
	netlink_put(&g->request, 1, NULL, 0);
	assert_true(g->request.failed);
	for (size_t i = 0; i < sizeof(g->guard); i++)
		assert_int_equal(g->guard[i], 0xa5);
	free(data);
	free(g);
}

static void test_bad_answers(void **state)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
		struct rtattr attribute;
		uint8_t data[4];
	} m = {.header = {.nlmsg_len = sizeof(m)}, .attribute = {.rta_len = 8, .rta_type = 3}};

	(void)state;
	assert_non_null(netlink_find(&m.header, sizeof(m.info), 3, 4));
	m.attribute.rta_len = 9; /* behind the end */
	assert_null(netlink_find(&m.header, sizeof(m.info), 3, 4));
	m.attribute.rta_len = 3; /* shorter than its own head */
	assert_null(netlink_find(&m.header, sizeof(m.info), 3, 0));
	m.attribute.rta_len = 0;
	assert_null(netlink_find(&m.header, sizeof(m.info), 3, 0));
	m.header.nlmsg_len = sizeof(m.header) + 4;
	assert_null(netlink_body(&m.header, sizeof(m.info)));
	assert_null(netlink_find(&m.header, sizeof(m.info), 3, 0));
}

static void test_a_message_that_failed_is_not_sent(void **state)
{
	struct netlink_request request;
	struct err err = {};

	(void)state;
	netlink_begin(&request, RTM_NEWLINK, 0, NULL, 0);
	netlink_put(&request, 1, NULL, NETLINK_REQUEST_MAX);
	assert_int_equal(netlink_talk(-1, &request, NULL, NULL, &err), -EMSGSIZE);
}

static int count(const struct nlmsghdr *message, void *arg)
{
	*(unsigned int *)arg += message->nlmsg_type == RTM_NEWLINK;
	return 0;
}

/* Asking needs no privilege. */
static void test_talk(void **state)
{
	struct netlink_request request;
	struct ifinfomsg info = {};
	struct err err = {};
	autoclose int sock = netlink_open(&err);
	unsigned int n = 0;

	(void)state;
	assert_true(sock >= 0);
	netlink_begin(&request, RTM_GETLINK, NLM_F_DUMP, &info, sizeof(info));
	assert_int_equal(netlink_talk(sock, &request, count, &n, &err), 0);
	assert_true(n >= 1);
	n = 0;
	netlink_begin(&request, RTM_GETLINK, 0, &info, sizeof(info));
	netlink_put_text(&request, IFLA_IFNAME, "lo");
	assert_int_equal(netlink_talk(sock, &request, count, &n, &err), 0);
	assert_int_equal(n, 1);
	netlink_begin(&request, RTM_GETLINK, 0, &info, sizeof(info));
	netlink_put_text(&request, IFLA_IFNAME, "no-such-link");
	assert_int_equal(netlink_talk(sock, &request, count, &n, &err), -ENODEV);
	assert_true(err.code == -ENODEV && *err.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_nothing_overflows),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_a_message_that_failed_is_not_sent),
		cmocka_unit_test(test_talk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

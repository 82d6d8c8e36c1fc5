/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "netns/netlink.h"
#include "runtime/microvm/guest/guest.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static size_t family_len(uint8_t family)
{
	return family == AF_INET6 ? 16 : 4;
}

/* The index of the interface with MAC. */
struct search {
	const uint8_t *mac;
	int index;
};

static int compare_link(const struct nlmsghdr *message, void *arg)
{
	const struct ifinfomsg *info = netlink_body(message, sizeof(*info));
	const struct rtattr *address = netlink_find(message, sizeof(*info), IFLA_ADDRESS, 6);
	struct search *search = arg;

	if (info && address && netlink_attribute_len(address) == 6 &&
		!memcmp(RTA_DATA(address), search->mac, 6))
		search->index = info->ifi_index;
	return 0;
}

static int find_by_mac(int sock, const uint8_t mac[6], struct err *err)
{
	const struct ifinfomsg all = {.ifi_family = AF_UNSPEC};
	struct search search = {.mac = mac, .index = -ENODEV};
	struct netlink_request request;
	int r;

	netlink_begin(&request, RTM_GETLINK, NLM_F_DUMP, &all, sizeof(all));
	r = netlink_talk(sock, &request, compare_link, &search, err);
	return r < 0 ? r : search.index;
}

static int set_link(int sock, int index, const char *name, uint32_t mtu, bool up, struct err *err)
{
	const struct ifinfomsg info = {
		.ifi_index = index, .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP};
	struct netlink_request request;

	netlink_begin(&request, RTM_NEWLINK, 0, &info, sizeof(info));
	if (name)
		netlink_put_text(&request, IFLA_IFNAME, name);
	if (mtu)
		netlink_put_u32(&request, IFLA_MTU, mtu);
	return netlink_talk(sock, &request, NULL, NULL, err);
}

static int add_address(int sock, int index, const struct proto_address *a, struct err *err)
{
	const struct ifaddrmsg body = {
		.ifa_family = a->family,
		.ifa_prefixlen = a->prefix,
		.ifa_index = (uint32_t)index,
	};
	struct netlink_request request;

	netlink_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof(body));
	netlink_put(&request, IFA_LOCAL, a->address, family_len(a->family));
	netlink_put(&request, IFA_ADDRESS, a->address, family_len(a->family));
	/* It was found free on the host; nobody needs to wait for a second look. */
	netlink_put_u32(&request, IFA_FLAGS, a->flags | (a->family == AF_INET6 ? IFA_F_NODAD : 0));
	return netlink_talk(sock, &request, NULL, NULL, err);
}

static int add_route(int sock, int index, const struct proto_route *route, struct err *err)
{
	const struct rtmsg body = {
		.rtm_family = route->family,
		.rtm_dst_len = route->prefix,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = route->protocol,
		.rtm_scope = route->scope,
		.rtm_type = RTN_UNICAST,
		.rtm_flags = route->onlink ? RTNH_F_ONLINK : 0,
	};
	size_t len = family_len(route->family);
	struct netlink_request request;

	netlink_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof(body));
	if (route->prefix)
		netlink_put(&request, RTA_DST, route->destination, len);
	if (route->has_gateway)
		netlink_put(&request, RTA_GATEWAY, route->gateway, len);
	if (route->has_source)
		netlink_put(&request, RTA_PREFSRC, route->source, len);
	if (route->metric)
		netlink_put_u32(&request, RTA_PRIORITY, route->metric);
	netlink_put_u32(&request, RTA_OIF, (uint32_t)index);
	return netlink_talk(sock, &request, NULL, NULL, err);
}

static int configure(int sock, const struct proto_setup *s, struct err *err)
{
	int indexes[PROTO_NETS_MAX], r = 0;

	for (uint32_t i = 0; i < s->net_count && r == 0; i++) {
		const struct proto_net *net = s->nets + i;
		char name[sizeof(net->name) + 1];

		snprintf(name, sizeof(name), "%.*s", (int)sizeof(net->name), net->name);
		r = indexes[i] = find_by_mac(sock, net->mac, err);
		if (r >= 0)
			r = set_link(sock, indexes[i], name, 0, false, err);
		if (r == 0)
			r = set_link(sock, indexes[i], NULL, net->mtu, true, err);
		if (r < 0)
			return err_add(err, "network interface %s", name);
	}
	for (uint32_t i = 0; i < s->address_count && r == 0; i++)
		r = add_address(sock, indexes[s->addresses[i].net], s->addresses + i, err);
	/* Those to a network go first: a gateway must be reachable. */
	for (int gateways = 0; gateways < 2; gateways++)
		for (uint32_t i = 0; i < s->route_count && r == 0; i++)
			if (s->routes[i].has_gateway == gateways)
				r = add_route(sock, indexes[s->routes[i].net], s->routes + i, err);
	return r < 0 ? err_add(err, "addresses and routes") : 0;
}

static bool is_sane(const struct proto_setup *s)
{
	if (!memchr(s->hostname, 0, sizeof(s->hostname)) || s->net_count > PROTO_NETS_MAX ||
		s->layer_count > PROTO_LAYERS_MAX || s->address_count > PROTO_ADDRESSES_MAX ||
		s->route_count > PROTO_ROUTES_MAX)
		return false;
	for (uint32_t i = 0; i < s->address_count; i++)
		if (s->addresses[i].net >= s->net_count)
			return false;
	for (uint32_t i = 0; i < s->route_count; i++)
		if (s->routes[i].net >= s->net_count || s->routes[i].has_gateway > 1)
			return false;
	return true;
}

int setup_apply(const struct proto_setup *s, struct err *err)
{
	const struct timespec now = {s->clock_ns / 1000000000, s->clock_ns % 1000000000};
	autoclose int sock = -1;

	if (!is_sane(s))
		return err_sys(err, -EBADMSG, "setup");
	if (s->hostname[0] && sys_sethostname(s->hostname) < 0)
		return err_sys(err, -errno, "the host name");
	if (clock_settime(CLOCK_REALTIME, &now) < 0)
		return err_sys(err, -errno, "the clock");
	if (!s->net_count)
		return 0;
	sock = netlink_open(err);
	return sock < 0 ? sock : configure(sock, s, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/link.h"

#include "netns/netlink.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <string.h>

enum { DUMP_TRIES = 5, GENERATE_NO_ADDRESS = 1 };

/* ---- finding ---- */

static void take_text(const struct rtattr *a, char *ret, size_t size)
{
	size_t n = a ? strnlen(RTA_DATA(a), netlink_attribute_len(a)) : 0;

	if (n >= size)
		n = size - 1;
	if (n)
		memcpy(ret, RTA_DATA(a), n);
	ret[n] = '\0';
}

static int take_link(const struct nlmsghdr *message, void *arg)
{
	const struct ifinfomsg *info = netlink_body(message, sizeof(*info));
	const struct rtattr *a;
	struct link *link = arg;

	if (message->nlmsg_type != RTM_NEWLINK || !info)
		return 0;
	*link = (struct link){.index = (uint32_t)info->ifi_index, .flags = info->ifi_flags};
	a = netlink_find(message, sizeof(*info), IFLA_MASTER, 4);
	if (a)
		memcpy(&link->master, RTA_DATA(a), 4);
	a = netlink_find(message, sizeof(*info), IFLA_LINKINFO, sizeof(struct rtattr));
	take_text(a ? netlink_find_in(a, IFLA_INFO_KIND, 1) : NULL, link->kind, sizeof(link->kind));
	take_text(netlink_find(message, sizeof(*info), IFLA_IFNAME, 1), link->name,
		sizeof(link->name));
	return 0;
}

int link_find(int sock, const char *name, struct link *ret, struct err *err)
{
	struct netlink_request request;
	struct ifinfomsg info = {};
	struct link link = {};
	int r;

	netlink_begin(&request, RTM_GETLINK, 0, &info, sizeof(info));
	netlink_put_text(&request, IFLA_IFNAME, name);
	r = netlink_talk(sock, &request, take_link, &link, err);
	if (r == 0 && !link.index)
		r = -ENODEV;
	if (r < 0) {
		err_clear(err);
		return err_sys(err, r, "network link %s", name);
	}
	*ret = link;
	return 0;
}

/* ---- making ---- */

static void put_common(
	struct netlink_request *request, const char *name, const uint8_t *mac, uint32_t mtu)
{
	netlink_put_text(request, IFLA_IFNAME, name);
	if (mac)
		netlink_put(request, IFLA_ADDRESS, mac, MAC_LEN);
	if (mtu)
		netlink_put_u32(request, IFLA_MTU, mtu);
}

static void put_peer(struct netlink_request *request, const struct link_new *new)
{
	const struct ifinfomsg info = {};
	size_t peer = netlink_nest_begin(request, VETH_INFO_PEER);

	netlink_put_raw(request, &info, sizeof(info));
	put_common(request, new->peer, new->peer_mac, new->mtu);
	netlink_put_u32(request, IFLA_NET_NS_FD, (uint32_t) new->netns);
	netlink_nest_end(request, peer);
}

static void put_data(struct netlink_request *request, const struct link_new *new)
{
	size_t data;

	if (strcmp(new->kind, "bridge") == 0)
		return;
	data = netlink_nest_begin(request, IFLA_INFO_DATA);
	if (strcmp(new->kind, "veth") == 0)
		put_peer(request, new);
	else if (strcmp(new->kind, "macvlan") == 0)
		netlink_put_u32(request, IFLA_MACVLAN_MODE, new->mode);
	else if (strcmp(new->kind, "ipvlan") == 0)
		netlink_put(request, IFLA_IPVLAN_MODE, &(uint16_t){(uint16_t) new->mode}, 2);
	else if (strcmp(new->kind, "vlan") == 0)
		netlink_put(request, IFLA_VLAN_ID, &new->vlan, sizeof(new->vlan));
	netlink_nest_end(request, data);
}

int link_create(int sock, const struct link_new *new, struct err *err)
{
	struct netlink_request request;
	struct ifinfomsg info = {};
	size_t link;
	int r;

	netlink_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	put_common(&request, new->name, new->mac, new->mtu);
	if (new->master)
		netlink_put_u32(&request, IFLA_MASTER, new->master);
	if (new->parent) {
		netlink_put_u32(&request, IFLA_LINK, new->parent);
		if (new->netns >= 0)
			netlink_put_u32(&request, IFLA_NET_NS_FD, (uint32_t) new->netns);
	}
	link = netlink_nest_begin(&request, IFLA_LINKINFO);
	netlink_put_text(&request, IFLA_INFO_KIND, new->kind);
	put_data(&request, new);
	netlink_nest_end(&request, link);
	r = netlink_talk(sock, &request, NULL, NULL, err);
	return r < 0 ? err_add(err, "make the %s link %s", new->kind, new->name) : 0;
}

int link_keep_unaddressed(int sock, const char *name, struct err *err)
{
	struct netlink_request request;
	struct ifinfomsg info = {};
	size_t spec, family;
	int r;

	netlink_begin(&request, RTM_SETLINK, 0, &info, sizeof(info));
	netlink_put_text(&request, IFLA_IFNAME, name);
	spec = netlink_nest_begin(&request, IFLA_AF_SPEC);
	family = netlink_nest_begin(&request, AF_INET6);
	netlink_put_u8(&request, IFLA_INET6_ADDR_GEN_MODE, GENERATE_NO_ADDRESS);
	netlink_nest_end(&request, family);
	netlink_nest_end(&request, spec);
	r = netlink_talk(sock, &request, NULL, NULL, err);
	if (r == -EAFNOSUPPORT) { /* a kernel without IPv6 makes no address of it */
		err_clear(err);
		return 0;
	}
	return r < 0 ? err_add(err, "link %s", name) : 0;
}

int link_set_up(int sock, uint32_t index, struct err *err)
{
	struct netlink_request request;
	struct ifinfomsg info = {
		.ifi_index = (int)index,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP,
	};
	int r;

	netlink_begin(&request, RTM_NEWLINK, 0, &info, sizeof(info));
	r = netlink_talk(sock, &request, NULL, NULL, err);
	return r < 0 ? err_add(err, "set the link up") : 0;
}

int link_delete(int sock, uint32_t index, struct err *err)
{
	struct netlink_request request;
	struct ifinfomsg info = {.ifi_index = (int)index};
	int r;

	netlink_begin(&request, RTM_DELLINK, 0, &info, sizeof(info));
	r = netlink_talk(sock, &request, NULL, NULL, err);
	if (r == -ENODEV) {
		err_clear(err);
		return 0;
	}
	return r < 0 ? err_add(err, "remove the link") : 0;
}

int link_set_port(int sock, uint32_t index, bool isolated, bool hairpin, struct err *err)
{
	struct netlink_request request;
	struct ifinfomsg info = {.ifi_family = AF_BRIDGE, .ifi_index = (int)index};
	size_t port;
	int r;

	netlink_begin(&request, RTM_SETLINK, 0, &info, sizeof(info));
	port = netlink_nest_begin(&request, IFLA_PROTINFO | NLA_F_NESTED);
	netlink_put_u8(&request, IFLA_BRPORT_ISOLATED, isolated);
	netlink_put_u8(&request, IFLA_BRPORT_MODE, hairpin);
	netlink_nest_end(&request, port);
	r = netlink_talk(sock, &request, NULL, NULL, err);
	return r < 0 ? err_add(err, "set the port of the bridge") : 0;
}

/* ---- addresses and routes ---- */

int link_add_address(int sock, uint32_t index, const struct address *address, struct err *err)
{
	struct netlink_request request;
	struct ifaddrmsg info = {
		.ifa_family = address->family,
		.ifa_prefixlen = address->prefix,
		.ifa_flags = address->family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_index = index,
	};
	struct address broadcast = address_last(address);
	char text[ADDRESS_TEXT_MAX];
	int r;

	netlink_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	netlink_put(&request, IFA_LOCAL, address->bytes, address_len(address));
	netlink_put(&request, IFA_ADDRESS, address->bytes, address_len(address));
	if (address->family == AF_INET && address->prefix < 31)
		netlink_put(&request, IFA_BROADCAST, broadcast.bytes, 4);
	r = netlink_talk(sock, &request, NULL, NULL, err);
	if (r == -EEXIST) {
		err_clear(err);
		return 0;
	}
	return r < 0 ? err_add(err, "give it the address %s", address_format_prefix(address, text))
		     : 0;
}

int link_add_default_route(
	int sock, uint32_t index, const struct address *gateway, uint32_t metric, struct err *err)
{
	struct netlink_request request;
	struct rtmsg info = {
		.rtm_family = gateway->family,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = address_is_any(gateway) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	char text[ADDRESS_TEXT_MAX];
	int r;

	netlink_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &info, sizeof(info));
	if (!address_is_any(gateway))
		netlink_put(&request, RTA_GATEWAY, gateway->bytes, address_len(gateway));
	netlink_put_u32(&request, RTA_OIF, index);
	netlink_put_u32(&request, RTA_PRIORITY, metric);
	r = netlink_talk(sock, &request, NULL, NULL, err);
	return r < 0 ? err_add(err, "route everything by %s", address_format(gateway, text)) : 0;
}

struct routes {
	int (*on_route)(const struct address *to, uint32_t link, void *arg);
	void *arg;
};

static int take_route(const struct nlmsghdr *message, void *arg)
{
	const struct rtmsg *info = netlink_body(message, sizeof(*info));
	const struct rtattr *to, *out;
	const struct routes *routes = arg;
	struct address a = {};
	uint32_t link = 0;

	if (message->nlmsg_type != RTM_NEWROUTE || !info || info->rtm_type != RTN_UNICAST ||
		info->rtm_table != RT_TABLE_MAIN || info->rtm_dst_len == 0)
		return 0;
	a.family = info->rtm_family;
	a.prefix = info->rtm_dst_len;
	to = netlink_find(message, sizeof(*info), RTA_DST, 4);
	out = netlink_find(message, sizeof(*info), RTA_OIF, 4);
	if (!to || (a.family != AF_INET && a.family != AF_INET6) ||
		netlink_attribute_len(to) != address_len(&a) || a.prefix > address_bits(&a))
		return 0;
	memcpy(a.bytes, RTA_DATA(to), address_len(&a));
	if (out)
		memcpy(&link, RTA_DATA(out), sizeof(link));
	return routes->on_route(&a, link, routes->arg);
}

int link_routes(int sock, int (*on_route)(const struct address *to, uint32_t link, void *arg),
	void *arg, struct err *err)
{
	struct routes routes = {on_route, arg};
	struct rtmsg info = {};
	struct netlink_request request;
	int r = -EINTR;

	for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
		err_clear(err);
		netlink_begin(&request, RTM_GETROUTE, NLM_F_DUMP, &info, sizeof(info));
		r = netlink_talk(sock, &request, take_route, &routes, err);
	}
	return r < 0 ? err_add(err, "read the routes of this host") : 0;
}

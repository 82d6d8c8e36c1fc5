/* SPDX-License-Identifier: Apache-2.0 */
/* Process: the attendant, in the container's network namespace, before it gives up privileges. */
#include "runtime/microvm/host/net.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "netns/netlink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum { STALE_MAX = 16, REDIRECTION = 0x62726967 /* the filters' handle: ours */ };

/* What is there before anything is changed. */
struct scan {
	struct nets *nets;
	struct proto_setup *setup;
	int indexes[PROTO_NETS_MAX];
	bool too_many;
};

/* ---- looking ---- */

static int take_link(const struct nlmsghdr *message, void *arg)
{
	const struct ifinfomsg *info = netlink_body(message, sizeof(*info));
	const struct rtattr *name = netlink_find(message, sizeof(*info), IFLA_IFNAME, 1);
	const struct rtattr *mac = netlink_find(message, sizeof(*info), IFLA_ADDRESS, 6);
	const struct rtattr *mtu = netlink_find(message, sizeof(*info), IFLA_MTU, 4);
	struct scan *scan = arg;
	struct proto_net *net;
	uint32_t size;

	if (!info || !name || !mac || !mtu || info->ifi_type != ARPHRD_ETHER ||
		!(info->ifi_flags & IFF_UP))
		return 0;
	if (scan->setup->net_count == PROTO_NETS_MAX) {
		scan->too_many = true;
		return 0;
	}
	net = scan->setup->nets + scan->setup->net_count;
	memcpy(&size, RTA_DATA(mtu), sizeof(size));
	memcpy(net->mac, RTA_DATA(mac), sizeof(net->mac));
	memcpy(net->hardware, RTA_DATA(mac), sizeof(net->hardware));
	net->mtu = (uint16_t)(size > UINT16_MAX ? UINT16_MAX : size);
	snprintf(net->name, sizeof(net->name), "%.*s", (int)netlink_attribute_len(name),
		(const char *)RTA_DATA(name));
	scan->indexes[scan->setup->net_count++] = info->ifi_index;
	return 0;
}

/* −1: not one of ours. */
static int net_of(const struct scan *scan, uint32_t index)
{
	for (uint32_t i = 0; i < scan->setup->net_count; i++)
		if ((uint32_t)scan->indexes[i] == index)
			return (int)i;
	return -1;
}

static size_t family_len(int family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

/* The guest makes link-local ones itself, of the same MAC. */
static int take_address(const struct nlmsghdr *message, void *arg)
{
	const struct ifaddrmsg *body = netlink_body(message, sizeof(*body));
	size_t len = body ? family_len(body->ifa_family) : 0;
	const struct rtattr *local, *address, *flags;
	struct scan *scan = arg;
	struct proto_address *ret;
	int net;

	if (!len || body->ifa_scope >= RT_SCOPE_LINK)
		return 0;
	net = net_of(scan, body->ifa_index);
	local = netlink_find(message, sizeof(*body), IFA_LOCAL, len);
	address = netlink_find(message, sizeof(*body), IFA_ADDRESS, len);
	flags = netlink_find(message, sizeof(*body), IFA_FLAGS, 4);
	if (net < 0 || !(local ?: address))
		return 0;
	if (scan->setup->address_count == PROTO_ADDRESSES_MAX) {
		scan->too_many = true;
		return 0;
	}
	ret = scan->setup->addresses + scan->setup->address_count++;
	*ret = (struct proto_address){
		.net = (uint8_t)net, .family = body->ifa_family, .prefix = body->ifa_prefixlen};
	memcpy(ret->address, RTA_DATA(local ?: address), len);
	if (flags)
		memcpy(&ret->flags, RTA_DATA(flags), sizeof(ret->flags));
	ret->flags &= IFA_F_NOPREFIXROUTE;
	return 0;
}

static void copy_address(
	const struct nlmsghdr *message, uint16_t type, size_t len, uint8_t *ret, uint8_t *ret_there)
{
	const struct rtattr *found = netlink_find(message, sizeof(struct rtmsg), type, len);

	if (found)
		memcpy(ret, RTA_DATA(found), len);
	if (ret_there)
		*ret_there = found != NULL;
}

/* Those of the kernel's own come with the addresses. */
static int take_route(const struct nlmsghdr *message, void *arg)
{
	const struct rtmsg *body = netlink_body(message, sizeof(*body));
	size_t len = body ? family_len(body->rtm_family) : 0;
	const struct rtattr *oif, *metric;
	struct scan *scan = arg;
	struct proto_route *ret;
	uint32_t index;
	int net;

	if (!len || body->rtm_table != RT_TABLE_MAIN || body->rtm_type != RTN_UNICAST ||
		body->rtm_protocol == RTPROT_KERNEL || body->rtm_flags & RTM_F_CLONED)
		return 0;
	oif = netlink_find(message, sizeof(*body), RTA_OIF, 4);
	if (!oif)
		return 0;
	memcpy(&index, RTA_DATA(oif), sizeof(index));
	net = net_of(scan, index);
	if (net < 0)
		return 0;
	if (scan->setup->route_count == PROTO_ROUTES_MAX) {
		scan->too_many = true;
		return 0;
	}
	ret = scan->setup->routes + scan->setup->route_count++;
	*ret = (struct proto_route){
		.net = (uint8_t)net,
		.family = body->rtm_family,
		.prefix = body->rtm_dst_len,
		.scope = body->rtm_scope,
		.protocol = body->rtm_protocol,
		.onlink = (body->rtm_flags & RTNH_F_ONLINK) != 0,
	};
	copy_address(message, RTA_DST, len, ret->destination, NULL);
	copy_address(message, RTA_GATEWAY, len, ret->gateway, &ret->has_gateway);
	copy_address(message, RTA_PREFSRC, len, ret->source, &ret->has_source);
	metric = netlink_find(message, sizeof(*body), RTA_PRIORITY, 4);
	if (metric)
		memcpy(&ret->metric, RTA_DATA(metric), sizeof(ret->metric));
	return 0;
}

static int dump(int sock, uint16_t type, const void *body, size_t len,
	int (*take)(const struct nlmsghdr *, void *), struct scan *scan, struct err *err)
{
	struct netlink_request request;

	netlink_begin(&request, type, NLM_F_DUMP, body, len);
	return netlink_talk(sock, &request, take, scan, err);
}

static int look(int sock, struct scan *scan, struct err *err)
{
	const struct ifinfomsg links = {.ifi_family = AF_UNSPEC};
	const struct ifaddrmsg addresses = {.ifa_family = AF_UNSPEC};
	const struct rtmsg routes = {.rtm_family = AF_UNSPEC};
	int r = dump(sock, RTM_GETLINK, &links, sizeof(links), take_link, scan, err);

	if (r == 0 && scan->setup->net_count)
		r = dump(sock, RTM_GETADDR, &addresses, sizeof(addresses), take_address, scan, err);
	if (r == 0 && scan->setup->net_count)
		r = dump(sock, RTM_GETROUTE, &routes, sizeof(routes), take_route, scan, err);
	if (r == 0 && scan->too_many)
		r = err_set(err, -E2BIG,
			"the virtual machine takes over at most %d interfaces, %d addresses and "
			"%d routes",
			PROTO_NETS_MAX, PROTO_ADDRESSES_MAX, PROTO_ROUTES_MAX);
	return r < 0 ? err_add(err, "the container's network") : 0;
}

/* ---- joining ---- */

static size_t nest(struct netlink_request *request, uint16_t type)
{
	size_t at = NLMSG_ALIGN(request->len);

	netlink_put(request, type | NLA_F_NESTED, NULL, 0);
	return at;
}

static void nest_end(struct netlink_request *request, size_t at)
{
	struct rtattr *attribute = (struct rtattr *)(void *)(request->data + at);

	if (!request->failed)
		attribute->rta_len = (uint16_t)(request->len - at);
}

static int add_ingress(int sock, int index, struct err *err)
{
	const struct tcmsg body = {
		.tcm_ifindex = index,
		.tcm_handle = TC_H_MAKE(TC_H_INGRESS, 0),
		.tcm_parent = TC_H_INGRESS,
	};
	struct netlink_request request;

	/* Not exclusively: it is there where another machine had this interface before. */
	netlink_begin(&request, RTM_NEWQDISC, NLM_F_CREATE, &body, sizeof(body));
	netlink_put_text(&request, TCA_KIND, "ingress");
	return netlink_talk(sock, &request, NULL, NULL, err);
}

/* Redirections that were made for machines which had the interface before. */
struct stale {
	uint32_t infos[STALE_MAX]; /* priority and protocol */
	size_t count;
};

static int take_stale(const struct nlmsghdr *message, void *arg)
{
	const struct tcmsg *body = netlink_body(message, sizeof(*body));
	struct stale *stale = arg;

	if (body && body->tcm_handle == REDIRECTION && stale->count < STALE_MAX)
		stale->infos[stale->count++] = body->tcm_info;
	return 0;
}

static int find_stale(int sock, int index, struct stale *ret, struct err *err)
{
	const struct tcmsg body = {.tcm_ifindex = index, .tcm_parent = TC_H_MAKE(TC_H_INGRESS, 0)};
	struct netlink_request request;

	netlink_begin(&request, RTM_GETTFILTER, NLM_F_DUMP, &body, sizeof(body));
	return netlink_talk(sock, &request, take_stale, ret, err);
}

static int remove_stale(int sock, int index, const struct stale *stale, struct err *err)
{
	struct netlink_request request;
	int r = 0;

	for (size_t i = 0; i < stale->count && r == 0; i++) {
		const struct tcmsg body = {.tcm_ifindex = index,
			.tcm_parent = TC_H_MAKE(TC_H_INGRESS, 0),
			.tcm_info = stale->infos[i]};

		netlink_begin(&request, RTM_DELTFILTER, 0, &body, sizeof(body));
		r = netlink_talk(sock, &request, NULL, NULL, err);
	}
	return r;
}

/* All that comes in at FROM goes out at TO. The kernel puts it before what is there. */
static int add_redirect(int sock, int from, int to, struct err *err)
{
	enum { FIRST = 1 };
	const struct tcmsg body = {
		.tcm_ifindex = from,
		.tcm_parent = TC_H_MAKE(TC_H_INGRESS, 0),
		.tcm_handle = REDIRECTION,
		.tcm_info = TC_H_MAKE(0, htons(ETH_P_ALL)),
	};
	const struct tc_mirred mirred = {
		.action = TC_ACT_STOLEN,
		.eaction = TCA_EGRESS_REDIR,
		.ifindex = (uint32_t)to,
	};
	struct netlink_request request;
	size_t options, actions, action, parameters;

	netlink_begin(&request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	netlink_put_text(&request, TCA_KIND, "matchall");
	options = nest(&request, TCA_OPTIONS);
	actions = nest(&request, TCA_MATCHALL_ACT);
	action = nest(&request, FIRST);
	netlink_put_text(&request, TCA_ACT_KIND, "mirred");
	parameters = nest(&request, TCA_ACT_OPTIONS);
	netlink_put(&request, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	nest_end(&request, parameters);
	nest_end(&request, action);
	nest_end(&request, actions);
	nest_end(&request, options);
	return netlink_talk(sock, &request, NULL, NULL, err);
}

static int raise_tap(int sock, const char *name, uint32_t mtu, int *ret_index, struct err *err)
{
	struct ifinfomsg info = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct netlink_request request;

	*ret_index = (int)if_nametoindex(name);
	if (!*ret_index)
		return err_sys(err, -errno, "%s", name);
	info.ifi_index = *ret_index;
	netlink_begin(&request, RTM_NEWLINK, 0, &info, sizeof(info));
	netlink_put_u32(&request, IFLA_MTU, mtu);
	return netlink_talk(sock, &request, NULL, NULL, err);
}

static int open_tap(char ret_name[IFNAMSIZ], struct err *err)
{
	autoclose int fd = sys_openat(AT_FDCWD, "/dev/net/tun", O_RDWR, 0);
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "brigtap%%d");
	if (fd < 0)
		return err_sys(err, fd, "open /dev/net/tun (the kernel module tun)");
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return err_sys(err, -errno, "/dev/net/tun: make a tap");
	memcpy(ret_name, request.ifr_name, IFNAMSIZ);
	return take_fd(&fd);
}

static int join(
	int sock, int index, const struct proto_net *net, struct net_taken *ret, struct err *err)
{
	char name[IFNAMSIZ];
	struct stale stale = {};
	int tap, r = ret->tap = open_tap(name, err);

	memcpy(ret->mac, net->mac, sizeof(ret->mac));
	ret->mtu = net->mtu;
	if (r >= 0)
		r = raise_tap(sock, name, net->mtu, &tap, err);
	if (r == 0)
		r = add_ingress(sock, index, err);
	if (r == 0)
		r = add_ingress(sock, tap, err);
	if (r == 0)
		r = find_stale(sock, index, &stale, err);
	/* The new one first: what came in between would be answered here, and end connections. */
	if (r == 0)
		r = add_redirect(sock, index, tap, err);
	if (r == 0)
		r = remove_stale(sock, index, &stale, err);
	if (r == 0)
		r = add_redirect(sock, tap, index, err);
	return r < 0 ? err_add(err, "give %s to the virtual machine", net->name) : 0;
}

int nets_take(struct nets *ret, struct proto_setup *setup, struct err *err)
{
	struct scan scan = {.nets = ret, .setup = setup};
	autoclose int sock = netlink_open(err);
	int r = sock < 0 ? sock : look(sock, &scan, err);

	*ret = (struct nets){};
	for (uint32_t i = 0; i < setup->net_count && r == 0; i++) {
		ret->count = i + 1;
		r = join(sock, scan.indexes[i], setup->nets + i, ret->items + i, err);
	}
	return r;
}

void nets_blank_mac(size_t index, uint8_t ret[6])
{
	const uint8_t mac[6] = {0x02, 'b', 'r', 'i', 'g', (uint8_t)index};

	memcpy(ret, mac, sizeof(mac));
}

int nets_blank(struct nets *ret, size_t count, struct err *err)
{
	char name[IFNAMSIZ];
	int r = 0;

	*ret = (struct nets){};
	for (size_t i = 0; i < count && r >= 0; i++) {
		struct net_taken *net = ret->items + ret->count++;

		nets_blank_mac(i, net->mac);
		net->mtu = UINT16_MAX;
		r = net->tap = open_tap(name, err);
	}
	return r < 0 ? r : 0;
}

void nets_close(struct nets *nets)
{
	for (size_t i = 0; i < nets->count; i++)
		cleanup_close(&nets->items[i].tap);
	nets->count = 0;
}

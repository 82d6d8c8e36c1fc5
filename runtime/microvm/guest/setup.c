/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/sys.h"
#include "netns/netlink.h"
#include "runtime/microvm/guest/guest.h"

#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

static size_t family_len(uint8_t family)
{
	return family == AF_INET6 ? 16 : 4;
}

/* The interface with MAC. */
struct search {
	const uint8_t *mac;
	int index;
	bool up; /* of a machine that was restored */
	char name[IFNAMSIZ];
};

static int compare_link(const struct nlmsghdr *message, void *arg)
{
	const struct ifinfomsg *info = netlink_body(message, sizeof(*info));
	const struct rtattr *address = netlink_find(message, sizeof(*info), IFLA_ADDRESS, 6);
	const struct rtattr *name = netlink_find(message, sizeof(*info), IFLA_IFNAME, 1);
	struct search *search = arg;

	if (!info || !address || !name || netlink_attribute_len(address) != 6 ||
		memcmp(RTA_DATA(address), search->mac, 6) != 0)
		return 0;
	search->index = info->ifi_index;
	search->up = info->ifi_flags & IFF_UP;
	snprintf(search->name, sizeof(search->name), "%.*s", (int)netlink_attribute_len(name),
		(const char *)RTA_DATA(name));
	return 0;
}

static int find_by_mac(int sock, const uint8_t mac[6], struct search *ret, struct err *err)
{
	const struct ifinfomsg all = {.ifi_family = AF_UNSPEC};
	struct netlink_request request;
	int r;

	*ret = (struct search){.mac = mac, .index = -ENODEV};

	netlink_begin(&request, RTM_GETLINK, NLM_F_DUMP, &all, sizeof(all));
	r = netlink_talk(sock, &request, compare_link, ret, err);
	return r < 0 ? r : ret->index;
}

static int set_link(int sock, int index, const char *name, const uint8_t *mac, uint32_t mtu,
	bool up, struct err *err)
{
	const struct ifinfomsg info = {
		.ifi_index = index, .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP};
	struct netlink_request request;

	netlink_begin(&request, RTM_NEWLINK, 0, &info, sizeof(info));
	if (name)
		netlink_put_text(&request, IFLA_IFNAME, name);
	if (mac)
		netlink_put(&request, IFLA_ADDRESS, mac, 6);
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

/* ---- what a machine that was restored has from before ---- */

struct stale {
	const struct proto_setup *setup;
	const int *indexes;
	int sock, result;
	struct err *err;
};

static bool is_wanted(const struct stale *s, const struct ifaddrmsg *body, const uint8_t *address)
{
	for (uint32_t i = 0; i < s->setup->address_count; i++) {
		const struct proto_address *a = s->setup->addresses + i;

		if (s->indexes[a->net] == (int)body->ifa_index && a->family == body->ifa_family &&
			a->prefix == body->ifa_prefixlen &&
			memcmp(a->address, address, family_len(a->family)) == 0)
			return true;
	}
	return false;
}

static bool is_ours(const struct stale *s, uint32_t index)
{
	for (uint32_t i = 0; i < s->setup->net_count; i++)
		if (s->indexes[i] == (int)index)
			return true;
	return false;
}

static int remove_address(const struct nlmsghdr *message, void *arg)
{
	const struct ifaddrmsg *body = netlink_body(message, sizeof(*body));
	const struct rtattr *address;
	struct stale *s = arg;
	struct netlink_request request;

	if (!body || s->result < 0 || body->ifa_scope >= RT_SCOPE_LINK ||
		!is_ours(s, body->ifa_index))
		return 0;
	address = netlink_find(message, sizeof(*body),
		body->ifa_family == AF_INET ? IFA_LOCAL : IFA_ADDRESS,
		family_len(body->ifa_family));
	if (!address || is_wanted(s, body, RTA_DATA(address)))
		return 0;
	netlink_begin(&request, RTM_DELADDR, 0, body, sizeof(*body));
	netlink_put(&request, IFA_LOCAL, RTA_DATA(address), family_len(body->ifa_family));
	s->result = netlink_talk(s->sock, &request, NULL, NULL, s->err);
	return 0;
}

/* With them go the routes that lead by them. */
static int remove_addresses(const struct proto_setup *setup, const int *indexes, struct err *err)
{
	const struct ifaddrmsg all = {.ifa_family = AF_UNSPEC};
	autoclose int dump = netlink_open(err), sock = dump < 0 ? dump : netlink_open(err);
	struct stale stale = {.setup = setup, .indexes = indexes, .sock = sock, .err = err};
	struct netlink_request request;
	int r = sock;

	netlink_begin(&request, RTM_GETADDR, NLM_F_DUMP, &all, sizeof(all));
	if (r >= 0)
		r = netlink_talk(dump, &request, remove_address, &stale, err);
	return r < 0 ? r : stale.result;
}

/* A name or an address can only be given to an interface that is down, and one that is down loses
 * its routes: where both are right already, connections go on. */
static int rename_link(int sock, const struct search *found, const char *name,
	const struct proto_net *net, struct err *err)
{
	int r = 0;

	if (strcmp(found->name, name) == 0 && memcmp(net->mac, net->hardware, 6) == 0)
		return 0;
	if (found->up)
		r = set_link(sock, found->index, NULL, NULL, 0, false, err);
	return r < 0 ? r : set_link(sock, found->index, name, net->mac, 0, false, err);
}

static int configure(int sock, const struct proto_setup *s, struct err *err)
{
	int indexes[PROTO_NETS_MAX], r = 0;

	for (uint32_t i = 0; i < s->net_count && r == 0; i++) {
		const struct proto_net *net = s->nets + i;
		char name[sizeof(net->name) + 1];
		struct search found;

		snprintf(name, sizeof(name), "%.*s", (int)sizeof(net->name), net->name);
		r = indexes[i] = find_by_mac(sock, net->hardware, &found, err);
		if (r >= 0)
			r = rename_link(sock, &found, name, net, err);
		if (r == 0)
			r = set_link(sock, indexes[i], NULL, NULL, net->mtu, true, err);
		if (r < 0)
			return err_add(err, "network interface %s", name);
	}
	if (r == 0)
		r = remove_addresses(s, indexes, err);
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

/* A machine made from a saved one would go on with the other's random numbers. */
static int stir(const uint8_t *seed, size_t len, struct err *err)
{
	autoclose int fd = sys_openat(AT_FDCWD, "/dev/urandom", O_WRONLY, 0);
	struct {
		struct rand_pool_info head;
		uint8_t bytes[sizeof((struct proto_setup){}.seed)];
	} pool = {.head = {.entropy_count = (int)len * 8, .buf_size = (int)len}};

	memcpy(pool.bytes, seed, len);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		return err_sys(err, fd < 0 ? fd : -errno, "random numbers");
	return 0;
}

int setup_apply(const struct proto_setup *s, struct err *err)
{
	const struct timespec now = {s->clock_ns / 1000000000, s->clock_ns % 1000000000};
	autoclose int sock = -1;

	if (!is_sane(s))
		return err_sys(err, -EBADMSG, "setup");
	if (stir(s->seed, sizeof(s->seed), err) < 0)
		return err->code;
	if (s->hostname[0] && sys_sethostname(s->hostname) < 0)
		return err_sys(err, -errno, "the host name");
	if (clock_settime(CLOCK_REALTIME, &now) < 0)
		return err_sys(err, -errno, "the clock");
	if (!s->net_count)
		return 0;
	sock = netlink_open(err);
	return sock < 0 ? sock : configure(sock, s, err);
}

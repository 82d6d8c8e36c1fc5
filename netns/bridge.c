/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/bridge.h"

#include "base/cleanup.h"
#include "netns/home.h"
#include "netns/link.h"
#include "netns/netlink.h"
#include "netns/tune.h"

#include <string.h>

static bool has_family(const struct network *network, int family)
{
	for (size_t i = 0; i < network->subnets.count; i++)
		if (network->subnets.items[i].subnet.family == family)
			return true;
	return false;
}

/* From the id's first digits: locally administered, and the same after every boot. */
static void make_mac(const struct network *network, uint8_t ret[MAC_LEN])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t value = 0;

	for (size_t i = 0; i < 12 && network->id[i]; i++) {
		const char *d = strchr(digits, network->id[i]);

		value = value << 4 | (d ? (uint64_t)(d - digits) : 0);
	}
	for (size_t i = 0; i < MAC_LEN; i++)
		ret[i] = (uint8_t)(value >> (8 * (MAC_LEN - 1 - i)));
	ret[0] = (uint8_t)((ret[0] & 0xfc) | 0x02);
}

/*
 * route_localnet lets this host's 127.0.0.1 reach published ports; the rules drop what comes from
 * containers with such an address (netns/rules.c). Routers' advertisements of containers are not
 * for the host.
 */
static int tune(void *arg, struct visit_fds *ret, struct err *err)
{
	static const struct {
		const char *family, *key, *value;
	} settings[] = {
		{"ipv4", "route_localnet", "1"},
		{"ipv4", "rp_filter", "2"},
		{"ipv6", "accept_ra", "0"},
		{"ipv6", "accept_redirects", "0"},
	};
	const struct network *network = arg;
	int r = 0;

	(void)ret;
	for (size_t i = 0; i < ARRAY_LEN(settings) && r == 0; i++)
		r = tune_link(settings[i].family, network->interface, settings[i].key,
			settings[i].value, err);
	return r;
}

static int make(int sock, const struct network *network, struct err *err)
{
	uint8_t mac[MAC_LEN];
	const struct link_new new = {
		.name = network->interface,
		.kind = "bridge",
		.mac = mac,
		.mtu = network->mtu,
		.netns = -1,
	};

	make_mac(network, mac);
	return link_create(sock, &new, err);
}

static int configure(struct network_store *store, int sock, const struct network *network,
	uint32_t index, struct err *err)
{
	int r = home_visit(store, tune, (void *)network, NULL, err);

	if (r == 0 && !network->internal && !store->places.rootless)
		r = tune_forwarding(
			has_family(network, AF_INET), has_family(network, AF_INET6), err);

	if (r == 0 && !has_family(network, AF_INET6))
		r = link_keep_unaddressed(sock, network->interface, err);
	for (size_t i = 0; i < network->subnets.count && r == 0; i++) {
		struct address gateway = network->subnets.items[i].gateway;

		if (!gateway.family)
			continue;
		gateway.prefix = network->subnets.items[i].subnet.prefix;
		r = link_add_address(sock, index, &gateway, err);
	}
	return r < 0 ? r : link_set_up(sock, index, err);
}

int bridge_ensure(struct network_store *store, int sock, const struct network *network,
	uint32_t *ret_index, struct err *err)
{
	struct link link;
	int r = link_find(sock, network->interface, &link, err);

	if (r == -ENODEV) {
		err_clear(err);
		r = make(sock, network, err);
		if (r == 0)
			r = link_find(sock, network->interface, &link, err);
	}
	if (r == 0 && strcmp(link.kind, "bridge") != 0)
		r = err_set(err, -EEXIST, "there is a link %s already, which is no bridge",
			network->interface);
	/* Up comes last, so a bridge that is up has everything. */
	if (r == 0 && !(link.flags & IFF_UP))
		r = configure(store, sock, network, link.index, err);
	if (r < 0)
		return err_add(err, "bridge of network %s", network->name);
	*ret_index = link.index;
	return 0;
}

int bridge_remove(struct network_store *store, const struct network *network, struct err *err)
{
	autoclose int sock = -1;
	struct link link;
	int r = home_find(store, err);

	if (r <= 0)
		return r;
	r = sock = home_netlink(store, err);
	if (r >= 0)
		r = link_find(sock, network->interface, &link, err);
	if (r == -ENODEV) {
		err_clear(err);
		return 0;
	}
	if (r == 0 && strcmp(link.kind, "bridge") == 0)
		r = link_delete(sock, link.index, err);
	return r < 0 ? err_add(err, "bridge of network %s", network->name) : 0;
}

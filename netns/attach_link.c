/* SPDX-License-Identifier: Apache-2.0 */
/* One link of a container: made, given its addresses and routes, taken away. */
#include "netns/attach_private.h"

#include "base/cleanup.h"
#include "base/sys.h"
#include "netns/bridge.h"
#include "netns/home.h"
#include "netns/link.h"
#include "netns/loopback.h"
#include "netns/netlink.h"
#include "netns/tune.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <string.h>

_Static_assert(ATTACH_LINK_MAX == IFNAMSIZ, "a link's name");

enum { METRIC = 100 };

/* ---- the namespace ---- */

int attach_inside(const struct attach_place *place, visit_work work, void *arg,
	struct visit_fds *ret, struct err *err)
{
	struct visit_fds fds = {};
	struct err back = {};
	int r, s;

	if (place->userns >= 0)
		return visit(place->userns, place->inside, work, arg, ret, err);
	r = sys_setns(place->inside, CLONE_NEWNET);
	if (r < 0)
		return err_sys(err, r, "enter the container's network namespace");
	r = work(arg, &fds, err);
	if (r >= 0 && ret)
		*ret = fds;
	else
		visit_close(&fds);
	s = sys_setns(place->host, CLONE_NEWNET);
	if (s < 0) { /* whatever came next would hit the container */
		err_sys(&back, s, "leave the container's network namespace");
		*err = back;
		return s;
	}
	return r;
}

static int open_socket(void *arg, struct visit_fds *ret, struct err *err)
{
	int r = visit_netlink(arg, ret, err);

	return r < 0 ? r : netns_raise_loopback(err);
}

/* The namespace is the container's own, not this one, nor something else. */
static int check_namespace(const struct attach_place *place, struct err *err)
{
	struct stat host, inside;
	int r = sys_ioctl(place->inside, NS_GET_NSTYPE, NULL);

	if (r >= 0 && r != CLONE_NEWNET)
		r = -EINVAL;
	if (r >= 0)
		r = sys_fstat(place->host, &host);
	if (r >= 0)
		r = sys_fstat(place->inside, &inside);
	if (r < 0)
		return err_sys(err, r, "the container's network namespace");
	if (host.st_ino == inside.st_ino && host.st_dev == inside.st_dev)
		return err_set(err, -EINVAL, "the container is in the host's network namespace");
	return 0;
}

int attach_place_open(
	struct network_store *store, int netns, struct attach_place *ret, struct err *err)
{
	autoplace struct attach_place p = ATTACH_PLACE_NONE;
	struct visit_fds fds;
	int r;

	r = p.host = home_open(store, err);
	if (r < 0)
		return r;
	r = p.inside = sys_dup(netns);
	if (r >= 0 && store->places.rootless)
		r = p.userns = sys_ioctl(netns, NS_GET_USERNS, NULL);
	if (r < 0)
		return err_sys(err, r, "open the container's network namespace");
	r = check_namespace(&p, err);
	if (r == 0)
		r = p.host_sock = home_netlink(store, err);
	if (r >= 0)
		r = attach_inside(&p, open_socket, NULL, &fds, err);
	if (r < 0)
		return r;
	p.inside_sock = fds.items[0];
	*ret = p;
	p = (struct attach_place)ATTACH_PLACE_NONE;
	return 0;
}

void attach_place_close(struct attach_place *place)
{
	cleanup_close(&place->host);
	cleanup_close(&place->inside);
	cleanup_close(&place->host_sock);
	cleanup_close(&place->inside_sock);
	cleanup_close(&place->userns);
}

/* ---- making ---- */

static bool allows_neighbours(const struct network *n)
{
	for (size_t i = 0; i < n->options.count; i++) {
		const struct pair *o = &n->options.items[i];

		if ((strcmp(o->key, "icc") == 0 ||
			    strcmp(o->key, "com.docker.network.bridge.enable_icc") == 0) &&
			(strcmp(o->value, "false") == 0 || strcmp(o->value, "0") == 0))
			return false;
	}
	return true;
}

static int make_veth(struct network_store *store, const struct attach_place *place,
	const struct network *n, const struct attach_link *link, const uint8_t *mac, bool hairpin,
	struct err *err)
{
	struct link_new new = {
		.name = link->host_link,
		.kind = "veth",
		.mtu = n->mtu,
		.peer = link->interface,
		.peer_mac = mac,
		.netns = place->inside,
	};
	struct link made;
	int r = bridge_ensure(store, place->host_sock, n, &new.master, err);

	if (r == 0)
		r = link_create(place->host_sock, &new, err);
	if (r == 0)
		r = link_keep_unaddressed(place->host_sock, link->host_link, err);
	if (r == 0)
		r = link_find(place->host_sock, link->host_link, &made, err);
	if (r == 0)
		r = link_set_port(
			place->host_sock, made.index, !allows_neighbours(n), hairpin, err);
	return r < 0 ? r : link_set_up(place->host_sock, made.index, err);
}

/* The parent, or its VLAN, which is made when it is missing. */
static int find_parent(int sock, const struct network *n, uint32_t *ret, struct err *err)
{
	struct link parent, vlan;
	char name[IFNAMSIZ];
	int r = link_find(sock, n->interface, &parent, err);

	if (r < 0)
		return r;
	*ret = parent.index;
	if (!n->vlan)
		return link_set_up(sock, parent.index, err);
	if (snprintf(name, sizeof(name), "%s.%u", n->interface, n->vlan) >= (int)sizeof(name))
		return err_set(err, -ENAMETOOLONG, "the link of VLAN %u on %s has too long a name",
			n->vlan, n->interface);
	r = link_find(sock, name, &vlan, err);
	if (r == -ENODEV) {
		const struct link_new new = {
			.name = name,
			.kind = "vlan",
			.parent = parent.index,
			.vlan = (uint16_t)n->vlan,
			.netns = -1,
		};

		err_clear(err);
		r = link_create(sock, &new, err);
		if (r == 0)
			r = link_find(sock, name, &vlan, err);
	}
	if (r < 0)
		return r;
	*ret = vlan.index;
	return link_set_up(sock, vlan.index, err);
}

static uint32_t mode_number(const struct network *n)
{
	static const uint32_t macvlan[] = {
		[NETWORK_LINK_DEFAULT] = MACVLAN_MODE_BRIDGE,
		[NETWORK_LINK_BRIDGE] = MACVLAN_MODE_BRIDGE,
		[NETWORK_LINK_PRIVATE] = MACVLAN_MODE_PRIVATE,
		[NETWORK_LINK_VEPA] = MACVLAN_MODE_VEPA,
		[NETWORK_LINK_PASSTHRU] = MACVLAN_MODE_PASSTHRU,
	};

	if (n->driver == NETWORK_MACVLAN)
		return macvlan[n->mode];
	if (n->mode == NETWORK_LINK_L3)
		return IPVLAN_MODE_L3;
	return n->mode == NETWORK_LINK_L3S ? IPVLAN_MODE_L3S : IPVLAN_MODE_L2;
}

static int make_neighbour(const struct attach_place *place, const struct network *n,
	const struct attach_link *link, const uint8_t *mac, struct err *err)
{
	struct link_new new = {
		.name = link->interface,
		.kind = n->driver == NETWORK_MACVLAN ? "macvlan" : "ipvlan",
		.mac = mac,
		.mtu = n->mtu,
		.netns = place->inside,
		.mode = mode_number(n),
	};
	int r = find_parent(place->host_sock, n, &new.parent, err);

	return r < 0 ? r : link_create(place->host_sock, &new, err);
}

/* Settings are those of the namespace that the process is in. Containers believe no advertisement
 * of another container's; neighbours hear of an address that had another owner before. */
static int tune(void *arg, struct visit_fds *ret, struct err *err)
{
	static const struct {
		const char *family, *key, *value;
	} settings[] = {
		{"ipv4", "arp_notify", "1"},
		{"ipv4", "rp_filter", "2"},
		{"ipv6", "accept_ra", "0"},
	};
	const char *interface = arg;
	int r = 0;

	(void)ret;
	for (size_t i = 0; i < ARRAY_LEN(settings) && r == 0; i++)
		r = tune_link(
			settings[i].family, interface, settings[i].key, settings[i].value, err);
	return r;
}

/* A layer 3 link has no neighbours to be asked: everything goes out by it. */
static int add_route(const struct attach_place *place, const struct network *n, uint32_t index,
	const struct address *gateway, size_t i, struct err *err)
{
	struct address by = *gateway;

	if (!by.family)
		return 0;
	if (n->driver == NETWORK_IPVLAN &&
		(n->mode == NETWORK_LINK_L3 || n->mode == NETWORK_LINK_L3S))
		memset(by.bytes, 0, sizeof(by.bytes));
	return link_add_default_route(place->inside_sock, index, &by, (uint32_t)(METRIC + i), err);
}

/* A user's bridge leads nowhere: the way out is pasta's. */
static int configure(const struct attach_place *place, const struct network *n,
	const struct attach_link *link, size_t i, struct err *err)
{
	const struct address *const ips[] = {&link->ip, &link->ip6};
	struct link inside;
	int r = link_find(place->inside_sock, link->interface, &inside, err);

	/* On somebody else's network their router may be believed. */
	if (r == 0 && n->driver == NETWORK_BRIDGE)
		r = attach_inside(place, tune, (void *)link->interface, NULL, err);
	for (size_t k = 0; k < 2 && r == 0; k++)
		if (ips[k]->family)
			r = link_add_address(place->inside_sock, inside.index, ips[k], err);
	if (r == 0)
		r = link_set_up(place->inside_sock, inside.index, err);
	if (r == 0 && place->userns < 0)
		r = add_route(place, n, inside.index, &link->gateway, i, err);
	if (r == 0 && place->userns < 0)
		r = add_route(place, n, inside.index, &link->gateway6, i, err);
	return r;
}

int attach_link_make(struct network_store *store, const struct attach_place *place,
	const struct network *n, struct attach_link *link, size_t i, bool publishes,
	struct err *err)
{
	uint8_t mac[MAC_LEN];
	bool has_mac = link->mac && mac_parse(link->mac, mac) == 0;
	int r;

	if (n->driver == NETWORK_BRIDGE)
		r = make_veth(store, place, n, link, has_mac ? mac : NULL, publishes, err);
	else
		r = make_neighbour(place, n, link, has_mac ? mac : NULL, err);
	if (r == 0)
		r = configure(place, n, link, i, err);
	if (r < 0) {
		struct err ignored = {};

		if (r != -EEXIST) /* then what is there is not ours */
			attach_link_remove(store, place, link, &ignored);
		return err_add(err, "network %s: %s", n->name, link->interface);
	}
	return 0;
}

static int remove_by_name(int sock, const char *name, const char *kind, struct err *err)
{
	struct link found;
	int r = link_find(sock, name, &found, err);

	if (r == -ENODEV) {
		err_clear(err);
		return 0;
	}
	/* The container may have given the name to something else. */
	if (r == 0 && strcmp(found.kind, kind) == 0)
		r = link_delete(sock, found.index, err);
	return r;
}

int attach_link_remove(struct network_store *store, const struct attach_place *place,
	const struct attach_link *link, struct err *err)
{
	autoclose int sock = -1;

	if (link->driver == NETWORK_BRIDGE) {
		int r = home_find(store, err);

		if (r <= 0) /* it went with the bridges */
			return r;
		sock = home_netlink(store, err);
		return sock < 0 ? sock : remove_by_name(sock, link->host_link, "veth", err);
	}
	if (!place) /* it went with its namespace */
		return 0;
	return remove_by_name(place->inside_sock, link->interface,
		link->driver == NETWORK_MACVLAN ? "macvlan" : "ipvlan", err);
}

bool attach_rest_add(struct attach_rest *rest, const struct attach_link *link)
{
	if (link->driver != NETWORK_BRIDGE || rest->count == ATTACH_REST_MAX)
		return false;
	snprintf(rest->links[rest->count++], ATTACH_LINK_MAX, "%s", link->host_link);
	return true;
}

int attach_rest_remove(struct network_store *store, const struct attach_rest *rest, struct err *err)
{
	autoclose int sock = rest->count ? home_netlink(store, err) : -1;
	int r = rest->count && sock < 0 ? sock : 0;

	for (size_t i = 0; i < rest->count && r == 0; i++)
		r = remove_by_name(sock, rest->links[i], "veth", err);
	return r;
}

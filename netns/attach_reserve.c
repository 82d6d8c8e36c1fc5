/* SPDX-License-Identifier: Apache-2.0 */
/* What a container gets before it exists: addresses, names of links, ports. */
#include "netns/attach.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "netns/attach_private.h"
#include "netns/firewall.h"
#include "netns/ipam.h"
#include "netns/network_private.h"
#include "netns/rules.h"

#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { ID_MAX = 200, SHORT_ID_LEN = 12 };

/* ---- one network ---- */

/* What the old record says of the same network: its addresses are taken again when they are free.
 */
static const struct attach_link *find_old(const struct attachment *old, const char *network)
{
	for (size_t i = 0; i < old->links.count; i++)
		if (strcmp(old->links.items[i].network, network) == 0)
			return &old->links.items[i];
	return NULL;
}

static int parse_wanted(
	const char *text, int family, const char *option, struct address *ret, struct err *err)
{
	if (address_parse(text, ret) < 0 || ret->family != family)
		return err_set(err, -EINVAL, "--%s: \"%s\" is no IPv%d address", option, text,
			family == AF_INET ? 4 : 6);
	return 0;
}

/* The subnet that has WANTED, or the first of FAMILY; NULL when there is none. */
static const struct network_subnet *find_subnet(
	const struct network *n, int family, const struct address *wanted)
{
	for (size_t i = 0; i < n->subnets.count; i++) {
		const struct network_subnet *s = &n->subnets.items[i];

		if (s->subnet.family == family && (!wanted || address_in(wanted, &s->subnet)))
			return s;
	}
	return NULL;
}

/* A range says what is chosen, not what may be asked for. */
static int check_wanted(const struct network *n, const struct network_subnet *s,
	const struct address *wanted, struct err *err)
{
	struct network_subnet whole = {};
	char text[ADDRESS_TEXT_MAX];

	if (!s)
		return err_set(err, -EINVAL, "address %s is in none of network %s's subnets",
			address_format(wanted, text), n->name);
	whole.subnet = s->subnet;
	whole.gateway = s->gateway;
	if (!ipam_usable(&whole, wanted))
		return err_set(err, -EINVAL, "address %s of network %s is no container's",
			address_format(wanted, text), n->name);
	return 0;
}

static int take_family(struct network_store *store, const struct network *n, const char *id,
	int family, const char *asked, const struct address *old, struct address *ret,
	struct address *ret_gateway, struct err *err)
{
	const struct network_subnet *s;
	struct address wanted;
	int r;

	if (asked) {
		r = parse_wanted(asked, family, family == AF_INET ? "ip" : "ip6", &wanted, err);
		if (r < 0)
			return r;
	}
	s = find_subnet(n, family, asked ? &wanted : NULL);
	if (asked) {
		r = check_wanted(n, s, &wanted, err);
		if (r < 0)
			return r;
	}
	if (!s)
		return 0;
	r = ipam_take(
		store, n, s, id, asked ? &wanted : NULL, old && old->family ? old : NULL, ret, err);
	if (r == 0 && !n->internal)
		*ret_gateway = s->gateway;
	return r;
}

/* From the address, so that a neighbour who knew it before need not learn anew; else by chance. */
static int make_mac(const struct attach_link *link, const char *wanted, char *ret, struct err *err)
{
	uint8_t mac[MAC_LEN] = {0x02, 0xb6};

	if (wanted && mac_parse(wanted, mac) < 0)
		return err_set(
			err, -EINVAL, "--mac-address: \"%s\" is no address of a link", wanted);
	if (!wanted && link->ip.family && link->driver == NETWORK_BRIDGE)
		memcpy(mac + 2, link->ip.bytes, 4);
	else if (!wanted && getrandom(mac + 2, 4, 0) != 4)
		return err_sys(err, -errno, "getrandom");
	mac_format(mac, ret);
	return 0;
}

static int make_host_link(char *ret, struct err *err)
{
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, -errno, "getrandom");
	snprintf(ret, IFNAMSIZ, "veth%08x", random);
	return 0;
}

static bool is_interface_taken(const struct attachment *a, const char *name)
{
	for (size_t i = 0; i < a->links.count; i++)
		if (strcmp(a->links.items[i].interface, name) == 0)
			return true;
	return false;
}

static int choose_interface(const struct attachment *a, const struct network_want *want,
	struct arena *arena, const char **ret, struct err *err)
{
	char name[IFNAMSIZ];

	if (want->interface) {
		if (!path_is_component(want->interface) || strlen(want->interface) >= IFNAMSIZ ||
			strcmp(want->interface, "lo") == 0)
			return err_set(
				err, -EINVAL, "\"%s\" is no name of a link", want->interface);
		if (is_interface_taken(a, want->interface))
			return err_set(
				err, -EEXIST, "two links are to be called %s", want->interface);
		*ret = want->interface;
		return 0;
	}
	for (unsigned int i = 0;; i++) {
		snprintf(name, sizeof(name), "eth%u", i);
		if (!is_interface_taken(a, name))
			break;
	}
	*ret = arena_strdup(arena, name);
	return *ret ? 0 : err_sys(err, -ENOMEM, "network");
}

int attach_reserve_link(struct network_store *store, const struct network *n,
	const struct network_want *want, const struct attachment *old, struct arena *arena,
	struct attachment *a, struct err *err)
{
	struct attach_link *link = &a->links.items[a->links.count];
	const struct attach_link *before = find_old(old, n->name);
	char mac[MAC_TEXT_MAX], host_link[IFNAMSIZ];
	int r;

	if (store->places.rootless && n->driver != NETWORK_BRIDGE)
		return err_set(err, -EPERM, "network %s: without privilege there are bridges only",
			n->name);
	*link = (struct attach_link){
		.network = n->name,
		.network_id = n->id,
		.driver = n->driver,
		.internal = n->internal,
		.aliases = want->aliases,
	};
	r = choose_interface(a, want, arena, &link->interface, err);
	if (r == 0 && n->driver != NETWORK_CNI)
		r = take_family(store, n, a->id, AF_INET, want->ip, before ? &before->ip : NULL,
			&link->ip, &link->gateway, err);
	if (r == 0 && n->driver != NETWORK_CNI)
		r = take_family(store, n, a->id, AF_INET6, want->ip6, before ? &before->ip6 : NULL,
			&link->ip6, &link->gateway6, err);
	if (r == 0)
		r = make_mac(link, want->mac, mac, err);
	if (r == 0)
		r = make_host_link(host_link, err);
	if (r == 0)
		r = attach_add_user(store, n->name, a->id, err);
	if (r < 0)
		return r;
	/* An ipvlan link has its parent's hardware address; a plugin decides itself. */
	if (n->driver != NETWORK_IPVLAN && (n->driver != NETWORK_CNI || want->mac))
		link->mac = arena_strdup(arena, mac);
	link->host_link = arena_strdup(arena, host_link);
	if ((n->driver != NETWORK_IPVLAN && n->driver != NETWORK_CNI && !link->mac) ||
		!link->host_link)
		return err_sys(err, -ENOMEM, "network");
	a->links.count++;
	return 0;
}

/* ---- ports ---- */

static int check_published(struct network_store *store, const struct attachment *a, struct err *err)
{
	autoarena struct arena arena = {};
	struct rules_published *others;
	size_t count;
	int r = firewall_published(store, &arena, &others, &count, err);

	if (r == 0)
		r = port_check_overlap(&a->ports, NULL, "", err);
	for (size_t i = 0; i < count && r == 0; i++)
		if (strcmp(others[i].id, a->id) != 0)
			r = port_check_overlap(&a->ports, &others[i].ports, others[i].id, err);
	return r;
}

/* The link to which published ports lead. */
static const struct attach_link *published_link(const struct attachment *a)
{
	for (size_t i = 0; i < a->links.count; i++)
		if (a->links.items[i].driver == NETWORK_BRIDGE && !a->links.items[i].internal)
			return &a->links.items[i];
	return NULL;
}

static int check_target(struct network_store *store, const struct attachment *a, struct err *err)
{
	const struct attach_link *link = published_link(a);
	char text[ADDRESS_TEXT_MAX];

	if (a->mode == NETWORK_MODE_PASTA || a->ports.count == 0)
		return 0;
	/* A plugin publishes itself: netns/cni.h. */
	for (size_t i = 0; i < a->links.count; i++)
		if (a->links.items[i].driver == NETWORK_CNI)
			return 0;
	if (!link)
		return err_set(err, -EINVAL,
			"ports cannot be published: none of the container's networks is a bridge "
			"that leads outside");
	/* pasta listens itself, and knows every address of the host. */
	for (size_t i = 0; i < a->ports.count && !attach_has_pasta(store, a); i++) {
		const struct address *ip = &a->ports.items[i].host_ip;

		if ((ip->family == AF_INET && !link->ip.family) ||
			(ip->family == AF_INET6 && !link->ip6.family))
			return err_set(err, -EINVAL,
				"port %u cannot be published at %s: network %s has no address of "
				"that family",
				a->ports.items[i].container, address_format(ip, text),
				link->network);
		if (ip->family == AF_INET6 && address_is_loopback(ip))
			return err_set(err, -EINVAL,
				"port %u cannot be published at ::1, which the kernel does not "
				"translate: use 127.0.0.1",
				a->ports.items[i].container);
	}
	return 0;
}

int attach_publish(struct network_store *store, const struct attachment *a, struct err *err)
{
	const struct attach_link *link = published_link(a);
	struct rules_published published = {.id = a->id, .ports = a->ports};

	if (!a->ports.count || (!link && a->mode != NETWORK_MODE_PASTA))
		return firewall_unpublish(store, a->id, err);
	if (link && !attach_has_pasta(store, a)) {
		published.ip = link->ip;
		published.ip6 = link->ip6;
	}
	/* The prefix is the network's; the rules want the address alone. */
	published.ip.prefix = 32;
	published.ip6.prefix = 128;
	return firewall_publish(store, &published, err);
}

/* ---- the whole ---- */

/* The first gateway; and where names are asked: networks' own servers know their names. */
int attach_complete(
	struct network_store *store, struct attachment *a, struct arena *arena, struct err *err)
{
	char text[ADDRESS_TEXT_MAX];
	struct strings servers = {arena_array(arena, 2 * a->links.count + 1, const char *), 0};

	if (!servers.items)
		return err_sys(err, -ENOMEM, "network");
	a->host_gateway = (struct address){};
	for (size_t i = 0; i < a->links.count; i++) {
		const struct attach_link *link = &a->links.items[i];
		struct address gateways[2] = {};
		struct network n;
		int r;

		if (!a->host_gateway.family)
			a->host_gateway = link->gateway.family ? link->gateway : link->gateway6;
		if (link->driver != NETWORK_BRIDGE)
			continue;
		r = network_load(store, link->network, arena, &n, err);
		if (r < 0)
			return r;
		for (size_t k = 0; k < n.subnets.count && n.dns; k++) {
			const struct address *gateway = &n.subnets.items[k].gateway;

			if (gateway->family && !gateways[gateway->family == AF_INET6].family)
				gateways[gateway->family == AF_INET6] = *gateway;
		}
		for (size_t f = 0; f < 2; f++)
			if (gateways[f].family) {
				servers.items[servers.count++] =
					arena_strdup(arena, address_format(&gateways[f], text));
				break; /* one address of a server is enough */
			}
	}
	a->servers = servers.count ? servers : a->asked;
	return 0;
}

static int reserve_links(struct network_store *store, const struct network_wants *wants,
	const struct attachment *old, struct arena *arena, struct attachment *a, struct err *err)
{
	int r = 0;

	a->links.items = arena_array(arena, wants->count + 1, struct attach_link);
	if (!a->links.items)
		return err_sys(err, -ENOMEM, "network");
	for (size_t i = 0; i < wants->count && r == 0; i++) {
		struct network n;

		r = network_load(store, wants->items[i].network, arena, &n, err);
		if (r == 0)
			r = attach_reserve_link(store, &n, &wants->items[i], old, arena, a, err);
	}
	return r < 0 ? r : attach_complete(store, a, arena, err);
}

static int copy_ports(
	const struct ports *ports, struct arena *arena, struct ports *ret, struct err *err)
{
	struct port *items = arena_array(arena, ports->count + 1, struct port);

	if (!items)
		return err_sys(err, -ENOMEM, "published ports");
	if (ports->count)
		memcpy(items, ports->items, ports->count * sizeof(*items));
	*ret = (struct ports){items, ports->count};
	return 0;
}

static int reserve_ports(struct network_store *store, struct attachment *a,
	struct attach_held *held, struct err *err)
{
	int r = check_target(store, a, err);

	if (r == 0)
		r = check_published(store, a, err);
	/* pasta listens by itself, so nobody may hold its ports; what is open is chosen by taking
	 * it for a moment. */
	if (r == 0)
		r = port_hold(&a->ports, held->fds, &held->count, err);
	if (r == 0 && attach_has_pasta(store, a))
		attach_release(held);
	return r < 0 ? r : attach_publish(store, a, err);
}

/* A user's bridges: they are there as long as somebody holds them. */
static int enter_home(struct network_store *store, const struct attach_request *request,
	struct attach_held *held, struct err *err)
{
	int r = home_ensure(store, err);

	return r < 0 ? r : home_hold(store, request->id, request->holder, held, err);
}

static int reserve(struct network_store *store, const struct attach_request *request,
	struct arena *arena, struct attachment *a, struct attach_held *held, struct err *err)
{
	struct attachment old = {};
	int r = attach_load(store, request->id, arena, &old, err);

	if (r == 0)
		r = attach_remove_locked(store, request->id, -1, NULL, err);
	else if (r == -ENOENT)
		r = 0;
	if (r == 0)
		r = attach_mark_pending(store, request->id, err);
	if (r == 0)
		r = copy_ports(&request->ports, arena, &a->ports, err);
	if (r == 0)
		r = reserve_links(store, request->wants, &old, arena, a, err);
	if (r == 0)
		r = reserve_ports(store, a, held, err);
	if (r == 0 && store->places.rootless && a->mode == NETWORK_MODE_NETWORKS)
		r = enter_home(store, request, held, err);
	return r < 0 ? r : attach_write(store, a, err);
}

static bool is_id(const char *id)
{
	return path_is_component(id) && strlen(id) <= ID_MAX && *id != '.' &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
		       strlen(id);
}

int attach_reserve(struct network_store *store, const struct attach_request *request,
	struct arena *arena, struct attachment *ret, struct attach_held *ret_held, struct err *err)
{
	struct attach_held held = {};
	struct attachment a = {
		.id = request->id,
		.name = request->name,
		.host_name = request->host_name,
		.mode = request->wants->mode,
		.asked = request->servers,
	};
	int r;

	if (a.mode != NETWORK_MODE_NETWORKS && a.mode != NETWORK_MODE_PASTA)
		return err_set(err, -EINVAL, "this container is on no network of ours");
	if (a.mode == NETWORK_MODE_PASTA)
		a.pasta = request->wants->name;
	if (!is_id(request->id))
		return err_set(err, -EINVAL, "\"%s\" is no container's id", request->id);
	r = network_lock(store, err);
	if (r < 0)
		return r;
	r = reserve(store, request, arena, &a, &held, err);
	if (r < 0) {
		struct err ignored = {};

		attach_release(&held);
		attach_remove_locked(store, request->id, -1, NULL, &ignored);
	}
	network_unlock(store);
	if (r < 0)
		return r;
	*ret = a;
	*ret_held = held;
	return 0;
}

void attach_release(struct attach_held *held)
{
	for (size_t i = 0; i < held->count; i++)
		cleanup_close(&held->fds[i]);
	held->count = 0;
}

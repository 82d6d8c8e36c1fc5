/* SPDX-License-Identifier: Apache-2.0 */
/* A new network: what was asked is checked, what was left open is chosen. */
#include "netns/network.h"

#include "base/clock.h"
#include "base/parse.h"
#include "netns/bridge.h"
#include "netns/cni.h"
#include "netns/ipam.h"
#include "netns/link.h"
#include "netns/netlink.h"
#include "netns/network_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { SUBNETS_MAX = 16, BRIDGES_MAX = 10000, MTU_MIN = 68, MTU_MAX = 65535, VLAN_MAX = 4094 };

/* What the choice of a subnet looks at. */
struct making {
	struct arena *arena;
	const struct networks *others;
	struct address *routes;
	size_t nroutes, room;
	int sock;
	bool rootless;
};

/* ---- what is there ---- */

static int take_route(const struct address *to, uint32_t link, void *arg)
{
	struct making *m = arg;

	(void)link;
	if (m->nroutes == m->room) {
		struct address *more =
			arena_array(m->arena, m->room = m->room * 2 + 64, struct address);

		if (!more)
			return -ENOMEM;
		if (m->nroutes)
			memcpy(more, m->routes, m->nroutes * sizeof(*more));
		m->routes = more;
	}
	m->routes[m->nroutes++] = *to;
	return 0;
}

static const struct network *network_over(const struct making *m, const struct address *subnet)
{
	for (size_t i = 0; i < m->others->count; i++) {
		const struct network *n = &m->others->items[i];

		for (size_t k = 0; k < n->subnets.count; k++)
			if (address_overlap(subnet, &n->subnets.items[k].subnet))
				return n;
	}
	return NULL;
}

static const struct address *route_over(const struct making *m, const struct address *subnet)
{
	for (size_t i = 0; i < m->nroutes; i++)
		if (address_overlap(subnet, &m->routes[i]))
			return &m->routes[i];
	return NULL;
}

static int check_overlap(const struct making *m, const struct network *made,
	const struct address *subnet, struct err *err)
{
	char text[ADDRESS_TEXT_MAX], route[ADDRESS_TEXT_MAX];
	const struct network *other = network_over(m, subnet);
	const struct address *to = route_over(m, subnet);

	address_format_prefix(subnet, text);
	for (size_t i = 0; i < made->subnets.count; i++)
		if (address_overlap(subnet, &made->subnets.items[i].subnet))
			return err_set(err, -EEXIST, "subnet %s is asked for twice", text);
	/* A link on the host's own network is meant to share its addresses. */
	if (made->driver != NETWORK_BRIDGE)
		return 0;
	if (other)
		return err_set(err, -EEXIST, "subnet %s overlaps with that of network %s", text,
			other->name);
	if (to)
		return err_set(err, -EEXIST, "subnet %s overlaps with this host's route to %s",
			text, address_format_prefix(to, route));
	return 0;
}

/* ---- subnets ---- */

static struct network_subnet *add_subnet(struct network *n, const struct address *subnet)
{
	struct network_subnet *s = &n->subnets.items[n->subnets.count++];

	*s = (struct network_subnet){.subnet = *subnet};
	return s;
}

/* 10.76.0.0/14: the default network gets 65,536 addresses, the others 256. */
static int choose_ipv4(struct making *m, struct network *n, struct err *err)
{
	bool large = strcmp(n->name, NETWORK_DEFAULT) == 0;
	struct address a = {.family = AF_INET, .prefix = large ? 16 : 24, .bytes = {10, 76}};
	unsigned int count = large ? 4 : 3 * 256;

	if (!large)
		a.bytes[1] = 77;
	for (unsigned int i = 0; i < count; i++) {
		if (!network_over(m, &a) && !route_over(m, &a)) {
			add_subnet(n, &a);
			return 0;
		}
		address_add(&a, large ? 1 << 16 : 1 << 8);
	}
	return err_set(err, -ENOSPC, "no subnet is free: name one by --subnet");
}

/* A unique local prefix, RFC 4193: 40 random bits. */
static int choose_ipv6(struct making *m, struct network *n, struct err *err)
{
	struct address a = {.family = AF_INET6, .prefix = 64, .bytes = {0xfd}};

	do {
		if (getrandom(a.bytes + 1, 7, 0) != 7)
			return err_sys(err, -errno, "getrandom");
	} while (network_over(m, &a) || route_over(m, &a));
	add_subnet(n, &a);
	return 0;
}

static int take_subnets(
	struct making *m, const struct network_request *request, struct network *n, struct err *err)
{
	for (size_t i = 0; i < request->subnets.count; i++) {
		const char *text = request->subnets.items[i];
		struct address a;
		int r = address_parse_prefix(text, &a);

		if (r < 0 || a.prefix == 0)
			return err_set(err, -EINVAL, "\"%s\" is no subnet: 10.1.0.0/24", text);
		a = address_first(&a);
		if (address_bits(&a) - a.prefix < 2 && n->driver == NETWORK_BRIDGE)
			return err_set(err, -EINVAL,
				"subnet %s has no address for a container beside its gateway",
				text);
		r = check_overlap(m, n, &a, err);
		if (r < 0)
			return r;
		add_subnet(n, &a);
	}
	return 0;
}

static struct network_subnet *subnet_of(struct network *n, const struct address *a)
{
	for (size_t i = 0; i < n->subnets.count; i++)
		if (address_in(a, &n->subnets.items[i].subnet))
			return &n->subnets.items[i];
	return NULL;
}

static int take_gateways(const struct network_request *request, struct network *n, struct err *err)
{
	for (size_t i = 0; i < request->gateways.count; i++) {
		const char *text = request->gateways.items[i];
		struct network_subnet *s;
		struct address a;

		if (address_parse(text, &a) < 0)
			return err_set(err, -EINVAL, "\"%s\" is no address", text);
		s = subnet_of(n, &a);
		if (!s)
			return err_set(err, -EINVAL, "gateway %s is in none of the subnets", text);
		if (!ipam_usable(s, &a))
			return err_set(err, -EINVAL, "%s cannot be a gateway's address", text);
		s->gateway = a;
	}
	/* The first address, as is the custom. */
	for (size_t i = 0; i < n->subnets.count && !request->no_gateway; i++) {
		struct network_subnet *s = &n->subnets.items[i];

		if (s->gateway.family)
			continue;
		s->gateway = address_first(&s->subnet);
		s->gateway.prefix = address_bits(&s->subnet);
		address_add(&s->gateway, 1);
	}
	return 0;
}

/* "10.1.0.128/25", or "10.1.0.10-10.1.0.20". */
static int take_range(const char *text, struct network *n, struct err *err)
{
	const char *dash = strchr(text, '-');
	char first[ADDRESS_TEXT_MAX] = "";
	struct address a, last;
	struct network_subnet *s;
	int r;

	if (dash && dash - text < (ptrdiff_t)sizeof(first)) {
		memcpy(first, text, (size_t)(dash - text));
		r = address_parse(first, &a);
		if (r == 0)
			r = address_parse(dash + 1, &last);
	} else {
		r = address_parse_prefix(text, &a);
		if (r == 0) {
			last = address_last(&a);
			a = address_first(&a);
		}
	}
	if (r < 0 || a.family != last.family || address_compare(&a, &last) > 0)
		return err_set(err, -EINVAL, "\"%s\" is no range: 10.1.0.128/25", text);
	s = subnet_of(n, &a);
	if (!s || !address_in(&last, &s->subnet))
		return err_set(err, -EINVAL, "range %s is in none of the subnets", text);
	s->first = a;
	s->last = last;
	s->first.prefix = s->last.prefix = address_bits(&a);
	return 0;
}

static int choose_subnets(
	struct making *m, const struct network_request *request, struct network *n, struct err *err)
{
	bool has4 = false, has6 = false;
	int r;

	if (request->subnets.count > SUBNETS_MAX)
		return err_set(err, -E2BIG, "more than %d subnets", SUBNETS_MAX);
	n->subnets.items = arena_array(m->arena, SUBNETS_MAX + 2, struct network_subnet);
	if (!n->subnets.items)
		return err_sys(err, -ENOMEM, "network");
	r = take_subnets(m, request, n, err);
	for (size_t i = 0; i < n->subnets.count; i++) {
		has4 |= n->subnets.items[i].subnet.family == AF_INET;
		has6 |= n->subnets.items[i].subnet.family == AF_INET6;
	}
	if (r == 0 && n->driver == NETWORK_BRIDGE && !has4 && !has6)
		r = choose_ipv4(m, n, err);
	if (r == 0 && request->ipv6 && !has6)
		r = choose_ipv6(m, n, err);
	if (r == 0)
		r = take_gateways(request, n, err);
	for (size_t i = 0; i < request->ranges.count && r == 0; i++)
		r = take_range(request->ranges.items[i], n, err);
	return r;
}

/* ---- options ---- */

static int take_number(const char *key, const char *value, uint32_t min, uint32_t max,
	uint32_t *ret, struct err *err)
{
	if (parse_u32(value, ret) < 0 || *ret < min || *ret > max)
		return err_set(err, -EINVAL, "option %s: \"%s\" is no number from %u to %u", key,
			value, min, max);
	return 0;
}

static int take_bool(const char *key, const char *value, bool *ret, struct err *err)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "1") != 0 && strcmp(value, "false") != 0 &&
		strcmp(value, "0") != 0)
		return err_set(
			err, -EINVAL, "option %s: \"%s\" is neither true nor false", key, value);
	*ret = *value == 't' || *value == '1';
	return 0;
}

static int take_mode(const char *value, struct network *n, struct err *err)
{
	int64_t mode;

	if (!json_name_find(network_link_mode_names, value, &mode))
		return err_set(err, -EINVAL, "option mode: there is no mode \"%s\"", value);
	n->mode = (int)mode;
	return 0;
}

/* A name for what docker and podman call it. */
static const char *plain_name(const char *key)
{
	static const struct {
		const char *theirs, *ours;
	} names[] = {
		{"com.docker.network.driver.mtu", "mtu"},
		{"com.docker.network.bridge.name", "interface"},
		{"com.docker.network.bridge.enable_icc", "icc"},
		{"bridge_name", "interface"},
		{"parent", "interface"},
		{"macvlan_mode", "mode"},
		{"ipvlan_mode", "mode"},
		{"isolated", "isolate"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(key, names[i].theirs) == 0)
			return names[i].ours;
	return key;
}

static int take_option(const struct pair *option, struct network *n, struct err *err)
{
	const char *key = plain_name(option->key), *value = option->value;
	bool ignored;

	if (strcmp(key, "mtu") == 0)
		return take_number(key, value, MTU_MIN, MTU_MAX, &n->mtu, err);
	if (strcmp(key, "vlan") == 0)
		return take_number(key, value, 1, VLAN_MAX, &n->vlan, err);
	if (strcmp(key, "isolate") == 0)
		return take_bool(key, value, &n->isolate, err);
	if (strcmp(key, "icc") == 0) /* read again where a port is made */
		return take_bool(key, value, &ignored, err);
	if (strcmp(key, "mode") == 0)
		return take_mode(value, n, err);
	if (strcmp(key, "interface") != 0)
		return err_set(err, -EINVAL, "there is no option %s for networks", option->key);
	n->interface = value;
	return 0;
}

static int check_mode(const struct network *n, struct err *err)
{
	bool ok = n->mode == NETWORK_LINK_DEFAULT;

	if (n->driver == NETWORK_MACVLAN)
		ok |= n->mode >= NETWORK_LINK_BRIDGE && n->mode <= NETWORK_LINK_PASSTHRU;
	if (n->driver == NETWORK_IPVLAN)
		ok |= n->mode >= NETWORK_LINK_L2;
	if (!ok)
		return err_set(err, -EINVAL, "a %s network has no mode %s",
			json_name_of(network_driver_names, n->driver),
			json_name_of(network_link_mode_names, n->mode));
	if (n->vlan && n->driver == NETWORK_BRIDGE)
		return err_set(err, -EINVAL, "a bridge network has no vlan");
	return 0;
}

static int take_options(const struct network_request *request, struct network *n, struct err *err)
{
	int r = 0;

	n->isolate = n->driver == NETWORK_BRIDGE;
	for (size_t i = 0; i < request->options.count && r == 0; i++)
		r = take_option(&request->options.items[i], n, err);
	return r < 0 ? r : check_mode(n, err);
}

/* ---- the link ---- */

static bool is_interface_used(const struct networks *others, const char *name)
{
	for (size_t i = 0; i < others->count; i++)
		if (others->items[i].driver == NETWORK_BRIDGE &&
			strcmp(others->items[i].interface, name) == 0)
			return true;
	return false;
}

static bool is_link_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
			return false;
	return true;
}

static int choose_bridge(struct making *m, struct network *n, struct err *err)
{
	char name[IFNAMSIZ];
	struct err ignored = {};
	struct link link;

	for (unsigned int i = strcmp(n->name, NETWORK_DEFAULT) != 0; i < BRIDGES_MAX; i++) {
		snprintf(name, sizeof(name), "brig%u", i);
		if (is_interface_used(m->others, name) ||
			link_find(m->sock, name, &link, &ignored) == 0)
			continue;
		n->interface = arena_strdup(m->arena, name);
		return n->interface ? 0 : err_sys(err, -ENOMEM, "network");
	}
	return err_set(err, -ENOSPC, "no name is free for another bridge");
}

static int choose_link(
	struct making *m, const struct network_request *request, struct network *n, struct err *err)
{
	struct link link;

	if (request->interface)
		n->interface = request->interface;
	if (n->interface && !is_link_name(n->interface))
		return err_set(err, -EINVAL, "\"%s\" is no name of a link", n->interface);
	if (n->driver != NETWORK_BRIDGE) {
		if (!n->interface)
			return err_set(err, -EINVAL,
				"a %s network needs the host's link that it is on: -o parent=eth0",
				json_name_of(network_driver_names, n->driver));
		return link_find(m->sock, n->interface, &link, err);
	}
	if (!n->interface)
		return choose_bridge(m, n, err);
	if (is_interface_used(m->others, n->interface))
		return err_set(err, -EEXIST, "bridge %s is another network's", n->interface);
	return 0;
}

/* ---- all of it ---- */

static int make_id(struct making *m, struct network *n, struct err *err)
{
	uint8_t random[NETWORK_ID_LEN / 2];
	char now[CLOCK_TEXT_MAX], *id = arena_alloc(m->arena, NETWORK_ID_LEN + 1, 1);

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, -errno, "getrandom");
	for (size_t i = 0; id && i < sizeof(random); i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
	clock_now(now);
	n->id = id;
	n->created = arena_strdup(m->arena, now);
	return n->id && n->created ? 0 : err_sys(err, -ENOMEM, "network");
}

static int check_servers(const struct network_request *request, struct err *err)
{
	struct address a;

	for (size_t i = 0; i < request->servers.count; i++)
		if (address_parse(request->servers.items[i], &a) < 0)
			return err_set(err, -EINVAL, "name server \"%s\" is no address",
				request->servers.items[i]);
	return 0;
}

static int check_name(struct network_store *store, const struct networks *others, const char *name,
	struct arena *arena, struct err *err)
{
	struct network cni;
	int r;

	if (!network_name_valid(name))
		return err_set(err, -EINVAL,
			"\"%s\" cannot be a network's name: letters, digits, and then _ . - too",
			name);
	for (size_t i = 0; i < others->count; i++)
		if (strcmp(others->items[i].name, name) == 0)
			return err_set(err, -EEXIST, "there is a network %s already", name);
	r = cni_load(store->places.cni, name, arena, &cni, err);
	if (r == 0)
		return err_set(err, -EEXIST, "there is a network %s already, %s", name, cni.cni);
	err_clear(err); /* a broken file of somebody else is not in the way */
	return 0;
}

/* A user's bridges lead to no link of the host's and not to each other. */
static int check_unprivileged(const struct network *n, struct err *err)
{
	if (n->driver != NETWORK_BRIDGE)
		return err_set(err, -EPERM,
			"%s needs privilege over this host's links: without it there are bridges "
			"only",
			n->driver == NETWORK_MACVLAN ? "macvlan" : "ipvlan");
	if (!n->isolate)
		return err_set(
			err, -EPERM, "isolate=false: without privilege networks are always apart");
	return 0;
}

static int fill(
	struct making *m, const struct network_request *request, struct network *n, struct err *err)
{
	int r = take_options(request, n, err);

	if (r == 0)
		r = check_servers(request, err);
	if (r == 0)
		r = choose_link(m, request, n, err);
	if (r == 0 && n->driver == NETWORK_BRIDGE)
		r = link_routes(m->sock, take_route, m, err);
	if (r == 0)
		r = choose_subnets(m, request, n, err);
	if (r == 0 && m->rootless)
		r = check_unprivileged(n, err);
	return r < 0 ? r : make_id(m, n, err);
}

int network_make(struct network_store *store, const struct network_request *request,
	struct arena *arena, struct network *ret, struct err *err)
{
	autoclose int sock = netlink_open(err);
	struct networks others;
	struct making m = {.arena = arena,
		.others = &others,
		.sock = sock,
		.rootless = store->places.rootless};
	struct network n = {
		.name = request->name,
		.driver = request->driver,
		.internal = request->internal,
		.dns = !request->no_dns && request->driver == NETWORK_BRIDGE,
		.servers = request->servers,
		.labels = request->labels,
		.options = request->options,
	};
	int r = sock < 0 ? sock : network_records(store, arena, &others, err);

	if (r == 0)
		r = check_name(store, &others, n.name, arena, err);
	if (r == 0)
		r = fill(&m, request, &n, err);
	if (r == 0)
		r = network_write(store, &n, err);
	if (r < 0)
		return err_add(err, "network %s", request->name);
	*ret = n;
	return 0;
}

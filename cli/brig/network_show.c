/* SPDX-License-Identifier: Apache-2.0 */
/* network ls, network inspect. */
#include "cli/brig/network.h"
#include "cli/brig/several.h"
#include "cli/containers/start_network.h"
#include "cli/output/filter.h"
#include "cli/output/list.h"

#include <stdio.h>
#include <string.h>

#define LS(member) OPTION_AT(brig_network_ls_values, member)

enum { SHORT_ID = 12 };

const struct option brig_network_ls_options[] = {
	{"filter", 'f', OPTION_TEXTS, LS(filter), .argument = "KEY=VALUE",
		.help = "only those: id, name, driver, label, dangling (no container has an "
			"address of it)"},
	{"format", 0, OPTION_TEXT, LS(format), .argument = "FORMAT",
		.help = "table, json, or a template"},
	{"no-trunc", 0, OPTION_FLAG, LS(no_trunc), .help = "show everything whole"},
	{"quiet", 'q', OPTION_FLAG, LS(quiet), .help = "print only names"},
	{NULL},
};

const struct option brig_network_inspect_options[] = {
	{"format", 'f', OPTION_TEXT, OPTION_AT(brig_network_inspect_values, format),
		.argument = "TEMPLATE", .help = "json, or a template for each"},
	{NULL},
};

static const struct list_field fields[] = {
	{"ID", "NETWORK ID"},
	{"Name", "NAME"},
	{"Driver", "DRIVER"},
	{"Subnets", "SUBNETS"},
	{"Interface", "INTERFACE"},
	{"Internal", "INTERNAL"},
	{"IPv6", "IPV6"},
	{"Scope", "SCOPE"},
	{"CreatedAt", "CREATED AT"},
	{"Labels", "LABELS"},
	{"Label", NULL},
	{NULL},
};

static json_t *pairs_json(const struct pairs *pairs)
{
	json_t *object = json_object();

	for (size_t i = 0; i < pairs->count; i++)
		json_object_set_new(
			object, pairs->items[i].key, json_string(pairs->items[i].value));
	return object;
}

static json_t *join_pairs(const struct pairs *pairs)
{
	autobuf struct buf text = {};

	for (size_t i = 0; i < pairs->count; i++)
		buf_printf(
			&text, "%s%s=%s", i ? "," : "", pairs->items[i].key, pairs->items[i].value);
	return json_string(buf_str(&text));
}

static json_t *join_subnets(const struct network *n)
{
	autobuf struct buf text = {};
	char subnet[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < n->subnets.count; i++)
		buf_printf(&text, "%s%s", i ? "," : "",
			address_format_prefix(&n->subnets.items[i].subnet, subnet));
	return json_string(buf_str(&text));
}

/* ---- ls ---- */

static const char *driver_name(const struct network *n)
{
	return json_name_of(network_driver_names, n->driver);
}

static bool has_ipv6(const struct network *n)
{
	for (size_t i = 0; i < n->subnets.count; i++)
		if (n->subnets.items[i].subnet.family == AF_INET6)
			return true;
	return false;
}

static bool is_dangling(struct network_store *store, const struct network *n)
{
	size_t users;

	return network_count_users(store, n->name, &users) == 0 && users == 0;
}

static int add_row(struct network_store *store, const struct network *n,
	const struct brig_network_ls_values *v, const struct filters *filters, json_t *rows)
{
	autojson json_t *labels = pairs_json(&n->labels);
	json_t *row;

	if (!filters_accept_prefix(filters, "id", n->id) ||
		!filters_accept_part(filters, "name", n->name) ||
		!filters_accept_equal(filters, "driver", driver_name(n)) ||
		!filters_accept_labels(filters, "label", labels) ||
		!filters_accept_equal(
			filters, "dangling", is_dangling(store, n) ? "true" : "false"))
		return 0;
	row = json_pack("{s:o, s:s, s:s, s:o, s:s, s:b, s:b, s:s, s:s, s:o, s:O}", "ID",
		json_stringn(n->id, strnlen(n->id, v->no_trunc ? NETWORK_ID_LEN : SHORT_ID)),
		"Name", n->name, "Driver", driver_name(n), "Subnets", join_subnets(n), "Interface",
		n->interface, "Internal", n->internal, "IPv6", has_ipv6(n), "Scope", "local",
		"CreatedAt", n->created, "Labels", join_pairs(&n->labels), "Label", labels);
	return row && json_array_append_new(rows, row) == 0 ? 0 : -ENOMEM;
}

int brig_network_ls(const struct invocation *inv, struct err *err)
{
	static const char *const keys[] = {"id", "name", "driver", "label", "dangling", NULL};
	const struct brig_network_ls_values *v = inv->options;
	const struct list_options options = {
		.fields = fields,
		.columns = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Subnets}}",
		.quiet = "{{.Name}}",
		.format = v->format,
		.is_quiet = v->quiet,
	};
	autobrig struct brig b = BRIG_NONE;
	autonetworkstore struct network_store store = NETWORK_STORE_NONE;
	autojson json_t *rows = json_array();
	autobuf struct buf text = {};
	struct filters filters;
	struct networks all;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = filters_parse(&v->filter, keys, b.arena, &filters, err);
	if (r == 0)
		r = brig_networks(&b, &store, err);
	if (r == 0)
		r = network_list(&store, b.arena, &all, err);
	for (size_t i = 0; r == 0 && i < all.count; i++) {
		r = add_row(&store, &all.items[i], v, &filters, rows);
		if (r < 0)
			err_sys(err, r, "network ls");
	}
	if (r == 0)
		r = list_print(&options, rows, &text, err);
	if (r < 0)
		return r;
	fwrite(buf_str(&text), 1, text.len, stdout);
	return 0;
}

/* ---- inspect ---- */

static void set_address(json_t *object, const char *key, const struct address *a, bool prefix)
{
	char text[ADDRESS_TEXT_MAX];

	if (a->family)
		json_object_set_new(object, key,
			json_string(
				prefix ? address_format_prefix(a, text) : address_format(a, text)));
}

static json_t *subnets_json(const struct network *n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n->subnets.count; i++) {
		const struct network_subnet *s = &n->subnets.items[i];
		json_t *object = json_object();

		set_address(object, "Subnet", &s->subnet, true);
		set_address(object, "Gateway", &s->gateway, false);
		set_address(object, "RangeFirst", &s->first, false);
		set_address(object, "RangeLast", &s->last, false);
		json_array_append_new(array, object);
	}
	return array;
}

static void add_container(json_t *containers, const struct attachment *a, const char *network)
{
	for (size_t i = 0; i < a->links.count; i++) {
		const struct attach_link *link = &a->links.items[i];
		json_t *object;

		if (strcmp(link->network, network) != 0)
			continue;
		object = json_pack("{s:s, s:s, s:s}", "Name", a->name ? a->name : "", "Interface",
			link->interface, "MacAddress", link->mac ? link->mac : "");
		set_address(object, "IPv4Address", &link->ip, true);
		set_address(object, "IPv6Address", &link->ip6, true);
		json_object_set_new(containers, a->id, object);
	}
}

static json_t *containers_json(struct network_store *store, const char *network)
{
	autoarena struct arena arena = {};
	json_t *object = json_object();
	struct err ignored = {};
	struct strings ids;

	if (attach_list(store, &arena, &ids, &ignored) < 0)
		return object;
	for (size_t i = 0; i < ids.count; i++) {
		struct attachment a;

		if (attach_load(store, ids.items[i], &arena, &a, &ignored) == 0)
			add_container(object, &a, network);
	}
	return object;
}

static json_t *ipam_json(const struct network *n)
{
	json_t *config = json_array();

	for (size_t i = 0; i < n->subnets.count; i++) {
		const struct network_subnet *s = &n->subnets.items[i];
		json_t *object = json_object();

		set_address(object, "Subnet", &s->subnet, true);
		set_address(object, "Gateway", &s->gateway, false);
		json_array_append_new(config, object);
	}
	return json_pack("{s:s, s:o}", "Driver", "default", "Config", config);
}

static json_t *strings_json(const struct strings *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, json_string(list->items[i]));
	return array;
}

static json_t *network_json(struct network_store *store, const struct network *n)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:i}", "Name", n->name,
		"Id", n->id, "Created", n->created, "Driver", driver_name(n), "Interface",
		n->interface, "Internal", n->internal, "Isolate", n->isolate, "DNSEnabled", n->dns,
		"MTU", (int)n->mtu);

	/* What templates for docker and podman ask for */
	json_object_set_new(object, "NetworkInterface", json_string(n->interface));
	json_object_set_new(object, "IPv6Enabled", json_boolean(has_ipv6(n)));
	json_object_set_new(object, "EnableIPv6", json_boolean(has_ipv6(n)));
	json_object_set_new(object, "Scope", json_string("local"));
	json_object_set_new(object, "IPAM", ipam_json(n));
	json_object_set_new(object, "Subnets", subnets_json(n));
	json_object_set_new(object, "NetworkDNSServers", strings_json(&n->servers));
	json_object_set_new(object, "Containers", containers_json(store, n->name));
	json_object_set_new(object, "Options", pairs_json(&n->options));
	json_object_set_new(object, "Labels", pairs_json(&n->labels));
	if (n->cni)
		json_object_set_new(object, "CNI", json_string(n->cni));
	return object;
}

static int inspect_one(struct brig *b, const char *name, json_t **ret, struct err *err)
{
	autonetworkstore struct network_store store = NETWORK_STORE_NONE;
	struct network n;
	int r = brig_networks(b, &store, err);

	if (r == 0)
		r = network_load(&store, name, b->arena, &n, err);
	if (r < 0)
		return r;
	*ret = network_json(&store, &n);
	return *ret ? 0 : err_sys(err, -ENOMEM, "%s", name);
}

int brig_network_inspect(const struct invocation *inv, struct err *err)
{
	const struct brig_network_inspect_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	int r = brig_open(inv, &b, err);

	return r < 0 ? r : several_inspect(&b, v->format, inspect_one, err);
}

int brig_network_exists(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autonetworkstore struct network_store store = NETWORK_STORE_NONE;
	struct network n;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_networks(&b, &store, err);
	if (r == 0)
		r = network_load(&store, inv->args[0], b.arena, &n, err);
	if (r != -ENOENT)
		return r;
	err_clear(err);
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containers/start_network.h"

#include "base/log.h"

#include <unistd.h>

int box_network_store(const struct boxes *boxes, const char *libexec, bool rootless,
	struct network_store *ret, struct err *err)
{
	const struct network_places places = {
		.data = boxes->data,
		.run = boxes->run,
		.libexec = libexec,
		.cni = rootless ? NULL : "/etc/cni/net.d",
		.cni_bin = "/usr/lib/cni:/opt/cni/bin",
		.rootless = rootless,
	};

	return network_store_open(&places, ret, err);
}

/* --ip and such are meant for the first network. */
static int give_addresses(const struct run_options *o, struct network_wants *wants,
	struct arena *arena, struct err *err)
{
	struct network_want *first = wants->items;

	if (wants->mode != NETWORK_MODE_NETWORKS) {
		if (o->ip || o->ip6 || o->mac || o->aliases.count)
			return err_set(err, -EINVAL,
				"--ip, --ip6, --mac-address and --network-alias need a network of "
				"the container's own");
		return 0;
	}
	first->ip = o->ip ? o->ip : first->ip;
	first->ip6 = o->ip6 ? o->ip6 : first->ip6;
	first->mac = o->mac ? o->mac : first->mac;
	for (size_t n = 0; n < wants->count; n++)
		for (size_t i = 0; i < o->aliases.count; i++)
			if (strings_add(&wants->items[n].aliases, o->aliases.items[i], arena) < 0)
				return err_sys(err, -ENOMEM, "--network-alias");
	return 0;
}

static int parse_ports(
	const struct record *record, struct arena *arena, struct ports *ret, struct err *err)
{
	const struct run_options *o = &record->options;
	int r = 0;

	*ret = (struct ports){};
	for (size_t i = 0; i < o->publish.count && r == 0; i++)
		r = port_parse(o->publish.items[i], arena, ret, err);
	for (size_t i = 0; o->publish_all && i < record->exposed.count && r == 0; i++)
		r = port_parse_exposed(record->exposed.items[i], arena, ret, err);
	return r;
}

int box_network_parse(const struct record *record, bool rootless, struct arena *arena,
	struct network_wants *ret_wants, struct ports *ret_ports, struct err *err)
{
	const struct run_options *o = &record->options;
	int r = network_mode_parse(&o->network, rootless, arena, ret_wants, err);

	if (r < 0)
		return err_add(err, "--network");
	r = give_addresses(o, ret_wants, arena, err);
	if (r == 0)
		r = parse_ports(record, arena, ret_ports, err);
	if (r == 0 && ret_ports->count && ret_wants->mode != NETWORK_MODE_NETWORKS &&
		ret_wants->mode != NETWORK_MODE_PASTA) {
		log_warning("--publish: has no effect with --network %s",
			o->network.items[o->network.count - 1]);
		*ret_ports = (struct ports){};
	}
	return r;
}

int box_network_reserve(const struct start_context *ctx, const struct box *box, struct arena *arena,
	struct box_network *ret, struct err *err)
{
	const struct record *record = &box->record;
	autonetworkstore struct network_store store = {.records = -1, .state = -1, .lock = -1};
	struct attach_request request = {
		.id = box->id,
		.name = record->name,
		.host_name = record->options.hostname,
		.wants = &ret->wants,
		.servers = record->options.dns,
		.holder = getppid(), /* the monitor */
	};
	int r = box_network_parse(record, ctx->rootless, arena, &ret->wants, &request.ports, err);

	if (r < 0 ||
		(ret->wants.mode != NETWORK_MODE_NETWORKS && ret->wants.mode != NETWORK_MODE_PASTA))
		return r;
	r = box_network_store(ctx->boxes, ctx->libexec, ctx->rootless, &store, err);
	if (r == 0)
		r = attach_reserve(&store, &request, arena, &ret->attachment, &ret->held, err);
	ret->attached = r == 0;
	return r;
}

int box_network_apply(const struct start_context *ctx, const struct box *box, int netns, int userns,
	struct arena *arena, struct box_network *network, struct err *err)
{
	autonetworkstore struct network_store store = {.records = -1, .state = -1, .lock = -1};
	bool pasta = network->wants.mode == NETWORK_MODE_PASTA;
	int r;

	if (!network->attached)
		return 0;
	r = box_network_store(ctx->boxes, ctx->libexec, ctx->rootless, &store, err);
	if (r == 0)
		r = attach_apply(&store, box->id, netns, pasta ? userns : -1, arena,
			&network->attachment, err);
	for (size_t i = 0; r == 0 && i < network->attachment.warn.count; i++)
		log_warning("%s", network->attachment.warn.items[i]);
	return r;
}

int box_network_remove(const struct start_context *ctx, const char *id,
	struct attach_rest *ret_rest, struct err *err)
{
	autonetworkstore struct network_store store = {.records = -1, .state = -1, .lock = -1};
	int r = box_network_store(ctx->boxes, ctx->libexec, ctx->rootless, &store, err);

	return r < 0 ? r : attach_remove(&store, id, -1, ret_rest, err);
}

int box_network_remove_rest(
	const struct start_context *ctx, const struct attach_rest *rest, struct err *err)
{
	autonetworkstore struct network_store store = {.records = -1, .state = -1, .lock = -1};
	int r = rest->count
			? box_network_store(ctx->boxes, ctx->libexec, ctx->rootless, &store, err)
			: 0;

	return r < 0 || !rest->count ? r : attach_remove_rest(&store, rest, err);
}

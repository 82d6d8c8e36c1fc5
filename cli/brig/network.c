/* SPDX-License-Identifier: Apache-2.0 */
/* network create, rm, connect, disconnect, prune, reload: what changes networks. */
#include "cli/brig/network.h"
#include "cli/brig/brig.h"
#include "cli/containers/events.h"
#include "cli/containers/start_network.h"
#include "cli/output/filter.h"
#include "cli/output/human.h"

#include "base/log.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CREATE(member)  OPTION_AT(brig_network_create_values, member)
#define CONNECT(member) OPTION_AT(brig_network_connect_values, member)

static const struct json_name driver_names[] = {
	{"bridge", NETWORK_BRIDGE},
	{"macvlan", NETWORK_MACVLAN},
	{"ipvlan", NETWORK_IPVLAN},
	{NULL, 0},
};

const struct option brig_network_create_options[] = {
	{"disable-dns", 0, OPTION_FLAG, CREATE(no_dns), .help = "answer no names on it"},
	{"dns", 0, OPTION_TEXTS, CREATE(servers), .argument = "ADDRESS",
		.help = "who is asked for names that are not the network's"},
	{"driver", 'd', OPTION_NAME, CREATE(driver), .names = driver_names,
		.help = "a bridge of its own, or a link on one of this host's"},
	{"gateway", 0, OPTION_TEXTS, CREATE(gateways), .argument = "ADDRESS",
		.help = "this host's address on it [the first]"},
	{"ignore", 0, OPTION_FLAG, CREATE(ignore), .help = "do nothing if there is one already"},
	{"interface-name", 0, OPTION_TEXT, CREATE(interface), .argument = "LINK",
		.help = "call the bridge so; of a macvlan or ipvlan network this host's link"},
	{"internal", 0, OPTION_FLAG, CREATE(internal), .help = "let nothing in or out"},
	{"ip-range", 0, OPTION_TEXTS, CREATE(ranges), .argument = "RANGE",
		.help = "containers get addresses of this part: 10.1.0.128/25"},
	{"ipv6", 0, OPTION_FLAG, CREATE(ipv6), .help = "give it a subnet of IPv6 too"},
	{"label", 0, OPTION_TEXTS, CREATE(labels), .argument = "KEY=VALUE", .help = "label it"},
	{"opt", 'o', OPTION_TEXTS, CREATE(options), .argument = "KEY=VALUE",
		.help = "mtu, vlan, mode, isolate, icc, parent"},
	{"subnet", 0, OPTION_TEXTS, CREATE(subnets), .argument = "SUBNET",
		.help = "its addresses, one of IPv4 and one of IPv6: 10.1.0.0/24 [one that is "
			"free]"},
	{NULL},
};

const struct option brig_network_rm_options[] = {
	{"force", 'f', OPTION_FLAG, OPTION_AT(brig_network_rm_values, force),
		.help = "take its containers off it before"},
	{NULL},
};

const struct option brig_network_connect_options[] = {
	{"alias", 0, OPTION_TEXTS, CONNECT(aliases), .argument = "NAME",
		.help = "a further name of the container on this network"},
	{"ip", 0, OPTION_TEXT, CONNECT(ip), .argument = "ADDRESS", .help = "its IPv4 address"},
	{"ip6", 0, OPTION_TEXT, CONNECT(ip6), .argument = "ADDRESS", .help = "its IPv6 address"},
	{"mac-address", 0, OPTION_TEXT, CONNECT(mac), .argument = "ADDRESS",
		.help = "the hardware address of its link"},
	{NULL},
};

const struct option brig_network_disconnect_options[] = {
	{"force", 'f', OPTION_FLAG, OPTION_AT(brig_network_rm_values, force),
		.help = "succeed if it is not on it"},
	{NULL},
};

int brig_networks(struct brig *b, struct network_store *ret, struct err *err)
{
	const struct boxes *boxes;
	int r = brig_boxes(b, &boxes, err);

	return r < 0 ? r : box_network_store(boxes, b->dirs.libexec, b->rootless, ret, err);
}

/* ---- create, rm ---- */

static int split_pairs(const char *option, const struct strings *texts, struct arena *arena,
	struct pairs *ret, struct err *err)
{
	ret->items = arena_array(arena, texts->count + 1, struct pair);
	if (!ret->items)
		return err_sys(err, -ENOMEM, "--%s", option);
	for (size_t i = 0; i < texts->count; i++) {
		char *key = arena_strdup(arena, texts->items[i]), *value;

		if (!key)
			return err_sys(err, -ENOMEM, "--%s", option);
		value = strchr(key, '=');
		if (value)
			*value++ = '\0';
		ret->items[ret->count++] = (struct pair){key, value ? value : ""};
	}
	return 0;
}

int brig_network_create(const struct invocation *inv, struct err *err)
{
	const struct brig_network_create_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autonetworkstore struct network_store store = NETWORK_STORE_NONE;
	struct network_request request = {
		.name = inv->args[0],
		.driver = v->driver,
		.subnets = v->subnets,
		.gateways = v->gateways,
		.ranges = v->ranges,
		.servers = v->servers,
		.interface = v->interface,
		.ipv6 = v->ipv6,
		.internal = v->internal,
		.no_dns = v->no_dns,
	};
	struct network made;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = split_pairs("label", &v->labels, b.arena, &request.labels, err);
	if (r == 0)
		r = split_pairs("opt", &v->options, b.arena, &request.options, err);
	if (r == 0)
		r = brig_networks(&b, &store, err);
	if (r == 0 && v->ignore && network_load(&store, request.name, b.arena, &made, err) == 0) {
		printf("%s\n", made.name);
		return 0;
	}
	err_clear(err);
	if (r == 0)
		r = network_create(&store, &request, b.arena, &made, err);
	if (r < 0)
		return r;
	events_note(b.runfd, "network", "create", made.id, "name", made.name, NULL);
	printf("%s\n", made.name);
	return 0;
}

static int open_netns(const struct boxes *boxes, const struct box *box, struct err *err)
{
	enum box_state state = box_state(box);
	char path[32];
	int fd;

	if (state != BOX_RUNNING && state != BOX_PAUSED)
		return -1;
	snprintf(path, sizeof(path), "%d/ns/net", box->status.pid);
	fd = sys_openat(boxes->rt->procfd, path, O_RDONLY, 0);
	return fd < 0 ? err_sys(err, fd, "the network of container %s", box->record.name) : fd;
}

/* The part of --network's text that is the name. */
static bool names_network(const char *text, const char *network)
{
	size_t n = strcspn(text, ":");

	if (n == strlen("bridge") && strncmp(text, "bridge", n) == 0)
		return strcmp(network, NETWORK_DEFAULT) == 0;
	return strlen(network) == n && strncmp(text, network, n) == 0;
}

/* The record says on which networks the container is when it starts the next time. */
static int forget_network(struct box *box, const char *network, struct err *err)
{
	struct strings *list = &box->record.options.network;
	size_t kept = 0;
	static const char *none[] = {"none"};

	/* No text stands for the default network. */
	if (!list->count && strcmp(network, NETWORK_DEFAULT) != 0)
		return 0;
	for (size_t i = 0; i < list->count; i++)
		if (!names_network(list->items[i], network))
			list->items[kept++] = list->items[i];
	list->count = kept;
	if (!kept)
		*list = (struct strings){none, 1};
	return box_update(box, err);
}

static int disconnect(struct brig *b, struct network_store *store, const char *network,
	const char *container, bool force, struct err *err)
{
	autobox struct box box = {.dirfd = -1};
	autoclose int netns = -1;
	const struct boxes *boxes;
	struct err failed = {};
	int r = brig_boxes(b, &boxes, err);

	if (r == 0)
		r = box_open(boxes, container, true, &box, err);
	if (r < 0)
		return r;
	netns = open_netns(boxes, &box, &failed);
	if (failed.code) {
		*err = failed;
		return failed.code;
	}
	r = attach_disconnect(store, box.id, netns, network, b->arena, NULL, err);
	if (r == -ENOENT && (force || netns < 0)) {
		err_clear(err);
		r = 0;
	}
	if (r == 0)
		r = forget_network(&box, network, err);
	if (r == 0)
		events_note(b->runfd, "network", "disconnect", network, "container", box.id, NULL);
	return r;
}

/* Every container that has a link there. */
static int disconnect_all(
	struct brig *b, struct network_store *store, const char *network, struct err *err)
{
	struct strings ids;
	int r = attach_list(store, b->arena, &ids, err);

	for (size_t i = 0; i < ids.count && r == 0; i++) {
		struct attachment a;

		if (attach_load(store, ids.items[i], b->arena, &a, err) < 0)
			continue;
		for (size_t k = 0; k < a.links.count && r == 0; k++)
			if (strcmp(a.links.items[k].network, network) == 0)
				r = disconnect(b, store, network, ids.items[i], true, err);
	}
	err_clear(err);
	return r;
}

static int remove_network(
	struct brig *b, struct network_store *store, const char *name, bool force, struct err *err)
{
	struct network n;
	int r = network_load(store, name, b->arena, &n, err);

	if (r == 0 && n.driver == NETWORK_CNI)
		return err_set(err, -EPERM, "network %s is not brig's: remove %s", name, n.cni);
	if (r == 0 && force)
		r = disconnect_all(b, store, n.name, err);
	if (r == 0)
		r = network_remove(store, n.name, err);
	if (r == 0)
		events_note(b->runfd, "network", "remove", n.id, "name", n.name, NULL);
	return r;
}

int brig_network_rm(const struct invocation *inv, struct err *err)
{
	const struct brig_network_rm_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autonetworkstore struct network_store store = NETWORK_STORE_NONE;
	int code = 0, r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_networks(&b, &store, err);
	for (size_t i = 0; r == 0 && i < inv->arg_count; i++) {
		struct err one = {};

		if (remove_network(&b, &store, inv->args[i], v->force, &one) < 0) {
			log_failure("brig", &one);
			code = 1;
		} else {
			printf("%s\n", inv->args[i]);
		}
	}
	return r < 0 ? r : code;
}

/* ---- connect, disconnect ---- */

/* As --network would say it. */
static const char *want_text(const struct network_want *want, struct arena *arena)
{
	autobuf struct buf text = {};
	const char *separator = ":";
	const struct {
		const char *key, *value;
	} given[] = {{"ip", want->ip}, {"ip6", want->ip6}, {"mac", want->mac}};

	buf_puts(&text, want->network);
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		if (!given[i].value)
			continue;
		buf_printf(&text, "%s%s=%s", separator, given[i].key, given[i].value);
		separator = ",";
	}
	for (size_t i = 0; i < want->aliases.count; i++) {
		buf_printf(&text, "%salias=%s", separator, want->aliases.items[i]);
		separator = ",";
	}
	return text.failed ? NULL : arena_strdup(arena, buf_str(&text));
}

static int remember_network(
	struct brig *b, struct box *box, const struct network_want *want, struct err *err)
{
	struct strings *list = &box->record.options.network;
	const char *text = want_text(want, b->arena);
	struct strings longer = {};
	int r = text ? 0 : -ENOMEM;

	if (r == 0 && !list->count)
		r = strings_add(&longer, NETWORK_DEFAULT, b->arena);
	for (size_t i = 0; i < list->count && r == 0; i++)
		if (strcmp(list->items[i], "none") != 0)
			r = strings_add(&longer, list->items[i], b->arena);
	if (r == 0)
		r = strings_add(&longer, text, b->arena);
	if (r < 0)
		return err_sys(err, r, "network connect");
	*list = longer;
	return box_update(box, err);
}

int brig_network_connect(const struct invocation *inv, struct err *err)
{
	const struct brig_network_connect_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autonetworkstore struct network_store store = NETWORK_STORE_NONE;
	autobox struct box box = {.dirfd = -1};
	autoclose int netns = -1;
	struct network_want want = {
		.ip = v->ip, .ip6 = v->ip6, .mac = v->mac, .aliases = v->aliases};
	const struct boxes *boxes;
	struct err failed = {};
	struct network n;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_boxes(&b, &boxes, err);
	if (r == 0)
		r = brig_networks(&b, &store, err);
	if (r == 0)
		r = network_load(&store, inv->args[0], b.arena, &n, err);
	if (r == 0)
		r = box_open(boxes, inv->args[1], true, &box, err);
	if (r < 0)
		return r;
	want.network = n.name;
	for (size_t i = 0; i < box.record.options.network.count; i++)
		if (names_network(box.record.options.network.items[i], n.name))
			return err_set(err, -EEXIST, "container %s is on network %s already",
				box.record.name, n.name);
	netns = open_netns(boxes, &box, &failed);
	if (failed.code) {
		*err = failed;
		return failed.code;
	}
	/* One that does not run is connected when it starts. */
	if (netns >= 0)
		r = attach_connect(&store, box.id, netns, &want, b.arena, NULL, err);
	if (r == 0)
		r = remember_network(&b, &box, &want, err);
	if (r == 0)
		events_note(b.runfd, "network", "connect", n.id, "container", box.id, NULL);
	return r;
}

int brig_network_disconnect(const struct invocation *inv, struct err *err)
{
	const struct brig_network_rm_values *v = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autonetworkstore struct network_store store = NETWORK_STORE_NONE;
	struct network n;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_networks(&b, &store, err);
	if (r == 0)
		r = network_load(&store, inv->args[0], b.arena, &n, err);
	return r < 0 ? r : disconnect(&b, &store, n.name, inv->args[1], v->force, err);
}

/* ---- prune, reload ---- */

struct used {
	const char *network;
	bool found;
};

/* Also one that does not run has a use for its networks. */
static int look_for_use(struct box *box, void *arg)
{
	struct used *u = arg;

	for (size_t i = 0; i < box->record.options.network.count; i++)
		u->found |= names_network(box->record.options.network.items[i], u->network);
	return u->found;
}

static bool is_prunable(
	struct brig *b, const struct network *n, const struct filters *filters, int64_t until)
{
	struct used used = {.network = n->name};
	autojson json_t *labels = json_object();
	const struct boxes *boxes;
	struct err ignored = {};
	int64_t created;

	for (size_t i = 0; i < n->labels.count; i++)
		json_object_set_new(
			labels, n->labels.items[i].key, json_string(n->labels.items[i].value));
	if (n->driver == NETWORK_CNI || strcmp(n->name, NETWORK_DEFAULT) == 0 ||
		!filters_accept_labels(filters, "label", labels) ||
		(human_parse_time(n->created, &created, NULL) == 0 && created > until) ||
		brig_boxes(b, &boxes, &ignored) < 0)
		return false;
	boxes_each(boxes, look_for_use, &used, &ignored);
	return !used.found;
}

static bool confirmed(const struct brig_prune_values *values)
{
	char answer[8] = "";

	if (values->force || !isatty(STDIN_FILENO))
		return true;
	fprintf(stderr, "All networks that no container uses will be removed. Go on? [y/N] ");
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

int brig_network_prune(const struct invocation *inv, struct err *err)
{
	static const char *const keys[] = {"until", "label", NULL};
	const struct brig_prune_values *values = inv->options;
	autobrig struct brig b = BRIG_NONE;
	autonetworkstore struct network_store store = NETWORK_STORE_NONE;
	struct filters filters;
	struct networks all;
	int64_t until = INT64_MAX;
	int code = 0, r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_networks(&b, &store, err);
	if (r == 0)
		r = filters_parse(&values->filter, keys, b.arena, &filters, err);
	if (r == 0 && filters_have(&filters, "until"))
		r = human_parse_moment(filters_value(&filters, "until"), human_now(), &until, err);
	if (r == 0)
		r = network_list(&store, b.arena, &all, err);
	if (r < 0 || !confirmed(values))
		return r;
	for (size_t i = 0; i < all.count; i++) {
		struct err one = {};

		if (!is_prunable(&b, &all.items[i], &filters, until))
			continue;
		if (remove_network(&b, &store, all.items[i].name, false, &one) < 0) {
			log_failure("brig", &one);
			code = 1;
		} else {
			printf("%s\n", all.items[i].name);
		}
	}
	return code;
}

/* It has a network as long as it runs. */
static bool is_running(const char *id, void *arg)
{
	autobox struct box box = {.dirfd = -1};
	struct err ignored = {};
	enum box_state state;

	if (box_open(arg, id, false, &box, &ignored) < 0)
		return false;
	state = box_state(&box);
	return state == BOX_RUNNING || state == BOX_PAUSED || box_has_monitor(&box);
}

/* What plugins of others made, only they can tell of. A warning: some see faults that are none, as
 * portmap until 1.1.1 does where a container has addresses of one family alone. */
static int check_one(struct box *box, void *arg)
{
	struct err err = {};
	autoclose int netns = open_netns(box->boxes, box, &err);

	if (netns >= 0)
		attach_check(arg, box->id, netns, &err);
	if (err.code)
		log_warning("container %s may have to be started again: %s", box->record.name,
			err.text);
	return 0;
}

int brig_network_reload(const struct invocation *inv, struct err *err)
{
	autobrig struct brig b = BRIG_NONE;
	autonetworkstore struct network_store store = NETWORK_STORE_NONE;
	const struct boxes *boxes;
	int r = brig_open(inv, &b, err);

	if (r == 0)
		r = brig_boxes(&b, &boxes, err);
	if (r == 0)
		r = brig_networks(&b, &store, err);
	if (r == 0)
		r = attach_reload(&store, is_running, (void *)boxes, err);
	if (r >= 0)
		r = boxes_each(boxes, check_one, &store, err);
	return r < 0 ? r : 0;
}

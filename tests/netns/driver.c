/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns/ on a command line, for tests without containers: the caller's namespace is the host.
 *
 *	netns-driver DIR create NAME [KEY=VALUE]...
 *	netns-driver DIR remove NAME
 *	netns-driver DIR up ID NETNS [name=N] [port=P]... [dns=A]... NETWORK...
 *	netns-driver DIR down ID [NETNS]
 *	netns-driver DIR leave ID
 *	netns-driver DIR connect|disconnect ID NETNS NETWORK
 *	netns-driver DIR check ID NETNS
 *	netns-driver DIR reload [LIVING-ID]...
 *	netns-driver DIR show ID | ls
 *
 * KEY is subnet, gateway, range, driver, option, internal, ipv6. DIR has the records and the state.
 * BRIG_LIBEXEC: where brig-dns is. BRIG_TEST_HOLD: "up" stays with the ports until its standard
 * input ends.
 */
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/sys.h"
#include "netns/attach.h"
#include "netns/network_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { LIST_MAX = 64 };

struct run {
	struct network_store store;
	struct arena arena;
	struct err err;
	char **argv;
	int argc;
};

static void push(struct run *r, struct strings *list, const char *text)
{
	if (!list->items)
		list->items = arena_array(&r->arena, LIST_MAX, const char *);
	if (list->items && list->count < LIST_MAX)
		list->items[list->count++] = text;
}

static void push_pair(struct run *r, struct pairs *list, char *text)
{
	char *value = strchr(text, '=');

	if (!list->items)
		list->items = arena_array(&r->arena, LIST_MAX, struct pair);
	if (!value || !list->items || list->count == LIST_MAX)
		return;
	*value++ = '\0';
	list->items[list->count++] = (struct pair){text, value};
}

static void print(const struct json_table *table, const void *data)
{
	autojson json_t *json = record_encode(table, data);
	autobuf struct buf text = {};

	json_write(json, JSON_COMPACT, &text);
	puts(buf_str(&text));
}

static int create(struct run *r)
{
	struct network_request q = {.name = r->argv[0]};
	struct network n;
	int64_t driver;

	for (int i = 1; i < r->argc; i++) {
		char *a = r->argv[i];
		const char *rest;

		if (parse_has_prefix(a, "subnet=", &rest))
			push(r, &q.subnets, rest);
		else if (parse_has_prefix(a, "gateway=", &rest))
			push(r, &q.gateways, rest);
		else if (parse_has_prefix(a, "range=", &rest))
			push(r, &q.ranges, rest);
		else if (parse_has_prefix(a, "dns=", &rest))
			push(r, &q.servers, rest);
		else if (parse_has_prefix(a, "option=", &rest))
			push_pair(r, &q.options, a + 7);
		else if (parse_has_prefix(a, "driver=", &rest) &&
			 json_name_find(network_driver_names, rest, &driver))
			q.driver = (int)driver;
		else if (strcmp(a, "internal") == 0)
			q.internal = true;
		else if (strcmp(a, "ipv6") == 0)
			q.ipv6 = true;
		else
			return err_set(&r->err, -EINVAL, "what is %s?", a);
	}
	return network_create(&r->store, &q, &r->arena, &n, &r->err);
}

static int open_netns(struct run *r, const char *path)
{
	int fd = strcmp(path, "-") == 0 ? -1 : sys_openat(AT_FDCWD, path, O_RDONLY, 0);

	return fd < 0 && strcmp(path, "-") != 0 ? err_sys(&r->err, fd, "%s", path) : fd;
}

static int up(struct run *r)
{
	struct attach_request q = {.id = r->argv[0]};
	struct strings networks = {};
	struct network_wants wants;
	struct attachment a;
	struct attach_held held;
	const char *user = getenv("BRIG_TEST_USERNS");
	autoclose int netns = open_netns(r, r->argv[1]), userns = user ? open_netns(r, user) : -1;
	int s = 0;

	for (int i = 2; i < r->argc && s == 0; i++) {
		const char *rest;

		if (parse_has_prefix(r->argv[i], "name=", &rest))
			q.name = rest;
		else if (parse_has_prefix(r->argv[i], "dns=", &rest))
			push(r, &q.servers, rest);
		else if (parse_has_prefix(r->argv[i], "port=", &rest))
			s = port_parse(rest, &r->arena, &q.ports, &r->err);
		else
			push(r, &networks, r->argv[i]);
	}
	if (s == 0)
		s = network_mode_parse(
			&networks, r->store.places.rootless, &r->arena, &wants, &r->err);
	q.wants = &wants;
	if (s == 0)
		s = attach_reserve(&r->store, &q, &r->arena, &a, &held, &r->err);
	if (s < 0 || netns < 0)
		return s;
	s = attach_apply(&r->store, q.id, netns, userns, &r->arena, &a, &r->err);
	if (s < 0) {
		struct err ignored = {};

		attach_remove(&r->store, q.id, netns, NULL, &ignored);
		return s;
	}
	for (size_t i = 0; i < a.warn.count; i++)
		fprintf(stderr, "warning: %s\n", a.warn.items[i]);
	print(&attach_table, &a);
	fflush(stdout);
	if (getenv("BRIG_TEST_HOLD"))
		while (getchar() != EOF)
			;
	return 0;
}

static int down(struct run *r)
{
	autoclose int netns = r->argc > 1 ? open_netns(r, r->argv[1]) : -1;

	return attach_remove(&r->store, r->argv[0], netns, NULL, &r->err);
}

static int check(struct run *r)
{
	autoclose int netns = open_netns(r, r->argv[1]);

	return attach_check(&r->store, r->argv[0], netns, &r->err);
}

/* As the last process that has to do with it: its links go when all the rest has gone. */
static int leave(struct run *r)
{
	struct attach_rest rest;
	int s = attach_remove(&r->store, r->argv[0], -1, &rest, &r->err);

	return s < 0 ? s : attach_remove_rest(&r->store, &rest, &r->err);
}

static int change(struct run *r, bool connect)
{
	autoclose int netns = open_netns(r, r->argv[1]);
	struct strings networks = {(const char **)&r->argv[2], 1};
	struct network_wants wants;
	struct attachment a;
	int s = network_mode_parse(&networks, false, &r->arena, &wants, &r->err);

	if (s == 0 && connect)
		s = attach_connect(
			&r->store, r->argv[0], netns, &wants.items[0], &r->arena, &a, &r->err);
	else if (s == 0)
		s = attach_disconnect(
			&r->store, r->argv[0], netns, r->argv[2], &r->arena, &a, &r->err);
	if (s == 0)
		print(&attach_table, &a);
	return s;
}

static bool is_living(const char *id, void *arg)
{
	struct run *r = arg;

	for (int i = 0; i < r->argc; i++)
		if (strcmp(r->argv[i], id) == 0)
			return true;
	return false;
}

static int show(struct run *r)
{
	struct attachment a;
	int s = attach_load(&r->store, r->argv[0], &r->arena, &a, &r->err);

	if (s == 0)
		print(&attach_table, &a);
	return s;
}

static int list(struct run *r)
{
	struct networks all;
	int s = network_list(&r->store, &r->arena, &all, &r->err);

	for (size_t i = 0; i < all.count && s == 0; i++) {
		char text[ADDRESS_TEXT_MAX] = "";

		if (all.items[i].subnets.count)
			address_format_prefix(&all.items[i].subnets.items[0].subnet, text);
		printf("%s %s %s %s\n", all.items[i].name,
			json_name_of(network_driver_names, all.items[i].driver),
			all.items[i].interface, text);
	}
	return s;
}

static int run(struct run *r, const char *command)
{
	if (strcmp(command, "create") == 0)
		return create(r);
	if (strcmp(command, "remove") == 0)
		return network_remove(&r->store, r->argv[0], &r->err);
	if (strcmp(command, "up") == 0)
		return up(r);
	if (strcmp(command, "down") == 0)
		return down(r);
	if (strcmp(command, "leave") == 0)
		return leave(r);
	if (strcmp(command, "show") == 0)
		return show(r);
	if (strcmp(command, "ls") == 0)
		return list(r);
	if (strcmp(command, "connect") == 0 || strcmp(command, "disconnect") == 0)
		return change(r, *command == 'c');
	if (strcmp(command, "check") == 0)
		return check(r);
	if (strcmp(command, "reload") == 0)
		return attach_reload(&r->store, r->argc ? is_living : NULL, r, &r->err);
	return err_set(&r->err, -EINVAL, "what is %s?", command);
}

int main(int argc, char **argv)
{
	autoclose int root = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0), place = -1,
		      dir = -1;
	const char *libexec = getenv("BRIG_LIBEXEC");
	struct run r = {.argv = argv + 3, .argc = argc - 3};
	struct network_places places = {
		.libexec = libexec ? libexec : ".",
		.cni = getenv("BRIG_TEST_CNI"),
		.cni_bin = "/usr/lib/cni",
		.rootless = geteuid() != 0,
	};
	int s;

	if (argc < 3)
		return 2;
	place = path_mkdir(root, argv[1], 0700, (uid_t)-1, (gid_t)-1);
	places.data = places.run = dir = sys_openat(place, ".", O_RDONLY | O_DIRECTORY, 0);
	s = network_store_open(&places, &r.store, &r.err);
	if (s == 0)
		s = run(&r, argv[2]);
	if (s < 0)
		fprintf(stderr, "%s\n", r.err.text);
	network_store_close(&r.store);
	arena_free(&r.arena);
	return s < 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/network.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "netns/bridge.h"
#include "netns/cni.h"
#include "netns/dns/server.h"
#include "netns/firewall.h"
#include "netns/home.h"
#include "netns/network_private.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

const struct json_name network_driver_names[] = {
	{"bridge", NETWORK_BRIDGE},
	{"macvlan", NETWORK_MACVLAN},
	{"ipvlan", NETWORK_IPVLAN},
	{"cni", NETWORK_CNI},
	{NULL, 0},
};

const struct json_name network_link_mode_names[] = {
	{"default", NETWORK_LINK_DEFAULT},
	{"bridge", NETWORK_LINK_BRIDGE},
	{"private", NETWORK_LINK_PRIVATE},
	{"vepa", NETWORK_LINK_VEPA},
	{"passthru", NETWORK_LINK_PASSTHRU},
	{"l2", NETWORK_LINK_L2},
	{"l3", NETWORK_LINK_L3},
	{"l3s", NETWORK_LINK_L3S},
	{NULL, 0},
};

static const struct json_rule subnet_rules[] = {
	RECORD_OF("subnet", record_address, network_subnet, subnet),
	RECORD_OF("gateway", record_address, network_subnet, gateway),
	RECORD_OF("first", record_address, network_subnet, first),
	RECORD_OF("last", record_address, network_subnet, last),
	{NULL},
};
static const struct json_table subnet_table = {
	.size = sizeof(struct network_subnet),
	.rules = subnet_rules,
};

static const struct json_rule network_rules[] = {
	RECORD_TEXT("name", network, name),
	RECORD_TEXT("id", network, id),
	RECORD_TEXT("created", network, created),
	{"driver", JSON_NAME, JSON_AT(network, driver), .names = network_driver_names,
		.what = "a driver"},
	{"subnets", JSON_STRUCTS, JSON_AT(network, subnets), .table = &subnet_table},
	RECORD_TEXT("interface", network, interface),
	{"mode", JSON_NAME, JSON_AT(network, mode), .names = network_link_mode_names,
		.what = "a mode"},
	{"mtu", JSON_U32, JSON_AT(network, mtu)},
	{"vlan", JSON_U32, JSON_AT(network, vlan)},
	{"internal", JSON_BOOL, JSON_AT(network, internal)},
	{"isolate", JSON_BOOL, JSON_AT(network, isolate)},
	{"dns", JSON_BOOL, JSON_AT(network, dns)},
	RECORD_OF("servers", record_texts, network, servers),
	RECORD_OF("labels", record_pairs, network, labels),
	RECORD_OF("options", record_pairs, network, options),
	{NULL},
};
static const struct json_table network_table = {
	.size = sizeof(struct network),
	.rules = network_rules,
};

bool network_name_valid(const char *name)
{
	static const char *const taken[] = {
		"none", "host", "private", "default", "container", "ns", "pasta"};

	if (!isalnum((unsigned char)*name) || strlen(name) > NETWORK_NAME_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (strcmp(name, taken[i]) == 0)
			return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
			return false;
	return true;
}

/* ---- the store ---- */

/* A directory that can be listed: path_mkdir() gives only a place. */
static int make_dir(int dirfd, const char *path, mode_t mode, struct err *err)
{
	autoclose int place = path_mkdir(dirfd, path, mode, (uid_t)-1, (gid_t)-1);
	int r = place < 0 ? place : sys_openat(place, ".", O_RDONLY | O_DIRECTORY, 0);

	return r < 0 ? err_sys(err, r, "make the directory %s", path) : r;
}

int network_store_open(
	const struct network_places *places, struct network_store *ret, struct err *err)
{
	struct network_store s = {.places = *places, .records = -1, .state = -1, .lock = -1};
	int r;

	r = s.records = make_dir(places->data, "networks", 0700, err);
	if (r >= 0)
		r = s.state = make_dir(places->run, "networks", 0700, err);
	if (r < 0) {
		network_store_close(&s);
		return err_add(err, "networks");
	}
	*ret = s;
	return 0;
}

void network_store_close(struct network_store *store)
{
	home_close(store);
	cleanup_close(&store->lock);
	cleanup_close(&store->records);
	cleanup_close(&store->state);
}

int network_lock(struct network_store *store, struct err *err)
{
	autoclose int fd = sys_openat(store->state, "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	int r = fd < 0 ? fd : sys_flock(fd, LOCK_EX);

	if (r < 0)
		return err_sys(err, r, "lock the networks");
	store->lock = take_fd(&fd);
	r = attach_undo_pending(store, err);
	if (r < 0)
		network_unlock(store);
	return r;
}

/* Said, not left to the end of the descriptor: a process that is being started may have it too. */
void network_unlock(struct network_store *store)
{
	if (store->lock >= 0)
		sys_flock(store->lock, LOCK_UN);
	cleanup_close(&store->lock);
}

int network_state_dir(struct network_store *store, const char *name, struct err *err)
{
	char path[NETWORK_NAME_MAX + 8];

	/* Its server, which has no privilege, is given the directory and looks for names below. */
	snprintf(path, sizeof(path), "nets/%s", name);
	return make_dir(store->state, path, 0711, err);
}

struct naming {
	struct arena *arena;
	const char *suffix;
	struct strings *names;
	size_t room;
};

static int add_name(void *context, int dirfd, const char *entry)
{
	struct naming *n = context;
	struct strings *names = n->names;
	size_t len = strlen(entry), end = strlen(n->suffix);
	char *name;

	(void)dirfd;
	if (*entry == '.' || len <= end || strcmp(entry + len - end, n->suffix) != 0)
		return 0;
	if (names->count == n->room) {
		const char **items =
			arena_array(n->arena, n->room = n->room * 2 + 16, const char *);

		if (!items)
			return -ENOMEM;
		if (names->count)
			memcpy(items, names->items, names->count * sizeof(*items));
		names->items = items;
	}
	name = arena_strdup(n->arena, entry);
	if (!name)
		return -ENOMEM;
	name[len - end] = '\0';
	names->items[names->count++] = name;
	return 0;
}

int network_names(int dirfd, const char *sub, const char *suffix, struct arena *arena,
	struct strings *ret, struct err *err)
{
	struct naming naming = {.arena = arena, .suffix = suffix, .names = ret};
	autoclose int fd =
		sys_openat(dirfd, sub ? sub : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int r;

	*ret = (struct strings){};
	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd : path_each(fd, add_name, &naming);
	return r < 0 ? err_sys(err, r, "list %s", sub ? sub : "networks") : 0;
}

/* ---- records ---- */

static int read_network(struct network_store *store, const char *name, struct arena *arena,
	struct network *ret, struct err *err)
{
	struct network n = {};
	char file[NETWORK_NAME_MAX + 8];
	int r;

	snprintf(file, sizeof(file), "%s.json", name);
	r = record_read(store->records, file, &network_table, arena, &n, err);
	if (r == 0 && (!n.name || strcmp(n.name, name) != 0 || !n.id || !n.interface))
		r = err_set(err, -EINVAL, "the record of network %s is damaged", name);
	if (r == 0)
		*ret = n;
	return r;
}

int network_write(struct network_store *store, const struct network *network, struct err *err)
{
	char file[NETWORK_NAME_MAX + 8];

	snprintf(file, sizeof(file), "%s.json", network->name);
	return record_write(store->records, file, &network_table, network, err);
}

static int by_name(const void *a, const void *b)
{
	const struct network *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int network_records(
	struct network_store *store, struct arena *arena, struct networks *ret, struct err *err)
{
	struct strings names;
	int r = network_names(store->records, NULL, ".json", arena, &names, err);

	if (r < 0)
		return r;
	*ret = (struct networks){arena_array(arena, names.count + 1, struct network), 0};
	if (!ret->items)
		return err_sys(err, -ENOMEM, "networks");
	for (size_t i = 0; i < names.count; i++) {
		r = network_name_valid(names.items[i]) ? read_network(store, names.items[i], arena,
								 &ret->items[ret->count], err)
						       : -ENOENT;
		if (r < 0 && r != -ENOENT) /* ENOENT: removed meanwhile, or no record at all */
			return r;
		ret->count += r == 0;
	}
	qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
	return 0;
}

/* Somebody else may have made it while we waited. */
static int make_default(
	struct network_store *store, struct arena *arena, struct network *ret, struct err *err)
{
	const struct network_request request = {.name = NETWORK_DEFAULT};
	bool locked = store->lock >= 0;
	int r = locked ? 0 : network_lock(store, err);

	if (r < 0)
		return r;
	r = read_network(store, NETWORK_DEFAULT, arena, ret, err);
	if (r == -ENOENT)
		r = network_make(store, &request, arena, ret, err);
	if (!locked)
		network_unlock(store);
	return r;
}

/* NAME begins one id and no more. */
static int find_by_id(struct network_store *store, const char *name, struct arena *arena,
	struct network *ret, struct err *err)
{
	const struct network *found = NULL;
	struct networks all;
	int r = network_records(store, arena, &all, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < all.count; i++) {
		if (strncmp(all.items[i].id, name, strlen(name)) != 0)
			continue;
		if (found)
			return err_set(err, -EINVAL,
				"several networks have an id that begins "
				"with %s",
				name);
		found = &all.items[i];
	}
	if (!found)
		return -ENOENT;
	*ret = *found;
	return 0;
}

int network_load(struct network_store *store, const char *name, struct arena *arena,
	struct network *ret, struct err *err)
{
	int r = -ENOENT;

	if (network_name_valid(name))
		r = read_network(store, name, arena, ret, err);
	if (r == -ENOENT && strcmp(name, NETWORK_DEFAULT) == 0)
		return make_default(store, arena, ret, err);
	if (r == -ENOENT && strspn(name, "0123456789abcdef") == strlen(name) && strlen(name) >= 2)
		r = find_by_id(store, name, arena, ret, err);
	if (r == -ENOENT)
		r = cni_load(store->places.cni, name, arena, ret, err);
	if (r == -ENOENT)
		return err_set(err, r, "no such network: %s", name);
	return r;
}

int network_list(
	struct network_store *store, struct arena *arena, struct networks *ret, struct err *err)
{
	struct networks own, cni = {}, all;
	bool has_default = false;
	int r = network_records(store, arena, &own, err);

	if (r == 0)
		r = cni_list(store->places.cni, arena, &cni, err);
	if (r < 0)
		return r;
	all = (struct networks){arena_array(arena, own.count + cni.count + 1, struct network), 0};
	if (!all.items)
		return err_sys(err, -ENOMEM, "networks");
	for (size_t i = 0; i < own.count; i++) {
		all.items[all.count++] = own.items[i];
		has_default |= strcmp(own.items[i].name, NETWORK_DEFAULT) == 0;
	}
	if (!has_default) {
		r = make_default(store, arena, &all.items[all.count++], err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < cni.count; i++)
		all.items[all.count++] = cni.items[i];
	qsort(all.items, all.count, sizeof(*all.items), by_name);
	*ret = all;
	return 0;
}

int network_create(struct network_store *store, const struct network_request *request,
	struct arena *arena, struct network *ret, struct err *err)
{
	int r = network_lock(store, err);

	if (r < 0)
		return r;
	r = network_make(store, request, arena, ret, err);
	network_unlock(store);
	return r;
}

int network_count_users(struct network_store *store, const char *name, size_t *ret)
{
	autoarena struct arena arena = {};
	struct strings users;
	struct err ignored = {};
	char path[NETWORK_NAME_MAX + 16];
	int r;

	snprintf(path, sizeof(path), "nets/%s/users", name);
	r = network_names(store->state, path, "", &arena, &users, &ignored);
	if (r == 0)
		*ret = users.count;
	return r;
}

static int remove_locked(struct network_store *store, const char *name, struct err *err)
{
	autoarena struct arena arena = {};
	struct network n;
	struct strings users;
	char path[NETWORK_NAME_MAX + 16], file[NETWORK_NAME_MAX + 8];
	int r = read_network(store, name, &arena, &n, err);

	if (r < 0)
		return r == -ENOENT ? err_set(err, r, "no such network: %s", name) : r;
	snprintf(path, sizeof(path), "nets/%s/users", name);
	r = network_names(store->state, path, "", &arena, &users, err);
	if (r == 0 && users.count)
		return err_set(err, -EBUSY, "network %s is used by container %s%s", name,
			users.items[0], users.count > 1 ? " and others" : "");
	if (r == 0)
		r = dns_server_stop(store, name, err);
	if (r == 0 && n.driver == NETWORK_BRIDGE)
		r = bridge_remove(store, &n, err);
	/* The record last: until then the next try finds what is left. */
	if (r == 0) {
		autoclose int nets = sys_openat(store->state, "nets", O_RDONLY | O_DIRECTORY, 0);

		r = nets == -ENOENT ? 0 : nets < 0 ? nets : path_remove_tree(nets, name);
		if (r < 0)
			return err_sys(err, r, "remove the state of network %s", name);
	}
	snprintf(file, sizeof(file), "%s.json", name);
	if (r == 0)
		r = sys_unlinkat(store->records, file, 0);
	if (r < 0 && !err->code)
		return err_sys(err, r, "remove %s", file);
	return r < 0 || n.driver != NETWORK_BRIDGE ? r : firewall_refresh(store, err);
}

int network_remove(struct network_store *store, const char *name, struct err *err)
{
	int r = network_lock(store, err);

	if (r < 0)
		return r;
	r = remove_locked(store, name, err);
	network_unlock(store);
	return r;
}

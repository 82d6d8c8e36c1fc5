/* SPDX-License-Identifier: Apache-2.0 */
/* What was reserved, carried out, and changed. */
#include "netns/attach.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "netns/attach_private.h"
#include "netns/bridge.h"
#include "netns/cni.h"
#include "netns/dns/names.h"
#include "netns/dns/server.h"
#include "netns/firewall.h"
#include "netns/home.h"
#include "netns/netlink.h"
#include "netns/network_private.h"
#include "netns/pasta.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { SHORT_ID_LEN = 12 };

/* ---- who is on a network ---- */

/* A user's container that is on a network which leads outside: its bridge does not. */
bool attach_has_pasta(struct network_store *store, const struct attachment *a)
{
	if (a->mode == NETWORK_MODE_PASTA)
		return true;
	for (size_t i = 0; i < a->links.count && store->places.rootless; i++)
		if (!a->links.items[i].internal)
			return true;
	return false;
}

int attach_add_user(
	struct network_store *store, const char *network, const char *id, struct err *err)
{
	autoclose int dir = network_state_dir(store, network, err), users = -1;
	int r = dir;

	if (dir < 0)
		return r;
	r = users = path_mkdir(dir, "users", 0700, (uid_t)-1, (gid_t)-1);
	if (r >= 0)
		r = fd_replace_file(users, id, "", 0, 0600);
	return r < 0 ? err_sys(err, r, "join network %s", network) : 0;
}

/* Calls FUNCTION with each name by which A is known on LINK's network. */
static int each_name(const struct attachment *a, const struct attach_link *link, int dir,
	int (*function)(int dir, const char *name, const struct attachment *a,
		const struct attach_link *link, struct err *err),
	struct err *err)
{
	char short_id[SHORT_ID_LEN + 1];
	int r = 0;

	snprintf(short_id, sizeof(short_id), "%.*s", SHORT_ID_LEN, a->id);
	if (a->name)
		r = function(dir, a->name, a, link, err);
	if (r == 0)
		r = function(dir, short_id, a, link, err);
	if (r == 0 && a->host_name)
		r = function(dir, a->host_name, a, link, err);
	for (size_t i = 0; i < link->aliases.count && r == 0; i++)
		r = function(dir, link->aliases.items[i], a, link, err);
	return r;
}

static int put_name(int dir, const char *name, const struct attachment *a,
	const struct attach_link *link, struct err *err)
{
	return names_put(dir, name, a->id, &link->ip, &link->ip6, err);
}

static int drop_name(int dir, const char *name, const struct attachment *a,
	const struct attach_link *link, struct err *err)
{
	(void)link;
	return names_remove(dir, name, a->id, err);
}

/* The network's server gets to know the container; it is started first if it is not there. */
static int announce(struct network_store *store, const struct attachment *a,
	const struct attach_link *link, const struct network *n, struct err *err)
{
	autoclose int dir = -1;
	int r;

	if (!n->dns || n->driver != NETWORK_BRIDGE)
		return 0;
	r = dir = network_state_dir(store, n->name, err);
	if (r >= 0)
		r = names_put_servers(dir, n->internal ? NULL : &n->servers, err);
	if (r >= 0)
		r = each_name(a, link, dir, put_name, err);
	if (r == 0)
		r = names_put_pointer(dir, &link->ip, a->name ? a->name : a->id, err);
	if (r == 0)
		r = names_put_pointer(dir, &link->ip6, a->name ? a->name : a->id, err);
	if (r == 0)
		r = names_put_upstream(dir, &link->ip, &a->asked, err);
	if (r == 0)
		r = names_put_upstream(dir, &link->ip6, &a->asked, err);
	return r < 0 ? r : dns_server_ensure(store, n, err);
}

int attach_forget(struct network_store *store, const struct attachment *a,
	const struct attach_link *link, struct err *err)
{
	char path[NETWORK_NAME_MAX + 16];
	autoclose int dir = -1;
	int r;

	snprintf(path, sizeof(path), "nets/%s", link->network);
	dir = sys_openat(store->state, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (dir < 0)
		return dir == -ENOENT ? 0 : err_sys(err, dir, "%s", path);
	r = each_name(a, link, dir, drop_name, err);
	if (r == 0)
		r = names_forget_address(dir, &link->ip, err);
	return r < 0 ? r : names_forget_address(dir, &link->ip6, err);
}

/* ---- carrying out ---- */

static int make_link(struct network_store *store, struct attachment *a, size_t i,
	const struct attach_place *place, struct arena *arena, struct err *err)
{
	struct attach_link *link = &a->links.items[i];
	struct network n;
	int r = network_load(store, link->network, arena, &n, err);

	if (r < 0)
		return r;
	if (link->driver == NETWORK_CNI)
		return cni_add(store, &n, a, link, place->inside, arena, err);
	r = attach_link_make(store, place, &n, link, i, a->ports.count > 0, err);
	return r < 0 ? r : announce(store, a, link, &n, err);
}

static int inode(int netns, uint64_t *ret, struct err *err)
{
	struct stat st;
	int r = sys_fstat(netns, &st);

	if (r < 0)
		return err_sys(err, r, "the container's network namespace");
	*ret = st.st_ino;
	return 0;
}

static int make_links(struct network_store *store, struct attachment *a, int netns,
	struct arena *arena, struct err *err)
{
	autoplace struct attach_place place = ATTACH_PLACE_NONE;
	int r = attach_place_open(store, netns, &place, err);
	size_t made = 0;

	for (; made < a->links.count && r == 0; made++)
		r = make_link(store, a, made, &place, arena, err);
	if (r == 0)
		r = firewall_apply(store, false, err);
	if (r == 0 && attach_has_pasta(store, a))
		r = pasta_start(store, a, netns, place.userns, err);
	for (size_t i = made; r < 0 && i-- > 0;) {
		struct err ignored = {};

		if (a->links.items[i].driver == NETWORK_CNI)
			cni_delete(store, a, &a->links.items[i], place.inside, &ignored);
		else
			attach_link_remove(store, &place, &a->links.items[i], &ignored);
		attach_forget(store, a, &a->links.items[i], &ignored);
	}
	return r;
}

/* What people do not expect: docs/network.md, "Your firewall". */
static int add_warnings(struct attachment *a, struct arena *arena)
{
	char chain[256];
	struct err ignored = {};
	bool outside = false, open = false;

	a->warn = (struct strings){arena_array(arena, 2, const char *), 0};
	if (!a->warn.items)
		return -ENOMEM;
	for (size_t i = 0; i < a->links.count; i++)
		outside |=
			a->links.items[i].driver == NETWORK_BRIDGE && !a->links.items[i].internal;
	for (size_t i = 0; i < a->ports.count; i++)
		open |= !address_is_loopback(&a->ports.items[i].host_ip);
	if (outside && firewall_find_drop(FIREWALL_FORWARD, chain, sizeof(chain), &ignored) == 0 &&
		*chain)
		a->warn.items[a->warn.count++] = arena_printf(arena,
			"the firewall's chain \"%s\" drops what it does not allow, so this "
			"container "
			"may not get out: allow the bridge there",
			chain);
	else if (outside && open &&
		 firewall_find_drop(FIREWALL_INPUT, chain, sizeof(chain), &ignored) == 0 && *chain)
		a->warn.items[a->warn.count++] = arena_printf(arena,
			"the firewall's chain \"%s\" does not see published ports, they are open "
			"to "
			"everybody: publish at 127.0.0.1, or filter in a forward chain",
			chain);
	return 0;
}

static int apply(struct network_store *store, struct attachment *a, int netns, int userns,
	struct arena *arena, struct err *err)
{
	int r = inode(netns, &a->netns, err);

	if (r < 0)
		return r;
	if (a->mode == NETWORK_MODE_PASTA)
		r = pasta_start(store, a, netns, userns, err);
	else
		r = make_links(store, a, netns, arena, err);
	if (r == 0)
		r = attach_write(store, a, err);
	if (r == 0)
		r = attach_unmark_pending(store, a->id);
	if (r == 0 && a->mode == NETWORK_MODE_NETWORKS && !store->places.rootless)
		r = add_warnings(a, arena);
	return r < 0 && !err->code ? err_sys(err, r, "network") : r;
}

int attach_apply(struct network_store *store, const char *id, int netns, int userns,
	struct arena *arena, struct attachment *ret, struct err *err)
{
	struct attachment a;
	int r = network_lock(store, err);

	if (r < 0)
		return r;
	r = attach_load(store, id, arena, &a, err);
	if (r == -ENOENT)
		err_set(err, r, "container %s has reserved no network", id);
	if (r == 0)
		r = apply(store, &a, netns, userns, arena, err);
	network_unlock(store);
	if (r == 0 && ret)
		*ret = a;
	return r;
}

/* ---- one more, one less ---- */

static int find_link(const struct attachment *a, const char *network)
{
	for (size_t i = 0; i < a->links.count; i++)
		if (strcmp(a->links.items[i].network, network) == 0)
			return (int)i;
	return -ENOENT;
}

static int publish_anew(
	struct network_store *store, struct attachment *a, struct arena *arena, struct err *err)
{
	int r = attach_complete(store, a, arena, err);

	if (r == 0)
		r = attach_publish(store, a, err);
	return r < 0 ? r : attach_write(store, a, err);
}

static int connect_locked(struct network_store *store, struct attachment *a, int netns,
	const struct network_want *want, struct arena *arena, struct err *err)
{
	autoplace struct attach_place place = ATTACH_PLACE_NONE;
	const struct attachment nothing = {};
	struct attach_link *links = arena_array(arena, a->links.count + 1, struct attach_link);
	size_t i = a->links.count;
	bool had_pasta = attach_has_pasta(store, a);
	struct network n;
	int r = links ? network_load(store, want->network, arena, &n, err)
		      : err_sys(err, -ENOMEM, "network");

	if (r == 0 && find_link(a, n.name) >= 0)
		return err_set(err, -EEXIST, "the container is on network %s already", n.name);
	if (r == 0 && netns >= 0)
		r = attach_place_open(store, netns, &place, err);
	if (r < 0)
		return r;
	if (i)
		memcpy(links, a->links.items, i * sizeof(*links));
	a->links.items = links;
	r = attach_mark_pending(store, a->id, err);
	if (r == 0)
		r = attach_reserve_link(store, &n, want, &nothing, arena, a, err);
	if (r == 0)
		r = publish_anew(store, a, arena, err);
	if (r == 0 && netns >= 0)
		r = make_link(store, a, i, &place, arena, err);
	if (r == 0 && netns >= 0)
		r = firewall_apply(store, false, err);
	if (r == 0 && netns >= 0 && !had_pasta && attach_has_pasta(store, a))
		r = pasta_start(store, a, netns, place.userns, err);
	if (r < 0 && a->links.count > i) {
		struct err ignored = {};

		attach_release_link(
			store, a, &a->links.items[i], netns >= 0 ? &place : NULL, NULL, &ignored);
		a->links.count = i;
		publish_anew(store, a, arena, &ignored);
	}
	attach_unmark_pending(store, a->id);
	return r;
}

static int disconnect_locked(struct network_store *store, struct attachment *a, int netns,
	const char *network, struct arena *arena, struct err *err)
{
	autoplace struct attach_place place = ATTACH_PLACE_NONE;
	int i = find_link(a, network), r;
	struct attach_link gone;

	if (i < 0)
		return err_set(err, i, "the container is not on network %s", network);
	r = netns >= 0 ? attach_place_open(store, netns, &place, err) : 0;
	if (r == 0)
		r = attach_release_link(
			store, a, &a->links.items[i], netns >= 0 ? &place : NULL, NULL, err);
	if (r < 0)
		return r;
	gone = a->links.items[i];
	memmove(&a->links.items[i], &a->links.items[i + 1],
		(a->links.count - (size_t)i - 1) * sizeof(gone));
	a->links.count--;
	if (!attach_has_pasta(store, a))
		r = pasta_stop(store, a->id, err);
	if (r == 0)
		r = publish_anew(store, a, arena, err);
	return r < 0 ? r : firewall_refresh(store, err);
}

/* Both changes of a container that is there. WANT or NETWORK is NULL. */
static int change(struct network_store *store, const char *id, int netns,
	const struct network_want *want, const char *network, struct arena *arena,
	struct attachment *ret, struct err *err)
{
	struct attachment a;
	struct network n;
	int r = network_lock(store, err);

	if (r < 0)
		return r;
	r = attach_load(store, id, arena, &a, err);
	if (r == -ENOENT)
		err_set(err, r, "container %s is on no network that could be changed", id);
	if (r == 0 && a.mode != NETWORK_MODE_NETWORKS)
		r = err_set(
			err, -EINVAL, "container %s has pasta, and can have no other network", id);
	if (r == 0 && network && find_link(&a, network) < 0 &&
		network_load(store, network, arena, &n, err) == 0)
		network = n.name; /* it was an id */
	if (r == 0)
		err_clear(err);
	if (r == 0 && want)
		r = connect_locked(store, &a, netns, want, arena, err);
	else if (r == 0)
		r = disconnect_locked(store, &a, netns, network, arena, err);
	network_unlock(store);
	if (r == 0 && ret)
		*ret = a;
	return r;
}

int attach_connect(struct network_store *store, const char *id, int netns,
	const struct network_want *want, struct arena *arena, struct attachment *ret,
	struct err *err)
{
	return change(store, id, netns, want, NULL, arena, ret, err);
}

int attach_disconnect(struct network_store *store, const char *id, int netns, const char *network,
	struct arena *arena, struct attachment *ret, struct err *err)
{
	return change(store, id, netns, NULL, network, arena, ret, err);
}

/* ---- everything anew ---- */

static int remove_dead(struct network_store *store, bool (*alive)(const char *id, void *arg),
	void *arg, struct err *err)
{
	autoarena struct arena arena = {};
	struct strings ids;
	int r = attach_list(store, &arena, &ids, err), removed = 0;

	for (size_t i = 0; i < ids.count && r == 0; i++) {
		if (alive(ids.items[i], arg) || attach_is_pending(store, ids.items[i]))
			continue;
		r = attach_remove_locked(store, ids.items[i], -1, NULL, err);
		removed += r == 0;
	}
	return r < 0 ? r : removed;
}

/* Bridges and servers of the networks that have users. */
static int restore(struct network_store *store, struct err *err)
{
	autoarena struct arena arena = {};
	autoclose int sock = -1;
	struct networks networks;
	int r = home_find(store, err);

	if (r <= 0) /* no container is on any */
		return r;
	r = sock = home_netlink(store, err);
	if (r >= 0)
		r = network_records(store, &arena, &networks, err);

	for (size_t i = 0; r == 0 && i < networks.count; i++) {
		const struct network *n = &networks.items[i];
		uint32_t index;
		size_t users;

		if (n->driver != NETWORK_BRIDGE ||
			network_count_users(store, n->name, &users) < 0 || !users)
			continue;
		r = bridge_ensure(store, sock, n, &index, err);
		if (r == 0 && n->dns)
			r = dns_server_ensure(store, n, err);
	}
	return r < 0 ? r : firewall_apply(store, true, err);
}

int attach_reload(struct network_store *store, bool (*alive)(const char *id, void *arg), void *arg,
	struct err *err)
{
	int r = network_lock(store, err), removed = 0;

	if (r < 0)
		return r;
	if (alive)
		r = removed = remove_dead(store, alive, arg, err);
	if (r >= 0)
		r = restore(store, err);
	network_unlock(store);
	return r < 0 ? r : removed;
}

static int check_links(
	struct network_store *store, const struct attachment *a, int netns, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < a->links.count && r == 0; i++)
		if (a->links.items[i].driver == NETWORK_CNI)
			r = cni_check(store, a, &a->links.items[i], netns, err);
	return r;
}

int attach_check(struct network_store *store, const char *id, int netns, struct err *err)
{
	autoarena struct arena arena = {};
	struct attachment a;
	int r = network_lock(store, err);

	if (r < 0)
		return r;
	r = attach_load(store, id, &arena, &a, err);
	if (r == 0)
		r = check_links(store, &a, netns, err);
	network_unlock(store);
	return r == -ENOENT && !err->code ? 0 : r;
}

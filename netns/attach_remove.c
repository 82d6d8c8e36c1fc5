/* SPDX-License-Identifier: Apache-2.0 */
/* What was reserved and carried out, taken back, also after a process that died in the middle. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sys.h"
#include "netns/attach_private.h"
#include "netns/cni.h"
#include "netns/dns/names.h"
#include "netns/dns/server.h"
#include "netns/firewall.h"
#include "netns/ipam.h"
#include "netns/network_private.h"
#include "netns/pasta.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* The first error counts, and does not end the work. */
static void keep_first(int r, struct err *first, struct err *now)
{
	if (r < 0 && !first->code)
		*first = *now;
	err_clear(now);
}

/* LATER: nobody waits for the end of the network's server. */
static int leave(struct network_store *store, const char *network, const char *id, bool later,
	struct err *err)
{
	char path[PATH_MAX];
	size_t users = 1;
	int r;

	snprintf(path, sizeof(path), "nets/%s/users/%s", network, id);
	r = sys_unlinkat(store->state, path, 0);
	if (r < 0 && r != -ENOENT)
		return err_sys(err, r, "leave network %s", network);
	r = network_count_users(store, network, &users);
	if (r < 0 || users)
		return 0;
	return later ? dns_server_dismiss(store, network, err)
		     : dns_server_stop(store, network, err);
}

int attach_release_link(struct network_store *store, const struct attachment *a,
	const struct attach_link *link, const struct attach_place *place, struct attach_rest *rest,
	struct err *err)
{
	struct err first = {}, now = {};

	if (rest && attach_rest_add(rest, link))
		;
	else if (link->driver == NETWORK_CNI)
		keep_first(
			cni_delete(store, a, link, place ? place->inside : -1, &now), &first, &now);
	else
		keep_first(attach_link_remove(store, place, link, &now), &first, &now);
	keep_first(attach_forget(store, a, link, &now), &first, &now);
	if (link->ip.family)
		keep_first(ipam_give(store, link->network, &link->ip, a->id, &now), &first, &now);
	if (link->ip6.family)
		keep_first(ipam_give(store, link->network, &link->ip6, a->id, &now), &first, &now);
	keep_first(leave(store, link->network, a->id, rest != NULL, &now), &first, &now);
	if (first.code)
		*err = first;
	return first.code;
}

/* Addresses of NETWORK that are ID's, or nobody's since the file was not written to the end. */
static int scrub_addresses(
	struct network_store *store, const char *network, const char *id, struct err *err)
{
	autoarena struct arena arena = {};
	struct strings files;
	char path[PATH_MAX], who[256];
	int r;

	snprintf(path, sizeof(path), "nets/%s/ip", network);
	r = network_names(store->state, path, "", &arena, &files, err);
	for (size_t i = 0; i < files.count && r == 0; i++) {
		snprintf(path, sizeof(path), "nets/%s/ip/%s", network, files.items[i]);
		if (fd_read_line(store->state, path, who, sizeof(who)) < 0 ||
			(*who && strcmp(who, id) != 0))
			continue;
		r = sys_unlinkat(store->state, path, 0);
		r = r == -ENOENT ? 0 : r;
		if (r < 0)
			err_sys(err, r, "%s", path);
	}
	return r;
}

static int scrub_names(
	struct network_store *store, const char *network, const char *id, struct err *err)
{
	autoarena struct arena arena = {};
	struct strings names;
	char path[PATH_MAX];
	autoclose int dir = -1;
	int r;

	snprintf(path, sizeof(path), "nets/%s", network);
	dir = sys_openat(store->state, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (dir < 0)
		return dir == -ENOENT ? 0 : err_sys(err, dir, "%s", path);
	r = network_names(dir, "names", "", &arena, &names, err);
	for (size_t i = 0; i < names.count && r == 0; i++)
		r = names_remove(dir, names.items[i], id, err);
	return r;
}

/* Whatever bears ID, without a record that says what there is. */
static int scrub(struct network_store *store, const char *id, struct err *err)
{
	autoarena struct arena arena = {};
	struct strings networks;
	int r = network_names(store->state, "nets", "", &arena, &networks, err);

	for (size_t i = 0; i < networks.count && r == 0; i++) {
		r = scrub_addresses(store, networks.items[i], id, err);
		if (r == 0)
			r = scrub_names(store, networks.items[i], id, err);
		if (r == 0)
			r = leave(store, networks.items[i], id, false, err);
	}
	return r;
}

/* The links in REST are left, and the note says so. */
static int unlink_record(struct network_store *store, const char *id,
	const struct attach_rest *rest, struct err *err)
{
	bool left = rest && rest->count;
	char path[PATH_MAX];
	int r = left ? attach_mark_rest(store, rest, err) : 0;

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "containers/%s.json", id);
	r = sys_unlinkat(store->state, path, 0);
	if (r == 0 || r == -ENOENT)
		r = left ? 0 : attach_unmark_pending(store, id);
	return r < 0 ? err_sys(err, r, "%s", path) : 0;
}

bool attach_is_pending(struct network_store *store, const char *id)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "pending/%s", id);
	return sys_faccessat(store->state, path, F_OK, 0) == 0;
}

/* PLACE −1 or the container's. The record is known to be there. */
static int release(struct network_store *store, const struct attachment *a, int netns,
	struct attach_rest *rest, struct err *err)
{
	autoplace struct attach_place place = ATTACH_PLACE_NONE;
	struct err first = {}, now = {};
	bool inside = false;

	if (netns >= 0) {
		inside = attach_place_open(store, netns, &place, &now) == 0;
		err_clear(&now); /* it is going away: what is in it goes with it */
	}
	if (a->mode == NETWORK_MODE_PASTA || store->places.rootless)
		keep_first(pasta_stop(store, a->id, &now), &first, &now);
	/* In reverse, as they were made. */
	for (size_t i = a->links.count; i-- > 0;)
		keep_first(attach_release_link(store, a, &a->links.items[i], inside ? &place : NULL,
				   rest, &now),
			&first, &now);
	keep_first(firewall_unpublish(store, a->id, &now), &first, &now);
	if (a->mode == NETWORK_MODE_NETWORKS && a->ports.count)
		keep_first(firewall_refresh(store, &now), &first, &now);
	if (first.code)
		*err = first;
	return first.code;
}

int attach_remove_locked(struct network_store *store, const char *id, int netns,
	struct attach_rest *rest, struct err *err)
{
	autoarena struct arena arena = {};
	bool pending = attach_is_pending(store, id);
	struct attach_rest left;
	struct attachment a;
	int r = attach_load(store, id, &arena, &a, err);

	if (r == -ENOENT && !pending)
		return 0;
	/* A process that dies in the middle is followed by one that goes on. */
	if (r == 0 && !pending)
		r = attach_mark_pending(store, id, err);
	if (r == 0)
		r = release(store, &a, netns, rest, err);
	if (r == -ENOENT) {
		attach_read_rest(store, id, &left);
		r = attach_rest_remove(store, &left, err);
		if (r == 0)
			r = firewall_unpublish(store, id, err);
		if (r == 0)
			r = firewall_refresh(store, err);
	}
	if (r == 0 && pending)
		r = scrub(store, id, err);
	if (r == 0)
		r = home_forget(store, id, err);
	return r < 0 ? r : unlink_record(store, id, rest, err);
}

int attach_remove(struct network_store *store, const char *id, int netns,
	struct attach_rest *ret_rest, struct err *err)
{
	/* A user's links are where nobody finds them once their holder is forgotten. */
	struct attach_rest *rest = store->places.rootless ? NULL : ret_rest;
	int r;

	if (ret_rest) {
		*ret_rest = (struct attach_rest){};
		snprintf(ret_rest->id, sizeof(ret_rest->id), "%s", id);
	}
	r = network_lock(store, err);
	if (r < 0)
		return r;
	r = attach_remove_locked(store, id, netns, rest, err);
	network_unlock(store);
	return r < 0 ? err_add(err, "take container %s off its networks", id) : 0;
}

int attach_remove_rest(struct network_store *store, const struct attach_rest *rest, struct err *err)
{
	int r = rest->count ? attach_rest_remove(store, rest, err) : 0;

	if (r == 0 && rest->count)
		r = attach_unmark_pending(store, rest->id);
	if (r == 0 && rest->count)
		r = dns_server_tidy(store, err);
	return r < 0 ? err_add(err, "remove links of container %s", rest->id) : 0;
}

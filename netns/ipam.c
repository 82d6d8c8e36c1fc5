/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/ipam.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "netns/network_private.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

bool ipam_usable(const struct network_subnet *subnet, const struct address *address)
{
	struct address first = address_first(&subnet->subnet), last = address_last(&subnet->subnet);
	bool whole = address_bits(&subnet->subnet) - subnet->subnet.prefix < 2; /* RFC 3021, 6164 */

	if (!address_in(address, &subnet->subnet) || address_equal(address, &subnet->gateway))
		return false;
	if (!whole && address_equal(address, &first))
		return false;
	if (!whole && address->family == AF_INET && address_equal(address, &last))
		return false;
	if (subnet->first.family && address_compare(address, &subnet->first) < 0)
		return false;
	return !subnet->last.family || address_compare(address, &subnet->last) <= 0;
}

static int open_dir(struct network_store *store, const char *network, struct err *err)
{
	autoclose int dir = network_state_dir(store, network, err);
	autoclose int place = -1;

	if (dir < 0)
		return dir;
	place = path_mkdir(dir, "ip", 0700, (uid_t)-1, (gid_t)-1);
	if (place < 0)
		return err_sys(err, place, "addresses of network %s", network);
	return take_fd(&place);
}

/* −EEXIST when somebody has it. */
static int claim(int dir, const struct address *address, const char *id)
{
	char name[ADDRESS_TEXT_MAX];

	/* A file without its content yet is one that nobody has written to the end: the record of
	 * the container was written before, and says the same. */
	return fd_create_file(dir, address_format(address, name), id, strlen(id), 0600);
}

static int owner(int dir, const struct address *address, char *ret, size_t size)
{
	char name[ADDRESS_TEXT_MAX];
	ssize_t n = fd_read_line(dir, address_format(address, name), ret, size);

	return n < 0 ? (int)n : 0;
}

static int take_wanted(int dir, const struct network *network, const struct address *wanted,
	const char *id, struct err *err)
{
	char text[ADDRESS_TEXT_MAX], who[256] = "another container";
	int r = claim(dir, wanted, id);

	if (r == -EEXIST) {
		owner(dir, wanted, who, sizeof(who));
		if (strcmp(who, id) == 0)
			return 0;
		return err_set(err, -EADDRINUSE, "address %s of network %s is container %.12s's",
			address_format(wanted, text), network->name, who);
	}
	return r < 0 ? err_sys(err, r, "take address %s", address_format(wanted, text)) : 0;
}

/* Where the range begins and ends. */
static void range(
	const struct network_subnet *subnet, struct address *ret_first, struct address *ret_last)
{
	*ret_first = subnet->first.family ? subnet->first : address_first(&subnet->subnet);
	*ret_last = subnet->last.family ? subnet->last : address_last(&subnet->subnet);
	ret_first->prefix = ret_last->prefix = address_bits(ret_first);
}

static const char *cursor_name(const struct network_subnet *subnet)
{
	return subnet->subnet.family == AF_INET ? ".last4" : ".last6";
}

/* The address behind the one given last, or the first. */
static struct address begin(int dir, const struct network_subnet *subnet)
{
	struct address first, last, at;
	char text[ADDRESS_TEXT_MAX];

	range(subnet, &first, &last);
	if (fd_read_line(dir, cursor_name(subnet), text, sizeof(text)) < 0 ||
		address_parse(text, &at) < 0 || at.family != first.family || !address_add(&at, 1) ||
		address_compare(&at, &first) < 0 || address_compare(&at, &last) > 0)
		return first;
	return at;
}

/* Once around. A subnet of IPv6 is never full: what is tried is bounded by what containers have. */
static int take_next(int dir, const struct network *network, const struct network_subnet *subnet,
	const char *id, struct address *ret, struct err *err)
{
	struct address first, last, start = begin(dir, subnet), at = start;
	char text[ADDRESS_TEXT_MAX];
	int r;

	range(subnet, &first, &last);
	do {
		r = ipam_usable(subnet, &at) ? claim(dir, &at, id) : -EEXIST;
		if (r == 0) {
			address_format(&at, text);
			/* Only where the next search begins. */
			(void)fd_replace_file(dir, cursor_name(subnet), text, strlen(text), 0600);
			*ret = at;
			return 0;
		}
		if (r != -EEXIST)
			return err_sys(err, r, "take an address of network %s", network->name);
		if (address_equal(&at, &last) || !address_add(&at, 1))
			at = first;
	} while (!address_equal(&at, &start));
	return err_set(err, -ENOSPC, "network %s has no address left in %s", network->name,
		address_format_prefix(&subnet->subnet, text));
}

int ipam_take(struct network_store *store, const struct network *network,
	const struct network_subnet *subnet, const char *id, const struct address *wanted,
	const struct address *preferred, struct address *ret, struct err *err)
{
	autoclose int dir = open_dir(store, network->name, err);
	struct address got = {};
	int r = dir < 0 ? dir : -EEXIST;

	if (dir < 0)
		return r;
	if (wanted) {
		got = *wanted;
		r = take_wanted(dir, network, wanted, id, err);
	} else {
		if (preferred && ipam_usable(subnet, preferred)) {
			got = *preferred;
			r = claim(dir, &got, id);
		}
		if (r == -EEXIST)
			r = take_next(dir, network, subnet, id, &got, err);
		else if (r < 0)
			err_sys(err, r, "take an address of network %s", network->name);
	}
	if (r < 0)
		return r;
	got.prefix = subnet->subnet.prefix;
	*ret = got;
	return 0;
}

int ipam_owner(struct network_store *store, const char *network, const struct address *address,
	char *ret, size_t size)
{
	char path[NETWORK_NAME_MAX + 16];
	autoclose int dir = -1;

	snprintf(path, sizeof(path), "nets/%s/ip", network);
	dir = sys_openat(store->state, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	return dir < 0 ? dir : owner(dir, address, ret, size);
}

int ipam_give(struct network_store *store, const char *network, const struct address *address,
	const char *id, struct err *err)
{
	char path[NETWORK_NAME_MAX + ADDRESS_TEXT_MAX + 16], text[ADDRESS_TEXT_MAX], who[256] = "";
	int r = ipam_owner(store, network, address, who, sizeof(who));

	if (r == -ENOENT || (r == 0 && *who && strcmp(who, id) != 0))
		return 0;
	snprintf(path, sizeof(path), "nets/%s/ip/%s", network, address_format(address, text));
	if (r == 0)
		r = sys_unlinkat(store->state, path, 0);
	return r < 0 && r != -ENOENT ? err_sys(err, r, "give address %s back", text) : 0;
}

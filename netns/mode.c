/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/mode.h"

#include "base/parse.h"
#include "netns/address.h"
#include "netns/network.h"

#include <net/if.h>
#include <string.h>

enum { WANTS_MAX = 64, ALIASES_MAX = 64 };

static int add_alias(struct network_want *w, const char *alias, struct arena *arena)
{
	if (!w->aliases.items)
		w->aliases.items = arena_array(arena, ALIASES_MAX, const char *);
	if (!w->aliases.items)
		return -ENOMEM;
	if (w->aliases.count == ALIASES_MAX)
		return -E2BIG;
	w->aliases.items[w->aliases.count++] = alias;
	return 0;
}

/* −EINVAL: there is no such option, or its value is wrong. */
static int take_option(struct network_want *w, const char *option, struct arena *arena)
{
	uint8_t mac[MAC_LEN];
	struct address a;

	if (parse_has_prefix(option, "ip=", &option) || parse_has_prefix(option, "ip6=", &option)) {
		if (address_parse(option, &a) < 0)
			return -EINVAL;
		*(a.family == AF_INET ? &w->ip : &w->ip6) = option;
		return 0;
	}
	if (parse_has_prefix(option, "mac=", &option)) {
		w->mac = option;
		return mac_parse(option, mac);
	}
	if (parse_has_prefix(option, "interface_name=", &option)) {
		w->interface = option;
		return *option && strlen(option) < IFNAMSIZ ? 0 : -EINVAL;
	}
	if (parse_has_prefix(option, "alias=", &option))
		return *option ? add_alias(w, option, arena) : -EINVAL;
	return -EINVAL;
}

static int take_network(
	const char *text, struct network_wants *wants, struct arena *arena, struct err *err)
{
	struct network_want *w = &wants->items[wants->count++];
	char *copy = arena_strdup(arena, text), *next;
	int r = copy ? 0 : -ENOMEM;

	if (r < 0)
		return err_sys(err, r, "--network");
	next = strchr(copy, ':');
	if (next)
		*next++ = '\0';
	w->network = strcmp(copy, "bridge") == 0 || strcmp(copy, "default") == 0 ? NETWORK_DEFAULT
										 : copy;
	while (next && r == 0) {
		char *option = strsep(&next, ",");

		r = take_option(w, option, arena);
		if (r < 0)
			return err_set(err, r, "network \"%s\": \"%s\" is wrong", text, option);
	}
	for (size_t i = 0; i + 1 < wants->count; i++)
		if (strcmp(wants->items[i].network, w->network) == 0)
			return err_set(err, -EINVAL, "network %s is named twice", w->network);
	return 0;
}

/* Whether TEXT is a mode that stands alone. */
static bool take_mode(const char *text, bool rootless, struct network_wants *ret)
{
	const char *rest;

	*ret = (struct network_wants){.mode = NETWORK_MODE_NETWORKS};
	if (strcmp(text, "none") == 0 || strcmp(text, "private") == 0)
		ret->mode = NETWORK_MODE_NONE;
	else if (strcmp(text, "host") == 0)
		ret->mode = NETWORK_MODE_HOST;
	else if (parse_has_prefix(text, "container:", &ret->name))
		ret->mode = NETWORK_MODE_CONTAINER;
	else if (parse_has_prefix(text, "ns:", &ret->name))
		ret->mode = NETWORK_MODE_PATH;
	else if (parse_has_prefix(text, "pasta", &rest) && (!*rest || *rest == ':')) {
		ret->mode = NETWORK_MODE_PASTA;
		ret->name = *rest ? rest + 1 : NULL;
	} else if (rootless && strcmp(text, "default") == 0)
		ret->mode = NETWORK_MODE_PASTA;
	else
		return false;
	return true;
}

int network_mode_parse(const struct strings *texts, bool rootless, struct arena *arena,
	struct network_wants *ret, struct err *err)
{
	static const char *const none[] = {"default"};
	const char *const *items = texts->count ? texts->items : none;
	size_t count = texts->count ? texts->count : 1;
	struct network_wants wants;
	int r = 0;

	if (count > WANTS_MAX)
		return err_set(err, -E2BIG, "more than %d networks", WANTS_MAX);
	if (count == 1 && take_mode(items[0], rootless, &wants)) {
		if ((wants.mode == NETWORK_MODE_CONTAINER || wants.mode == NETWORK_MODE_PATH) &&
			!*wants.name)
			return err_set(err, -EINVAL, "\"%s\" names nothing", items[0]);
		*ret = wants;
		return 0;
	}
	wants = (struct network_wants){.items = arena_array(arena, count, struct network_want)};
	if (!wants.items)
		return err_sys(err, -ENOMEM, "--network");
	for (size_t i = 0; i < count && r == 0; i++) {
		struct network_wants alone;

		if (take_mode(items[i], rootless, &alone))
			return err_set(err, -EINVAL, "network \"%s\" cannot be joined by others",
				items[i]);
		r = take_network(items[i], &wants, arena, err);
	}
	if (r == 0)
		*ret = wants;
	return r;
}

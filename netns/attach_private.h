/* SPDX-License-Identifier: Apache-2.0 */
/* Between attach_reserve.c, attach.c, attach_remove.c and attach_link.c. With the networks' lock
 * held. */
#pragma once

#include "netns/attach.h"
#include "netns/home.h"

/* attach_reserve.c: appends the link that WANT is to be; A has room for it. OLD: what it had
 * before. */
int attach_reserve_link(struct network_store *store, const struct network *n,
	const struct network_want *want, const struct attachment *old, struct arena *arena,
	struct attachment *a, struct err *err);
/* What follows from the links: name servers, the host's address. */
int attach_complete(
	struct network_store *store, struct attachment *a, struct arena *arena, struct err *err);
/* Records A's ports for the rules. */
int attach_publish(struct network_store *store, const struct attachment *a, struct err *err);
/* Whether pasta carries A's traffic with the outside. */
bool attach_has_pasta(struct network_store *store, const struct attachment *a);
int attach_add_user(
	struct network_store *store, const char *network, const char *id, struct err *err);

/* LINK's names and addresses are nobody's for the network's server any more. */
int attach_forget(struct network_store *store, const struct attachment *a,
	const struct attach_link *link, struct err *err);

/* A container's namespace, and the way back. */
struct attach_place {
	int host, inside;           /* network namespaces: the bridges', the container's */
	int host_sock, inside_sock; /* route netlink sockets */
	int userns; /* the container's, when it is visited by another process; else −1 */
};
#define ATTACH_PLACE_NONE          \
	{                          \
		-1, -1, -1, -1, -1 \
	}

/* attach_link.c: makes link I in PLACE, complete and up. PUBLISHES: the container has published
 * ports. */
int attach_link_make(struct network_store *store, const struct attach_place *place,
	const struct network *n, struct attach_link *link, size_t i, bool publishes,
	struct err *err);
/* By the host's end, or inside, if PLACE is not NULL. 0 when there is none. */
int attach_link_remove(struct network_store *store, const struct attach_place *place,
	const struct attach_link *link, struct err *err);
/* False when LINK is none that can wait. */
bool attach_rest_add(struct attach_rest *rest, const struct attach_link *link);
int attach_rest_remove(
	struct network_store *store, const struct attach_rest *rest, struct err *err);
/* Calls WORK in the container's namespace. */
int attach_inside(const struct attach_place *place, visit_work work, void *arg,
	struct visit_fds *ret, struct err *err);
int attach_place_open(
	struct network_store *store, int netns, struct attach_place *ret, struct err *err);
void attach_place_close(struct attach_place *place);
CLEANUP_DEFINE(attach_place, struct attach_place, attach_place_close)
#define autoplace __attribute__((cleanup(cleanup_attach_place)))

/* attach_remove.c: everything of LINK, in PLACE if that is not NULL. REST: where to put it when it
 * can wait, or NULL. The first error counts, and does not end the work. */
int attach_release_link(struct network_store *store, const struct attachment *a,
	const struct attach_link *link, const struct attach_place *place, struct attach_rest *rest,
	struct err *err);
/* Somebody has begun to take the container ID off its networks. */
bool attach_is_pending(struct network_store *store, const char *id);

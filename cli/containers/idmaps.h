/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --userns: which ids of the host a container's ids are.
 *
 *   mode            as root                              as a user
 *   host, ""        the host's own ids                   those of the store: himself as root
 *   auto            a range that no other container has  a part of his subordinate ids
 *   keep-id         every id as itself                   himself as himself (or uid=, gid=)
 *   nomap           –                                    his subordinate ids, without himself
 *   container:NAME  those of the container               the same
 *   ns:PATH         those of the namespace               –
 *   (--uidmap …)    as given                             as given, in terms of the store's ids
 *
 * The maps are settled when the container is made and are part of its record: they are free again
 * when that is removed, and there is no second place that could disagree. Image files are never
 * copied for them: layers are mounted with shifted ids (images/snapshot.h).
 *
 * idmaps_parse() and idmaps_plan() are pure.
 */
#pragma once

#include "base/err.h"
#include "cli/containers/options.h"
#include "images/store.h"

enum idmaps_mode {
	IDMAPS_DEFAULT,
	IDMAPS_AUTO,
	IDMAPS_KEEP_ID,
	IDMAPS_NOMAP,
	IDMAPS_CONTAINER,
	IDMAPS_PATH,
	IDMAPS_GIVEN,
};

enum { IDMAPS_AUTO_SIZE = 65536 };

struct idmaps_wants {
	enum idmaps_mode mode;
	uint32_t size;           /* of auto */
	struct opt_u32 uid, gid; /* of keep-id */
	const char *name;        /* of container:, ns: */
	/* Of --uidmap, or fixed within auto: .outside is a host's id, or for a user one of his
	 * store's. */
	struct store_id_range *uids, *gids;
	size_t uid_count, gid_count;
	const char *subuid_name, *subgid_name;
};

/* Reads the options; what is of no use to ROOTLESS is refused. −EINVAL. RET's memory is ARENA's. */
int idmaps_parse(const struct run_options *options, bool rootless, struct arena *arena,
	struct idmaps_wants *ret, struct err *err);

/* One kind of ids for idmaps_plan(). */
struct idmaps_facts {
	const struct store_id_range *own; /* the store's; none: the host's ids as they are */
	size_t own_count;
	/* A range that is free for auto, for a name of --subuidname. Its .inside does not matter.
	 */
	struct store_id_range range;
	uint32_t keep; /* of keep-id: the id in the container */
};

/* The map of one kind of ids (GIVEN with COUNT of the wants), from ARENA. −EINVAL when it cannot be
 * made of FACTS. OPTION is for the error. */
int idmaps_plan(const struct idmaps_wants *wants, bool users, const struct idmaps_facts *facts,
	struct arena *arena, struct store_id_range **ret, size_t *ret_count, struct err *err);

/* The first COUNT ids of POOL that none of TAKEN has, in RET. −ENOSPC. Pure. */
int idmaps_allot(const struct store_id_range *pool, size_t pool_count,
	const struct store_id_range *taken, size_t taken_count, uint32_t count,
	struct store_id_range *ret);

/* As a record keeps them: "INSIDE:OUTSIDE:COUNT". */
int idmaps_write(const struct store_id_range *ranges, size_t count, struct arena *arena,
	struct strings *ret);
int idmaps_read(const struct strings *texts, struct arena *arena, struct store_id_range **ret,
	size_t *ret_count, struct err *err);

/* What INSIDE is on the host, and the other way; (uint32_t)−1 for an id that is not mapped. No
 * RANGES: the same. */
uint32_t idmaps_outside(const struct store_id_range *ranges, size_t count, uint32_t inside);
uint32_t idmaps_inside(const struct store_id_range *ranges, size_t count, uint32_t outside);

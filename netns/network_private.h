/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of networks and attachments share. */
#pragma once

#include "netns/attach.h"
#include "netns/record.h"

/* network.c: a network's directory NETS/NAME of the state, made when missing; readable. */
int network_state_dir(struct network_store *store, const char *name, struct err *err);
/* The records alone, without the default network if it was never made, and without CNI's. */
int network_records(
	struct network_store *store, struct arena *arena, struct networks *ret, struct err *err);
int network_write(struct network_store *store, const struct network *network, struct err *err);
/* The names in DIR (below the state when SUB is NULL, else STATE/SUB) that do not begin with a dot;
 * SUFFIX is asked for and cut. No directory: none. */
int network_names(int dirfd, const char *sub, const char *suffix, struct arena *arena,
	struct strings *ret, struct err *err);

/* network_create.c: with the lock held. Completes what REQUEST left open. */
int network_make(struct network_store *store, const struct network_request *request,
	struct arena *arena, struct network *ret, struct err *err);

/* attach_record.c */
extern const struct json_table attach_table, attach_ports_table;
int attach_write(struct network_store *store, const struct attachment *attachment, struct err *err);
/* What belongs to processes that have died between reserve and apply. With the lock held. */
int attach_undo_pending(struct network_store *store, struct err *err);
struct attach_rest;
int attach_remove_locked(struct network_store *store, const char *id, int netns,
	struct attach_rest *rest, struct err *err);
int attach_mark_pending(struct network_store *store, const char *id, struct err *err);
/* The same, when there is no record any more, but links: attach_remove_rest(). */
int attach_mark_rest(struct network_store *store, const struct attach_rest *rest, struct err *err);
/* What the note of ID says is left of it. */
void attach_read_rest(struct network_store *store, const char *id, struct attach_rest *ret);
int attach_unmark_pending(struct network_store *store, const char *id);

/* firewall.c: the ports of one container, for the rules; firewall_apply() makes them so. */
struct rules_published;
int firewall_publish(
	struct network_store *store, const struct rules_published *published, struct err *err);
int firewall_unpublish(struct network_store *store, const char *id, struct err *err);
int firewall_published(struct network_store *store, struct arena *arena,
	struct rules_published **ret, size_t *ret_count, struct err *err);

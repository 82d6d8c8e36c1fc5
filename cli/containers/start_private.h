/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a start share: start.c has the order, start_files.c the container's files. */
#pragma once

#include "cli/containers/assemble.h"
#include "cli/containers/start.h"
#include "cli/containers/start_network.h"
#include "images/snapshot.h"

/* A start on its way. */
struct starting {
	const struct start_context *ctx;
	struct box *box;
	struct arena arena;
	struct assemble_facts facts;
	struct snapshot snapshot;
	struct box_network network;
	int rootfs; /* the detached mount, −1 once the runtime has it */
	/* What its ids are on the host; no ranges: the same. And a user namespace with them, for
	 * mounts that root makes, or −1. */
	struct store_ids ids;
	int userns;
	/* A user's container whose ids are not those of his store: then fuse-overlayfs serves its
	 * root file system, and what is bound is opened with the store's ids, which reach it. */
	bool own_ids;
	int server; /* of fuse-overlayfs, for the init (images/fuse.h), or −1 */
	int denied; /* the egress policy's log, or −1 */
	struct buf profile, config;
};

/* Whose a file is that belongs to ID of the container, for the process that looks at its files:
 * that of a user has the ids of his store. */
uint32_t start_file_owner(const struct starting *s, bool users, uint32_t id);
/* What has to be seen to in the container's files before it is assembled: its user is found, its
 * volumes are filled. For a user by a process of its own, in his user namespace. */
int start_look_at_files(struct starting *s, struct err *err);
/* The root file system as the runtime takes it: by the parent, or by the init of somebody who may
 * mount only in a namespace of his own. CONTEXT is the struct starting. */
int start_give_rootfs(void *context, struct err *err);
/* Gives hosts, resolv.conf and hostname to the container's root, who may want to write to them. */
int start_give_etc(struct starting *s, struct err *err);
/* The same for a container with .own_ids, in a process of its own with the store's ids. */
int start_give_etc_as_user(struct starting *s, struct err *err);
/* The identity in which a user's binds are opened when init cannot reach them, and what has to be
 * given away with it. CONTEXT is the struct starting. For good. */
int start_enter_store(void *context, struct err *err);

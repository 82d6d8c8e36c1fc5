/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pasta(1), of the package passt: the network of a container without privilege. It opens the
 * container's connections as ordinary sockets of the user, listens for its published ports, and
 * ends with the namespace. The process of a command.
 */
#pragma once

#include "netns/attach.h"

/* Returns when pasta carries traffic. USERNS −1: the namespace belongs to the caller's user
 * namespace. −ENOENT says which package has pasta. */
int pasta_start(struct network_store *store, const struct attachment *a, int netns, int userns,
	struct err *err);
/* Ends it, if it has not ended by itself. */
int pasta_stop(struct network_store *store, const char *id, struct err *err);

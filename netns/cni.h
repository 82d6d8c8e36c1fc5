/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks of CNI: lists of plugins in /etc/cni/net.d (CNI specification 1.0), which the plugins
 * make.
 *
 * A list is a network of this driver, found by its name. Plugins are executed in their order with
 * ADD, each with the result of the one before, and in reverse with DEL. The result of the last and
 * the list as it was are kept until then: DEL gets what ADD got, whatever became of the file.
 *
 * The process of a command, with the networks' lock.
 */
#pragma once

#include "netns/attach.h"

/* DIR NULL: there are none. −ENOENT without a sentence. From ARENA. */
int cni_load(const char *dir, const char *name, struct arena *arena, struct network *ret,
	struct err *err);
/* Files that are no list are left out. */
int cni_list(const char *dir, struct arena *arena, struct networks *ret, struct err *err);

/* ADD in the namespace NETNS. LINK gets addresses and result. On failure DEL was called. */
int cni_add(struct network_store *store, const struct network *n, const struct attachment *a,
	struct attach_link *link, int netns, struct arena *arena, struct err *err);
/* DEL; NETNS −1 when it is gone. Every plugin is called, the first error returned. */
int cni_delete(struct network_store *store, const struct attachment *a,
	const struct attach_link *link, int netns, struct err *err);
/* CHECK: −ENODEV and such as the plugin says. */
int cni_check(struct network_store *store, const struct attachment *a,
	const struct attach_link *link, int netns, struct err *err);

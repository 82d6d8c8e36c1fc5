/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules in the kernel: written whole by nft(8) from what is recorded, and only when that
 * changed or the table is not there. The process of a command in the host's network namespace, with
 * the networks' lock.
 *
 * nft is executed, not linked: its library cannot be linked statically, and is under the GPL,
 * version 2.
 */
#pragma once

#include "netns/network.h"

/* FORCE: also when nothing changed. −ENOENT says which package has nft. */
int firewall_apply(struct network_store *store, bool force, struct err *err);

/* Only if our table is there: nothing has been started yet otherwise. */
int firewall_refresh(struct network_store *store, struct err *err);

enum firewall_hook { FIREWALL_INPUT, FIREWALL_FORWARD };

/*
 * Another table's chain on HOOK that drops what it does not allow: "ip filter FORWARD" to RET (SIZE
 * bytes); "" when there is none. Of the chains that exist only the policy is looked at. What passes
 * to a published port is seen by the host's forward chains and not by its input chains, which
 * people do not expect: a caller tells them.
 */
int firewall_find_drop(enum firewall_hook hook, char *ret, size_t size, struct err *err);

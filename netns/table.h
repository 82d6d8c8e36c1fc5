/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the packet filter, nft(8), that somebody else forgot. */
#pragma once

#include "base/err.h"

/*
 * Removes the table NAME of family "inet", with its chains and rules, from the network namespace
 * NETNS (a descriptor). 0 when there is none; −ENOSYS or the like without nf_tables in the kernel.
 * Enters the namespace for a moment: single-threaded, needs CAP_SYS_ADMIN and there CAP_NET_ADMIN.
 */
int netns_drop_table(int netns, const char *name, struct err *err);

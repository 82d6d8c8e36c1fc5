/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name's addresses, asked from the host's servers. In a process that has given up everything
 * (netns/dns/jail.h): what comes back is from strangers.
 */
#pragma once

#include "base/err.h"
#include "netns/dns/resolv.h"

/* Writes one address a line to the socket OUT. −ENOENT: the name has none. */
int dns_client_resolve(const char *name, const struct resolv *servers, int out, struct err *err);

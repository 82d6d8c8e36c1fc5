/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's network settings, /proc/sys/net, of the caller's network namespace;
 * Documentation/networking/ip-sysctl.rst. Any process with CAP_NET_ADMIN over it.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* conf/LINK/KEY of FAMILY ("ipv4", "ipv6"). One that has the value already is not written, so that
 * a read-only /proc/sys does no harm then. Without that family in the kernel it does nothing. */
int tune_link(
	const char *family, const char *link, const char *key, const char *value, struct err *err);

/*
 * Lets this host forward packets. For IPv6 that would end its listening to routers' advertisements
 * and so, sooner or later, its own default route: links that listen are told to go on first
 * (accept_ra 2).
 */
int tune_forwarding(bool ipv4, bool ipv6, struct err *err);
/* Lets it forward none. */
int tune_no_forwarding(struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of name servers: resolv.conf(5), and our own with one address a line. Pure; any process. */
#pragma once

#include "netns/address.h"

enum { RESOLV_SERVERS_MAX = 3 };

struct resolv {
	struct address servers[RESOLV_SERVERS_MAX];
	size_t count;
};

/* TEXT's "nameserver" lines; one that cannot be read, as one with a zone, is passed over. */
void resolv_parse(const char *text, struct resolv *ret);
/* Plain addresses, one a line. */
void resolv_parse_list(const char *text, struct resolv *ret);

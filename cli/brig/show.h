/* SPDX-License-Identifier: Apache-2.0 */
/* What several verbs tell about a container, as text and as JSON. The process of a command. */
#pragma once

#include "cli/brig/brig.h"

enum { SHOW_STATUS_MAX = 128 };

/* "Up 2 minutes (healthy)", "Exited (0) 3 hours ago". NOW: seconds since 1970. */
void show_status(
	const struct box *box, enum box_state state, int64_t now, char ret[SHOW_STATUS_MAX]);
/* How much it has written, as text. */
void show_size(struct brig *b, const struct box *box, char *ret, size_t size);
/* What it has on its networks, from B's arena. −ENOENT. */
struct attachment;
struct port;
int show_attachment(struct brig *b, const struct box *box, struct attachment *ret);
const char *show_protocol(const struct port *port);
/* The address that it is bound to, into RET (ADDRESS_TEXT_MAX bytes), which is returned. */
const char *show_host_ip(const struct port *port, char *ret);
/* "0.0.0.0:8080->80/tcp, …" as a JSON string, and the names of its networks. The caller owns them.
 */
json_t *show_ports(struct brig *b, const struct box *box);
json_t *show_networks(const struct record *record);
/* What it has on its networks, as `inspect` prints it. */
json_t *show_network_settings(struct brig *b, const struct box *box);
/* All that is known, in the form that `inspect` prints. NULL without memory. */
json_t *show_inspect(struct brig *b, const struct box *box, bool size);

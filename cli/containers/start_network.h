/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a container that is being started: from the options to netns/attach.h.
 *
 *	box_network_reserve()   addresses and ports, before anything of it exists
 *	box_network_apply()     once its process has a network namespace
 *	box_network_remove()    at the end; does nothing the second time
 */
#pragma once

#include "cli/containers/start.h"
#include "netns/attach.h"

struct box_network {
	struct network_wants wants;
	bool attached; /* .attachment is */
	struct attachment attachment;
	struct attach_held held;
};

/* The store of networks; ended with network_store_close(). */
int box_network_store(const struct boxes *boxes, const char *libexec, bool rootless,
	struct network_store *ret, struct err *err);

/* What the options say, checked as far as that needs no network: for `create`. */
int box_network_parse(const struct record *record, bool rootless, struct arena *arena,
	struct network_wants *ret_wants, struct ports *ret_ports, struct err *err);

int box_network_reserve(const struct start_context *ctx, const struct box *box, struct arena *arena,
	struct box_network *ret, struct err *err);
int box_network_apply(const struct start_context *ctx, const struct box *box, int netns, int userns,
	struct arena *arena, struct box_network *network, struct err *err);
/* REST as of attach_remove(). */
int box_network_remove(const struct start_context *ctx, const char *id,
	struct attach_rest *ret_rest, struct err *err);
int box_network_remove_rest(
	const struct start_context *ctx, const struct attach_rest *rest, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* What commands ask the agent of a container's guest. */
#pragma once

#include "runtime/backend.h"
#include "runtime/microvm/host/link.h"

/*
 * One request and its answer, on a session of its own; FAILED becomes ERR. The agent of a paused
 * container answers as well: it is awake for as long. RET points into LINK, which comes with .fd −1
 * and is ended with link_close(), also on failure. Parent.
 */
int ask_agent(const struct container *c, enum proto_type type, const void *payload, size_t len,
	struct link *link, struct link_message *ret, struct err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a container may connect to: --allow-connect and --deny-connect, made a policy of its cgroup
 * (cgroups/connect.h). The process that starts the container, before its program runs.
 *
 * Names are looked up once, at the start. Where others than listed are denied, the container's own
 * name servers stay allowed, on port 53: without them no listed name could be used.
 */
#pragma once

#include "cli/containers/start.h"
#include "runtime/container.h"

/* What the options say, checked without looking anything up: for `create`. −EINVAL. */
int egress_check(const struct run_options *options, struct err *err);
/* *RET_DENIED is the log of what was denied, for connect_denied_open(), or −1 without a policy.
 * SERVERS: the container's. */
int egress_apply(const struct start_context *ctx, const struct run_options *options,
	const struct container *container, const struct strings *servers, int *ret_denied,
	struct err *err);
